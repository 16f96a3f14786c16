# SPDX-License-Identifier: Apache-2.0
"""The demo passes, and fails where a check does."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

import audioengine as ae
from tests.cli.helpers import refusal, run, run_json
from tests.support import FIXTURES

# The package has a command of the same name.
demo_module = import_module("audioengine.cli.demo")

DEMO_CALL = FIXTURES / "demo-call.mp3"


def test_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it did, verifies it, and keeps the result where one looks for it."""
    monkeypatch.chdir(tmp_path)
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for said in (
        "card number, '4012 8888 8888 1881'",
        "Kept      4 to 38 s, 544,000 samples",
        "copied, every byte the source's",
        "a decoder that isn't ours:",
        "ok      length: 544,000 samples are played, 544,000 were asked for.",
        "3.161 to 9.972 s: conference-a-8k (conference; silenced: conference-b-8k)",
        "ok      length: 127,776 samples are played, 127,776 were asked for.",
        "VERIFIED: 33 of 33 checks passed.",
        "demo-output/demo-call-masked.mp3 and demo-output/conference-merged.mp3",
    ):
        assert said in result.stdout
    assert "FAILED" not in result.stdout
    made = sorted(path.name for path in Path("demo-output").iterdir())
    assert made == ["conference-merged.mp3", "demo-call-masked.mp3"]


def test_the_demo_for_machines(tmp_path: Path) -> None:
    """One object: the report, each check with its figure, the verdict."""
    printed = run_json("demo", "--keep", tmp_path / "a" / "b")
    assert printed["passed"] is True
    for verb, name, copied, checks in (
        ("store", "demo-call-masked", 500, 15),
        ("merge", "conference-merged", 130, 18),
    ):
        shown = printed[verb]
        assert shown["output"] == str(tmp_path / "a" / "b" / f"{name}.mp3")
        assert shown["report"]["frames"]["verbatim"] > copied
        assert len(shown["checks"]) == checks
        assert all(check["passed"] and check["measured"] for check in shown["checks"])


def test_without_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called verified that was not; the message says what to install."""
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    error = refusal("demo", "--keep", tmp_path, exit_code=1)
    assert error["type"] == "VerificationError"
    assert "install audioengine[verify]" in error["message"]


def test_without_fixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package has no recordings: the message says what to do."""
    monkeypatch.setattr(demo_module, "_FIXTURES", tmp_path / "fixtures")
    error = refusal("demo", "--keep", tmp_path / "kept")
    assert "fixtures/demo-call.mp3" in error["message"]
    assert "--source FILE" in error["message"]
    assert not list(tmp_path.iterdir())


def test_on_a_recording_of_ones_own(tmp_path: Path) -> None:
    """Any stereo recording that is long enough will do."""
    own = tmp_path / "own.mp3"
    ae.store(DEMO_CALL, own, ae.Modification(trim=ae.Interval(15, 35)))
    result = run("demo", "--source", own, "--keep", tmp_path)
    assert result.exit_code == 0, result.output
    assert "VERIFIED: 15 of 15 checks passed." in result.stdout
    short = FIXTURES / "mpeg1-44k-128k.mp3"
    assert "6 s" in refusal("demo", "--source", short, "--keep", tmp_path)["message"]
    refusal("demo", "--source", tmp_path / "nowhere.mp3", "--keep", tmp_path, exit_code=1)


def test_a_folder_that_cant_be_made(tmp_path: Path) -> None:
    """A file in its place is an error of storage."""
    (tmp_path / "file").write_bytes(b"")
    error = refusal("demo", "--keep", tmp_path / "file" / "folder", exit_code=1)
    assert error["type"] == "StorageError"


def test_a_failed_check_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the verdict says so."""

    def judged(*_: object, **__: object) -> ae.Verification:
        checks = (ae.Check("one", True, {}, "1."), ae.Check("two", False, {"found": 2}, "2."))
        return ae.Verification(False, checks, "", "", "ears", "", 0.0)

    monkeypatch.setattr("audioengine.operations.verification.verify", judged)
    result = run("demo", "--keep", tmp_path)
    assert result.exit_code == 1
    assert "Checked with ears" in result.stdout
    assert "  FAILED  two: 2." in result.stdout
    assert "found 2" in result.stdout
    assert "NOT VERIFIED: 19 of 20 checks passed." in result.stdout
    result = run("demo", "--keep", tmp_path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False
