# SPDX-License-Identifier: Apache-2.0
"""The verb `peaks`: the waveform of a recording, for players that draw one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from audioengine.cli.options import json_option, read_s3, s3_options, workers_option


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
    from audioengine.review.peaks import peaks as run
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
