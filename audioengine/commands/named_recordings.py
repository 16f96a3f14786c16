# SPDX-License-Identifier: Apache-2.0
"""The recordings that a command names, read before anything else of it is judged.

Commands on one recording run one after another, so even a text that is no valid command is searched
for ids: a later delete must wait for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from audioengine.errors import InvalidRequestError
from audioengine.json_input import parse_json

_RECORDING_ID = re.compile(r'"recordingId"\s*:\s*("(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")')


def recordings_of(text: str) -> frozenset[str]:
    """Return the ids that a command names; a text that is no JSON object may only seem to."""
    data = text.encode(errors="replace").strip()
    try:
        values = parse_json(data, "command")
    except InvalidRequestError:
        return seeming_recordings(data)
    return recordings_in(values) if isinstance(values, dict) else seeming_recordings(data)


def recordings_in(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids that the JSON values of a command name."""
    named = [values.get("recordingId")]
    entries = values.get("toMerge")
    if isinstance(entries, list):
        named += [entry.get("recordingId") for entry in entries if isinstance(entry, dict)]
    return frozenset(name for name in named if isinstance(name, str))


def seeming_recordings(data: bytes) -> frozenset[str]:
    """Return the ids that a text seems to name, whatever else it is."""
    return frozenset(
        json.loads(text, strict=False)
        for text in _RECORDING_ID.findall(data.decode(errors="replace"))
    )
