# SPDX-License-Identifier: Apache-2.0
"""The verb `verify`, of outputs of `store` and of `merge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from audioengine.cli.audit import audit, audit_options, refuse_audit_options
from audioengine.cli.merge_verb import part_options, read_merge
from audioengine.cli.options import (
    edit_options,
    json_option,
    read_request,
    workers_option,
)

_OF_STORE = (
    "trim",
    "mask",
    "absolute",
    "start_time_ms",
    "params",
    "dialect",
    "encoder_delay",
    "fallback",
)
_OF_MERGE = (
    "named",
    "conferences",
    "command",
    "align",
    "missing",
    "mask_scope",
    "max_timeline_s",
    "max_gap_s",
)


@click.command(
    epilog="Example: audioengine verify in.mp3 out.mp3 --trim 10-50 --mask caller=12.5-15"
)
@click.argument("places", nargs=-1, metavar="[SRC] OUT")
@click.option(
    "--merge",
    "merged",
    is_flag=True,
    help="Judge the output of merge, of which no SRC but its options are given.",
)
@edit_options
@part_options
@workers_option
@audit_options
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    places: tuple[str, ...],
    merged: bool,
    workers: int | None,
    record: Path | None,
    head: str | None,
    files: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge whether OUT is what `store` promises to make of SRC with the same options.

    With --merge, whether it is what `merge` promises. From the files alone, with a decoder that
    neither uses; takes audioengine[verify]. With --record, without places, a custody record and the
    files that it names are judged. The exit code is 1 where a check fails.
    """
    if record is not None:
        audit(ctx, record, head, files=files, as_json=as_json)
        return
    refuse_audit_options(ctx)
    wanted, other = (("OUT",), _OF_STORE) if merged else (("SRC", "OUT"), _OF_MERGE)
    if len(places) < len(wanted):
        raise click.UsageError(f"Missing argument '{wanted[len(places)]}'.")
    if len(places) > len(wanted):
        raise click.UsageError(f"Got unexpected extra argument ({places[len(wanted)]}).")
    _refuse(ctx, other, merged=merged)
    asked = {name: value for name, value in options.items() if name not in other}
    judge = _verify_merge if merged else _verify_store
    passed, json, text = judge(places, asked, workers)
    click.echo(json if as_json else text)
    if not passed:
        raise click.exceptions.Exit(1)


def _refuse(ctx: click.Context, names: Sequence[str], *, merged: bool) -> None:
    """Raise click.UsageError where an option is given that the other kind of output has."""
    for option in ctx.command.params:
        name = str(option.name)
        if name in names and ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            hint = "can't be given with" if merged else "can only be given with"
            raise click.UsageError(f"{option.opts[0]} {hint} --merge.")


def _verify_store(
    places: Sequence[str], asked: dict[str, Any], workers: int | None
) -> tuple[bool, str, str]:
    from audioengine.cli import text
    from audioengine.operations.verification import verify as run

    request = read_request(**asked)
    source, output = places
    verdict = run(source, output, request.modification, **request.options, workers=workers)
    return verdict.passed, verdict.to_json(), text.verified(verdict, source, output)


def _verify_merge(
    places: Sequence[str], asked: dict[str, Any], workers: int | None
) -> tuple[bool, str, str]:
    from audioengine.cli import merge_text
    from audioengine.operations.merge_verification import verify_merge as run

    request = read_merge(**asked)
    (output,) = places
    verdict = run(request.parts, output, **request.options, workers=workers)
    return verdict.passed, verdict.to_json(), merge_text.verified(verdict, output)
