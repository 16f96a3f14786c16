# SPDX-License-Identifier: Apache-2.0
"""Reads JSON from outside strictly: no repeated keys, exact numbers, bounded depth.

RFC 8259, section 4, leaves open what an object with a repeated key means, and Python's reader takes
the last one: of two lists of masks under one key the first would silently be lost.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from audioengine.errors import InvalidRequestError, Problem

MAX_DEPTH = 64
"""Of objects and lists inside each other; a command needs 6."""

# What may be shown of a key in a message; anything else could be a secret.
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]{0,63}", re.ASCII)
_NAMED_AT_MOST = 20
_ONCE = "must be given once: repeated keys are ambiguous"


def parse_json(text: str | bytes, name: str, form: str = "JSON", within: str = "") -> Any:
    """Return the value of a JSON text; a number with a point or an exponent is a Decimal.

    NaN and infinities are floats, so that the reader of a field can refuse them by its name.

    name: what messages call the text. form: what it must be, for messages.
    within: the path of the value, before the paths of repeated keys.

    Raises InvalidRequestError where the text is no JSON, holds a number of absurd size, is nested
    deeper than MAX_DEPTH, or repeats a key in an object, at any depth.
    """
    value, repeated = _parsed(text, name, form)
    if repeated:
        paths = islice(_repeated_paths(value, within, repeated), _NAMED_AT_MOST)
        raise InvalidRequestError([Problem(path, "<given twice>", _ONCE) for path in paths])
    return value


def parse_object(
    text: str | bytes, name: str, form: str = "the JSON of an object", within: str = ""
) -> dict[str, Any]:
    """Return what `parse_json` does; raise InvalidRequestError where it is no object."""
    value = parse_json(text, name, form, within)
    if not isinstance(value, dict):
        raise InvalidRequestError.of(name, f"<{type(text).__name__}>", f"must be {form}")
    return value


def unambiguous(text: str | bytes) -> Any:
    """Return the value of a JSON text without its repeated keys; None: the text is no JSON.

    The value only says who sent a refused request; it is never carried out.
    """
    try:
        value, repeated = _parsed(text, "", "")
    except InvalidRequestError:
        return None
    for one, keys in repeated:
        for key in keys:
            del one[key]
    return value


_Repeats = list[tuple[dict[str, Any], frozenset[str]]]


def _parsed(text: str | bytes, name: str, form: str) -> tuple[Any, _Repeats]:
    """The value, and the objects in it that repeat keys, with those keys."""
    repeated: _Repeats = []
    kind = type(text).__name__
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        value = json.loads(text, parse_float=Decimal)
        keys, is_deep = _measured(value)
        if not is_deep and not _has_so_many_keys(text, keys):
            value, repeated = _with_repeats(text)
    except RecursionError:
        is_deep = True
    except ArithmeticError:
        raise _refused(kind, name, form, "a number in it is too large, or too small") from None
    except ValueError as error:
        raise _refused(kind, name, form, str(error)) from None
    if is_deep:
        raise _refused(kind, name, form, "it is nested too deeply")
    return value, repeated


def _refused(kind: str, name: str, form: str, why: str) -> InvalidRequestError:
    return InvalidRequestError.of(name, f"<{kind}>", f"must be {form}: {why}")


def _measured(value: Any) -> tuple[int, bool]:
    """The number of keys in a value, and whether it is nested too deeply."""
    keys = 0
    objects, lists = _by_kind([value])
    for _ in range(MAX_DEPTH):
        if not objects and not lists:
            return keys, False
        keys += sum(map(len, objects))
        inside = chain(chain.from_iterable(map(dict.values, objects)), chain.from_iterable(lists))
        # Most values are text.
        objects, lists = _by_kind([one for one in inside if type(one) is not str])
    return keys, bool(objects or lists)


def _by_kind(values: list[Any]) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    # json makes no subclasses, and `is` is what makes an hour's transcript quick.
    objects = [one for one in values if type(one) is dict]
    return objects, [one for one in values if type(one) is list]


def _has_so_many_keys(text: str, keys: int) -> bool:
    """Whether a JSON text certainly has no more keys than the value that was read from it.

    Each key is followed by a colon. So where there are no more colons than keys, none was lost;
    those in strings don't count where no key is apart from its colon. This takes a tenth of the
    time of looking at each object while it is made.
    """
    if text.count(":") == keys:
        return True
    return text.count('":') == keys and not any(f"{one}:" in text for one in " \t\r\n")


def _with_repeats(text: str) -> tuple[Any, _Repeats]:
    repeated: _Repeats = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        one = dict(pairs)
        if len(one) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated.append((one, frozenset(key for key in one if counts[key] > 1)))
        return one

    value = json.loads(text, parse_float=Decimal, object_pairs_hook=made)
    return value, repeated


def _repeated_paths(value: Any, within: str, repeated: _Repeats) -> Iterator[str]:
    """The paths of a value's repeated keys."""
    twice = {id(one): keys for one, keys in repeated}
    waiting = [(value, within)]
    while waiting:
        one, path = waiting.pop()
        if isinstance(one, dict):
            for key, inner in one.items():
                shown = key if _PLAIN_KEY.fullmatch(key) else "…"
                at = f"{path}.{shown}" if path else shown
                waiting.append((inner, at))
                if key in twice.get(id(one), ()):
                    yield at
        elif isinstance(one, list):
            waiting += [(inner, f"{path}[{place}]") for place, inner in enumerate(one)]
