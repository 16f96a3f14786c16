# SPDX-License-Identifier: Apache-2.0
"""What the verbs print and write, and how they fail."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.cli.helpers import CALL, as_json, refusal, rules, run, run_json
from tests.support import FIXTURES, decode_miniaudio

EDIT = ("--trim", "0.5-5.25", "--mask", "caller=1-1.5", "--mask", "callee=3-3.25")
ASKED = ae.Modification(
    trim=ae.Interval(0.5, 5.25),
    mask={"caller": [ae.Interval(1, 1.5)], "callee": [ae.Interval(3, 3.25)]},
)


def fixture_path(name: str) -> str:
    return str(FIXTURES / f"{name}.mp3")


def test_json_is_the_report(tmp_path: Path) -> None:
    """The same keys and values as in Python, and the same bytes."""
    ours, theirs = tmp_path / "ours.mp3", tmp_path / "theirs.mp3"
    printed = run_json("store", CALL, ours, *EDIT)
    assert printed.pop("wall_seconds") > 0
    assert printed == as_json(ae.store(CALL, theirs, ASKED).to_dict())
    assert ours.read_bytes() == theirs.read_bytes()
    assert printed["output"]["sha256"] == hashlib.sha256(ours.read_bytes()).hexdigest()


@pytest.mark.parametrize("args", [("plan",), ("store", "--dry-run")])
def test_json_is_the_plan(tmp_path: Path, args: tuple[str, ...]) -> None:
    """A plan is printed, nothing is written."""
    places = (CALL,) if args[0] == "plan" else (CALL, tmp_path / "out.mp3")
    assert run_json(*args, *places, *EDIT) == as_json(ae.plan_store(CALL, ASKED).to_dict())
    assert not list(tmp_path.iterdir())


def test_json_is_the_recording() -> None:
    """`inspect` prints all there is to know."""
    for name in ("mpeg2-16k-48k", "vbr-44k", "junk-in-middle", "freeformat-16k", "one-frame"):
        assert run_json("inspect", fixture_path(name)) == as_json(
            ae.inspect(fixture_path(name)).to_dict()
        )


def test_people_are_told_what_was_done(tmp_path: Path) -> None:
    """Places, intervals asked and applied, what was copied and what was re-made, hashes, time."""
    target = tmp_path / "out.mp3"
    result = run("store", CALL, target, *EDIT, "--guard-ms", "10,40")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    report = ae.store(CALL, target, ae.Modification(ASKED.trim, ASKED.mask, guard_ms=(10, 40)))
    assert lines[0] == (
        f"Output    {target}: 4.75 s, 76,000 samples, 16,000 Hz stereo, {report.output.bytes:,} "
        "bytes"
    )
    assert f"          sha256 {report.output.sha256}" in lines
    assert f"          sha256 {report.source.sha256}" in lines
    assert "Kept      0.5 to 5.25 s, 76,000 samples" in lines
    assert "Masked    caller  left   1 to 1.5 s, applied 0.99 to 1.54 s" in lines
    assert "          callee  right  3 to 3.25 s, applied 2.99 to 3.29 s" in lines
    assert "Render    smart: only what the edit changes is re-encoded" in lines
    total = sum(vars_of(report.frames).values())
    verbatim = report.frames.verbatim
    assert any(
        line.split("%")[0].split() == ["Frames", f"{verbatim}", f"{100 * verbatim / total:.1f}"]
        for line in lines
    )
    assert f"Re-made   {report.seconds_reencoded:.3f} s of audio, in which" in lines
    masked = sum(
        part.frames[1] - part.frames[0]
        for part in report.remade
        if (part.reason, part.channel) == ("mask", "left")
    )
    assert f"{masked} frames  left   under a mask or next to it" in " ".join(lines)
    assert any(
        line.startswith("Bitrate   ") and line.endswith("re-made at 48 kbit/s") for line in lines
    )
    assert lines[-1].startswith("Took      ")
    assert max(map(len, lines)) <= 110 + len(str(target))


def vars_of(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((CALL,), "a plain copy, byte for byte"),
        ((CALL, "--trim", "5-11"), "5 to 6 s, 16,000 samples; asked 5 to 11 s"),
        ((CALL, "--trim", "3-", "--mask", "both=1-2"), "1 to 2 s; cut away by the trim"),
        ((CALL, "--mask", "both=1-1.01"), "short_mask: --mask both=1-1.01 is only 10 ms"),
        ((CALL, "--mask", "both=1-2", "--render", "full"), "full: everything is re-encoded"),
        ((fixture_path("freeformat-16k"), "--trim", "1-"), "because: The recording is in free"),
        ((fixture_path("mono-8k"), "--mask", "callee=1-2"), "callee  mono   1 to 2 s"),
        (
            (CALL, "--mask", "caller=1-2", "--caller-channel", "right"),
            "caller  right  1 to 2 s",
        ),
        (
            (fixture_path("tag-promises-more"), "--trim", "1-2", "--allow-truncated"),
            "truncated: The recording is cut off: its tag promises 184 frames",
        ),
        (
            (fixture_path("crosstalk-16k"), "--mask", "caller=0.2-2"),
            "crosstalk: The mask of caller",
        ),
    ],
)
def test_what_is_worth_telling(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    """Copies, clipped intervals, fallbacks and warnings show, in the plan too where known."""
    result = run("store", args[0], tmp_path / "out.mp3", *args[1:])
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    assert result.stderr == ""
    planned = run("plan", *args)
    assert planned.exit_code == 0
    assert said in planned.stdout or said.startswith("crosstalk")


def test_inspecting_for_people() -> None:
    """One paragraph a fact; variable bitrates, tags and damage are told."""
    assert run("inspect", fixture_path("tags-id3-ape")).stdout.splitlines() == [
        f"Source    {fixture_path('tags-id3-ape')}: 37,059 bytes",
        "Format    MPEG-2 Layer III, 16,000 Hz, joint stereo",
        "Length    6 s, 96,000 samples, 169 frames",
        "Bitrate   48 kbit/s constant",
        "Clock     gapless tag: encoder delay 576, padding 768 samples; written by LAME3.100",
        "Tags      id3v2, ape, id3v1",
    ]
    assert "on average: 1 frame at 8, " in run("inspect", fixture_path("vbr-16k")).stdout
    assert "free format" in run("inspect", fixture_path("freeformat-16k")).stdout
    assert "frames carry a CRC" in run("inspect", fixture_path("crc-16k")).stdout
    assert "no gapless tag" in run("inspect", fixture_path("untagged-8k")).stdout
    assert "Warnings  junk: Bytes" in run("inspect", fixture_path("junk-in-middle")).stdout


def test_source_may_be_the_destination(tmp_path: Path) -> None:
    """The file is replaced whole, and keeps its mode."""
    place = tmp_path / "call.mp3"
    shutil.copyfile(CALL, place)
    place.chmod(0o640)
    assert run("store", place, place, *EDIT).exit_code == 0
    assert len(decode_miniaudio(place.read_bytes())) == 76_000
    assert place.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize(
    ("source", "args", "kind", "message"),
    [
        ("nowhere", (), "StorageError", "No such file"),
        ("empty", (), "MalformedAudioError", "empty"),
        ("not-audio", (), "MalformedAudioError", "not an MP3"),
        ("layer2", (), "UnsupportedAudioError", "Layer II"),
        ("rate-change", (), "UnsupportedAudioError", "changes"),
        ("tag-promises-more", ("--trim", "1-2"), "MalformedAudioError", "--allow-truncated"),
        ("freeformat-16k", ("--trim", "1-2", "--fallback", "refuse"), "UnsupportedAudioError", ""),
    ],
)
def test_sources_that_are_refused(
    tmp_path: Path, source: str, args: tuple[str, ...], kind: str, message: str
) -> None:
    """The error is typed, says where it can, and there is no output."""
    error = refusal("store", fixture_path(source), tmp_path / "out.mp3", *args, exit_code=1)
    assert error["type"] == kind
    assert message in error["message"]
    assert error["retryable"] is False
    assert isinstance(error.get("offset", 0), int)
    assert not list(tmp_path.iterdir())
    assert refusal("plan", fixture_path(source), *args, exit_code=1) == error


def test_offset_of_damage() -> None:
    """Errors of the source's format say at which byte."""
    assert refusal("inspect", fixture_path("not-audio"), exit_code=1)["offset"] == 0


