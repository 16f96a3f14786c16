# SPDX-License-Identifier: Apache-2.0
"""The long run works, repeats itself, and leaves what is needed to look into a failure."""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import audioengine as ae
from soak.__main__ import main
from soak.edits import edit_in_a_row
from soak.material import made
from soak.merges import merge_some
from soak.round import Round
from tests.operations.streams import FEW_RATES

pytestmark = pytest.mark.slow


def test_a_round_of_each_kind() -> None:
    """The same seed and number draw the same."""
    for kind in (edit_in_a_row, merge_some):
        works = [Round("tests", 3), Round("tests", 3)]
        for work in works:
            kind(work)
            assert work.passed >= 1
        assert works[0].story == works[1].story
        assert works[0].files == works[1].files


def test_windows_alone_are_judged_of_the_same_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, verify in (("edits", "verify"), ("merges", "verify_merge")):
        monkeypatch.setattr(f"soak.{module}.ae.{verify}", None)
    for kind in (edit_in_a_row, merge_some):
        work = Round("tests", 3, windows_only=True)
        kind(work)
        assert work.passed >= 1
        assert work.successions > 0


def test_verify_alone_judges_the_same_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soak.merges._judge", None)
    monkeypatch.setattr("soak.round.window_tracks", None)
    for kind in (edit_in_a_row, merge_some):
        work = Round("tests", 3, verify_only=True)
        kind(work)
        assert work.passed >= 1


def test_an_alarm_names_its_checks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are counted, whatever it is that failed."""

    def refused(work: Round) -> None:
        failed = ae.Check("beep", False, {}, "More or less than the beep is heard.")
        work.judge(SimpleNamespace(failures=(failed,)))  # type: ignore[arg-type]

    monkeypatch.setattr("soak.__main__.FAILURES", tmp_path)
    for kind in ("edit_in_a_row", "merge_some"):
        monkeypatch.setattr(f"soak.__main__.{kind}", refused)
    options = ["--seed", "tests", "--seconds", "60", "--most-failures", "3"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert "3 rounds failed (beep 3)" in result.output


@pytest.mark.parametrize("rate", FEW_RATES)
def test_material_is_made_of_all_kinds(rate: int) -> None:
    """Whatever is drawn can be edited, and the same is drawn again."""
    for number in range(3):
        name, data = made(Random(number), rate)
        assert made(Random(number), rate) == (name, data)
        info = ae.inspect(data)
        assert info.rate_hz == rate
        assert info.samples > 0


def test_a_failure_is_kept_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the files, what was asked for, and how to repeat it."""

    def fails(work: Round) -> None:
        work.say("store(…)")
        work.keep("source.mp3", b"some")
        raise AssertionError("a broken promise")

    monkeypatch.setattr("soak.__main__.FAILURES", tmp_path)
    for kind in ("edit_in_a_row", "merge_some"):
        monkeypatch.setattr(f"soak.__main__.{kind}", fails)
    result = CliRunner().invoke(main, ["--seed", "tests", "--only", "7"])
    assert result.exit_code == 1
    assert "python -m soak --seed tests --only 7" in result.output
    assert "0 outputs as promised in 1 rounds" in result.output
    left = tmp_path / "tests-7"
    assert (left / "source.mp3").read_bytes() == b"some"
    text = (left / "what.txt").read_text()
    assert "store(…)" in text
    assert "a broken promise" in text


def test_time_ends_it() -> None:
    result = CliRunner().invoke(main, ["--seed", "tests", "--seconds", "0"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("seed tests, 0 s\n")
    assert "in 1 rounds" in result.output
