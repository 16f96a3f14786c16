# SPDX-License-Identifier: Apache-2.0
"""Encodes samples of a source that is no MP3."""

from __future__ import annotations

from audioengine.edits import Beep
from audioengine.errors import InvalidRequestError, Problem
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.info_tag import OWN_ENCODER
from audioengine.operations.hashing import sha256_hex
from audioengine.pcm.tone import BeepTone
from audioengine.plan.encode import header_for, plan_encode
from audioengine.render.edited import ReadPcm
from audioengine.render.execute import Progress, Rendered, render_plan
from audioengine.render.stream import PatchedStream
from audioengine.report import FileReport
from audioengine.storage import Staging


def kbps_problem(kbps: object, format: StreamFormat, field: str) -> Problem | None:
    """The problem with a requested bitrate; None if MP3 has it at this sampling rate."""
    if kbps in format.bitrates_kbps[1:] and not isinstance(kbps, bool):
        return None
    rule = f"must be one of {', '.join(map(str, format.bitrates_kbps[1:]))} kbit/s"
    return Problem(field, kbps, rule)


def checked_kbps(kbps: int, format: StreamFormat) -> int:
    """The bitrate. Raises InvalidRequestError if MP3 lacks it at this sampling rate."""
    problem = kbps_problem(kbps, format, "kbps")
    if problem is not None:
        raise InvalidRequestError([problem])
    return kbps


def encode_samples(
    read_pcm: ReadPcm,
    samples: int,
    format: StreamFormat,
    kbps: int,
    staging: Staging,
    workers: int,
    progress: Progress | None,
) -> Rendered:
    """Write `samples` samples, which `read_pcm` returns counted from 0, as a tagged MP3.

    Raises UnsupportedAudioError if players would take the end of the output for a tag.
    """
    bitrate_index = format.bitrates_kbps.index(kbps)
    return render_plan(
        PatchedStream(header_for(format, bitrate_index), OWN_ENCODER, ()),
        plan_encode(format, samples, bitrate_index),
        BeepTone(Beep(), format.rate_hz),
        staging,
        read_pcm,
        workers=workers,
        progress=progress,
    )


def output_file(
    staging: Staging, samples: int, format: StreamFormat, rendered: Rendered
) -> FileReport:
    """The report of the written file."""
    return FileReport(
        sha256=sha256_hex(staging),
        bytes=staging.size,
        samples=samples,
        rate_hz=format.rate_hz,
        channels=format.channels,
        tagged=True,
        encoder_delay=rendered.encoder_delay,
        padding=rendered.padding,
    )
