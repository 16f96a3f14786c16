# SPDX-License-Identifier: Apache-2.0
"""The verb `convert`: what a recorder leaves, as an MP3 recording."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click

from audioengine.choices import CallerChannel
from audioengine.cli.declared import read_number
from audioengine.cli.options import (
    json_option,
    raw_option,
    read_s3,
    s3_options,
    with_options,
    workers_option,
)
from audioengine.times import Number, epoch_ms

if TYPE_CHECKING:
    from audioengine.operations.captured import CaptureFile
    from audioengine.operations.legs import Legs

_Callback = TypeVar("_Callback", bound=Callable[..., object])

# What stands behind a file's last @ is a time if it begins like one; else it is of the name.
_TIME = re.compile(r"\d{4}-\d\d-|\d{10}")

_LEG_HELP = (
    "The {}'s file alone, and when it began: epoch milliseconds or ISO 8601; its end behind a "
    "slash, if known."
)

_LEG_OPTIONS = (
    click.option("--caller", metavar="FILE[@START[/END]]", help=_LEG_HELP.format("caller")),
    click.option("--callee", metavar="FILE[@START[/END]]", help=_LEG_HELP.format("callee")),
    raw_option,
    click.option(
        "--pcap",
        metavar="FILE",
        help="A packet capture (pcap, pcapng) with the RTP of one call; --caller and --callee are "
        "then an SSRC or a port each.",
    ),
    click.option(
        "--payload-type",
        "payload_types",
        multiple=True,
        metavar="N=CODEC",
        help="What a payload type of the capture stands for: 111=opus, 101=telephone-event.",
    ),
)


def leg_options(verb: _Callback) -> _Callback:
    """Give a verb the options from which `read_legs` makes legs."""
    return with_options(verb, _LEG_OPTIONS)


def read_legs(
    caller: str | None,
    callee: str | None,
    raw: str | None,
    pcap: str | None,
    payload_types: tuple[str, ...],
) -> Legs | CaptureFile | None:
    """Make what the options say legs, or a capture; None where there are neither.

    Raises InvalidRequestError for a time that is none, click.BadParameter for what is no number.
    """
    if pcap is not None:
        return _read_capture(pcap, caller, callee, payload_types)
    from audioengine.operations.legs import LegFile, Legs

    if caller is None and callee is None:
        return None

    def leg(text: str | None, party: str) -> LegFile | None:
        if text is None:
            return None
        name, start, end = _split(text, party)
        return LegFile(name, start, end, raw)

    return Legs(leg(caller, "caller"), leg(callee, "callee"))


def _read_capture(
    pcap: str, caller: str | None, callee: str | None, payload_types: tuple[str, ...]
) -> CaptureFile:
    """Make what the options say a capture.

    Raises click.BadParameter for what is no number.
    """
    from audioengine.operations.captured import CaptureFile

    def number(text: str | None, option: str) -> int | None:
        try:
            return None if text is None else int(text, 0)
        except ValueError:
            message = f"{text!r} must be an SSRC or a port of the capture, such as 0x9abcdef0."
            raise click.BadParameter(message, param_hint=option) from None

    types = {}
    for text in payload_types:
        kind, _, codec = text.partition("=")
        if not kind.isdecimal() or not codec:
            message = f"{text!r} must be NUMBER=CODEC, such as 111=opus."
            raise click.BadParameter(message, param_hint="--payload-type")
        types[int(kind)] = codec
    return CaptureFile(pcap, number(caller, "--caller"), number(callee, "--callee"), types)


def _split(text: str, party: str) -> tuple[str, Number | None, Number | None]:
    name, at, times = text.rpartition("@")
    if not at or not _TIME.match(times):
        return text, None, None
    start, slash, end = times.partition("/")
    begun = epoch_ms(start, f"{party}.start_time_ms")
    return name, begun, epoch_ms(end, f"{party}.end_time_ms") if slash else None


def read_timed(text: str) -> tuple[str, Number | None]:
    """The name of a file of both parties, and when it began, if that stands behind it.

    Raises InvalidRequestError for a time that is none.
    """
    name, at, start = text.rpartition("@")
    if not at or not _TIME.match(start) or Path(text).exists():
        return text, None
    return name, epoch_ms(start, "start_time_ms")


def _read_number(_ctx: click.Context, _option: click.Parameter, text: str) -> Number:
    return read_number(text)


@click.command(
    epilog="Example: audioengine convert --caller r.wav@1732953600000 "
    "--callee t.wav@2024-11-30T08:00:02.5Z call.mp3"
)
@click.argument("places", metavar="[SRC] DST", nargs=-1, required=True)
@leg_options
@click.option(
    "--caller-channel",
    type=click.Choice(get_args(CallerChannel)),
    default="left",
    show_default=True,
    help="The channel of DST that is the caller's.",
)
@click.option("--swap", is_flag=True, help="Exchange the two channels of SRC.")
@click.option(
    "--kbps",
    type=int,
    metavar="N",
    help="Bitrate of DST; default 32 at 8 kHz, 48 at 16 kHz, 128 from 32 kHz on.",
)
@click.option(
    "--max-apart-s",
    default="2",
    show_default=True,
    callback=_read_number,
    metavar="S",
    help="Refuse a leg whose length is so far from its times; warn where legs end so far apart.",
)
@click.option(
    "--allow-truncated", is_flag=True, help="Take files that their headers say are cut off."
)
@s3_options
@workers_option
@json_option
def convert(
    places: tuple[str, ...],
    caller: str | None,
    callee: str | None,
    raw: str | None,
    pcap: str | None,
    payload_types: tuple[str, ...],
    caller_channel: CallerChannel,
    swap: bool,
    kbps: int | None,
    max_apart_s: Number,
    allow_truncated: bool,
    workers: int | None,
    as_json: bool,
    **s3: str | None,
) -> None:
    """Make the recording DST of what a recorder leaves: an MP3, exact on its clock.

    SRC is a file of both parties: WAV, FLAC, Ogg, AIFF and others, known by their bytes. Or
    --caller and --callee name a file of each, laid on one clock by their starts. Or --pcap names
    a capture, in which each packet is at its RTP timestamp.
    """
    legs = read_legs(caller, callee, raw, pcap, payload_types)
    *sources, destination = places
    if len(sources) != (legs is None):
        given = (
            "--pcap, --caller or --callee"
            if legs is not None
            else "none of --pcap, --caller and --callee"
        )
        wanted = "DST alone" if legs is not None else "SRC and DST"
        raise click.UsageError(f"With {given}, {wanted} must be given.")
    from audioengine.cli.progress import progress_bar
    from audioengine.operations.converting import convert as run

    with progress_bar(shown=not as_json) as progress:
        report = run(
            sources[0] if legs is None else legs,
            destination,
            raw=raw if legs is None else None,
            caller_channel=caller_channel,
            swap=swap,
            kbps=kbps,
            max_apart_s=max_apart_s,
            allow_truncated=allow_truncated,
            s3=read_s3(**s3),
            workers=workers,
            progress=progress,
        )
    click.echo(report.to_json() if as_json else report.text(destination))
