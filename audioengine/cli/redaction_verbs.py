# SPDX-License-Identifier: Apache-2.0
"""The verbs `dtmf` and `labels`: where keys of a telephone are heard, and what was masked."""

from __future__ import annotations

import json
from contextlib import closing

import click

from audioengine.choices import CallerChannel
from audioengine.cli.options import json_option, read_s3, s3_options, workers_option
from audioengine.storage.options import S3Options


@click.command(epilog="Example: audioengine dtmf call.mp3")
@click.argument("source", metavar="SRC")
@click.option(
    "--min-keys",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Leave out strings of fewer keys.",
)
@click.option(
    "--show-digits", is_flag=True, help="Print what keys they are: the secret that masks hide."
)
@click.option(
    "--caller-channel",
    type=click.Choice(["left", "right"]),
    default="left",
    show_default=True,
    help="The channel that holds the caller.",
)
@click.option(
    "--allow-truncated", is_flag=True, help="Take a recording that its tag says is cut off."
)
@s3_options
@workers_option
@json_option
def dtmf(
    source: str,
    min_keys: int,
    show_digits: bool,
    caller_channel: CallerChannel,
    allow_truncated: bool,
    workers: int | None,
    as_json: bool,
    **s3: str | None,
) -> None:
    """List where keys of a telephone (DTMF) are heard in the recording SRC.

    Keys without a pause of more than 3 s are a string. All of SRC is decoded.
    """
    from audioengine.operations.tones import dtmf_report

    report = dtmf_report(
        source,
        min_keys=min_keys,
        show_digits=show_digits,
        caller_channel=caller_channel,
        allow_truncated=allow_truncated,
        s3=read_s3(**s3),
        workers=workers,
    )
    click.echo(report.to_json() if as_json else report.text(show_digits=show_digits))


@click.command(epilog="Example: audioengine labels report.json -o masks.txt")
@click.argument("report", metavar="REPORT")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="The file to write: .txt for Audacity, .csv, .vtt, .TextGrid for Praat, .json for Label "
    "Studio.",
)
@s3_options
@json_option
def labels(report: str, output: str, as_json: bool, **s3: str | None) -> None:
    """Write the masks of REPORT as a label track, to look at what was masked.

    REPORT is what store, merge or plan printed with --json.
    """
    from audioengine.operations.label_files import labels_file, read_report
    from audioengine.redaction.labels.reading import label_format

    reached = read_s3(**s3)
    format = label_format(output)
    data, count = labels_file(read_report(report, reached), format)
    write_file(output, data, reached)
    told = {"output": output, "format": format, "labels": count, "bytes": len(data)}
    click.echo(json.dumps(told) if as_json else f"{output}: {count} labels")


def write_file(place: str, data: bytes, s3: S3Options | None) -> None:
    """Publish a small file, whole or not at all."""
    from audioengine.storage import open_destination

    with closing(open_destination(place, s3)) as staging:
        staging.write(data)
        staging.publish()
