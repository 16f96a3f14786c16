# SPDX-License-Identifier: Apache-2.0
"""Opening the place of an output, which is always an MP3."""

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


def open_output(destination: DestinationLike, s3: S3Options | None = None) -> Staging:
    """Prepare a place for an MP3, as `open_destination` does.

    Raises InvalidRequestError also where its name is that of another kind of file.
    """
    if isinstance(destination, (str, os.PathLike)):
        name = os.fsdecode(destination)
        ending = next((one for one in _OTHER_KINDS if name.lower().endswith(one)), None)
        if ending is not None:
            rule = f"must not end with {ending}: what is written is an MP3, name it .mp3"
            raise InvalidRequestError.of("destination", name, rule)
    return open_destination(destination, s3)
