# SPDX-License-Identifier: Apache-2.0
"""Recordings that are no MP3: edited as samples, encoded once, judged like any other."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.cli import main
from tests.operations.helpers import masked, recording, spans, talk
from tests.operations.test_convert import check_sound
from tests.sources.material import SNDFILE, Pcm, tones, wav, written
from tests.strategies import examples
from tests.support import decode_soundfile, fixture

RATE = 8000
SECONDS = 3
VERIFIED = ae.StoreOptions(verify=True)


@cache
def speech() -> Pcm:
    return talk(RATE, SECONDS)


@cache
def file(name: str = "wav-pcm16") -> bytes:
    return written(speech(), RATE, *SNDFILE[name])


def stored(source: bytes, modification: ae.Modification | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    workers = options.pop("workers", None)
    report = ae.store(source, out, modification, ae.StoreOptions(**options), workers=workers)
    assert report.render == "encoded"
    assert report.frames.verbatim == report.frames.spliced == report.frames.slot_rewritten == 0
    return out.getvalue()


def mask(party: str, start: int, end: int) -> dict[str, list[ae.Interval]]:
    return {party: [masked(start, end, RATE)]}


# what is masked has no influence


@given(st.data())
@examples(12)
def test_masked_samples_are_without_influence(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["wav-pcm16", "wav-float", "wav-ulaw", "flac", "aiff"]))
    start, end = data.draw(spans(len(speech()), 500))
    party = data.draw(st.sampled_from(["caller", "callee", "both"]))
    other = speech().copy()
    channels = {"caller": [0], "callee": [1], "both": [0, 1]}[party]
    noise = np.random.default_rng(data.draw(st.integers(0, 9)))
    for channel in channels:
        other[start:end, channel] = 0.5 * noise.uniform(-1, 1, end - start)
    edit = ae.Modification(mask=mask(party, start, end))
    one, two = (
        stored(written(pcm, RATE, *SNDFILE[name]), edit, beep=ae.Beep(level_dbfs=-15))
        for pcm in (speech(), other)
    )
    assert one == two


@given(st.data())
@examples(8)
def test_samples_outside_a_trim_are_without_influence(data: st.DataObject) -> None:
    start, end = data.draw(spans(len(speech()), 1000))
    other = np.full_like(speech(), 0.4)
    other[start:end] = speech()[start:end]
    edit = ae.Modification(masked(start, end, RATE))
    one, two = (stored(written(pcm, RATE, "WAV", "PCM_16"), edit) for pcm in (speech(), other))
    assert one == two


# what is kept is the source's, in place


@given(st.data())
@examples(10)
def test_what_is_kept_is_in_place(data: st.DataObject) -> None:
    start, end = data.draw(spans(len(speech()), 4000))
    first, last = data.draw(spans(end - start, 1000))
    edit = ae.Modification(masked(start, end, RATE), mask("callee", start + first, start + last))
    made = stored(file(), edit, beep=ae.Beep(fill="silence"))
    wanted = speech()[start:end].copy()
    wanted[first:last, 1] = 0
    check_sound(made, wanted, 6)


def test_without_an_edit_it_is_what_convert_makes(tmp_path: Path) -> None:
    ae.convert(file(), tmp_path / "a.mp3")
    assert stored(file()) == (tmp_path / "a.mp3").read_bytes()


def test_wav_and_samples_are_one(tmp_path: Path) -> None:
    """What an edit of a WAV gives is near what encoding edited samples gives."""
    pcm = speech().copy()
    pcm[8000:12_000, 0] = 0
    ae.encode(ae.Audio(pcm[:, 0].copy(), pcm[:, 1].copy(), RATE), tmp_path / "a.mp3")
    wanted = ae.decode(tmp_path / "a.mp3")
    found = ae.decode(
        stored(
            file(), ae.Modification(mask=mask("caller", 8000, 12_000)), beep=ae.Beep(fill="silence")
        )
    )
    for one, two in ((found.caller, wanted.caller), (found.callee, wanted.callee)):
        assert np.sqrt(np.mean((one - two) ** 2)) < 0.1 * np.sqrt(np.mean(two**2))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_for_any_number_of_workers(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = ae.Modification(mask=mask("caller", 4000, 9000))
    wanted = stored(file("ogg-vorbis"), edit, workers=2)
    monkeypatch.setattr("audioengine.sources.windows._BLOCK_SAMPLES", 500)
    monkeypatch.setattr("audioengine.sources.windows._BESIDE_SAMPLES", 0)
    monkeypatch.setattr("audioengine.operations.sampled.SECTION_SAMPLES", 600)
    assert stored(file("ogg-vorbis"), edit, workers=workers) == wanted


# reports


def test_reports_and_plans_agree() -> None:
    edit = ae.Modification(masked(2000, 20_000, RATE), mask("caller", 4000, 9000))
    plan = ae.plan_store(file(), edit)
    report = ae.store(file(), io.BytesIO(), edit)
    assert (plan.render, report.render) == ("encoded", "encoded")
    assert plan.masks[0].applied == report.masks[0].applied
    assert plan.output_samples == report.output.samples == 18_000
    assert (plan.copied, plan.fallbacks, report.fallbacks) == (0, (), ())
    assert report.bitrates.nominal_kbps == 32
    assert report.source.samples == len(speech())
    assert not report.source.tagged
    assert report.masks[0].coherence is not None


def test_inspect_says_what_it_is() -> None:
    info = ae.inspect(file("wav-ulaw"))
    assert info.kind == "a WAV file with G.711 µ-law"
    assert (info.samples, info.rate_hz, info.channels) == (len(speech()), RATE, 2)
    assert (info.frames, info.mode, round(info.bitrate_kbps)) == (0, "stereo", 128)
    assert json.loads(info.to_json())["duration_ms"] == 1000 * SECONDS


@given(st.data())
@examples(15)
def test_any_window_decodes(data: st.DataObject) -> None:
    start, end = data.draw(spans(len(speech())))
    window = masked(start, end, RATE)
    found = ae.decode(file("wav-float"), window.start, window.end)
    assert (found.caller == speech()[start:end, 0].astype(np.float32)).all()
    assert (found.callee == speech()[start:end, 1].astype(np.float32)).all()


def test_peaks_are_the_files() -> None:
    found = ae.peaks(file(), pixels_per_second=100)
    wanted = np.rint(speech()[: 80 * 100, 0].reshape(100, 80) * 32_768)
    assert np.abs(found.caller[:100, 1] - wanted.max(axis=1)).max() <= 1


def test_a_mask_of_either_party_masks_mono() -> None:
    mono = written(speech()[:, :1], RATE, "WAV", "PCM_16")
    made = {
        stored(mono, ae.Modification(mask=mask(party, 4000, 9000)))
        for party in ("caller", "callee", "both")
    }
    assert len(made) == 1
    assert decode_soundfile(made.pop()).shape == (len(speech()), 1)


# verification


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_outputs_are_verified(rate: int, channels: int, tmp_path: Path) -> None:
    pcm = talk(rate, 2)[:, :channels]
    source = written(pcm, rate, "WAV", "PCM_16")
    edit = ae.Modification(ae.Interval(0.25, 1.75), {"caller": [ae.Interval(0.6, 1.1)]})
    report = ae.store(source, tmp_path / "o.mp3", edit, VERIFIED)
    assert report.verification is not None
    assert ae.verify(source, tmp_path / "o.mp3", edit).passed
    # Another mask, another source, another place are found out.
    moved = ae.Modification(ae.Interval(0.25, 1.75), {"caller": [ae.Interval(0.8, 1.3)]})
    assert not ae.verify(source, tmp_path / "o.mp3", moved).passed
    unmasked = ae.Modification(ae.Interval(0.25, 1.75))
    assert not ae.verify(source, tmp_path / "o.mp3", unmasked).passed
    late = written(np.roll(pcm, 40, axis=0), rate, "WAV", "PCM_16")
    assert not ae.verify(late, tmp_path / "o.mp3", edit).passed


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("lost_s", [0.1, 0.4])
def test_what_is_lost_is_found_out(rate: int, lost_s: float, tmp_path: Path) -> None:
    """A fraction of a stretch that is coded anew, which leaves most of its likeness."""
    pcm = talk(rate, 2)
    blank = pcm.copy()
    blank[rate : rate + round(lost_s * rate)] = 0
    ae.store(written(blank, rate, "WAV", "PCM_16"), tmp_path / "o.mp3", ae.Modification())
    verdict = ae.verify(written(pcm, rate, "WAV", "PCM_16"), tmp_path / "o.mp3", ae.Modification())
    assert [one.name for one in verdict.checks if not one.passed] == ["kept_sound"]


def test_noise_up_to_the_top_is_verified(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((2 * 24_000, 2))
    source = written(noise.astype(np.float32), 24_000, "WAV", "PCM_16")
    ae.store(source, tmp_path / "o.mp3", ae.Modification(ae.Interval(0.5, 1.5)), VERIFIED)


# merges


@pytest.mark.parametrize("second", ["wav", "mp3", "mono", "faster"])
def test_merges_take_them(second: str, tmp_path: Path) -> None:
    parts = {
        "wav": written(talk(RATE, 2), RATE, "FLAC", "PCM_16"),
        "mp3": fixture("mpeg25-8k-32k"),
        "mono": written(talk(RATE, 2)[:, :1], RATE, "WAV", "ULAW"),
        "faster": written(talk(16_000, 2), 16_000, "WAV", "PCM_16"),
    }
    start = 1_728_890_677_283
    edit = ae.Modification(mask={"caller": [ae.Interval(0.5, 1)]})
    asked = [
        ae.MergePart(file(), start, recording_id="a", modification=edit),
        ae.MergePart(parts[second], start + 2500, recording_id="b"),
    ]
    report = ae.merge(asked, tmp_path / "o.mp3", ae.MergeOptions(verify=True))
    other = ae.decode(parts[second])
    rate = max(RATE, other.rate_hz)
    length = round(2.5 * rate) + len(other.caller) * rate // other.rate_hz
    assert report.output.samples == length
    assert report.render == ("smart" if second == "mp3" else "encoded")
    assert (report.frames.verbatim > 0) == (second == "mp3")
    assert report.parts[0].not_copied is not None
    assert report.parts[0].not_copied.code == "encoded"
    assert ae.plan_merge(asked).render == report.render
    heard = ae.decode(tmp_path / "o.mp3")
    alone = slice(round(0.2 * rate), round(0.4 * rate))
    if rate == RATE:
        wanted = speech()[alone, 1]
        assert np.corrcoef(heard.callee[alone], wanted)[0, 1] > 0.95


def test_a_merge_of_one_is_its_store(tmp_path: Path) -> None:
    part = ae.MergePart(file(), 1_728_890_677_283)
    ae.merge([part], tmp_path / "o.mp3")
    assert ae.decode(tmp_path / "o.mp3").caller.shape == (len(speech()),)


# an MP3 in a WAV file


def test_an_mp3_in_a_wav_file_is_edited_as_such(tmp_path: Path) -> None:
    source = recording("mpeg25-8k-32k")
    inside = wav(0x55, 2, 8000, 0, source.data)
    edit = ae.Modification(mask={"caller": [ae.Interval(0.5, 1)]})
    wanted = ae.store(source.data, tmp_path / "a.mp3", edit)
    report = ae.store(inside, tmp_path / "b.mp3", edit, VERIFIED)
    assert (tmp_path / "a.mp3").read_bytes() == (tmp_path / "b.mp3").read_bytes()
    assert report.render == "smart"
    assert report.frames == wanted.frames
    assert report.source.bytes == len(inside)
    assert report.source.sha256 != wanted.source.sha256
    ae.store(inside, tmp_path / "c.mp3")
    assert (tmp_path / "c.mp3").read_bytes() == source.data


# refusals


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_destinations_are_named_as_mp3(ending: str, tmp_path: Path) -> None:
    target = tmp_path / f"o{ending}"
    with pytest.raises(ae.InvalidRequestError, match="the output is an MP3"):
        ae.store(file(), target)
    with pytest.raises(ae.InvalidRequestError, match="the output is an MP3"):
        ae.merge([ae.MergePart(file(), 1_728_890_677_283)], target)
    assert not list(tmp_path.iterdir())


def test_rates_that_mp3_has_not_are_refused() -> None:
    source = written(tones(96_000, 9600, 2), 96_000, "WAV", "PCM_16")
    with pytest.raises(ae.UnsupportedAudioError, match=r"96,000 Hz.*convert it first"):
        ae.store(source, io.BytesIO())


def test_files_that_are_cut_off_are_refused_unless_allowed(tmp_path: Path) -> None:
    cut = file()[:-1000]
    with pytest.raises(ae.MalformedAudioError, match="cut off"):
        ae.store(cut, tmp_path / "o.mp3")
    report = ae.store(cut, tmp_path / "o.mp3", options=ae.StoreOptions(allow_truncated=True))
    assert [one.code for one in report.warnings] == ["truncated"]
    refuse = ae.StoreOptions(allow_truncated=True, refuse=("truncated",))
    with pytest.raises(ae.InvalidRequestError, match=r"warnings\.truncated"):
        ae.store(cut, tmp_path / "p.mp3", options=refuse)


def test_a_mask_after_the_end_is_refused() -> None:
    with pytest.raises(ae.InvalidRequestError, match=r"mask\.caller"):
        ae.store(file(), io.BytesIO(), ae.Modification(mask={"caller": [ae.Interval(9, 10)]}))


# without a header


def test_headerless_files_are_what_is_said(tmp_path: Path) -> None:
    ulaw = written(speech(), RATE, "RAW", "ULAW")
    edit = ae.Modification(mask=mask("caller", 4000, 9000))
    raw = "ulaw:8000:2"
    record = ae.CustodyRecord(tmp_path / "record.jsonl")
    report = ae.store(ulaw, tmp_path / "o.mp3", edit, VERIFIED, raw=raw, record=record)
    assert report.render == ae.plan_store(ulaw, edit, raw=raw).render == "encoded"
    assert (tmp_path / "o.mp3").read_bytes() == stored(file("wav-ulaw"), edit)
    assert ae.verify(ulaw, tmp_path / "o.mp3", edit, raw=raw).passed
    assert len(ae.decode(ulaw, raw=raw).caller) == len(speech())
    assert f'"raw":"{raw}"' in (tmp_path / "record.jsonl").read_text().replace(" ", "")
    with pytest.raises(ae.MalformedAudioError):
        ae.store(ulaw, tmp_path / "p.mp3", edit)


def test_headerless_files_on_the_command_line(tmp_path: Path) -> None:
    source, target = tmp_path / "call.ulaw", tmp_path / "o.mp3"
    source.write_bytes(written(speech(), RATE, "RAW", "ULAW"))
    for args in (["store", source, target], ["plan", source], ["verify", source, target]):
        command = [*map(str, args), "--mask", "caller=0.5-1", "--raw", "ulaw:8000:2"]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output


# batches


def test_a_batch_of_a_folder(tmp_path: Path) -> None:
    calls, made = tmp_path / "calls", tmp_path / "made"
    calls.mkdir()
    (calls / "a.wav").write_bytes(file())
    (calls / "a.mp3").write_bytes(fixture("mpeg25-8k-32k"))
    for_all = ae.ForAll(
        f"{made}/",
        ae.Modification(mask={"caller": [ae.Interval(0.5, 1)]}),
        include=("*.wav", "*.mp3"),
    )
    report = ae.run_batch(f"{calls}/", tmp_path / "journal", for_all=for_all, concurrency=1)
    assert (report.done, report.failed) == (2, 0)
    assert sorted(one.name for one in made.iterdir()) == ["a.mp3", "a.wav.mp3"]
    assert len(ae.decode(made / "a.wav.mp3").caller) == len(speech())
