# SPDX-License-Identifier: Apache-2.0
"""The verb `batch`: all jobs of a manifest, with a journal to go on from."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audioengine.cli.options import (
    crosstalk_option,
    json_option,
    read_s3,
    sound_options,
)
from audioengine.edits import Beep
from audioengine.errors import StorageError
from audioengine.times import Number

if TYPE_CHECKING:
    from audioengine.batch.run import BatchProgress
    from audioengine.report import BatchPlanReport, BatchReport, FailedJobReport

_SOME_FAILED = 3
_SHOWN_FAILURES = 20
_CSV_HEAD = ("line", "source", "destination", "type", "message", "retryable")


@click.command(epilog="Example: audioengine batch jobs.jsonl --journal done.jsonl --resume")
@click.argument("manifest")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the outcome of each job is kept; default MANIFEST.journal.",
)
@click.option("--resume", is_flag=True, help="Go on: what the journal has as done is passed over.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes; default one a processor.",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    metavar="N",
    help="How often a job is tried again that failed for what may pass.",
)
@click.option(
    "--max-failures",
    type=click.IntRange(min=0),
    metavar="N",
    help="Stop when more jobs than that have failed.",
)
@click.option(
    "--failures-csv",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write failed jobs there, as CSV.",
)
@sound_options
@crosstalk_option
@click.option("--dry-run", is_flag=True, help="Only read the manifest and say what it asks for.")
@json_option
def batch(
    manifest: str,
    journal: Path | None,
    resume: bool,
    concurrency: int | None,
    retries: int,
    max_failures: int | None,
    failures_csv: Path | None,
    guard_ms: Number | tuple[Number, Number],
    beep_hz: Number,
    beep_dbfs: Number,
    fill: Any,
    kms_key: str | None,
    s3_region: str | None,
    s3_endpoint: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Do all jobs of MANIFEST: JSON Lines with source, destination and modification.

    One that fails does not stop the others. Exit code 3: some failed.
    """
    from audioengine.batch.manifest import count_jobs
    from audioengine.batch.plan import plan_batch
    from audioengine.batch.run import run_batch
    from audioengine.operations.options import StoreOptions

    s3 = read_s3(kms_key, s3_region, s3_endpoint)
    if dry_run:
        planned = plan_batch(manifest, s3=s3)
        click.echo(planned.to_json() if as_json else _planned(planned))
        raise click.exceptions.Exit(_SOME_FAILED if planned.invalid else 0)
    beep = Beep(beep_hz, beep_dbfs, fill)
    shown = not as_json and sys.stderr.isatty()
    total = count_jobs(manifest, s3) if shown else 0
    with _bar(total, shown=shown) as progress:
        report = run_batch(
            manifest,
            journal or _default_journal(manifest),
            options=StoreOptions(beep=beep, guard_ms=guard_ms, **options),
            s3=s3,
            resume=resume,
            concurrency=concurrency,
            retries=retries,
            max_failures=max_failures,
            progress=progress,
        )
    if failures_csv is not None:
        _write_csv(failures_csv, journal or _default_journal(manifest))
    click.echo(report.to_json() if as_json else _text(report))
    if report.failed:
        raise click.exceptions.Exit(_SOME_FAILED)


def _default_journal(manifest: str) -> Path:
    if "://" in manifest:
        raise click.UsageError("--journal FILE must be given: the manifest is not a local file.")
    return Path(f"{manifest}.journal")


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[BatchProgress | None]:
    """Jobs done, how long it will take, and how many failed."""
    if not shown:
        yield None
        return
    bar: Any = click.progressbar(
        length=total,
        label="Jobs",
        show_pos=True,
        item_show_func=lambda failed: f"{failed} failed" if failed else None,
        file=sys.stderr,
    )
    with bar:
        yield lambda now: bar.update(now.done + now.skipped - bar.pos, now.failed)


def _text(report: BatchReport) -> str:
    rate = report.done / report.wall_seconds if report.wall_seconds else 0
    counts = f"{report.done:,} done, {report.failed:,} failed, {report.skipped:,} done before"
    took = f"{report.wall_seconds:.1f} s, {rate:.1f} jobs a second"
    lines = [
        f"Jobs      {report.jobs:,}: {counts}",
        f"Took      {took} (audioengine {report.version})",
    ]
    if report.stopped:
        lines.append("Stopped   too many jobs failed; --resume goes on")
    return "\n".join([*lines, *_failed(report.failures, report.failed)])


def _planned(report: BatchPlanReport) -> str:
    counts = (
        f"Jobs      {report.jobs:,} with {report.masks:,} masks and {report.trims:,} trims, "
        f"{report.copies:,} of them plain copies; {report.invalid:,} lines can't be done"
    )
    return "\n".join([counts, *_failed(report.failures, report.invalid)])


def _failed(failures: Sequence[FailedJobReport], count: int) -> list[str]:
    lines = [f"Failed    line {one.line}: {one.message}" for one in failures[:_SHOWN_FAILURES]]
    if count > len(lines):
        lines.append(f"          and {count - len(lines):,} more, see the journal")
    return lines


def _write_csv(path: Path, journal: Path) -> None:
    from audioengine.batch.journal import Journal

    with closing(Journal(journal, resume=True)) as outcomes:
        rows = [{**entry, **entry["error"]} for entry in outcomes.failed()]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _CSV_HEAD, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise StorageError(f"can't write {str(path)!r}: {error.strerror}") from error
