# SPDX-License-Identifier: Apache-2.0
"""The verbs `verify` and `verify-merge`: outputs judged from the files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from audioengine.cli.merge_verb import part_options, read_merge
from audioengine.cli.options import (
    edit_options,
    json_option,
    read_request,
    workers_option,
)

if TYPE_CHECKING:
    from audioengine.verification.verdict import MergeVerification, Verification


@click.command(
    epilog="Example: audioengine verify in.mp3 out.mp3 --trim 10-50 --mask caller=12.5-15"
)
@click.argument("source", metavar="SRC")
@click.argument("output", metavar="OUT")
@edit_options()
@click.option(
    "--output-transcript",
    metavar="FILE",
    help="A transcript of OUT: fail where it still has a word inside a mask, or a card number.",
)
@workers_option
@json_option
def verify(
    source: str,
    output: str,
    output_transcript: str | None,
    workers: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge whether OUT is what `store` promises to make of SRC with the same options.

    Only the files count, and decoders that rendering does not use hear them; this needs
    audioengine[verify]. The exit code is 1 if a check fails.
    """
    from audioengine.operations.verification import verify as judge

    request = read_request(**options)
    verdict = judge(
        source,
        output,
        request.modification,
        request.options,
        output_transcript=output_transcript,
        workers=workers,
        **request.places,
    )
    _print(verdict, verdict.text(source, output), as_json=as_json)


@click.command(
    "verify-merge",
    epilog="Example: audioengine verify-merge whole.mp3 --part a.mp3@1728890677283 "
    "--part b.mp3@1728890680444",
)
@click.argument("output", metavar="OUT")
@part_options()
@workers_option
@json_option
def verify_merge(output: str, workers: int | None, as_json: bool, **options: Any) -> None:
    """Judge whether OUT is what `merge` promises to make with the same options.

    As `verify` does for a store. The exit code is 1 if a check fails.
    """
    from audioengine.operations.merge_verification import verify_merge as judge

    request = read_merge(**options)
    verdict = judge(request.parts, output, request.options, s3=request.s3, workers=workers)
    _print(verdict, verdict.text(output), as_json=as_json)


def _print(verdict: Verification | MergeVerification, shown: str, *, as_json: bool) -> None:
    click.echo(verdict.to_json() if as_json else shown)
    if not verdict.passed:
        raise click.exceptions.Exit(1)
