# SPDX-License-Identifier: Apache-2.0
"""Outputs that keep their promises pass, whatever the recording and the request."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.verification.decoder import UndecodableError
from tests.operations.helpers import (
    EDITABLE,
    SMART,
    Cut,
    Recording,
    Result,
    call,
    cuts,
    masking,
    recorded,
    recording,
    store,
)
from tests.strategies import edited_bytes, examples
from tests.support import DAMAGED, VARIED, arguments, decode_miniaudio, decode_soundfile

BEEPS = (
    ae.Beep(),
    ae.Beep(fill="silence"),
    ae.Beep(777.7),
    ae.Beep(300, -3),
    ae.Beep(2500, -40),
    ae.Beep(1000, -60),
)
NAMES = {
    "tag",
    "metadata",
    "length",
    "clock",
    "copied_frames",
    "other_party",
    "removed_audio",
    "leftovers",
    "windows",
    "decoders",
    "beep",
    "mask_edges",
    "voice_gone",
    "kept_sound",
    "hidden",
}


def assert_passes(result: Result, **options: Any) -> ae.Verification:
    source = result.source
    modification = result.cut.modification(source.rate)
    verdict = ae.verify(
        source.data, result.data, modification, workers=1, **arguments(ae.StoreOptions, options)
    )
    assert verdict.passed, names_of(verdict.failures)
    assert {check.name for check in verdict.checks} == NAMES
    return verdict


def names_of(checks: Iterable[ae.Check]) -> list[str]:
    return [f"{check.name}: {check.message}" for check in checks]


def few_cuts(source: Recording) -> list[Cut]:
    """A mask, a trim through masks, and a mask of everything."""
    n = source.samples
    return [
        masking("caller", (n // 4, n // 2)),
        masking("both", (n // 3, n // 3 + n // 8), (0, n // 5), trim=(n // 10, n - n // 10)),
        masking("callee", (0, n)),
    ]


@pytest.mark.parametrize("name", [name for name in EDITABLE if name != "demo-call"])
def test_good_outputs_pass(name: str) -> None:
    """Each kind of recording, smart and full."""
    source = recording(name)
    for cut in few_cuts(source):
        assert_passes(store(source, cut))
    assert_passes(store(source, few_cuts(source)[1], render="full"), render="full")


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "midside-44k", "mono-44k"])
def test_a_mask_of_what_is_masked_already_passes(name: str) -> None:
    """The same beep has the same coding noise; that is no voice."""
    once = store(recording(name), masking("both", (0, recording(name).samples // 3)))
    source = recorded(f"{name}, masked", once.data)
    n = source.samples
    for party, span in (("both", (0, n // 4)), ("callee", (0, n // 2)), ("both", (0, n // 3))):
        assert_passes(store(source, masking(party, span)))


@pytest.mark.parametrize("name", sorted({*VARIED, *DAMAGED, "intensity-16k", "midside-44k"}))
@given(st.data())
@examples(6)
def test_any_good_output_passes(name: str, data: st.DataObject) -> None:
    """Any edits, any beep, any options: there are no false alarms."""
    source = recording(name)
    cut = data.draw(cuts(source))
    options = {
        "beep": data.draw(st.sampled_from([beep for beep in BEEPS if fits(beep, source)])),
        "render": data.draw(st.sampled_from(("smart", "full"))),
        "shared_frames": data.draw(st.sampled_from(("keep", "mask_both"))),
        "caller_channel": data.draw(st.sampled_from(("left", "right"))),
    }
    assert_passes(store(source, cut, **options), **options)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mono-8k", "crc-16k", "mpeg1-44k-128k"])
@given(st.data())
@examples(10)
def test_outputs_of_broken_recordings_pass(name: str, data: st.DataObject) -> None:
    """Where `store` takes one, its output is as good as any; it may have to re-encode all.

    But for copied frames whose side information is nonsense: minimp3 leaves those out. And but for
    damage that decoders play in different ways: nobody knows what is right there.
    """
    broken = data.draw(edited_bytes(name))
    start = data.draw(st.floats(0, 2))
    party = data.draw(st.sampled_from(("caller", "callee", "both")))
    edit = ae.Modification(mask={party: [ae.Interval(start, start + 0.5)]})
    output = BytesIO()
    try:
        report = ae.store(broken, output, edit, ae.StoreOptions(allow_truncated=True))
        verdict = ae.verify(
            broken, output.getvalue(), edit, ae.StoreOptions(allow_truncated=True), workers=1
        )
    except ae.AudioEngineError:
        assume(False)
    played = len(decode_miniaudio(output.getvalue()))
    if played == report.output.samples and decoders_agree_on(broken):
        assert verdict.passed, names_of(verdict.failures)


def decoders_agree_on(data: bytes) -> bool:
    """Whether minimp3 and mpg123 play the same, to what `verify` allows between them and more."""
    try:
        sounds = decode_miniaudio(data) / 32_768, decode_soundfile(data)
    except Exception:  # noqa: BLE001 - one that refuses it does not agree
        return False
    return sounds[0].shape == sounds[1].shape and bool(np.abs(sounds[0] - sounds[1]).max() < 0.01)


def fits(beep: ae.Beep, source: Recording) -> bool:
    return beep.fill == "silence" or float(beep.frequency_hz) < 0.35 * source.rate


@pytest.mark.parametrize("name", ["stereo-8k", "mpeg2-16k-48k", "stereo-44k"])
@pytest.mark.parametrize("beep", BEEPS[:3])
def test_a_recording_masked_before(name: str, beep: ae.Beep) -> None:
    """Under the same mask it holds the same beep, maybe bit for bit: that gives nothing away."""
    once = store(recording(name), few_cuts(recording(name))[1], beep=beep)
    again = recorded(f"{name}, masked", once.data)
    n = again.samples
    for span in ((n // 5, n // 2), (n // 4, n // 3), (0, n)):
        assert_passes(store(again, masking("both", span), beep=beep), beep=beep)


@pytest.mark.parametrize("name", SMART[::7])
def test_the_verdict_does_not_depend_on_workers(name: str) -> None:
    """Nor on anything but the files and the request."""
    source = recording(name)
    result = store(source, few_cuts(source)[1])
    modification = result.cut.modification(source.rate)
    verdicts = [ae.verify(source.data, result.data, modification, workers=n) for n in (1, 3)]
    assert verdicts[0].checks == verdicts[1].checks


def test_the_report() -> None:
    """It names both files, the decoder and each check with its figures."""
    source = call(16_000, 14, 48)
    result = store(source, masking("caller", (48_000, 128_000)))
    verdict = assert_passes(result)
    assert verdict.source_sha256 == result.report.source.sha256
    assert verdict.output_sha256 == result.report.output.sha256
    assert verdict.decoder.startswith("miniaudio ")
    assert verdict.failures == ()
    plain = verdict.to_dict()
    assert plain["passed"] is True
    figures = {check["name"]: check["measured"] for check in plain["checks"]}
    assert figures["length"]["played_samples"] == source.samples
    assert figures["copied_frames"]["copied"] >= result.report.frames.verbatim
    assert figures["mask_edges"]["edges"] == 2
    assert all(check["measured"] and check["message"] for check in plain["checks"])


def test_a_copy_needs_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be heard, does; the message says what to install."""
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    source = recording("mpeg2-16k-48k")
    assert ae.verify(source.data, source.data).passed
    result = store(source, few_cuts(source)[0])
    with pytest.raises(ae.VerificationError, match=r"install audioengine\[verify\]"):
        ae.verify(source.data, result.data, result.cut.modification(source.rate))


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "mono-44k", "zeros-in-middle", "midside-16k"])
def test_store_publishes_what_passes(name: str) -> None:
    """The same bytes as without verification."""
    source = recording(name)
    for cut in few_cuts(source):
        assert store(source, cut, verify=True).data == store(source, cut).data
    assert store(source, Cut(), verify=True).data == source.data


