# SPDX-License-Identifier: Apache-2.0
"""A command as alarms show it: enough to queue it again by hand, and nothing secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from audioengine.commands.names import HIDDEN
from audioengine.commands.redaction import redacted, redacted_text, shown_key
from audioengine.commands.requests import COMMANDS, MAX_COMMAND_BYTES, MergeEntry
from audioengine.commands.unknown import EVENT_KEYS
from audioengine.commands.wire import Wire, keys
from audioengine.edits import Dialect
from audioengine.errors import InvalidRequestError
from audioengine.json_input import parse_json

_OF_EDITS = frozenset(
    {"absoluteTimes", "absoluteTime", "mask", "trim", "caller", "callee", "from", "to"}
)
_KNOWN = _OF_EDITS.union({"dialect"}, EVENT_KEYS, keys(MergeEntry), *map(keys, COMMANDS.values()))

# Base64 of 32 bytes, be it with JSON's escapes: a customer's key, whatever stands before it.
_MATERIAL = re.compile(r"(?:[A-Za-z0-9+/]|\\/){43}=")
_MOST_NESTED = 50


def labelled(command: object, dialect: Dialect, method: str | None) -> object:
    """Return a command, as text, with what its door knows of it and its text does not say.

    A REST body says neither its method nor that it counts in milliseconds. Text that is no JSON
    object, or repeats a key, stays as it is.
    """
    if not isinstance(command, (str, bytes)) or (dialect == "sqs" and method is None):
        return command
    try:
        values = parse_json(command, "command") if len(command) <= MAX_COMMAND_BYTES else None
    except InvalidRequestError:
        return command
    if not isinstance(values, dict):
        return command
    labels = {"method": method or values.get("method"), "dialect": dialect}
    return {**labels, **{name: one for name, one in values.items() if name not in labels}}


def shown_command(command: object) -> str:
    """Return what may be shown of a command: a value, its JSON values, or its text.

    Values of keys that nobody knows are hidden: one may be a secret under a misspelt name.
    """
    if isinstance(command, Wire):
        command = command.to_dict()
    if isinstance(command, (bytes, bytearray)):
        command = command.decode(errors="replace")
    if not isinstance(command, str):
        return json.dumps(redacted(_hidden(command, 0)), ensure_ascii=False)
    try:
        values = json.loads(command)
    except (ValueError, RecursionError):
        return _MATERIAL.sub(HIDDEN, redacted_text(command))
    if not isinstance(values, (dict, list)):
        return _MATERIAL.sub(HIDDEN, redacted_text(command))
    hidden = _hidden(values, 0)
    return redacted_text(command if hidden == values else json.dumps(hidden))


def _hidden(value: object, depth: int) -> Any:
    if depth > _MOST_NESTED:
        return value  # of which redaction shows nothing
    if isinstance(value, Mapping):
        return {
            shown_key(str(name)): _hidden(one, depth + 1)
            if name in _KNOWN or one is None
            else HIDDEN
            for name, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_hidden(one, depth + 1) for one in value]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _hidden_text(value, depth)
    return value


def _hidden_text(text: str, depth: int) -> str:
    try:
        inner = json.loads(text)
    except (ValueError, RecursionError):
        return _MATERIAL.sub(HIDDEN, text)
    hidden = _hidden(inner, depth + 1)
    return text if hidden == inner else json.dumps(hidden)
