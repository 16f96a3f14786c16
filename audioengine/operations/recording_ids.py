# SPDX-License-Identifier: Apache-2.0
"""Times in recording ids: a version-1 UUID holds the time when it was made."""

from __future__ import annotations

import uuid
from fractions import Fraction

from audioengine.notices import Notice

# The id is made when the recording is set up, shortly before it starts.
_MAX_LEAD_MS = 60_000
_UUID_EPOCH_MS = 12_219_292_800_000  # from 1582-10-15, the epoch of such UUIDs, to 1970


def made_ms(recording_id: str | None) -> Fraction | None:
    """When an id was made, in epoch milliseconds (RFC 9562, 5.1); None for other ids."""
    try:
        made = uuid.UUID(recording_id or "")
    except ValueError:
        return None
    return Fraction(made.time, 10_000) - _UUID_EPOCH_MS if made.version == 1 else None


def implausible_start(recording_id: str | None, start_ms: Fraction) -> list[Notice]:
    """A warning if an id was made at another time than the given start."""
    made = made_ms(recording_id)
    if made is None or abs(start_ms - made) <= _MAX_LEAD_MS:
        return []
    seconds = float(abs(start_ms - made)) / 1000
    message = f"The start time is {seconds:.0f} s away from the time in its recordingId."
    return [Notice("start_time_implausible", message)]