def test_store_publishes_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before stays; the error says which promises are broken."""
    source = call(16_000, 14, 48)
    edit = masking("caller", (48_000, 128_000)).modification(16_000)
    target = tmp_path / "out.mp3"
    target.write_bytes(b"before")
    with monkeypatch.context() as patch:
        patch.setattr("audioengine.pcm.tone.BeepTone.paint", lambda *_: None)
        patch.setattr("audioengine.render.tracks._MIN_FILL_FRAMES", 1 << 30)
        with pytest.raises(ae.VerificationError, match=r"not published.* beep: .* voice_gone: "):
            ae.store(source.data, target, edit, ae.StoreOptions(verify=True))
        assert target.read_bytes() == b"before"
        assert [path.name for path in tmp_path.iterdir()] == ["out.mp3"]
        ae.store(source.data, target, edit)
    assert not ae.verify(source.data, target, edit).passed


def test_store_refuses_at_once_where_nothing_can_be_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before any work."""
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    monkeypatch.setattr("audioengine.operations.store.render_store", None)
    source = recording("mpeg2-16k-48k")
    with pytest.raises(ae.VerificationError, match="install"):
        store(source, few_cuts(source)[0], verify=True)
    assert store(source, Cut(), verify=True).data == source.data


def test_a_source_that_the_decoder_does_not_play(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no verdict on the output."""
    source = recording("mpeg2-16k-48k")
    result = store(source, few_cuts(source)[0])

    def undecodable(*_: object) -> None:
        raise UndecodableError("frame 1 can't be decoded")

    with monkeypatch.context() as patch:
        patch.setattr("audioengine.verification.decoder.decode_frames", undecodable)
        with pytest.raises(ae.VerificationError, match="of the source, frame 1"):
            ae.verify(source.data, result.data, result.cut.modification(source.rate))
    assert_passes(result)


def test_what_store_refuses() -> None:
    """A request that can't be honoured can't be verified either."""
    source = recording("mpeg2-16k-48k")
    beyond = ae.Modification(mask={"caller": [ae.Interval(100, 101)]})
    with pytest.raises(ae.InvalidRequestError):
        ae.verify(source.data, source.data, beyond)
    render: Any = "fast"
    with pytest.raises(ae.InvalidRequestError, match="render"):
        ae.verify(source.data, source.data, options=ae.StoreOptions(render=render))
    with pytest.raises(ae.MalformedAudioError):
        ae.verify(b"not audio" * 1000, source.data)
    with pytest.raises(ae.StorageError):
        ae.verify("nowhere.mp3", source.data)
