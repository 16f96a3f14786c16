# SPDX-License-Identifier: Apache-2.0
"""Warnings reach whoever runs the engine, and can be made failures."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest

import audioengine as ae
from audioengine.batch.journal import Journal
from audioengine.choices import WarningCode
from audioengine.errors import InvalidRequestError
from audioengine.operations.options import StoreOptions
from tests.cli.helpers import run
from tests.execution import service
from tests.support import FIXTURES, fixture

SOURCE = fixture("mono-8k")
END = ae.inspect(SOURCE).duration_ms / 1000
CLIPPED = ae.Modification(mask={"caller": [ae.Interval(1, END + 2)]})
CUT_SHORT = ae.Modification(trim=ae.Interval(1, END + 2))
SHORT = ae.Modification(mask={"caller": [ae.Interval(1, 1.04)]})


@pytest.mark.parametrize(
    ("edit", "code"),
    [(CLIPPED, "mask_clipped"), (CUT_SHORT, "trim_clipped"), (SHORT, "short_mask")],
)
def test_a_warning_is_a_failure_where_that_is_asked(edit: ae.Modification, code: Any) -> None:
    report = ae.store(SOURCE, BytesIO(), edit, ae.StoreOptions(refuse=("crosstalk",)))
    assert [one.code for one in report.warnings] == [code]
    out = BytesIO()
    with pytest.raises(InvalidRequestError) as caught:
        ae.store(SOURCE, out, edit, ae.StoreOptions(refuse=("junk", code)))
    (problem,) = caught.value.problems
    assert problem.path == f"warnings.{code}"
    assert problem.rule == report.warnings[0].message
    assert not out.getvalue()
    part = ae.MergePart(SOURCE, service.START, modification=edit)
    assert code in [one.code for one in ae.merge([part], BytesIO()).warnings]
    with pytest.raises(InvalidRequestError, match=code):
        ae.merge([part], out, ae.MergeOptions(refuse=(code,)))
    assert not out.getvalue()


@pytest.mark.parametrize("refuse", ["junk", ["jnuk"], 5, [None]])
def test_a_misspelt_code_is_refused(refuse: Any) -> None:
    for call in (
        lambda: ae.store(SOURCE, BytesIO(), options=ae.StoreOptions(refuse=refuse)),
        lambda: ae.merge(
            [ae.MergePart(SOURCE, service.START)], BytesIO(), ae.MergeOptions(refuse=refuse)
        ),
        lambda: service.settings(store={"refuse": refuse}),
    ):
        with pytest.raises(InvalidRequestError, match="refuse"):
            call()


def test_every_code_of_a_report_is_known() -> None:
    """Those of obstacles say why something was not copied, and of keys what a command has."""
    root = Path(ae.__file__).parent
    made = {
        code
        for pattern in ("*", "edits/*", "operations/*", "plan/*", "redaction/**/*", "sources/*")
        for path in root.glob(f"{pattern}.py")
        for code in re.findall(r'(?:Notice|_clipped)\(\s*"(\w+)"', path.read_text())
    }
    reasons = {"free_format", "damage", "intensity_stereo", "no_room", "within_a_frame"}
    not_copied = {"encoded", "resampled", "mono", "mode", "off_grid"}
    assert made - reasons - not_copied == set(get_args(WarningCode))


def test_of_commands_too() -> None:
    over = {"mask": {"caller": [{"from": 1, "to": 8}]}}
    command = service.store_command(modificationParams=over)
    done = ae.execute(command, service.storage(), service.settings())
    assert done.result is not None
    assert done.result.report is not None
    assert [one.code for one in done.result.report.warnings] == ["mask_clipped"]
    kept = service.storage()
    refused = ae.execute(
        command, kept, service.settings(store={"refuse": ["crosstalk", "mask_clipped"]})
    )
    assert refused.event is not None
    told = refused.event.to_dict()
    assert told["event"] == "STORERECORDINGFAILED"
    assert "mask_clipped" in told["reason"]
    assert kept.keys(service.KEPT) == ()


@pytest.mark.parametrize("params", [None, service.MASK])
def test_what_is_told_beside_a_report_is_refused_too(
    params: dict[str, Any] | None, tmp_path: Path
) -> None:
    """A start that can't be that of the recording's id; also of a plain copy."""
    command = service.store_command(modificationParams=params)
    storage = service.storage(start=service.START + 3_600_000)
    record = ae.CustodyRecord(tmp_path / "custody.jsonl")
    done = ae.execute(command, storage, service.settings(), record=record)
    assert done.result is not None
    assert [one.code for one in done.result.notices] == ["start_time_implausible"]
    (entry,) = map(json.loads, (tmp_path / "custody.jsonl").read_text().splitlines())
    warnings = entry["warnings"] if "warnings" in entry else entry["entry"]["warnings"]
    assert [one["code"] for one in warnings] == ["start_time_implausible"]
    storage = service.storage(start=service.START + 3_600_000)
    settings = service.settings(store={"refuse": ["start_time_implausible"]})
    refused = ae.execute(command, storage, settings)
    assert "start_time_implausible" in str(refused.error)
    assert storage.keys(service.KEPT) == ()


def test_journal_and_custody_record_keep_warnings(tmp_path: Path) -> None:
    line = {
        "source": str(FIXTURES / "mono-8k.mp3"),
        "destination": str(tmp_path / "out.mp3"),
        "modification": {"mask": {"caller": [{"from": 1, "to": END + 2}]}},
    }
    (tmp_path / "jobs.jsonl").write_text(json.dumps(line))
    manifest, journal = tmp_path / "jobs.jsonl", tmp_path / "journal"
    record = ae.CustodyRecord(tmp_path / "custody.jsonl")
    report = ae.run_batch(manifest, journal, record=record, concurrency=1)
    assert report.done == 1
    (entry,) = Journal(journal, resume=True).finished()
    (warning,) = entry["report"]["warnings"]
    assert warning["code"] == "mask_clipped"
    assert f"asked 1 to {END + 2:g}"[:12] in warning["message"]
    assert '"mask_clipped"' in (tmp_path / "custody.jsonl").read_text()
    options = StoreOptions(refuse=("mask_clipped",))
    again = ae.run_batch(manifest, tmp_path / "journal2", options=options, concurrency=1)
    assert again.failed == 1
    assert "mask_clipped" in again.failures[0].message


def test_on_the_command_line(tmp_path: Path) -> None:
    source, out = FIXTURES / "mono-8k.mp3", tmp_path / "out.mp3"
    asked = ("--mask", f"caller=1-{END + 2}", "--refuse", "mask_clipped")
    result = run("store", source, out, *asked)
    assert result.exit_code == 2
    assert "mask_clipped" in result.stderr
    assert not out.exists()
    assert run("store", source, out, *asked[:2], "--refuse", "junk").exit_code == 0
