# SPDX-License-Identifier: Apache-2.0
"""The examples of the README and of the documentation run, and their tables are complete."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import audioengine as ae
from audioengine.cli import main
from audioengine.declaration import leaves
from docs.option_tables import on_page_markdown
from docs.picture import PICTURE, draw
from fixtures.transcripts import MARKED, MIXED, SPOKEN, encoded
from tests.captures.made import Sender, noise, raw
from tests.sources.material import tones, written
from tests.support import FIXTURES

ROOT = FIXTURES.parent
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
]


def text_of(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """All fenced examples of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    """What a page is called in a test's name."""
    return str(page.relative_to(ROOT))


def commands() -> Iterator[tuple[str, str]]:
    """Each command of each page that stands in a block of sh."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                if line.startswith("audioengine "):
                    yield name_of(page), line


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recordings that the examples name."""
    for name in ("in", "out"):
        shutil.copyfile(FIXTURES / "demo-call.mp3", tmp_path / f"{name}.mp3")
    for leg, names in {"a": ("first", "a"), "b": ("second", "b"), "c": ("third", "c")}.items():
        for name in names:
            shutil.copyfile(FIXTURES / f"conference-{leg}-8k.mp3", tmp_path / f"{name}.mp3")
    packets = [*Sender().send(noise(8_000)), *Sender(to_port=30_002, ssrc=2).send(noise(8_000))]
    (tmp_path / "call.pcap").write_bytes(raw(packets))
    for name, channels in (("call", 2), ("r", 1), ("t", 1)):
        sound = written(tones(8000, 12_000, channels), 8000, "WAV", "PCM_16")
        (tmp_path / f"{name}.wav").write_bytes(sound)
    command = (FIXTURES / "conference.json").read_text()
    asked = json.loads(command)["toMerge"][:2]
    entries = [{**leg, "recordingId": name} for leg, name in zip(asked, "AB", strict=True)]
    (tmp_path / "merge.json").write_text(json.dumps({"toMerge": entries}))
    for vendor, make in (*SPOKEN.items(), *MARKED.items(), *MIXED.items()):
        if vendor != "amazon-transcribe" or make is MARKED[vendor]:
            (tmp_path / f"{vendor}.json").write_bytes(encoded(make()))
    (tmp_path / "after.json").write_bytes(encoded({"words": []}))
    settings = blocks(DOCS / "reference" / "settings.md", "toml")[0]
    (tmp_path / "audioengine.toml").write_text(settings)
    (tmp_path / "labels.txt").write_text("12.5\t15.25\tcaller: card number\n")
    events = "2025-11-30T09:00:02Z,pause\n2025-11-30T09:00:03Z,resume\n"
    (tmp_path / "desktop.csv").write_text(f"time,event\n{events}")
    card = ae.Modification(mask={"caller": [ae.Interval(19.28, 24.838)]}, guard_ms=(10, 40))
    (tmp_path / "report.json").write_text(ae.plan_store(tmp_path / "in.mp3", card).to_json())
    record = ae.CustodyRecord(tmp_path / "custody.jsonl")
    ae.store(tmp_path / "in.mp3", tmp_path / "masked.mp3", card, record=record)
    shutil.copyfile(tmp_path / "masked.mp3", tmp_path / "out.mp3")
    starts = {"a.mp3": 1728890677283, "b.mp3": 1728890680444}
    legs = [ae.MergePart(tmp_path / name, start) for name, start in starts.items()]
    ae.merge(legs, tmp_path / "whole.mp3")
    jobs = blocks(DOCS / "how-to" / "batch-a-bucket.md", "json")[0].splitlines()
    (tmp_path / "jobs.jsonl").write_text(jobs[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


# pydub imports audioop, and warns of it on Python 3.11 and 3.12.
@pytest.mark.filterwarnings("ignore:.*audioop:DeprecationWarning")
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name_of)
def test_python_examples(page: Path) -> None:
    """They run one after the other, as they stand."""
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, name_of(page), "exec"), names)


