# SPDX-License-Identifier: Apache-2.0
"""The verb `verify-record`: a custody record judged, with a verdict for each entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audioengine.cli.options import json_option, place_options, read_s3

if TYPE_CHECKING:
    from audioengine.custody.verdict import EntryVerdict, RecordVerification
    from audioengine.settings import Settings
    from audioengine.storage import Storage


@click.command(
    "verify-record", epilog="Example: audioengine verify-record custody.jsonl --head 3f2a…"
)
@click.argument("record", type=click.Path(path_type=Path, dir_okay=False), metavar="RECORD")
@click.option("--head", metavar="HASH", help="A head of the record, as it was published.")
@click.option(
    "--no-files",
    "files",
    flag_value=False,
    default=True,
    help="Judge the chain alone, not the files that it names.",
)
@place_options
@json_option
def verify_record(
    record: Path,
    head: str | None,
    files: bool,
    s3_region: str | None,
    s3_endpoint: str | None,
    as_json: bool,
) -> None:
    """Judge the custody record RECORD, and the files that it names.

    The setting record_key has its key. The exit code is 1 if anything is wrong.
    """
    from audioengine.custody.record import CustodyRecord
    from audioengine.operations.record_verification import verify_record as judge
    from audioengine.settings import load_settings

    settings = load_settings()
    entries = _Entries() if as_json else None
    verdict = judge(
        CustodyRecord(record, settings.custody_key()),
        head=head,
        files=files,
        storage=_storage(settings, s3_region, s3_endpoint) if files else None,
        on_entry=entries,
    )
    if entries is not None:
        entries.end(verdict)
    else:
        click.echo(verdict.text(files=files))
    if not verdict.passed:
        raise click.exceptions.Exit(1)


def _storage(settings: Settings, s3_region: str | None, s3_endpoint: str | None) -> Storage:
    s3 = read_s3(None, s3_region, s3_endpoint)
    if s3 is not None:
        from audioengine.storage.s3_storage import S3Storage

        return S3Storage(s3)
    from audioengine.execution.execute import storage_of

    return storage_of(settings)


class _Entries:
    """Prints one JSON object piece by piece, as a record may have millions of entries."""

    def __init__(self) -> None:
        self._next = '{"entries": ['

    def __call__(self, entry: EntryVerdict) -> None:
        click.echo(self._next + json.dumps(entry.to_dict()), nl=False)
        self._next = ", "

    def end(self, verdict: RecordVerification) -> None:
        """Print the rest."""
        begun = "" if self._next == ", " else self._next
        # Not to_json: a place may hold what no terminal's encoding has.
        click.echo(f"{begun}], {json.dumps(verdict.to_dict())[1:]}")
