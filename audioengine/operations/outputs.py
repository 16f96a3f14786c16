# SPDX-License-Identifier: Apache-2.0
"""Opens the destination of an output, which is always an MP3."""

from __future__ import annotations

import os

from audioengine.errors import InvalidRequestError
from audioengine.storage import DestinationLike, S3Options, Staging, open_destination

_OTHER_KINDS = (
    ".aac",
    ".aif",
    ".aiff",
    ".flac",
    ".m4a",
    ".mp4",
    ".ogg",
    ".opus",
    ".raw",
    ".wav",
    ".webm",
)


def _other_kind(name: str) -> str | None:
    """The ending of a name if it belongs to another kind of file; else None."""
    return next((one for one in _OTHER_KINDS if name.lower().endswith(one)), None)


def output_name(name: str) -> str:
    """The name of a source's output: the same, with .mp3 added to a name of another kind of file.

    The ending stays, so that call.wav and call.mp3 have different outputs.
    """
    return name if _other_kind(name) is None else f"{name}.mp3"


def open_output(destination: DestinationLike, s3: S3Options | None = None) -> Staging:
    """Open a destination for an MP3, as `open_destination` does.

    Raises InvalidRequestError also for a name of another kind of file.
    """
    if isinstance(destination, (str, os.PathLike)):
        name = os.fsdecode(destination)
        ending = _other_kind(name)
        if ending is not None:
            rule = f"must not end with {ending}: the output is an MP3, so name it .mp3"
            raise InvalidRequestError.of("destination", name, rule)
    return open_destination(destination, s3)
