# SPDX-License-Identifier: Apache-2.0
"""`verify --record`: a custody record judged, with a verdict for each entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from audioengine.cli.options import read_s3

if TYPE_CHECKING:
    from audioengine.custody.verdict import EntryVerdict, RecordVerification
    from audioengine.settings import Settings
    from audioengine.storage import Storage

_Callback = TypeVar("_Callback", bound=Callable[..., Any])

_SHOWN_FAILURES = 20
_OWN = {"record", "head", "files", "as_json", "s3_region", "s3_endpoint"}


def audit_options(verb: _Callback) -> _Callback:
    """Give a verb the options of `audit`."""
    verb = click.option(
        "--no-files",
        "files",
        flag_value=False,
        default=True,
        help="With --record: judge its chain alone, not the files that it names.",
    )(verb)
    verb = click.option(
        "--head", metavar="HASH", help="With --record: a head of it, as it was published once."
    )(verb)
    return click.option(
        "--record",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Judge this custody record; its key is the setting record_key.",
    )(verb)


def refuse_audit_options(ctx: click.Context) -> None:
    """Raise click.UsageError for options that only a record has, where there is none."""
    for param in ctx.command.params:
        if param.name in ("head", "files"):
            given = ctx.get_parameter_source(param.name) is not ParameterSource.DEFAULT
            if given:
                raise click.UsageError(f"{param.opts[0]} can only be given with --record FILE.")


def audit(
    ctx: click.Context, record: Path, head: str | None, *, files: bool, as_json: bool
) -> None:
    """Judge a custody record, and print what was found; exit code 1 where something is wrong."""
    for param in ctx.command.params:
        name = str(param.name)
        if name not in _OWN and ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            shown = param.opts[0] if param.opts[0].startswith("-") else param.human_readable_name
            raise click.UsageError(f"{shown} can't be given with --record: it says all.")
    from audioengine.custody.record import CustodyRecord
    from audioengine.operations.record_verification import verify_record
    from audioengine.settings import load_settings

    settings = load_settings()
    entries = _Entries() if as_json else None
    verdict = verify_record(
        CustodyRecord(record, settings.custody_key()),
        head=head,
        files=files,
        storage=_storage(ctx, settings) if files else None,
        told=entries,
    )
    if entries is not None:
        entries.end(verdict)
    else:
        click.echo(_text(verdict, files=files))
    if not verdict.passed:
        raise click.exceptions.Exit(1)


def _storage(ctx: click.Context, settings: Settings) -> Storage:
    s3 = read_s3(None, ctx.params["s3_region"], ctx.params["s3_endpoint"])
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
