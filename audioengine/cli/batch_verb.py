# SPDX-License-Identifier: Apache-2.0
"""The verb `batch`: all jobs of a manifest, with a journal to go on from."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from audioengine.cli.options import (
    Request,
    edit_options,
    json_option,
    pcm_option,
    read_record,
    read_request,
)
from audioengine.edits import Interval, Modification, time_problems
from audioengine.errors import InvalidRequestError, StorageError
from audioengine.operations.options import StoreOptions
from audioengine.storage.options import S3Options

if TYPE_CHECKING:
    from audioengine.batch.manifest_all import ForAll
    from audioengine.batch.run import BatchProgress, BatchState, ExecutorName
    from audioengine.settings import Settings

_SOME_FAILED = 3
_DRAWN_EVERY_SECONDS = 0.1
# What says what is done to each recording of a manifest that only names them.
_EDIT = ("trim", "mask", "absolute", "start_time_ms", "params", "dialect")
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
    help="Processes; default one a processor. On a cluster, jobs at once.",
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
@click.option(
    "--record",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Append each output to a custody record; without FILE, one beside the journal.",
)
@pcm_option
@click.option(
    "--to",
    metavar="PLACE/",
    help="Where outputs go, under their sources' names, if MANIFEST only names recordings.",
)
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Which names are recordings, where MANIFEST lists all that there is; default *.mp3. "
    "Others are counted and left out. May be repeated.",
)
@click.option(
    "--transcripts",
    metavar="PLACE/",
    help="Mask what the recordings' transcripts tell, of the kinds of --redact: each is there "
    "under its recording's name, ending in .json; {name} in PLACE is the name without its ending.",
)
@edit_options("publish", "batch")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of what holds where no option says else; default as in the verb settings.",
)
@click.option(
    "--executor",
    type=click.Choice(("processes", "dask")),
    default="processes",
    show_default=True,
    help="What does the jobs: this machine, or a Dask cluster that sees the same places.",
)
@click.option("--scheduler", metavar="URL", help="Of the cluster: tcp://HOST:8786.")
@click.option("--dry-run", is_flag=True, help="Only read the manifest and say what it asks for.")
@json_option
@click.pass_context
def batch(
    ctx: click.Context,
    /,
    manifest: str,
    journal: Path | None,
    resume: bool,
    concurrency: int | None,
    retries: int,
    max_failures: int | None,
    failures_csv: Path | None,
    record: str | None,
    pcm_digest: bool,
    to: str | None,
    include: tuple[str, ...],
    transcripts: str | None,
    settings_file: Path | None,
    executor: ExecutorName,
    scheduler: str | None,
    dry_run: bool,
    as_json: bool,
    **edit: Any,
) -> None:
    """Do all jobs of MANIFEST: JSON Lines with source, destination and modification.

    Or the same to all recordings that it names: a CSV, an S3 Inventory (manifest.json), s3://
    BUCKET/PREFIX/ or a folder. One that fails does not stop the others. Exit code 3: some failed.
    """
    from audioengine.batch.forking import begin_early

    if executor == "processes" and not dry_run:
        begin_early()
    from audioengine.batch.manifest import count_jobs
    from audioengine.batch.run import run_batch
    from audioengine.custody.record import CustodyRecord
    from audioengine.settings import are_named, load_settings

    given = {
        name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    # Where there are none, no process needs to import what reads them.
    named = settings_file is not None or are_named()
    settings = load_settings(settings_file) if named else None
    request = read_request(StoreOptions() if settings is None else settings.store, **edit)
    for_all = _for_all(manifest, to, include, transcripts, given, request)
    asked = {name: ctx.params[name] for name in given}
    s3 = _s3(settings, asked)
    if dry_run:
        from audioengine.batch.plan import plan_batch

        planned = plan_batch(
            manifest, for_all=for_all, s3=s3, options=request.options, settings=settings
        )
        click.echo(planned.to_json() if as_json else planned.text())
        raise click.exceptions.Exit(_SOME_FAILED if planned.invalid else 0)
    journal = journal or _default_journal(manifest)
    kept = read_record(
        CustodyRecord.beside(journal) if record == "" else record, pcm_digest, settings
    )
    shown = not as_json and sys.stderr.isatty()
    total = count_jobs(manifest, s3, for_all) if shown else 0
    with _bar(total, shown=shown) as progress:
        report = run_batch(
            manifest,
            journal,
            for_all=for_all,
            options=request.options,
            s3=s3,
            settings=settings,
            resume=resume,
            concurrency=concurrency,
            retries=retries,
            max_failures=max_failures,
            record=kept,
            executor=executor,
            scheduler=scheduler,
            progress=progress,
        )
    if failures_csv is not None:
        _write_csv(failures_csv, journal)
    click.echo(report.to_json() if as_json else report.text())
    if report.failed:
        raise click.exceptions.Exit(_SOME_FAILED)


def _for_all(
    manifest: str,
    to: str | None,
    include: tuple[str, ...],
    transcripts: str | None,
    given: set[str],
    request: Request,
) -> ForAll | None:
    """What is done to all that a manifest names; None where each line says it."""
    from audioengine.batch.manifest import is_json_lines
    from audioengine.batch.manifest_all import ForAll

    if is_json_lines(manifest):
        for name in ("to", "include", "transcripts", *_EDIT):
            if name in given:
                option = "--" + name.replace("_", "-")
                message = f"{option} can't be given: each line of JSON Lines says what it asks for."
                raise click.UsageError(message)
        return None
    if to is None:
        raise click.UsageError("--to PLACE/ must be given: the manifest names no destinations.")
    modification = _in_seconds(request.modification)
    if "redact" in given and transcripts is None and not modification.transcripts:
        raise click.UsageError(
            "--redact says what to mask of transcripts: --transcripts is missing."
        )
    start = request.places["start_time_ms"]
    return ForAll(to, modification, start, include, transcripts)


def _in_seconds(modification: Modification) -> Modification:
    """The same edit with relative times as a batch has them."""
    if modification.relative_unit == "s":
        return modification
    if problems := time_problems(modification):
        raise InvalidRequestError(problems)

    def converted(one: Interval) -> Interval:
        start, end = (
            None if bound is None else Decimal(bound).scaleb(-3) for bound in (one.start, one.end)
        )
        return Interval(start, end, one.origin)

    return replace(
        modification,
        trim=modification.trim and converted(modification.trim),
        mask={party: [converted(one) for one in of] for party, of in modification.mask.items()},
        relative_unit="s",
    )


def _s3(settings: Settings | None, asked: dict[str, Any]) -> S3Options | None:
    names = {"kms_key": "kms_key", "s3_region": "region", "s3_endpoint": "endpoint_url"}
    own = {name: asked[option] for option, name in names.items() if option in asked}
    stored = settings.storage.s3 if settings is not None else None
    return replace(stored or S3Options(), **own) if own else stored


def _default_journal(manifest: str) -> Path:
    if "://" in manifest:
        raise click.UsageError("--journal FILE must be given: the manifest is not a local file.")
    return Path(f"{manifest.rstrip('/')}.journal")


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[BatchProgress | None]:
    """Jobs done, how fast, how long it will take, and how many failed."""
    if not shown:
        yield None
        return
    started = time.monotonic()
    next_draw = 0.0
    bar: Any = click.progressbar(
        length=total,
        label="Jobs",
        show_pos=True,
        show_eta=False,  # it would count as fast work what was done before
        item_show_func=lambda words: words,
        file=sys.stderr,
    )

    def draw(now: BatchState) -> None:
        nonlocal next_draw
        done = now.done + now.skipped
        if (seconds := time.monotonic()) >= next_draw or done >= total:
            next_draw = seconds + _DRAWN_EVERY_SECONDS
            bar.update(done - bar.pos, _pace(now, total, seconds - started))

    with bar:
        yield draw


def _pace(now: BatchState, total: int, seconds: float) -> str:
    words = []
    if now.done and seconds:
        rate = now.done / seconds
        left = max(0, total - now.done - now.skipped) / rate
        words += [f"{rate:.1f} a second", f"{timedelta(seconds=round(left))} left"]
    if now.failed:
        words.append(f"{now.failed:,} failed")
    return ", ".join(words)


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
