# SPDX-License-Identifier: Apache-2.0
"""Merges that keep their promises pass, whatever the recordings and the request."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg
from tests.operations.helpers import Cut, cuts, masking, recorded, recording
from tests.operations.merging import Merged, conversation, merge, merges
from tests.operations.test_verification import NAMES, names_of
from tests.operations.timelines import EPOCH, Part, part
from tests.strategies import examples
from tests.support import arguments

MERGE_NAMES = NAMES | {"mixed", "silenced", "gaps"}


@st.composite
def edited(draw: st.DrawFn) -> tuple[Part, ...]:
    """Any recordings, some of them trimmed and masked."""
    parts = draw(merges(most=3))
    return tuple(
        replace(one, cut=draw(cuts(one.source))) if draw(st.booleans()) else one for one in parts
    )


def verified(merged: Merged) -> ae.MergeVerification:
    asked = [one.asked for one in merged.parts]
    return ae.verify_merge(
        asked, merged.data, workers=1, **arguments(ae.MergeOptions, merged.options)
    )


def assert_passes(merged: Merged) -> ae.MergeVerification:
    verdict = verified(merged)
    assert verdict.passed, names_of(verdict.failures)
    if merged.report.render != "copy":
        assert {check.name for check in verdict.checks} == MERGE_NAMES
    return verdict


def figures(verdict: ae.MergeVerification, name: str) -> dict[str, Any]:
    return next(dict(check.measured) for check in verdict.checks if check.name == name)


@given(edited(), st.data())
@examples(12)
def test_any_good_merge_passes(parts: tuple[Part, ...], data: st.DataObject) -> None:
    """Any timeline, any edits, any options: there are no false alarms."""
    options = {
        "align": data.draw(st.sampled_from(("sample", "frame"))),
        "render": data.draw(st.sampled_from(("smart", "smart", "full"))),
        "mask_scope": data.draw(st.sampled_from(("part", "conference"))),
        "shared_frames": data.draw(st.sampled_from(("keep", "mask_both"))),
    }
    assert_passes(merge(*parts, **options))


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize(
    "parts",
    [
        # A conference on the same frames, and off them; then one alone.
        (part("nores-8k", 0, (2000, None)), part("stereo-8k", 1440, (2000, None))),
        (part("midside-16k", 0, (2000, None)), part("crc-16k", 1443, (2000, 5000))),
        # Overlaps of two rates, of mono and stereo, with masks.
        (Part(recording("nores-8k"), 0, cut=masking("both", (9000, 30_000))), part("vbr-16k", 3)),
        (
            Part(recording("mono-8k"), 0, cut=masking("caller", (0, 20_000))),
            part("stereo-8k", 2001),
        ),
        (part("mono-44k"), Part(recording("stereo-8k"), 333, cut=Cut((8000, 40_000)))),
        # Gaps, of which one is long; damage.
        (part("mpeg2-16k-48k"), part("nores-16k", 90_000), part("untagged-16k", 99_001)),
        (part("stereo-8k"), part("zeros-in-middle", 4001)),
        # Too short for frames of its own.
        (Part(recording("nores-8k"), 0, cut=masking("caller", (10, 200), trim=(0, 300))),),
    ],
    ids=lambda parts: "+".join(one.name for one in parts),
)
def test_good_merges_pass(parts: tuple[Part, ...], render: str) -> None:
    assert_passes(merge(*parts, render=render))


def test_a_loud_mix_passes() -> None:
    """The limiter's gain is where it may be, and so are the masks in it."""
    parts = [Part(conversation(n, 6.0), 5 * n) for n in range(4)]
    verdict = assert_passes(
        merge(*parts[:-1], replace(parts[-1], cut=masking("both", (8000, 24_000))))
    )
    assert figures(verdict, "beep")["stretches"] > 0
    assert figures(verdict, "mixed")["stretches"] > 0


def test_the_report() -> None:
    """It names all files, the decoder and each check with its figures."""
    merged = merge(part("stereo-8k", 3001), part("nores-8k"), part("telephone-8k", 15_005))
    verdict = assert_passes(merged)
    assert [one.id for one in verdict.parts] == ["nores-8k", "stereo-8k", "telephone-8k"]
    assert [one.sha256 for one in verdict.parts] == [
        one.source.sha256 for one in merged.report.parts if one.source
    ]
    assert verdict.output_sha256 == merged.report.output.sha256
    assert verdict.decoder.startswith("miniaudio ")
    assert verdict.to_dict()["passed"] is True
    assert figures(verdict, "length")["played_samples"] == merged.model.length
    copied = sum(one.copied_frames for one in merged.report.parts)
    assert abs(figures(verdict, "copied_frames")["copied"] - copied) < 20
    assert figures(verdict, "gaps")["silent_frames"] > 30
    assert 0.9 < figures(verdict, "mixed")["least_share"] <= 1.05
    assert all(check.measured and check.message for check in verdict.checks)


