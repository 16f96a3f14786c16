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

_SHOWN_FAILURES = 20


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
        click.echo(_text(verdict, files=files))
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


def _shown(message: str) -> str:
    """A message without line ends and control characters: whoever wrote the record chose them."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in message
    )


def _text(verdict: RecordVerification, *, files: bool) -> str:
    from audioengine.cli.text import layout

    hmacs = "without HMACs"
    if verdict.keyed:
        hmacs = "HMACs checked" if verdict.key_checked else "HMACs not checked: no key is set"
    covered = []
    if verdict.head_line is not None:
        covered = [f"the one given is that of line {verdict.head_line:,}, and covers no later one"]
    failed = [f"{one.code}: {one.message}" for one in verdict.findings]
    for entry in verdict.failures[:_SHOWN_FAILURES]:
        failed += [
            f"line {entry.line}: {one.code}: {_shown(one.message)}" for one in entry.findings
        ]
    if verdict.failed > _SHOWN_FAILURES:
        more = verdict.failed - _SHOWN_FAILURES
        failed.append(f"and {more:,} more entries; --json names all")
    outputs = f"{verdict.outputs_checked:,} checked, {verdict.outputs_superseded:,} superseded"
    sources = f"{verdict.sources_checked:,} checked, {verdict.sources_unreachable:,} unreachable"
    right = "VERIFIED" if verdict.passed else "NOT VERIFIED"
    count = f"{verdict.count - verdict.failed:,} of {verdict.count:,} entries are right"
    return layout(
        (
            "Record",
            [f"{click.format_filename(verdict.record)}: {verdict.count:,} entries, {hmacs}"],
        ),
        ("Head", [verdict.head, *covered]),
        ("Outputs", [outputs] if files else ["not looked at"]),
        ("Sources", [sources] if files else []),
        ("Failed", failed),
        ("Verdict", [f"{right}: {count}"]),
        ("Took", [f"{verdict.wall_seconds:.3f} s (audioengine {verdict.version})"]),
    )
