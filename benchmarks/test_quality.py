# SPDX-License-Identifier: Apache-2.0
"""What a re-made second costs in quality, beside FFmpeg's one generation at the same bitrate.

Sources are calls of the fixtures' voices, with hiss in step with them above 9 kHz where the rate
holds it, encoded by FFmpeg. Both sides' outputs are compared with the decoded source, sample by
sample, in segments of 20 ms that are louder than -50 dBFS.
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

import audioengine as ae
from benchmarks.material import Format, talk
from benchmarks.peers import BEEP_HZ, LAME_QUALITY
from benchmarks.results import Row, rows, verdict

Pcm = NDArray[np.float64]
Flags = NDArray[np.bool_]

FORMATS = (
    Format(8000, 16),
    Format(8000, 32),
    Format(16000, 48),
    Format(22050, 64),
    Format(24000, 64),
    Format(32000, 80),
    Format(44100, 64),
    Format(44100, 96),
    Format(44100, 128),
)
SECONDS = 30
BANDS = 8
LEAST_DBFS = -50
# Seconds in which one party is masked, all through the call.
MASKS = [(start, start + 1.0) for start in np.arange(0.7, SECONDS - 2, 2.6).tolist()]

FULL = "Re-encoded by render=full"
KEPT = "The party that is kept where channels were coded together (mid/side) under a mask"
EDGES = "Beside masks: what is left of a masked party's re-made frames"


def encoded(pcm: Pcm, form: Format) -> bytes:
    """FFmpeg's joint stereo; only into files it writes a tag that is right."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y",
        "-f", "f32le", "-ar", str(form.rate), "-ac", "2", "-i", "-",
        "-c:a", "libmp3lame", "-b:a", f"{form.kbps}k", "-compression_level", str(LAME_QUALITY),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "call.mp3")
        subprocess.run([*command, str(target)], input=pcm.astype("<f4").tobytes(), check=True)
        return target.read_bytes()


def decoded(data: bytes, count: int | None = None) -> Pcm:
    """[shape=(n, 2)] What libsndfile plays of it."""
    pcm: Pcm = sf.read(BytesIO(data))[0][:count]
    return pcm