def test_crosstalk_can_be_an_error(tmp_path: Path) -> None:
    """A voice that is on both channels is not gone when one is masked."""
    source = fixture_path("crosstalk-16k")
    edit = ("--mask", "caller=0.2-2", "--fail-on-crosstalk")
    error = refusal("store", source, tmp_path / "out.mp3", *edit)
    assert list(rules(error)) == ["mask.caller"]
    assert "other party's channel" in error["message"]
    assert not list(tmp_path.iterdir())


def test_destinations_that_are_refused(tmp_path: Path) -> None:
    """A folder, a missing folder, another kind of place: named, and nothing is made."""
    before = sorted(tmp_path.rglob("*"))
    missing = tmp_path / "no" / "out.mp3"
    assert "no folder" in refusal("store", CALL, missing, *EDIT, exit_code=1)["message"]
    assert "it is a folder" in refusal("store", CALL, tmp_path, *EDIT, exit_code=1)["message"]
    assert list(rules(refusal("store", CALL, "gs://bucket/key", *EDIT))) == ["destination"]
    assert list(rules(refusal("store", "gs://bucket/key", tmp_path / "out.mp3"))) == ["source"]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    """Permissions are an error of storage."""
    tmp_path.chmod(0o500)
    error = refusal("store", CALL, tmp_path / "out.mp3", *EDIT, exit_code=1)
    assert "Permission denied" in error["message"]


