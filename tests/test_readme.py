# SPDX-License-Identifier: Apache-2.0
"""The README's examples run, and its tables name what there is."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import audioengine as ae
from audioengine.cli import main
from audioengine.cli.batching import batch
from audioengine.cli.merging import merge
from audioengine.cli.serving import serve
from audioengine.cli.settings import settings
from audioengine.cli.temporary import ingest, sweep
from audioengine.cli.verbs import plan, store
from audioengine.cli.verifying import verify
from audioengine.report import MergeReport, PartReport, StoreReport
from tests.support import FIXTURES

README = (FIXTURES.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """All fenced examples in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = [
    line.removeprefix("$ ")
    for block in blocks("sh") + blocks("console")
    for line in block.splitlines()
    if line.removeprefix("$ ").startswith("audioengine ")
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recordings that the examples name."""
    shutil.copyfile(FIXTURES / "demo-call.mp3", tmp_path / "in.mp3")
    for leg, names in {"a": ("first", "a"), "b": ("second", "b"), "c": ("third",)}.items():
        for name in names:
            shutil.copyfile(FIXTURES / f"conference-{leg}-8k.mp3", tmp_path / f"{name}.mp3")
    command = (FIXTURES / "conference.json").read_text()
    asked = json.loads(command)["toMerge"][:2]
    entries = [{**leg, "recordingId": name} for leg, name in zip(asked, "AB", strict=True)]
    (tmp_path / "merge.json").write_text(json.dumps({"toMerge": entries}))
    (tmp_path / "audioengine.toml").write_text(blocks("toml")[0])
    card = ae.Modification(mask={"caller": [ae.Interval(19.28, 24.838)]}, guard_ms=(10, 40))
    record = ae.CustodyRecord(tmp_path / "custody.jsonl")
    ae.store(tmp_path / "in.mp3", tmp_path / "masked.mp3", card, record=record)
    starts = {"a.mp3": 1728890677283, "b.mp3": 1728890680444}
    legs = [ae.MergePart(tmp_path / name, start) for name, start in starts.items()]
    ae.merge(legs, tmp_path / "whole.mp3")
    (tmp_path / "jobs.jsonl").write_text(blocks("json")[0].splitlines()[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_examples(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They run one after the other, as they stand."""
    names: dict[str, object] = {}
    before = {path.name for path in folder.iterdir()}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("FramesReport(verbatim=")
    assert re.fullmatch(r"42000\.0 \d+ 88928", printed[2])
    assert printed[-1] == "(11500.0, 15972.0) heard: ('third.mp3',) silenced: ()"
    made = {path.name for path in folder.iterdir()} - before
    assert made == {"card.mp3", "out.mp3", "merged.mp3"}
    assert ae.inspect("card.mp3").samples == 88_928


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    """Every command of the README does what it says, or at least succeeds."""
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""


def test_settings_of_the_example_are_all_known() -> None:
    """And every table is in it."""
    shown = ae.load_settings().to_dict()
    named = set(re.findall(r"^\[(\w+)", blocks("toml")[0], re.MULTILINE))
    assert named == {name for name, value in shown.items() if isinstance(value, dict)}
    assert list(shown["domains"]) == ["sip.example.com"]


def test_every_option_is_named() -> None:
    """The table of options is complete, and holds none that is gone."""
    verbs = (store, plan, verify, merge, batch, ingest, sweep, serve, settings)
    options = {name for verb in verbs for option in verb.params for name in option.opts}
    there = {name for name in options if name.startswith("--")}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", README))
    assert there <= named
    assert named <= there | {"--source", "--strict"}


def test_every_report_key_is_named() -> None:
    """So is the table of the report's keys."""
    section = README.split("## Report")[1].split("\n## ")[0]
    keys = set(re.findall(r"`(\w+)`", section))
    for report in (StoreReport, MergeReport, PartReport):
        assert {field.name for field in dataclasses.fields(report)} <= keys


def test_every_error_is_named() -> None:
    """And that of errors."""
    errors = {name for name in ae.__all__ if name.endswith("Error")}
    assert errors <= set(re.findall(r"`(?:ae\.)?(\w+Error)`", README))


def test_every_check_is_named() -> None:
    """And that of checks."""
    section = README.split("## Verification")[1].split("\n## ")[0]
    trimmed = ae.Modification(trim=ae.Interval(1, 2))
    checks = ae.verify("in.mp3", "masked.mp3", trimmed).checks
    part = ae.MergePart("a.mp3", 1728890677283, modification=trimmed)
    ae.merge([part], "trimmed.mp3")
    of_merge = ae.verify_merge([part], "trimmed.mp3").checks
    named = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert [check.name for check in of_merge] == named
    assert [check.name for check in checks] == named[: len(checks)]


def test_folders_are_there() -> None:
    """The picture shows every layer of the package."""
    picture = blocks("text")[0]
    root = FIXTURES.parent
    packages = {path.parent.name for path in root.glob("audioengine/*/__init__.py")}
    assert {f"{name}/" for name in packages} <= set(re.findall(r"\w+/", picture))
    for name in re.findall(r"(\w+\.py)", picture):
        assert (root / "audioengine" / name).is_file()