@cache
def source(form: Format, crosstalk: float) -> tuple[bytes, Pcm]:
    """A call, and what it decodes to; `crosstalk` of each voice is on the other channel too."""
    pcm = np.concatenate(list(talk(form.rate, SECONDS))) / 32768
    hertz = np.fft.rfftfreq(len(pcm), 1 / form.rate)[:, None]
    if form.rate > 22050:
        high = np.fft.irfft(np.fft.rfft(pcm, axis=0) * (hertz > 4000), len(pcm), axis=0)
        hiss = np.random.default_rng(5).standard_normal(pcm.shape)
        air = (hertz > 9000) & (hertz < 20000)
        hiss = np.fft.irfft(np.fft.rfft(hiss, axis=0) * air, len(pcm), axis=0)
        window = np.hanning(form.rate // 50)
        power = [np.convolve(channel**2, window / window.sum(), "same") for channel in high.T]
        pcm += 0.5 * np.sqrt(np.maximum(np.stack(power, axis=1), 0)) * hiss / hiss.std()
    data = encoded(pcm + crosstalk * pcm[:, ::-1], form)
    return data, decoded(data)


def segmental_snr(was: Pcm, now: Pcm, rate: int, within: Flags) -> float:
    """In dB, the mean of segments of both channels that lie within the flags."""
    size = rate // 50
    count = len(was) // size * size

    def segments(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.mean(values[:count].reshape(-1, size, 2), axis=1))

    power, error = segments(was**2), segments((was - now) ** 2)
    heard = (power > 10 ** (LEAST_DBFS / 10)) & (segments(within) > 0.9)
    return float(np.clip(10 * np.log10(power[heard] / (error[heard] + 1e-12)), -10, 45).mean())


def band_levels(was: Pcm, now: Pcm, within: Flags) -> list[float]:
    """In dB, how loud each eighth of the source's band is, beside the source."""

    def powers(pcm: Pcm) -> Pcm:
        count = len(pcm) // 512 * 512
        blocks = pcm[:count].reshape(-1, 512, 2)
        inside = np.all(within[:count].reshape(-1, 512, 2), axis=1)
        spectra = np.abs(np.fft.rfft(blocks * np.hanning(512)[:, None], axis=1)) ** 2
        return np.asarray(np.sum(spectra * inside[:, None, :], axis=(0, 2)))

    one, two = powers(was), powers(now)
    top = int(np.flatnonzero(one > 1e-7 * one.max())[-1]) + 1
    edges = np.linspace(0, top, BANDS + 1).astype(int)
    return [float(10 * np.log10(two[a:b].sum() / one[a:b].sum())) for a, b in pairwise(edges)]


def judge(subject: str, form: Format, was: Pcm, made: dict[str, Pcm], within: Flags) -> None:
    """One row a tool; ours is to be no worse than FFmpeg's."""
    found = {}
    for tool, now in made.items():
        gain = float(np.sum((was * now)[within]) / np.sum((now**2)[within]))
        plain = segmental_snr(was, now, form.rate, within)
        level = segmental_snr(was, now * gain, form.rate, within)
        levels = band_levels(was, now, within)
        found[tool] = plain, level
        text = " ".join(f"{one:+.1f}" for one in levels)
        value = f"{plain:.1f} dB, {level:.1f} at one level; bands {text}"
        rows.append(Row(subject, str(form), tool, value))
        if tool == "audioengine":
            assert min(levels) > -2.5, f"{subject}, {form}: {text}"
    (ours, ours_level), (theirs, theirs_level) = found["audioengine"], found["ffmpeg"]
    kept = ours >= theirs
    note = f"≥ ffmpeg {verdict(kept)}, at one level {ours_level - theirs_level:+.1f} dB"
    rows.append(Row(subject, str(form), "", "", wanted=note))
    assert kept, f"{subject}, {form}: {ours:.2f} dB, ffmpeg {theirs:.2f} dB"


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_full(form: Format) -> None:
    data, was = source(form, 0)
    out = BytesIO()
    mask = ae.Modification(mask={"both": [ae.Interval(0, 0.1)]})
    ae.store(data, out, mask, ae.StoreOptions(render="full"))
    made = {
        "audioengine": decoded(out.getvalue(), len(was)),
        "ffmpeg": decoded(encoded(was, form), len(was)),
    }
    within = np.ones(was.shape, dtype=bool)
    within[: form.rate // 2] = False
    judge(FULL, form, was, made, within)


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("subject", [KEPT, EDGES], ids=["kept", "edges"])
def test_smart(form: Format, subject: str) -> None:
    """FFmpeg is given the masked samples; both are compared only where ours are re-made."""
    data, was = source(form, 0.5 if subject == KEPT else 0)
    ours, theirs, sources, flags = [], [], [], []
    for channel, party in enumerate(("caller", "callee")):
        out = BytesIO()
        ae.store(data, out, ae.Modification(mask={party: [ae.Interval(*one) for one in MASKS]}))
        edited, masked = was.copy(), np.zeros(was.shape, dtype=bool)
        for span in MASKS:
            start, end = (round(bound * form.rate) for bound in span)
            masked[start:end, channel] = True
            tone = 0.1 * np.sin(2 * np.pi * BEEP_HZ * np.arange(end - start) / form.rate)
            edited[start:end, channel] = tone
        ours.append(decoded(out.getvalue(), len(was)))
        theirs.append(decoded(encoded(edited, form), len(was)))
        sources.append(was)
        remade = np.abs(ours[-1] - was) > 1e-6
        near = np.ones(64)
        found = np.stack([np.convolve(one, near, "same") > 0 for one in remade.T], axis=1)
        asked = np.zeros(was.shape, dtype=bool)
        asked[:, channel if subject == EDGES else 1 - channel] = True
        flags.append(found & asked & ~masked)
    made = {"audioengine": np.concatenate(ours), "ffmpeg": np.concatenate(theirs)}
    judge(subject, form, np.concatenate(sources), made, np.concatenate(flags))
