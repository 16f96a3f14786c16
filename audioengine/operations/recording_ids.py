# SPDX-License-Identifier: Apache-2.0
"""What the id of a recording tells of its time: a version-1 UUID holds when it was made."""

from __future__ import annotations

import uuid
from fractions import Fraction

from audioengine.notices import Notice

# It is made when the recording is set up, a moment before that starts.
_MAX_LEAD_MS = 60_000
_UUID_EPOCH_MS = 12_219_292_800_000  # from 1582-10-15, where such UUIDs count from, to 1970


def made_ms(recording_id: str | None) -> Fraction | None:
    """When an id was made, in epoch milliseconds (RFC 9562, 5.1); None where it does not tell."""
    try:
        made = uuid.UUID(recording_id or "")
    except ValueError:
        return None
    return Fraction(made.time, 10_000) - _UUID_EPOCH_MS if made.version == 1 else None


def implausible_start(recording_id: str | None, start_ms: Fraction) -> list[Notice]:
    """A warning where an id speaks of another time than the start that is given."""
    made = made_ms(recording_id)
    if made is None or abs(start_ms - made) <= _MAX_LEAD_MS:
        return []
    seconds = float(abs(start_ms - made)) / 1000
    message = f"The start time is {seconds:.0f} s away from when its recordingId was made."
    return [Notice("start_time_implausible", message)]
