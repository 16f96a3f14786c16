# SPDX-License-Identifier: Apache-2.0
"""The verbs `peaks` and `review`: what people look at and listen to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from audioengine.cli.options import (
    edit_options,
    json_option,
    read_request,
    read_s3,
    s3_options,
    workers_option,
)


@click.command(epilog="Example: audioengine peaks call.mp3 -o call.dat")
@click.argument("source", metavar="SRC")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write: .dat for binary data, .json for JSON.",
)
@click.option(
    "--pixels-per-second",
    type=float,
    default=100,
    show_default=True,
    help="How finely to draw: the samples of a pixel become its lowest and its highest.",
)
@click.option(
    "--bits",
    type=click.Choice(["8", "16"]),
    default="8",
    show_default=True,
    help="The size of a number.",
)
@click.option(
    "--caller-channel",
    type=click.Choice(["left", "right"]),
    default="left",
    show_default=True,
    help="The channel that comes first in the file.",
)
@click.option(
    "--allow-truncated", is_flag=True, help="Take a recording that lacks frames its tag promises."
)
@s3_options
@workers_option
@json_option
def peaks(
    source: str,
    output: Path,
    pixels_per_second: float,
    bits: str,
    caller_channel: Literal["left", "right"],
    allow_truncated: bool,
    workers: int | None,
    as_json: bool,
    **s3: str | None,
) -> None:
    """Write the waveform of the recording SRC, as audiowaveform writes it.

    peaks.js, waveform-data.js and wavesurfer.js read both formats.
    """
    if output.suffix not in (".dat", ".json"):
        raise click.BadParameter(f"{output} must end in .dat or .json", param_hint="--output")
    from audioengine.cli.progress import progress_bar
    from audioengine.reviewing.peaks import peaks as run
    from audioengine.storage import open_destination

    with progress_bar(shown=not as_json) as progress:
        made = run(
            source,
            pixels_per_second=pixels_per_second,
            caller_channel=caller_channel,
            allow_truncated=allow_truncated,
            s3=read_s3(**s3),
            workers=workers,
            progress=progress,
        )
    data = made.to_dat(int(bits)) if output.suffix == ".dat" else made.to_json(int(bits)).encode()
    staging = open_destination(output, None)
    try:
        staging.write(data)
        staging.publish()
    finally:
        staging.close()
    report = {
        "output": str(output),
        "bytes": len(data),
        "pixels": len(made),
        "samples_per_pixel": made.samples_per_pixel,
        "rate_hz": made.rate_hz,
        "bits": int(bits),
    }
    if as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(
            f"{output}: {len(made)} pixels of {made.samples_per_pixel} samples at "
            f"{made.rate_hz} Hz, {len(data)} bytes"
        )


@click.command(
    epilog="Example: audioengine review in.mp3 out.mp3 --mask caller=12.5-15 -o review.html"
)
@click.argument("source", metavar="SRC")
@click.argument("output", metavar="[OUT]", required=False)
@click.option(
    "-o",
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The HTML file to write.",
)
@edit_options()
@click.option(
    "--after-only",
    is_flag=True,
    help="Leave out all that comes from SRC: its sound, waveform, name and warnings.",
)
@click.option(
    "--with-audio", is_flag=True, help="Hold all of the recordings, not only clips around masks."
)
@click.option("--with-words", is_flag=True, help="Show the words of --transcript around each mask.")
@click.option(
    "--verify", is_flag=True, help="Show the verdict of verify too; needs audioengine[verify]."
)
@workers_option
@json_option
def review(
    source: str,
    output: str | None,
    page: Path,
    after_only: bool,
    with_audio: bool,
    with_words: bool,
    verify: bool,
    workers: int | None,
    as_json: bool,
    **edit: Any,
) -> None:
    """Make a page that shows what `store` makes of SRC, and plays it before and after.

    OUT is what `store` made before; without it, it is made anew, in memory. The page needs no
    network. It holds sound of SRC, unless --after-only is given: keep it as SRC is kept.
    """
    from audioengine.reviewing.page import review as run

    request = read_request(**edit)
    if request.places["raw"] is not None:
        raise click.UsageError("--raw: a page takes no file without a header; convert it first.")
    made = run(
        source,
        output,
        request.modification,
        request.options,
        after_only=after_only,
        with_audio=with_audio,
        with_words=with_words,
        verify=verify,
        workers=workers,
        start_time_ms=request.places["start_time_ms"],
        s3=request.places["s3"],
    )
    made.write(page)
    masks, size = len(made.report.masks), len(made.html.encode())
    if as_json:
        click.echo(json.dumps({"page": str(page), "masks": masks, "bytes": size}))
    else:
        click.echo(f"{page}: {masks} masks, {size} bytes")
