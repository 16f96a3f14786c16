# SPDX-License-Identifier: Apache-2.0
"""The verbs `store`, `plan` and `inspect`: a library call each, its report printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audioengine.cli.options import (
    Request,
    edit_options,
    json_option,
    read_record,
    read_request,
    read_s3,
    record_options,
    s3_options,
    workers_option,
)

if TYPE_CHECKING:
    from audioengine.redaction.labels.reading import LabelFormat
    from audioengine.report import PlanReport, StoreReport

_SOURCE = click.argument("source", metavar="SRC")


@click.command(
    epilog="Example: audioengine store in.mp3 out.mp3 --trim 10-50 --mask caller=12.5-15"
)
@_SOURCE
@click.argument("destination", metavar="DST")
@edit_options("publish")
@record_options
@workers_option
@click.option(
    "--review",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page too that shows and plays what was done, as the verb review does.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done, like plan.")
@click.option(
    "--labels-out",
    metavar="FILE",
    help="Write the masks as a label track too: .txt for Audacity, .csv, .vtt, .TextGrid, .json.",
)
@json_option
def store(
    source: str,
    destination: str,
    record: Path | None,
    pcm_digest: bool,
    workers: int | None,
    page: Path | None,
    dry_run: bool,
    labels_out: str | None,
    as_json: bool,
    **edit: Any,
) -> None:
    """Trim and mask the recording SRC into DST, which may be the same file.

    DST appears whole or not at all. Without an edit it is a copy, byte for byte.
    """
    format = None
    if labels_out is not None:
        from audioengine.redaction.labels.reading import label_format

        format = label_format(labels_out)
    request = read_request(**edit)
    if dry_run:
        with _review_beside(page, source, request, workers):
            planned = _plan(source, request, as_json=as_json)
        _write_labels(planned, labels_out, format, request)
        return
    kept = read_record(record, pcm_digest)
    from audioengine.cli.progress import progress_bar
    from audioengine.operations.store import store as run

    with (
        _review_beside(page, source, request, workers),
        progress_bar(shown=not as_json) as progress,
    ):
        report = run(
            source,
            destination,
            request.modification,
            request.options,
            **request.places,
            record=kept,
            workers=workers,
            progress=progress,
        )
    _write_labels(report, labels_out, format, request)
    click.echo(report.to_json() if as_json else report.text(source, destination))


@contextmanager
def _review_beside(
    page: Path | None, source: str, request: Request, workers: int | None
) -> Iterator[None]:
    """Publish a review page where what is done meanwhile succeeds.

    It is made before: the output may replace the source.
    """
    if page is None:
        yield
        return
    from audioengine.reviewing.page import review
    from audioengine.storage import open_destination

    with closing(open_destination(page)) as staging:
        made = review(
            source,
            None,
            request.modification,
            request.options,
            verify=request.options.verify,
            workers=workers,
            **request.places,
        )
        staging.write(made.html.encode())
        yield
        staging.publish()


def _write_labels(
    report: StoreReport | PlanReport,
    place: str | None,
    format: LabelFormat | None,
    request: Request,
) -> None:
    """Write the masks of a report as labels, where they are asked for."""
    if place is None or format is None:
        return
    from audioengine.cli.redaction_verbs import write_file
    from audioengine.operations.label_files import labels_file

    write_file(place, labels_file(report.to_dict(), format)[0], request.places["s3"])


@click.command()
@_SOURCE
@edit_options()
@json_option
def plan(source: str, as_json: bool, **edit: Any) -> None:
    """Say what `store` would do with SRC. Nothing is decoded or written."""
    _plan(source, read_request(**edit), as_json=as_json)


def _plan(source: str, request: Request, *, as_json: bool) -> PlanReport:
    from audioengine.operations.store import plan_store

    report = plan_store(source, request.modification, request.options, **request.places)
    click.echo(report.to_json() if as_json else report.text(source))
    return report


@click.command()
@_SOURCE
@s3_options
@json_option
def inspect(source: str, as_json: bool, **s3: str | None) -> None:
    """Describe the recording SRC by its frames. Nothing is decoded."""
    from audioengine.operations.inspection import inspect as run

    info = run(source, s3=read_s3(**s3))
    click.echo(info.to_json() if as_json else info.text(source))
