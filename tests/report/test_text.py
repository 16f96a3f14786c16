# SPDX-License-Identifier: Apache-2.0
"""`str` of a report is the text of the command line, `repr` one line of figures."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import audioengine as ae
from audioengine.custody.verdict import EntryVerdict, RecordFinding, RecordVerification
from audioengine.report import (
    BatchPlanReport,
    BatchReport,
    DtmfReport,
    FailedJobReport,
    IntervalReport,
    KeysReport,
    RecordedReport,
    Report,
)
from audioengine.verification.verdict import MergeVerification, Verification
from tests.cli.helpers import run
from tests.support import FIXTURES

CALL = FIXTURES / "mpeg2-16k-48k.mp3"
EDIT = ae.Modification(ae.Interval(0.5, 3), {"caller": [ae.Interval(1, 1.5)]})
OPTIONS = ("--trim", "0.5-3", "--mask", "caller=1-1.5")
DIGITS = "4012888881881"


def without_time(text: str) -> str:
    """A text without the time that the operation took."""
    return re.sub(r"Took .*|in [\d.]+ s$", "", text).rstrip()


def printed(*args: str | Path) -> str:
    return without_time(run(*args).stdout)


def every_kind(of: type[Report] = Report) -> Iterator[type[Report]]:
    for kind in of.__subclasses__():
        yield kind
        yield from every_kind(kind)


def failed_jobs(count: int) -> tuple[FailedJobReport, ...]:
    return tuple(
        FailedJobReport(line, None, None, "InvalidRequestError", "no", retryable=False)
        for line in range(1, count + 1)
    )


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ae.StoreReport]:
    target = tmp_path_factory.mktemp("stored") / "out.mp3"
    return target, ae.store(CALL, target, EDIT)


def test_no_report_has_a_text_or_line_of_its_own_kind() -> None:
    """A dataclass makes a `repr` of all its fields where it is not told otherwise."""
    kinds = [kind for kind in every_kind() if kind.__module__.startswith("audioengine")]
    assert {Verification, MergeVerification, RecordVerification, BatchReport} <= set(kinds)
    for kind in kinds:
        assert kind.__repr__ is Report.__repr__, kind
        assert kind.__str__ is Report.__str__, kind


def test_a_store_as_text(output: tuple[Path, ae.StoreReport], tmp_path: Path) -> None:
    _, report = output
    target = tmp_path / "out.mp3"
    shown = printed("store", CALL, target, *OPTIONS)
    assert without_time(report.text(str(CALL), str(target))) == shown
    nameless = shown.replace(f"{CALL}: ", "").replace(f"{target}: ", "")
    assert without_time(str(report)) == nameless
    line = repr(report)
    assert line.startswith("<StoreReport: smart, output 2.5 s, ")
    assert f"({report.frames.verbatim} verbatim), 1 mask, " in line
    assert line.endswith("not verified>")
    assert "\n" not in line


def test_plans_and_descriptions_as_text() -> None:
    plan, info = ae.plan_store(CALL, EDIT), ae.inspect(CALL)
    assert plan.text(str(CALL)) == printed("plan", CALL, *OPTIONS)
    assert str(plan).startswith("Plan      nothing is written\nKept      0.5 to 3 s, ")
    assert repr(plan).startswith("<PlanReport: smart, ")
    assert f"({plan.copied} copied), 1 mask" in repr(plan)
    assert info.text(str(CALL)) == printed("inspect", CALL)
    assert str(info) == printed("inspect", CALL).replace(f"{CALL}: ", "")
    assert repr(info).startswith(f"<RecordingInfo: an MP3 recording, {info.duration_ms / 1000:g} s")


def test_merges_as_text(tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"
    starts = {CALL: 1728890677283, FIXTURES / "midside-16k.mp3": 1728890679283}
    parts = [ae.MergePart(path, start, recording_id=path.stem) for path, start in starts.items()]
    options = [f"--part={path.stem}={path}@{start}" for path, start in starts.items()]
    plan, report = ae.plan_merge(parts), ae.merge(parts, target)
    assert str(plan) == printed("merge", target, *options, "--dry-run")
    assert without_time(report.text(str(target))) == printed("merge", target, *options)
    assert str(report) == report.text(str(target)).replace(f"{target}: ", "")
    assert repr(plan).startswith(f"<MergePlanReport: {plan.render}, 2 parts, output ")
    assert repr(report).startswith(f"<MergeReport: {report.render}, 2 parts, output ")


def test_a_verdict_as_text(output: tuple[Path, ae.StoreReport]) -> None:
    target, _ = output
    verdict = ae.verify(CALL, target, EDIT)
    shown = printed("verify", CALL, target, *OPTIONS)
    assert without_time(verdict.text(str(CALL), str(target))) == shown
    assert str(CALL) not in str(verdict)
    assert f"sha256 {verdict.output_sha256}" in str(verdict).splitlines()[0]
    count = len(verdict.checks)
    assert repr(verdict) == f"<Verification: verified, {count} of {count} checks passed>"
    wrong = ae.verify(CALL, target, ae.Modification(ae.Interval(0.5, 3)))
    assert repr(wrong).startswith("<Verification: not verified: ")
    assert wrong.failures[0].name in repr(wrong)


def test_batches_as_text() -> None:
    recorded = RecordedReport("record.jsonl", 5, "ab" * 32)
    report = BatchReport(
        30, 5, 25, 0, stopped=True, failures=failed_jobs(25), version="1", wall_seconds=2,
        recorded=recorded, left_out=3,
    )  # fmt: skip
    lines = str(report).splitlines()
    assert lines[0] == "Jobs      30: 5 done, 25 failed, 0 done before"
    assert lines[1] == "Took      2.0 s, 2.5 jobs a second (audioengine 1)"
    assert lines[3:5] == ["Recorded  record.jsonl: 5 entries", f"          head {'ab' * 32}"]
    assert lines[6] == "Failed    line 1: no"
    assert lines[-1] == "          and 5 more, see the journal"
    assert len(lines) == 6 + 20 + 1
    assert repr(report) == "<BatchReport: 5 done, 25 failed, 0 done before, stopped>"
    plan = BatchPlanReport(2, {"store": 2}, 3, 1, 0, 4.5, 0, 2, 1, failed_jobs(1), "1")
    assert "Jobs      2: 2 store\nWork      3 masks of 4.5 s in all, 1 trims" in str(plan)
    assert repr(plan) == "<BatchPlanReport: 2 jobs, 3 masks, 1 trim, 1 invalid line>"


def test_digits_are_in_no_text_unless_asked_for() -> None:
    """`str` and `repr` may reach a log."""
    interval = IntervalReport((0, 8000), (0.0, 1000.0))
    keys = KeysReport("caller", interval, len(DIGITS), echo=False, digits=DIGITS)
    report = DtmfReport((keys,), 16000, 8000, (), "1", 0.5)
    assert str(report) == "caller      0.000 to 1.000 s  13 keys\n2.0 s heard in 0.50 s"
    assert repr(report) == "<DtmfReport: 1 string, 13 keys, 2 s heard>"
    assert DIGITS in report.text(show_digits=True)


def test_what_a_record_says_stays_on_its_line() -> None:
    """Whoever wrote the record chose its words."""
    finding = RecordFinding("changed", "x\n\x1b[2J")
    entry = EntryVerdict(2, None, "unchecked", 0, 0, (finding,))
    verdict = RecordVerification(
        False, "r.jsonl", 2, "ab", False, False, None, (), 1, (entry,), 1, 0, 1, 0, "1", 0.1
    )
    assert "Failed    line 2: changed: x\\n\\x1b[2J\nVerdict   NOT VERIFIED: 1 of 2" in str(verdict)
    assert repr(verdict) == "<RecordVerification: not verified, 1 of 2 entries are right>"


def test_a_report_imports_its_text_when_it_is_asked_for() -> None:
    code = (
        "import sys, audioengine.report; had = set(sys.modules)\n"
        "assert 'click' not in had and 'audioengine.report.lines' not in had, had"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
