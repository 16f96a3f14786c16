# SPDX-License-Identifier: Apache-2.0
"""`find_dtmf` on recordings: whose keys they are, their echo, and no digit anywhere."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import lameenc
import numpy as np
import pytest
import soundfile

import audioengine as ae
from audioengine.choices import CallerChannel
from audioengine.operations import tones
from fixtures.tones import keyed, voice
from tests.support import decode_miniaudio, fixture

DIGITS = "4012888881881"


def recording(
    *, echo: float = 0, rate_hz: int = 8000, on_right: bool = False
) -> tuple[bytes, list[tuple[float, float]]]:
    """A call of about 4 s with keys on one channel, a voice on the other, its echo there."""
    samples, places = keyed(DIGITS, rate_hz, ms=(60, 90), pause_ms=(60, 90), seed=9)
    other = np.resize(voice("callee", rate_hz), len(samples)) + echo * np.roll(
        samples, rate_hz // 10
    )
    pair = (other, samples) if on_right else (samples, other)
    out = BytesIO()
    ae.encode(ae.Audio(*pair, rate_hz), out, workers=1)
    return out.getvalue(), [(one.start_s, one.end_s) for one in places]


@pytest.mark.parametrize("on_right", [False, True])
@pytest.mark.parametrize("caller_channel", ["left", "right"])
def test_a_finding_names_the_party(on_right: bool, caller_channel: CallerChannel) -> None:
    data, places = recording(on_right=on_right)
    found = ae.find_dtmf(data, caller_channel=caller_channel)
    party = "caller" if on_right == (caller_channel == "right") else "callee"
    assert [(one.party, one.kind) for one in found] == [(party, "DTMF")]
    assert abs(float(found[0].start) - places[0][0]) < 0.02
    assert found[0].end is not None
    assert abs(float(found[0].end) - places[-1][1]) < 0.02


def test_the_echo_on_the_other_channel_is_found_too() -> None:
    data, _ = recording(echo=0.1)
    assert sorted(one.party or "" for one in ae.find_dtmf(data)) == ["callee", "caller"]


def test_a_masked_recording_has_no_keys() -> None:
    data, places = recording(echo=0.05)
    out = BytesIO()
    ae.store(data, out, ae.find_dtmf(data).modification())
    assert not ae.find_dtmf(out.getvalue(), min_keys=1)
    decoded = decode_miniaudio(out.getvalue())
    assert len(decoded) > places[-1][1] * 8000


def test_keys_of_a_mono_recording_are_of_nobody() -> None:
    samples, _ = keyed(DIGITS, 8000, seed=2)
    encoder = lameenc.Encoder()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(8000)
    encoder.set_bit_rate(16)
    encoder.silence()
    data = encoder.encode((samples * 32767).astype("<i2").tobytes()) + encoder.flush()
    assert [one.party for one in ae.find_dtmf(bytes(data))] == [None]


def test_keys_in_a_wav_file_are_found() -> None:
    samples, _ = keyed(DIGITS, 16000, seed=4)
    file = BytesIO()
    soundfile.write(file, np.stack((samples * 0, samples), axis=1), 16000, format="WAV")
    assert [one.party for one in ae.find_dtmf(file.getvalue())] == ["callee"]


def test_blocks_join_where_keys_lie_across_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = recording()
    whole = tones.dtmf_report(data, show_digits=True)
    assert [one.digits for one in whole.strings] == [DIGITS]
    monkeypatch.setattr(tones, "_BLOCK_S", 0.1)
    assert tones.dtmf_report(data, show_digits=True).strings == whole.strings


def test_digits_are_told_only_where_they_are_asked_for() -> None:
    data, _ = recording()
    report = tones.dtmf_report(data)
    found = ae.find_dtmf(data)
    for text in (report.to_json(), repr(report), repr(found), repr(found.modification())):
        assert not any(DIGITS[at : at + 7] in text for at in range(len(DIGITS) - 6))
    assert report.strings[0].keys == len(DIGITS)
    assert DIGITS[:7] not in repr(tones.dtmf_report(data, show_digits=True))


@pytest.mark.parametrize("caller_channel", ["left", "right"])
def test_the_option_masks_keys_and_their_echo(caller_channel: CallerChannel) -> None:
    data, places = recording(echo=0.1)
    options = ae.StoreOptions(mask_dtmf=True, caller_channel=caller_channel)
    own = ae.Modification(mask={"callee": [ae.Interval(0.1, 0.3)]})
    out = BytesIO()
    report = ae.store(data, out, own, options)
    assert sorted(mask.party for mask in report.masks) == ["callee", "callee", "caller"]
    for mask in report.masks:
        if mask.asked.ms[1] > 400:
            assert mask.applied.ms[0] <= places[0][0] * 1000 + 100  # the echo's delay
            assert mask.applied.ms[1] >= places[-1][1] * 1000
    assert not ae.find_dtmf(out.getvalue(), min_keys=1)
    assert not report.warnings
    assert ae.verify(data, out.getvalue(), own, options).passed
    assert not ae.verify(data, data, own, options).passed
    planned = ae.plan_store(data, own, options)
    assert [mask.applied for mask in planned.masks] == [mask.applied for mask in report.masks]
    assert DIGITS[:7] not in report.to_json() + planned.to_json()


def test_the_option_works_beside_absolute_times() -> None:
    data, _ = recording()
    start_ms = 1_764_493_200_000
    own = ae.Modification(
        mask={"callee": [ae.Interval(start_ms + 100, start_ms + 300)]}, absolute_times=True
    )
    options = ae.StoreOptions(mask_dtmf=True, min_keys=5)
    planned = ae.plan_store(data, own, options, start_time_ms=start_ms)
    assert sorted(mask.party for mask in planned.masks) == ["callee", "caller"]
    options = ae.StoreOptions(mask_dtmf=True, min_keys=50)
    assert len(ae.plan_store(data, own, options, start_time_ms=start_ms).masks) == 1


def test_keys_at_the_end_are_masked_to_it_without_a_warning() -> None:
    samples, _ = keyed(DIGITS, 8000, seed=2, pause_ms=(40, 40), lead_s=0.01)
    out = BytesIO()
    ae.encode(ae.Audio(samples, samples * 0, 8000), out, workers=1)
    planned = ae.plan_store(out.getvalue(), options=ae.StoreOptions(mask_dtmf=True))
    assert [mask.applied.samples for mask in planned.masks] == [(0, len(samples))]
    assert not planned.warnings


def test_each_part_of_a_merge_is_scanned() -> None:
    parts = [
        ae.MergePart(recording(echo=echo)[0], 1_764_493_200_000 + start)
        for echo, start in ((0, 0), (0.0005, 1000))
    ]
    planned = ae.plan_merge(parts, ae.MergeOptions(mask_dtmf=True))
    assert [[mask.party for mask in part.masks] for part in planned.parts] == [["caller"]] * 2


@pytest.mark.parametrize("min_keys", [0, -1, True, 2.5, "3"])
def test_min_keys_is_judged(min_keys: object) -> None:
    with pytest.raises(ae.InvalidRequestError, match="min_keys"):
        ae.find_dtmf(fixture("stereo-8k"), min_keys=min_keys)  # type: ignore[arg-type]


def test_the_channel_is_judged() -> None:
    for find in (ae.find_dtmf, tones.dtmf_report):
        with pytest.raises(ae.InvalidRequestError, match="caller_channel"):
            find(fixture("stereo-8k"), caller_channel="up")  # type: ignore[arg-type]
    with pytest.raises(ae.InvalidRequestError, match="caller_channel"):
        ae.read_labels(b"", caller_channel="up")  # type: ignore[arg-type]


def test_strings_shorter_than_asked_are_none() -> None:
    data, _ = recording()
    assert len(ae.find_dtmf(data, min_keys=len(DIGITS))) == 1
    assert len(ae.find_dtmf(data, min_keys=len(DIGITS) + 1)) == 0


def test_places_are_in_order() -> None:
    data, _ = recording(echo=0.2)
    starts = [one.start for one in ae.find_dtmf(data)]
    assert all(before <= after for before, after in pairwise(starts))
