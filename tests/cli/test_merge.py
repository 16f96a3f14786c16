# SPDX-License-Identifier: Apache-2.0
"""The verb `merge`: recordings and conferences by options or by a command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest

import audioengine as ae
from audioengine.cli.merge_verb import _read_part
from tests.cli.helpers import TEMPORARY, as_json, refusal, rules, run, run_json
from tests.support import FIXTURES

START = 1728890677283
LEGS = {leg: FIXTURES / f"conference-{leg}-8k.mp3" for leg in "abc"}
STARTS = {"a": START, "b": START + 3161, "c": START + 9972}
CONFERENCE = (START + 3161, START + 9972)
COMMAND = FIXTURES / "conference.json"
BOUND = [text for leg in "abc" for text in ("--part", f"conference-{leg}-8k={LEGS[leg]}")]
NAMED = [text for leg in "abc" for text in ("--part", f"{leg}={LEGS[leg]}@{STARTS[leg]}")]


def test_a_command_and_options_ask_for_the_same(tmp_path: Path) -> None:
    """And both for what the library is asked for in Python."""
    one, two, three = (tmp_path / f"{name}.mp3" for name in ("one", "two", "three"))
    by_command = run_json("merge", one, "--command", f"@{COMMAND}", *BOUND)
    by_options = run_json("merge", two, *NAMED, "--conference", "-".join(map(str, CONFERENCE)))
    segments = [ae.ConferenceSegment(*CONFERENCE)]
    parts = [
        ae.MergePart(LEGS[leg], STARTS[leg], segments, recording_id=f"conference-{leg}-8k")
        for leg in "abc"
    ]
    report = ae.merge(parts, three)
    assert one.read_bytes() == two.read_bytes() == three.read_bytes()
    assert as_json(by_command) == as_json(json.loads(report.to_json()))
    assert by_options["output"] == by_command["output"]


def test_people_read_who_is_heard(tmp_path: Path) -> None:
    conference = f"b={CONFERENCE[0]}-"
    result = run("merge", tmp_path / "out.mp3", *NAMED, "--conference", conference)
    assert result.exit_code == 0, result.output
    for said in (
        "3.161 to 9.972 s: a + b",
        "11.5 to 15.972 s: c",
        "frames lie as in",
        "where several recordings are heard",
    ):
        assert said in result.stdout


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    planned = run_json("merge", tmp_path / "out.mp3", *NAMED, "--dry-run")
    assert planned["output_samples"] == 127_776
    result = run("merge", tmp_path / "out.mp3", *NAMED, "--dry-run", "--align", "frame")
    assert "nothing is written" in result.stdout
    assert not list(tmp_path.iterdir())


def test_a_part_without_an_id_goes_by_its_path(tmp_path: Path) -> None:
    """The last @ separates, and a path may hold = behind a folder."""
    odd = tmp_path / "a=b@1.mp3"
    shutil.copyfile(LEGS["a"], odd)
    printed = run_json("merge", tmp_path / "out.mp3", "--part", f"{odd}@{START}")
    assert printed["render"] == "copy"
    assert printed["parts"][0]["id"] == str(odd)


def test_masks_of_a_command_are_applied(tmp_path: Path) -> None:
    command = json.loads(COMMAND.read_text())
    mask = {"absoluteTimes": True, "mask": {"callee": [{"from": START + 500, "to": START + 2500}]}}
    command["toMerge"][0]["modificationParams"] = mask
    printed = run_json(
        "merge",
        tmp_path / "out.mp3",
        *("--command", json.dumps(command), *BOUND, "--guard-ms", "10,40"),
    )
    applied = printed["parts"][0]["masks"][0]
    assert applied["asked"]["ms"] == [500.0, 2500.0]
    assert applied["applied"]["ms"] == [490.0, 2540.0]


def test_keys_that_mean_nothing_are_named(tmp_path: Path) -> None:
    """Entries are often copied from relatedRecordings; what is not known is said on stderr."""
    command = json.loads(COMMAND.read_text())
    command["toMerge"][0] |= {"recordingRole": "parent", "state": "stopped", "warning": "x"}
    result = run("merge", tmp_path / "out.mp3", "--command", json.dumps(command), *BOUND)
    assert result.exit_code == 0, result.output
    assert result.stderr == "Warning: toMerge[0].warning is not known and ignored.\n"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("--part=x=y.mp3", "must say when the recording began"),
        ("--part==y.mp3@1728890677283", "must be FILE@MS or ID=FILE@MS"),
        ("--conference=soon", "must be FROM-TO or ID=FROM-TO"),
        ("--conference=nobody=1728890677283-", "names no ID of a --part"),
        ("--max-timeline-s=ten", "is not a number"),
        ("--align=here", "--align"),
    ],
)
def test_what_can_not_be_read_is_refused(tmp_path: Path, part: str, said: str) -> None:
    error = refusal("merge", tmp_path / "out.mp3", *NAMED, part)
    assert said in error["message"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (BOUND[:2], "conference-b-8k=FILE is missing"),
        ([*BOUND, "--part", f"other={LEGS['a']}"], "no recordingId of --command is other"),
        ([*BOUND[:4], "--part", f"conference-c-8k={LEGS['c']}@{START}"], "leave out @MS"),
        ([*BOUND, "--part", str(LEGS["a"])], "ID=FILE with an ID of its own"),
        ([*BOUND, "--conference", f"{START}-"], "--conference can't be added"),
    ],
)
def test_a_command_and_its_parts_must_fit(tmp_path: Path, args: list[str], said: str) -> None:
    error = refusal("merge", tmp_path / "out.mp3", "--command", f"@{COMMAND}", *args)
    assert said in error["message"]


def test_a_wrong_command_is_refused_field_by_field(tmp_path: Path) -> None:
    command = {
        "toMerge": [
            {"recordingId": "", "startTime": "now", "conferenceSegments": {}},
            {"recordingId": "b", "startTime": START, "conferenceSegments": [{"endTime": True}]},
        ]
    }
    error = refusal("merge", tmp_path / "o.mp3", "--command", json.dumps(command), "--part=b=b.mp3")
    assert rules(error) == {
        "toMerge[0].recordingId": "must not be empty",
        "toMerge[0].startTime": "must be a number",
        "toMerge[0].conferenceSegments": "must be a list",
        "toMerge[1].conferenceSegments[0].startTime": "must be given",
        "toMerge[1].conferenceSegments[0].endTime": "must be a number",
    }
    error = refusal("merge", tmp_path / "o.mp3", "--command", "[]", "--part=b=b.mp3")
    assert rules(error) == {"command": "must be an object"}
    store = json.dumps({"method": "STORERECORDING", "toMerge": []})
    error = refusal("merge", tmp_path / "o.mp3", "--command", store, "--part=b=b.mp3")
    assert rules(error) == {"method": "must be MERGERECORDINGS"}
    masked = {"recordingId": "b", "startTime": START, "modificationParams": {"mask": {"me": []}}}
    merge = json.dumps({"toMerge": [masked]})
    error = refusal("merge", tmp_path / "o.mp3", "--command", merge, "--part=b=b.mp3")
    assert list(rules(error)) == ["toMerge[0].modificationParams.mask.me"]


def test_a_failed_merge_leaves_nothing(tmp_path: Path) -> None:
    """A recording that is not there is named; with --missing omit it is left out."""
    gone = tmp_path / "gone.mp3"
    args = [*NAMED[:2], "--part", f"g={gone}@{START}"]
    error = refusal("merge", tmp_path / "out.mp3", *args, exit_code=1)
    assert error["type"] == "StorageError"
    assert error["message"].startswith("g: ")
    assert not list(tmp_path.iterdir())
    printed = run_json("merge", tmp_path / "out.mp3", *args, "--missing", "omit")
    assert [one["id"] for one in printed["omitted"]] == ["g"]
    assert not list(tmp_path.glob(TEMPORARY))


@pytest.mark.parametrize(
    ("text", "id", "source", "start"),
    [
        ("a.mp3@5", None, "a.mp3", 5),
        ("x=a.mp3@5", "x", "a.mp3", 5),
        ("x=y=a.mp3@5", "x", "y=a.mp3", 5),
        ("./x=y=a.mp3@5", None, "./x=y=a.mp3", 5),
        ("x=./y=a.mp3@5", "x", "./y=a.mp3", 5),
        ("a@5@7", None, "a@5", 7),
        ("a@5@", None, "a@5", None),
        ("x=a@5@", "x", "a@5", None),
        ("a@b", None, "a@b", None),
        ("s3://bucket/a=b@c.mp3@5", None, "s3://bucket/a=b@c.mp3", 5),
    ],
)
def test_a_part_says_id_file_and_start(
    text: str, id: str | None, source: str, start: int | None
) -> None:
    part = _read_part(text)
    assert (part.id, part.source, part.start_ms) == (id, source, start)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x=y.mp3", "x=y.mp3@5", ["./x=y.mp3@5", "x=./y.mp3@5"]),
        ("x=y=z.mp3", "x=y=z.mp3@5", ["./x=y=z.mp3@5", "x=./y=z.mp3@5"]),
        ("a@5", "a@5", ["a@5@MS", "a@5@ without"]),
        ("x=a@5", "x=a@5", ["x=a@5@MS"]),
        ("x=a@5", "x=a@5@7", ["./x=a@5@7"]),
    ],
)
def test_a_part_that_may_mean_two_files_is_refused_with_what_means_each(
    name: str, text: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(click.BadParameter) as caught:
        _read_part(text)
    assert all(form in caught.value.message for form in told), caught.value.message


@pytest.mark.parametrize("text", ["=a.mp3@5", "x=@5"])
def test_a_part_that_says_too_little_shows_how_it_is_written(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"\./NAME@MS.*NAME@"):
        _read_part(text)