def test_the_verdict_does_not_depend_on_workers() -> None:
    merged = merge(part("stereo-8k", 3001), part("nores-16k"))
    asked = [one.asked for one in merged.parts]
    one, three = (ae.verify_merge(asked, merged.data, workers=n) for n in (1, 3))
    assert one.checks == three.checks


def test_an_omitted_recording_is_named(tmp_path: Path) -> None:
    gone = ae.MergePart(tmp_path / "gone.mp3", EPOCH, recording_id="gone")
    asked, out = [gone, part("nores-8k", 1000).asked, part("stereo-8k", 3001).asked], BytesIO()
    ae.merge(asked, out, ae.MergeOptions(missing="omit"))
    verdict = ae.verify_merge(asked, out.getvalue(), ae.MergeOptions(missing="omit"))
    assert verdict.passed
    assert [one.id for one in verdict.omitted] == ["gone"]
    with pytest.raises(ae.StorageError, match="gone"):
        ae.verify_merge(asked, out.getvalue())


def test_merge_publishes_what_passes() -> None:
    """The same bytes as without verification, and the verdict in the report."""
    parts = part("nores-8k"), part("stereo-8k", 3001)
    merged = merge(*parts, verify=True)
    assert merged.data == merge(*parts).data
    assert merged.report.verification is not None
    assert {check.name for check in merged.report.verification.checks} == MERGE_NAMES
    assert merge(*parts).report.verification is None
    copy = merge(parts[0], verify=True)
    assert copy.report.verification is not None
    assert [check.name for check in copy.report.verification.checks] == ["copy"]


def test_merge_publishes_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before stays; the error says which promises are broken."""
    secret = Part(recording("nores-8k"), 0, cut=masking("both", (16_000, 40_000)))
    asked = [secret.asked, part("stereo-8k", 3001).asked]
    target = tmp_path / "out.mp3"
    target.write_bytes(b"before")
    with monkeypatch.context() as patch:
        patch.setattr("audioengine.pcm.tone.BeepTone.paint", lambda *_: None)
        patch.setattr("audioengine.render.tracks._MIN_FILL_FRAMES", 1 << 30)
        with pytest.raises(ae.VerificationError, match=r"not published.* beep: .* voice_gone: "):
            ae.merge(asked, target, ae.MergeOptions(verify=True))
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp3"]


def test_refused_at_once_where_nothing_can_be_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any work; a copy needs no decoder."""
    merged = merge(part("nores-8k"), part("stereo-8k", 3001))
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    monkeypatch.setattr("audioengine.operations.merge.render_merge", None)
    with pytest.raises(ae.VerificationError, match=r"install audioengine\[verify\]"):
        verified(merged)
    with pytest.raises(ae.VerificationError, match=r"install audioengine\[verify\]"):
        merge(*merged.parts, verify=True)
    assert merge(part("nores-8k"), verify=True).data == recording("nores-8k").data


def test_what_merge_refuses() -> None:
    """A request that can't be honoured can't be verified either."""
    asked = [part("nores-8k").asked, part("stereo-8k", 3001).asked]
    with pytest.raises(ae.InvalidRequestError, match="parts"):
        ae.verify_merge([], b"")
    align: Any = "here"
    with pytest.raises(ae.InvalidRequestError, match="align"):
        ae.verify_merge(asked, b"", ae.MergeOptions(align=align))
    with pytest.raises(ae.LimitError):
        ae.verify_merge(asked, b"", ae.MergeOptions(max_timeline_s=5))
    with pytest.raises(ae.StorageError):
        ae.verify_merge(asked, "nowhere.mp3")


def test_damage_that_no_index_shows() -> None:
    """Rendering meets it near a mask, and lays the frames as another recording has them."""
    source = recording("stereo-8k")
    frame = list(mpeg.frames(source.data))[45]
    at, bits = frame.offset + frame.side_offset, 8 * frame.side_length
    # The first granule's part2_3_length, behind 10 bits: more main data than there is.
    side = int.from_bytes(source.data[at : at + frame.side_length], "big") | 0xFFF << bits - 22
    broken = source.data[:at] + side.to_bytes(frame.side_length, "big")
    broken += source.data[at + frame.side_length :]
    damaged = Part(recorded("damaged", broken), 0, cut=masking("caller", (24_000, 27_000)))
    merged = merge(damaged, Part(recording("nores-8k"), 9001, cut=Cut((0, 30_000))))
    why = merged.part("damaged").not_copied
    assert why is not None
    assert why.code == "damage"
    assert merged.report.grid_owner == "nores-8k"
    assert_passes(merged)


def test_a_short_gap_before_a_trimmed_recording_passes() -> None:
    """In it stand frames of what was trimmed away, none of which is copied."""
    cut = Cut(trim=(9896, 71478))
    merged = merge(part("vbr-44k"), replace(part("untagged-44k", 5072), cut=cut), align="frame")
    gap = next(one for one in merged.report.timeline if not one.heard)
    assert 0 < gap.interval.samples[1] - gap.interval.samples[0] < 20 * 1152
    assert_passes(merged)
