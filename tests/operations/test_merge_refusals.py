# SPDX-License-Identifier: Apache-2.0
"""What can't be merged is refused by name, and leaves no output; or is left out, if asked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.operations.helpers import recording
from tests.operations.merge_promises import assert_merged
from tests.operations.merging import merge
from tests.operations.timelines import EPOCH, Part, part
from tests.support import FIXTURES, arguments, fixture

GOOD = part("nores-8k").asked
OTHER = part("stereo-8k", 7000).asked


def refused(parts: list[Any], tmp_path: Path, **options: Any) -> ae.AudioEngineError:
    """The error of a merge and of its plan, after which there is no output."""
    out = tmp_path / "out.mp3"
    errors: list[ae.AudioEngineError] = []
    for call in (
        lambda: ae.merge(parts, out, **arguments(ae.MergeOptions, options)),
        lambda: ae.plan_merge(parts, **arguments(ae.MergeOptions, options)),
    ):
        with pytest.raises(ae.AudioEngineError) as caught:
            call()
        errors.append(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert type(errors[0]) is type(errors[1])
    assert str(errors[0]) == str(errors[1])
    return errors[0]


def test_no_parts(tmp_path: Path) -> None:
    error = refused([], tmp_path)
    assert isinstance(error, ae.InvalidRequestError)
    assert error.problems[0].path == "parts"


def test_the_same_recording_twice(tmp_path: Path) -> None:
    """By its id, by its path however it is written, and by its bytes."""
    path = FIXTURES / "nores-8k.mp3"
    winding = FIXTURES / ".." / FIXTURES.name / "nores-8k.mp3"
    pairs = {
        "parts[1].recording_id": (GOOD, replace(OTHER, recording_id="nores-8k")),
        "parts[1].source": (
            ae.MergePart(path, EPOCH),
            ae.MergePart(str(winding), EPOCH + 9000),
        ),
    }
    for at, pair in pairs.items():
        error = refused(list(pair), tmp_path)
        assert isinstance(error, ae.InvalidRequestError)
        assert [problem.path for problem in error.problems] == [at]
        assert "parts[0]" in str(error)
    error = refused([GOOD, replace(GOOD, recording_id="copy")], tmp_path)
    assert isinstance(error, ae.InvalidRequestError)


def test_the_same_bytes_under_two_names_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "one.mp3").write_bytes(fixture("nores-8k"))
    (tmp_path / "two.mp3").write_bytes(fixture("nores-8k"))
    parts = [
        ae.MergePart(tmp_path / "one.mp3", EPOCH, recording_id="one"),
        ae.MergePart(tmp_path / "two.mp3", EPOCH + 9000, recording_id="two"),
    ]
    (notice,) = ae.merge(parts, BytesIO()).warnings
    assert notice.code == "same_content"
    assert "one" in notice.message
    assert "two" in notice.message


@pytest.mark.parametrize(
    "time",
    [0, -EPOCH, EPOCH // 1000, EPOCH * 1000, float("nan"), float("inf"), "soon", None, True],
    ids=repr,
)
def test_a_start_time_that_is_no_epoch_time_in_ms(time: Any, tmp_path: Path) -> None:
    """Seconds, microseconds, and what is no number."""
    error = refused([GOOD, replace(OTHER, start_time_ms=time)], tmp_path)
    assert isinstance(error, ae.InvalidRequestError)
    assert error.problems[0].path == "parts[1].start_time_ms"


def test_a_segment_that_ends_before_it_begins(tmp_path: Path) -> None:
    for end in (EPOCH + 1000, EPOCH + 999):
        segments = [ae.ConferenceSegment(EPOCH + 1000, end)]
        error = refused([GOOD, replace(OTHER, conference_segments=segments)], tmp_path)
        assert isinstance(error, ae.InvalidRequestError)
        assert error.problems[0].path == "parts[1].conference_segments[0].end_time_ms"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    parts = [replace(GOOD, start_time_ms=5), replace(OTHER, state="active", encoder_delay=-1)]
    error = refused(parts, tmp_path)
    assert isinstance(error, ae.InvalidRequestError)
    assert {problem.path for problem in error.problems} == {
        "parts[0].start_time_ms",
        "parts[1].state",
        "parts[1].encoder_delay",
    }


def test_a_recording_that_still_goes_on(tmp_path: Path) -> None:
    error = refused([GOOD, replace(OTHER, state="active")], tmp_path)
    assert isinstance(error, ae.InvalidRequestError)
    assert error.problems[0].path == "parts[1].state"
    ae.plan_merge([GOOD, replace(OTHER, state="stopped")])


def test_a_timeline_longer_than_allowed(tmp_path: Path) -> None:
    """A day, if not said otherwise; up to the limit it is merged."""
    day_ms = 86_400_000
    late = replace(OTHER, start_time_ms=EPOCH + day_ms)
    error = refused([GOOD, late], tmp_path)
    assert isinstance(error, ae.LimitError)
    assert "stereo-8k" in str(error)
    assert "max_timeline_s" in str(error)
    ae.plan_merge([GOOD, replace(OTHER, start_time_ms=EPOCH + day_ms - 6000)])
    ae.plan_merge([GOOD, late], ae.MergeOptions(max_timeline_s=86_406))
    assert isinstance(refused([GOOD, OTHER], tmp_path, max_timeline_s=12.999), ae.LimitError)
    ae.plan_merge([GOOD, OTHER], ae.MergeOptions(max_timeline_s=13))


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (FIXTURES / "there-is-none.mp3", ae.StorageError),
        (fixture("not-audio"), ae.MalformedAudioError),
        (fixture("empty"), ae.MalformedAudioError),
        (fixture("layer2"), ae.AudioEngineError),
        (fixture("rate-change"), ae.UnsupportedAudioError),
    ],
    ids=["missing", "not-audio", "empty", "layer2", "rate-change"],
)
def test_a_recording_that_can_t_be_read(
    source: Any, kind: type[ae.AudioEngineError], tmp_path: Path
) -> None:
    """It fails the merge by name, or is left out, named, and the others are merged."""
    bad = ae.MergePart(source, EPOCH - 500, recording_id="the bad one")
    error = refused([GOOD, bad, OTHER], tmp_path)
    assert isinstance(error, kind)
    assert str(error).startswith("the bad one: ")
    out = BytesIO()
    report = ae.merge([GOOD, bad, OTHER], out, ae.MergeOptions(missing="omit"))
    assert [one.id for one in report.omitted] == ["the bad one"]
    assert report.omitted[0].reason
    assert [one.id for one in report.parts] == ["nores-8k", "stereo-8k"]
    # Nor does its start count.
    assert out.getvalue() == merge(part("nores-8k"), part("stereo-8k", 7000)).data
    plan = ae.plan_merge([GOOD, bad, OTHER], ae.MergeOptions(missing="omit"))
    assert plan.omitted == report.omitted


def test_who_holds_the_conference_is_decided_without_the_omitted() -> None:
    """The second speaks for the first, whose recording is gone."""
    parts = [part("nores-8k", 400, (0, 9000)), part("stereo-8k", 800, (0, 9000))]
    gone = ae.MergePart(
        FIXTURES / "gone.mp3", EPOCH, [ae.ConferenceSegment(EPOCH, EPOCH + 9000)], recording_id="x"
    )
    out = BytesIO()
    report = ae.merge([parts[1].asked, gone, parts[0].asked], out, ae.MergeOptions(missing="omit"))
    assert [one.heard for one in report.timeline] == [("nores-8k",), ("nores-8k",), ("stereo-8k",)]
    alone = merge(*parts)
    assert_merged(alone)
    assert out.getvalue() == alone.data


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    parts = [
        ae.MergePart(fixture("not-audio"), EPOCH, recording_id="first"),
        ae.MergePart(FIXTURES / "gone.mp3", EPOCH, recording_id="second"),
    ]
    error = refused(parts, tmp_path, missing="omit")
    assert isinstance(error, ae.InvalidRequestError)
    assert "first" in str(error)
    assert "second" in str(error)


def test_one_left_is_copied() -> None:
    bad = ae.MergePart(fixture("not-audio"), EPOCH, recording_id="bad")
    out = BytesIO()
    report = ae.merge([bad, GOOD], out, ae.MergeOptions(missing="omit"))
    assert (report.render, out.getvalue()) == ("copy", recording("nores-8k").data)


def test_edits_that_a_recording_can_t_have_name_it(tmp_path: Path) -> None:
    beyond = ae.Modification(trim=ae.Interval(60, 70))
    error = refused([GOOD, replace(OTHER, modification=beyond)], tmp_path)
    assert isinstance(error, ae.InvalidRequestError)
    assert error.problems[0].path.startswith("parts[1].")
    whole = Part(recording("untagged-8k"), 7000, delay=recording("untagged-8k").samples).asked
    error = refused([GOOD, whole], tmp_path)
    assert isinstance(error, ae.InvalidRequestError)
    assert error.problems[0].path == "parts[1].encoder_delay"


@pytest.mark.parametrize(
    "options",
    [
        {"align": "sometimes"},
        {"render": "none"},
        {"missing": "ignore"},
        {"mask_scope": "all"},
        {"max_timeline_s": 0},
        {"max_gap_s": 0},
        {"beep": "loud"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_that_are_none(options: dict[str, Any], tmp_path: Path) -> None:
    error = refused([GOOD, OTHER], tmp_path, **options)
    assert isinstance(error, ae.InvalidRequestError)
    assert error.problems[0].path == next(iter(options))


def test_a_destination_that_was_there_stays_after_an_error(tmp_path: Path) -> None:
    """And one of the sources may be replaced by the merge."""
    out = tmp_path / "a.mp3"
    out.write_bytes(fixture("nores-8k"))
    parts = [ae.MergePart(out, EPOCH), OTHER]
    with pytest.raises(ae.MalformedAudioError):
        ae.merge([*parts, ae.MergePart(fixture("not-audio"), EPOCH)], out)
    assert out.read_bytes() == fixture("nores-8k")
    ae.merge(parts, out)
    assert out.read_bytes() == merge(part("nores-8k"), part("stereo-8k", 7000)).data
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp3"]


def test_a_long_gap_is_a_warning_with_both_starts_as_dates() -> None:
    """It lies between recordings that overlap others, and neither is the first."""
    hour = 3_600_000
    starts = {"a": 0, "b": 500, "c": 2 * hour, "d": 2 * hour + 500}
    parts = [
        ae.MergePart(fixture(name), EPOCH + start, recording_id=one)
        for (one, start), name in zip(
            starts.items(), ("nores-8k", "stereo-8k", "untagged-8k", "vbr-8k"), strict=True
        )
    ]
    report = ae.plan_merge(parts)
    (warning,) = [one for one in report.warnings if one.code == "long_gap"]
    assert "b, which starts 2024-10-14 07:24:37 UTC" in warning.message
    assert "c, which starts 2024-10-14 09:24:37 UTC" in warning.message
    assert "for 2 h" in warning.message
    for most, count in ((7300, 0), (7000, 1), ("0.01", 1)):
        told = ae.plan_merge(parts, ae.MergeOptions(max_gap_s=Decimal(most))).warnings
        assert len([one for one in told if one.code == "long_gap"]) == count
    written = ae.merge(parts, BytesIO())
    assert warning in written.warnings


def test_an_hour_is_no_long_gap() -> None:
    report = ae.plan_merge([GOOD, replace(OTHER, start_time_ms=EPOCH + 3_600_000)])
    assert not [one for one in report.warnings if one.code == "long_gap"]
    report = ae.plan_merge([GOOD, replace(OTHER, start_time_ms=EPOCH + 3_700_000)])
    assert [one for one in report.warnings if one.code == "long_gap"]