def test_the_readme_says_what_is_heard_when(capsys: pytest.CaptureFixture[str]) -> None:
    """Its examples print what they promise."""
    names: dict[str, object] = {}
    for block in blocks(ROOT / "README.md", "python"):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("FramesReport(verbatim=")
    assert printed[-1] == "(11500.0, 15972.0) heard: ('third.mp3',) silenced: ()"


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_commands(page: str, command: str) -> None:
    """Every command of every page succeeds, and complains of nothing."""
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, (page, result.output)
    assert result.stderr == ""


def test_settings_of_the_example_are_all_known() -> None:
    """Every table of the settings is in the example, and nothing else."""
    shown = ae.load_settings().to_dict()
    example = blocks(DOCS / "reference" / "settings.md", "toml")[0]
    assert set(re.findall(r"^\[(\w+)", example, re.MULTILINE)) == {
        name for name, value in shown.items() if isinstance(value, dict)
    }
    assert list(shown["domains"]) == ["sip.example.com"]


def test_every_error_is_named() -> None:
    """The table of errors is complete."""
    errors = {name for name in ae.__all__ if name.endswith("Error")} - {"AudioEngineError"}
    named = re.findall(r"^\| `(\w+Error)`", text_of(DOCS / "reference" / "errors.md"), re.MULTILINE)
    assert set(named) == errors


def test_every_public_name_is_in_the_reference() -> None:
    """The page of the library holds each function and class that can be called or made."""
    page = text_of(DOCS / "reference" / "library.md")
    listed = set(re.findall(r"^::: audioengine\.(\w+)$", page, re.MULTILINE))
    made = {name for name in ae.__all__ if name.endswith(("Report", "Error", "Info"))}
    verdicts = {"Check", "EntryVerdict", "RecordFinding", "MergeVerification", "Notice", "Problem"}
    elsewhere = {"RecordVerification", "Settings", "Verification", "__version__", "load_settings"}
    assert listed == set(ae.__all__) - made - verdicts - elsewhere


def test_every_option_is_in_the_reference() -> None:
    """The tables are made when the site is, of the library's own declarations."""
    page = on_page_markdown(text_of(DOCS / "reference" / "options.md"))
    for kind in (ae.StoreOptions, ae.MergeOptions):
        for path, one in leaves(kind):
            assert f"| `{path}`<br>" in page
            assert one.option.sentence in page
    assert "{{" not in page
    assert "docs/option_tables.py" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_every_check_is_named() -> None:
    """The table of checks is complete, in the order in which they are made."""
    trimmed = ae.Modification(trim=ae.Interval(1, 2))
    checks = ae.verify("in.mp3", "masked.mp3", trimmed).checks
    part = ae.MergePart("a.mp3", 1728890677283, modification=trimmed)
    ae.merge([part], "trimmed.mp3")
    of_merge = ae.verify_merge([part], "trimmed.mp3").checks
    page = text_of(DOCS / "explanation" / "verification.md")
    named = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    assert [check.name for check in of_merge] == named
    assert [check.name for check in checks] == named[: len(checks)]


def test_folders_are_there() -> None:
    """The map shows every package, and nothing that is gone."""
    picture = blocks(ROOT / "ARCHITECTURE.md", "text")[0]
    packages = {path.parent.name for path in ROOT.glob("audioengine/*/__init__.py")}
    assert {f"{name}/" for name in packages} <= set(re.findall(r"\w+/", picture))
    for name in re.findall(r"(\w+\.py)", picture):
        assert (ROOT / "audioengine" / name).is_file()


def test_links_lead_somewhere() -> None:
    """Every relative link of every page names a file that is there."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", text_of(page)):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), (name_of(page), target)


def test_every_page_has_a_way_to_it() -> None:
    """The navigation names every page."""
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert str(page.relative_to(DOCS)) in listed


def test_the_readme_is_short() -> None:
    """It is a door, not the house."""
    assert len(text_of(ROOT / "README.md").splitlines()) <= 200


def test_the_picture_is_what_the_engine_does() -> None:
    """`python -m docs.picture` would write what is there."""
    assert PICTURE.read_text(encoding="utf-8") == draw()