def test_a_failing_library_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug gives machines an object and people the traceback."""

    def fail(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr("audioengine.operations.inspection.inspect", fail)
    result = run("inspect", CALL, "--json")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)
    assert json.loads(result.stdout)["error"] == {
        "type": "InternalError",
        "message": "ZeroDivisionError: by design",
        "retryable": False,
    }


def test_a_failed_store_leaves_what_was_there(tmp_path: Path) -> None:
    """An existing destination survives an error, and no temporary file does."""
    target = tmp_path / "out.mp3"
    target.write_bytes(b"before")
    refusal("store", CALL, target, "--trim", "9-")
    refusal("store", fixture_path("layer2"), target, exit_code=1)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    """Only those of the same destination, by their name."""
    target = tmp_path / "out.mp3"
    leftover = tmp_path / ".out.mp3.0.audioengine-part"
    others = [
        tmp_path / ".other.mp3.0.audioengine-part",
        tmp_path / ".out.mp3.0.part",
        tmp_path / "out.mp3.0.audioengine-part",
    ]
    for path in (leftover, *others):
        path.write_bytes(b"half")
    assert run("store", CALL, target, *EDIT).exit_code == 0
    assert sorted(tmp_path.iterdir()) == sorted([target, *others])


@pytest.mark.parametrize("verb", [(), ("store",), ("plan",), ("inspect",), ("demo",)])
def test_help(verb: tuple[str, ...]) -> None:
    """Every verb explains itself and each of its options."""
    result = run(*verb, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: audioengine {' '.join((*verb, '[OPTIONS]'))}")


def test_version_and_unknown_verbs() -> None:
    """The version is the package's; a verb that is none is wrong usage."""
    assert run("--version").stdout == f"audioengine, version {ae.__version__}\n"
    assert run("merge").exit_code == 2
    assert run().exit_code == 2
