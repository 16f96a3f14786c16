# SPDX-License-Identifier: Apache-2.0
"""What of a command may be shown: in alarms, journals, logs and errors.

`encryptionKey` becomes `***` unless it names a KMS key, however it is spelt, nested or escaped.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from audioengine.commands.names import HIDDEN, kms_key

_WITHHELD = "…[withheld]"
_PLAIN_KEY = re.compile(r"[\w.\[\]-]{0,200}")
_SHOWN_CHARACTERS = 200
_MAX_DEPTH = 50
_MAX_BITS = 14_000  # Python prints no more digits
# A text that may hold a key and its name, be it with JSON's escapes.
_SUSPICIOUS = re.compile(r"encryption[\W_]*key|\\u00", re.IGNORECASE)


def is_secret_key(name: object) -> bool:
    """Whether what stands under this key of an object may be a secret."""
    return "encryptionkey" in re.sub(r"[\W_]", "", str(name)).lower()


def shown_key(text: str) -> str:
    """Return a key, or a path of keys: itself where it is plain, else without secrets, and cut."""
    return text if _PLAIN_KEY.fullmatch(text) else redacted_text(text)[:_SHOWN_CHARACTERS]


def redacted(value: object) -> Any:
    """Return a JSON value without its secrets; what JSON can't write becomes what it can."""
    return _redacted(value, 0)


def _redacted(value: object, depth: int) -> object:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return "a huge number"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return _text(value, depth)
    if isinstance(value, Decimal):
        return number(value)
    if depth >= _MAX_DEPTH or not isinstance(value, (dict, list, tuple)):
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        return {
            shown_key(str(key)): _key(inner) if is_secret_key(key) else _redacted(inner, depth + 1)
            for key, inner in value.items()
        }
    return [_redacted(inner, depth + 1) for inner in value]


def redacted_text(text: str) -> str:
    """Return a command as it came, as text, without its secrets.

    Text that names a key and is not JSON is cut before the name.
    """
    return _text(text, 0)


def number(value: Decimal) -> int | float:
    """Return a decimal as JSON's writer takes it."""
    if value.is_finite() and value == value.to_integral_value() and value.adjusted() < 100:
        return int(value)
    return float(value)


def _key(value: object) -> object:
    if value is None or (isinstance(value, str) and kms_key(value)):
        return value
    return HIDDEN


def _text(text: str, depth: int) -> str:
    found = _SUSPICIOUS.search(text)
    if found is None:
        return text
    try:
        value = json.loads(text) if depth < _MAX_DEPTH else None
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, (dict, list)):
        return json.dumps(_redacted(value, depth + 1))
    return text[: found.start()] + _WITHHELD
