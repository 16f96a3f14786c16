# SPDX-License-Identifier: Apache-2.0
"""What nobody asked for does not pass, however much it is like the source otherwise."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

import audioengine as ae
from tests.operations.helpers import lame, talk
from tests.sources.material import Pcm, written

START = 1_728_890_677_283
RATES = [(8000, 1), (8000, 2), (16_000, 1), (22_050, 2), (44_100, 1), (48_000, 2)]
# Nobody talks before 0.2 s, and the caller does from then on.
IN_SILENCE, IN_SPEECH = 0.07, (0.4, 0.6, 0.9)


def with_beep(pcm: Pcm, rate: int, at_s: float, ms: int, dbfs: float) -> Pcm:
    """The first channel replaced by a tone."""
    out: Pcm = pcm.copy()
    start, length = round(at_s * rate), rate * ms // 1000
    tone = np.sin(2 * np.pi * 1000 * np.arange(length) / rate)
    out[start : start + length, 0] = 10 ** (dbfs / 20) * tone
    return out


def judged(
    source: bytes,
    made_of: bytes,
    edit: ae.Modification | None = None,
    options: ae.StoreOptions = ae.StoreOptions(),  # noqa: B008 - frozen
) -> set[str]:
    """What `verify` finds in an output that is made of other sound than the source."""
    out = BytesIO()
    ae.store(made_of, out, edit, options)
    return {check.name for check in ae.verify(source, out.getvalue(), edit, options).failures}


CASES = [
    (IN_SPEECH[0], 500, -10),
    (IN_SILENCE, 60, -40),
    (IN_SPEECH[1], 60, -10),
    (IN_SPEECH[2], 500, -25),
    (IN_SILENCE, 120, -25),
    (IN_SPEECH[1], 500, -25),
    (IN_SPEECH[2], 240, -20),
    (IN_SILENCE, 60, -10),
    (IN_SPEECH[0], 500, -25),
    (IN_SPEECH[1], 120, -15),
]
"""Place in s, length in ms, level in dBFS."""


@pytest.mark.parametrize("number", range(len(RATES)))
def test_a_beep_that_nobody_asked_for(number: int) -> None:
    """In the place of speech, or in silence; of what is encoded whole."""
    rate, channels = RATES[number]
    pcm = talk(rate, 1.5)[:, :channels]
    source = written(pcm, rate, "WAV", "PCM_16")
    assert not judged(source, source)
    for at, ms, dbfs in (CASES + CASES)[number * 3 :][:4]:
        made = written(with_beep(pcm, rate, at, ms, dbfs), rate, "WAV", "PCM_16")
        assert "kept_sound" in judged(source, made), (at, ms, dbfs)


@pytest.mark.parametrize(("rate", "channels", "kbps"), [(8000, 1, 16), (44_100, 2, 128)])
def test_in_an_mp3_that_is_coded_anew(rate: int, channels: int, kbps: int) -> None:
    pcm = talk(rate, 1.5)[:, :channels]
    source = lame(pcm, rate, kbps)
    edit, options = ae.Modification(ae.Interval(0.05, 1.4)), ae.StoreOptions(render="full")
    assert not judged(source, source, edit, options)
    for at, ms, dbfs in CASES[1:4]:
        made = lame(with_beep(pcm, rate, at, ms, dbfs), rate, kbps)
        assert "kept_sound" in judged(source, made, edit, options), (at, ms, dbfs)


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_in_a_merge(kind: str) -> None:
    """Where one is heard, and where two are."""
    rate = 16_000
    pcm = talk(rate, 1.5)

    def parts(first: Pcm) -> list[ae.MergePart]:
        data = written(first, rate, "WAV", "PCM_16") if kind == "wav" else lame(first, rate, 48)
        second = written(pcm[: rate // 2] / np.float32(2), rate, "WAV", "PCM_16")
        return [
            ae.MergePart(data, START, recording_id="a"),
            ae.MergePart(second, START + 1000, recording_id="b"),
        ]

    options = ae.MergeOptions(render="full" if kind == "mp3" else "smart")

    def found(made: Pcm) -> set[str]:
        out = BytesIO()
        ae.merge(parts(made), out, options)
        verdict = ae.verify_merge(parts(pcm), out.getvalue(), options)
        return {check.name for check in verdict.failures}

    assert "kept_sound" not in found(pcm)
    for at, ms, dbfs in CASES[1], CASES[5], (1.0, 400, -15):
        made = with_beep(pcm, rate, at, ms, dbfs)
        assert "kept_sound" in found(made), (at, ms, dbfs)
