# SPDX-License-Identifier: Apache-2.0
"""The verb `verify`, of stores and of merges, and `--verify` of what makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

import audioengine as ae
from tests.cli.helpers import CALL, as_json, refusal, run, run_json
from tests.cli.test_merge import BOUND, COMMAND, CONFERENCE, NAMED

EDIT = ("--trim", "0.5-5.25", "--mask", "caller=1-1.5", "--mask", "callee=3-3.25")
ASKED = ae.Modification(
    trim=ae.Interval(0.5, 5.25),
    mask={"caller": [ae.Interval(1, 1.5)], "callee": [ae.Interval(3, 3.25)]},
)
OTHER = ("--trim", "0.5-5.25", "--mask", "caller=1-1.5", "--mask", "callee=3-3.2")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A good one."""
    place = tmp_path / "out.mp3"
    ae.store(CALL, place, ASKED)
    return place


def test_a_good_output(output: Path) -> None:
    """What was found, and the verdict."""
    result = run("verify", CALL, output, *EDIT)
    assert result.exit_code == 0, result.output
    assert "VERIFIED: 15 of 15 checks passed" in result.stdout
    assert "ok      length: 76,000 samples are played, 76,000 were asked for." in result.stdout
    assert "FAILED" not in result.stdout
    assert result.stderr == ""


def test_json_is_the_verdict(output: Path) -> None:
    """The same keys and values as in Python."""
    printed = run_json("verify", CALL, output, *EDIT)
    assert printed.pop("wall_seconds") > 0
    assert printed == as_json(ae.verify(CALL, output, ASKED).to_dict())
    assert printed["passed"] is True


def test_another_request_than_the_output_was_made_for(output: Path) -> None:
    """Exit code 1; the figures say by how much."""
    result = run("verify", CALL, output, *OTHER)
    assert result.exit_code == 1
    assert "NOT VERIFIED: " in result.stdout
    assert "FAILED  mask_edges: " in result.stdout
    printed = run_json("verify", CALL, output, *OTHER, exit_code=1)
    assert printed["passed"] is False
    assert {check["name"] for check in printed["checks"] if not check["passed"]} >= {"mask_edges"}
    assert run("verify", CALL, output, *EDIT, "--fill", "silence").exit_code == 1
    assert run("verify", CALL, output).exit_code == 1


def test_a_copy() -> None:
    """It is its source, byte for byte."""
    result = run("verify", CALL, CALL)
    assert result.exit_code == 0
    assert "VERIFIED: 1 of 1 checks passed" in result.stdout


def test_a_request_that_is_none(output: Path) -> None:
    """Exit code 2, as for the other verbs; what can't be read is 1."""
    refusal("verify", CALL, output, "--mask", "caller=9-12")
    refusal("verify", CALL, exit_code=2)
    refusal("verify", CALL, output.parent / "nowhere.mp3", *EDIT, exit_code=1)


def test_store_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what passes is published."""
    target = tmp_path / "out.mp3"
    assert run("store", CALL, target, *EDIT, "--verify").exit_code == 0
    assert run("verify", CALL, target, *EDIT).exit_code == 0
    target.unlink()
    monkeypatch.setattr("audioengine.pcm.tone.BeepTone.paint", lambda *_: None)
    error = refusal("store", CALL, target, *EDIT, "--verify", exit_code=1)
    assert error["type"] == "VerificationError"
    assert "voice_gone" in error["message"]
    assert not list(tmp_path.iterdir())


def test_without_a_decoder(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called verified that was not."""
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    error = refusal("verify", CALL, output, *EDIT, exit_code=1)
    assert error["type"] == "VerificationError"
    assert "audioengine[verify]" in error["message"]


# Merges

HELD = ("--conference", "-".join(map(str, CONFERENCE)))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good merge."""
    place = tmp_path_factory.mktemp("merged") / "out.mp3"
    assert run("merge", place, *NAMED, *HELD).exit_code == 0
    return place


def test_a_good_merge(merged: Path) -> None:
    """By options, or by the command that was carried out."""
    result = run("verify-merge", merged, *NAMED, *HELD)
    assert result.exit_code == 0, result.output
    assert "VERIFIED: 18 of 18 checks passed" in result.stdout
    assert "a: sha256 " in result.stdout
    assert run("verify-merge", merged, *BOUND, "--command", f"@{COMMAND}").exit_code == 0
    printed = run_json("verify-merge", merged, *NAMED, *HELD)
    assert printed["passed"] is True
    assert [part["id"] for part in printed["parts"]] == ["a", "b", "c"]


def test_another_merge_than_was_asked_for(merged: Path) -> None:
    """Nobody may be silenced where no conference was."""
    result = run("verify-merge", merged, *NAMED)
    assert result.exit_code == 1
    assert "FAILED  copied_frames: " in result.stdout or "FAILED  mixed: " in result.stdout
    printed = run_json("verify-merge", merged, *NAMED[:4], *HELD, exit_code=1)
    assert printed["passed"] is False


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("verify-merge",), "Missing argument 'OUT'"),
        (("verify-merge", "out.mp3"), "Missing option '--part'"),
        (("verify-merge", "in.mp3", "out.mp3", *NAMED), "unexpected extra argument"),
        (("verify-merge", "out.mp3", *NAMED, "--trim", "1-2"), "No such option"),
        (("verify", "in.mp3", "out.mp3", *NAMED), "No such option"),
        (("verify", "in.mp3"), "Missing argument 'OUT'"),
        (("verify",), "Missing argument 'SRC'"),
        (("verify", "in.mp3", "out.mp3", "more.mp3"), "unexpected extra argument"),
    ],
)
def test_each_verb_has_options_of_its_own(args: tuple[str, ...], said: str) -> None:
    assert said in refusal(*args)["message"]


def test_merge_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what passes is published."""
    target = tmp_path / "out.mp3"
    result = run("merge", target, *NAMED, *HELD, "--verify")
    assert result.exit_code == 0, result.output
    assert "18 checks passed" in result.stdout
    target.unlink()
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    error = refusal("merge", target, *NAMED, *HELD, "--verify", exit_code=1)
    assert error["type"] == "VerificationError"
    assert "audioengine[verify]" in error["message"]
    assert not list(tmp_path.iterdir())
