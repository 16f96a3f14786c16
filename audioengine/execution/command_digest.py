# SPDX-License-Identifier: Apache-2.0
"""What makes two commands the same: a digest of all that decides about their output.

It covers method, domain, recordings, destination, edits and the settings that change audio; not the
token, nor versions. An output carries it, so that a command that comes again finds its own result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

from audioengine.commands.names import CustomerKey, EncryptionKey, KmsKey
from audioengine.commands.requests import Command, MergeRecordings, StoreRecording
from audioengine.declaration import declarations, values
from audioengine.edits import Interval, Modification
from audioengine.operations.options import OWN_OF_MERGE, StoreOptions
from audioengine.settings import Settings
from audioengine.storage.buckets import Location
from audioengine.times import Number, exact

COMMAND_DIGEST = "command-digest"
"""Name of an output's metadata."""


def command_digest(
    command: Command,
    domain: str,
    destination: Location | None,
    key: EncryptionKey | None,
    settings: Settings,
) -> str:
    """Return the digest of a command, in hexadecimal.

    destination: as the command asks for it, before any suffix; None where there is none.
    key: what the output is encrypted with.
    """
    parts: dict[str, Any] = {"method": command.method, "domain": domain}
    if destination is not None:
        parts |= {"destination": str(destination), "key": _key(key)}
    if isinstance(command, StoreRecording):
        parts["recording"] = command.recording_id
        parts["modification"] = _modification(command.modification, settings.store)
        if command.modification is not None:
            parts["start"] = _number(command.start_time_ms)
            parts["store"] = _options(settings.store)
    elif isinstance(command, MergeRecordings):
        parts["merge"] = _options(settings.merge, OWN_OF_MERGE)
        parts["store"] = _options(settings.store)
        parts["recordings"] = sorted(
            (
                {
                    "recording": entry.recording_id,
                    "start": _number(entry.start_time_ms),
                    "conferences": [
                        [_number(one.start_time_ms), _number(one.end_time_ms)]
                        for one in entry.conference_segments
                    ],
                    "modification": _modification(entry.modification, settings.store),
                }
                for entry in command.to_merge
            ),
            key=lambda one: Fraction(one["start"]),  # those that start together keep their order
        )
    else:
        parts["recording"] = command.recording_id
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _key(key: EncryptionKey | None) -> str | None:
    if isinstance(key, KmsKey):
        return key.key_id
    if isinstance(key, CustomerKey):
        return hashlib.sha256(b"customer key" + key.material).hexdigest()
    return None


def _options(options: object, names: Collection[str] | None = None) -> Mapping[str, str]:
    """The options, or those of these names, that decide about an output."""
    chosen = values(options)
    return {
        one.name: str(chosen[one.name])
        for one in declarations(type(options))
        if one.option.effect != "none" and (names is None or one.name in names)
    }


def _modification(modification: Modification | None, options: StoreOptions) -> object:
    """Edits in milliseconds, sorted and joined: how they are written is of no account."""
    if modification is None:
        return None
    unit = 1 if modification.absolute_times or modification.relative_unit == "ms" else 1000
    both = modification.mask.get("both", ())
    guard = options.completed(modification).guard_ms
    told: dict[str, object] = {}
    if modification.transcripts:
        told["transcripts"] = [[one.place, one.party] for one in modification.transcripts]
        told["redact"] = list(modification.redact)
    return {
        **told,
        "absolute": modification.absolute_times,
        "trim": None if modification.trim is None else _bounds(modification.trim, unit),
        "mask": {
            party: _joined([*modification.mask.get(party, ()), *both], unit)
            for party in ("caller", "callee")
        },
        "guard": [_number(one) for one in (guard if isinstance(guard, tuple) else (guard, guard))],
    }


def _joined(intervals: Sequence[Interval], unit: int) -> list[list[str]]:
    joined: list[tuple[Fraction | float, Fraction | float]] = []
    for start, end in sorted(
        (_edge(one.start, -math.inf, unit), _edge(one.end, math.inf, unit)) for one in intervals
    ):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return [[str(start), str(end)] for start, end in joined]


def _edge(bound: Number | None, end: float, unit: int) -> Fraction | float:
    """A bound; where it is open, the end of all times."""
    return end if bound is None else exact(bound, "") * unit


def _bounds(interval: Interval, unit: int) -> list[str | None]:
    return [
        None if bound is None else str(exact(bound, "") * unit)
        for bound in (interval.start, interval.end)
    ]


def _number(value: Number | None) -> str | None:
    return None if value is None else str(exact(value, ""))
