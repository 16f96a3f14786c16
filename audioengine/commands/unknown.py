# SPDX-License-Identifier: Apache-2.0
"""Keys of commands that nobody knows: a misspelt one must not end as a command without its edit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from audioengine.choices import UnknownKeys
from audioengine.commands.events import EVENTS, RelatedRecording
from audioengine.commands.redaction import shown_key
from audioengine.commands.wire import joined_path, keys
from audioengine.errors import Problem
from audioengine.parts import ConferenceSegment

EVENT_KEYS = frozenset[str]().union(
    *map(keys, (*EVENTS.values(), RelatedRecording, ConferenceSegment))
)
"""Keys that events carry: commands are often made of events, and these are ignored in them."""

_EDIT = "modificationParams"
# What an edit is called inside, or elsewhere.
_EDIT_WORDS = frozenset({"mask", "trim", "modification", "modificationparam", "absolutetime"})
_NAMED_AT_MOST = 100
_LONGEST_NAME = 64
_MOST_EDITS = 2


def key_problems(
    value: Mapping[str, Any], kind: type[Any], unknown: UnknownKeys, path: str = ""
) -> list[Problem]:
    """Return what is wrong with the keys of an object of a command, and what edits hide in others.

    What stands under keys that are ignored is ignored as a whole; where a key in it names an edit,
    that is refused: whoever wrote it there meant it. Known keys are read by themselves.

    unknown: "ignore" lets keys be that nobody knows, but for those that resemble a known key (by
    case, ``_`` and ``-``, plural, or up to two typing errors) or name an edit.
    """
    known = keys(kind)
    wrong = (
        name
        for name in sorted(map(str, value.keys() - known - EVENT_KEYS))
        if unknown == "refuse" or _resembles(name, known)
    )
    problems = []
    for name in islice(wrong, _NAMED_AT_MOST):
        hidden = f"<{type(value.get(name)).__name__}>"  # a misspelt key may hold a secret
        problems.append(Problem(joined_path(path, shown_key(name)), hidden, _rule(name, known)))
    ignored = {
        joined_path(path, shown_key(name)): value.get(name)
        for name in sorted(map(str, value.keys() - known))
        if not any(one.path == joined_path(path, shown_key(name)) for one in problems)
    }
    problems += islice(_hidden_edits(ignored), _NAMED_AT_MOST)
    return problems


def _hidden_edits(ignored: Mapping[str, Any]) -> Iterator[Problem]:
    """What asks for an edit inside values that are ignored; ignored: these, by their paths."""
    rule = f"would be ignored here: {_EDIT} must be at the top, or in entries of toMerge"
    waiting = list(ignored.items())
    seen: set[int] = set()  # of Python's own values; JSON has no circles
    while waiting:
        path, value = waiting.pop()
        if id(value) in seen or not isinstance(value, (dict, list, tuple)):
            continue
        seen.add(id(value))
        if not isinstance(value, dict):
            waiting += [(f"{path}[{place}]", inner) for place, inner in enumerate(value)]
            continue
        for key, inner in value.items():
            at = joined_path(path, shown_key(str(key)))
            if _plain(str(key)) in _EDIT_WORDS and inner not in (None, {}, [], False):
                yield Problem(at, f"<{type(inner).__name__}>", rule)
            else:
                waiting.append((at, inner))


def _rule(name: str, known: frozenset[str]) -> str:
    meant = _meant(name, known)
    hint = f"did you mean {meant}?" if meant else f"known here: {', '.join(sorted(known))}"
    return f"is not a known key; {hint}"


def _meant(name: str, known: Iterable[str]) -> str | None:
    plain = _plain(name)
    if plain in _EDIT_WORDS:
        return _EDIT
    by_plain = {_plain(one): one for one in sorted(known)}
    found = get_close_matches(plain, by_plain, 1)
    return by_plain[found[0]] if found else None


def _resembles(name: str, known: frozenset[str]) -> bool:
    return _plain(name) in _EDIT_WORDS or misspelt(name, known) is not None


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that another one differs from by spelling or typing alone, if any."""
    plain = _plain(name)
    return next((one for one in known if _are_near(plain, _plain(one))), None)


def _plain(name: str) -> str:
    """A name without case, hyphens and plural; of one that is too long to be meant, nothing."""
    if len(name) > _LONGEST_NAME:
        return ""
    return re.sub(r"[\W_]", "", name).lower().removesuffix("s")


def _are_near(one: str, other: str) -> bool:
    """Whether at most two letters are put in, left out or changed between them (Levenshtein)."""
    if abs(len(one) - len(other)) > _MOST_EDITS:
        return False
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, against in enumerate(other, 1):
            change = before[column - 1] + (letter != against)
            now.append(min(change, before[column] + 1, now[-1] + 1))
        before = now
    return before[-1] <= _MOST_EDITS
