# SPDX-License-Identifier: Apache-2.0
"""What is said of a failure: to people in words, to machines as one JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from io import StringIO
from typing import Any

import click

from audioengine.errors import AudioEngineError, InvalidRequestError, Problem

_SHOWN_CHARACTERS = 200

# Within --params, absoluteTimes is a name of the request's own.
_EDIT_OPTIONS = {"absoluteTimes": "--absolute"}


@cache
def _flags() -> dict[str, str]:
    """The flags that stand for the library's arguments, by the arguments' names."""
    # A command that succeeds needs none of this.
    from audioengine.cli.declared import flag_of
    from audioengine.declaration import leaves
    from audioengine.operations.options import MergeOptions, StoreOptions

    return {
        "start_time_ms": "--start-time-ms",
        **{
            path: flag_of(one)
            for kind in (StoreOptions, MergeOptions)
            for path, one in leaves(kind)
        },
    }


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command did not do what it was asked."""

    exit_code: int
    text: str
    """For people; some lines."""
    details: dict[str, Any]
    """For machines, as plain values."""

    def to_json(self) -> str:
        """One JSON object in one line."""
        return json.dumps({"error": self.details})

    @classmethod
    def of_error(cls, error: AudioEngineError, *, params: bool) -> Failure:
        """What the library refused or could not do; `params` tells that `--params` was given."""
        details: dict[str, Any] = {"type": type(error).__name__}
        if isinstance(error, InvalidRequestError):
            problems = [_as_options(problem, params) for problem in error.problems]
            details["message"] = "; ".join(map(_line, problems))
            details["problems"] = [
                {"path": problem.path, "value": _plain(problem.value), "rule": problem.rule}
                for problem in problems
            ]
            text = _problems_text(problems)
        else:
            details["message"] = text = _rename(str(error), params)
            if (offset := getattr(error, "offset", None)) is not None:
                details["offset"] = offset
        details["retryable"] = error.retryable
        return cls(2 if isinstance(error, InvalidRequestError) else 1, f"Error: {text}", details)

    @classmethod
    def of_usage(cls, error: click.UsageError) -> Failure:
        """A command line that could not be read."""
        shown = StringIO()
        error.show(shown)
        details = {"type": "UsageError", "message": error.format_message(), "retryable": False}
        return cls(2, shown.getvalue().rstrip(), details)

    @classmethod
    def of_interrupt(cls) -> Failure:
        """Ctrl-C, or a signal that asks to stop."""
        message = "interrupted"
        details = {"type": "Interrupted", "message": message, "retryable": True}
        return cls(130, f"Error: {message}", details)

    @classmethod
    def of_bug(cls, error: Exception) -> Failure:
        """Anything that should never have come out of the library."""
        message = f"{type(error).__name__}: {error}"
        details = {"type": "InternalError", "message": message, "retryable": False}
        return cls(1, f"Error: {message}", details)


def _as_options(problem: Problem, params: bool) -> Problem:
    path = _flags().get(problem.path) or _rename(problem.path, params)
    return Problem(path, problem.value, _rename(problem.rule, params))


def _rename(text: str, params: bool) -> str:
    """Call things by their options; an origin that already is one, `--mask …`, stays."""
    # In a sentence, a name of one word may be no more than that word.
    names = {name: flag for name, flag in _flags().items() if not name.isalpha()}
    if not params:
        names.update(_EDIT_OPTIONS)
    either = "|".join(map(re.escape, names))
    return re.sub(rf"(?<![\w.-])(?:{either})(?![\w.])", lambda found: names[found[0]], text)


def _problems_text(problems: Sequence[Problem]) -> str:
    if len(problems) == 1:
        return _line(problems[0])
    return "\n  ".join(("the request can't be honoured:", *map(_line, problems)))


def _line(problem: Problem) -> str:
    path = problem.path
    if path.startswith("--"):
        # "--mask caller=5-4.to" reads as if it were written so.
        path = re.sub(r"\.(from|to)$", r", \1", path)
    return f"{path} = {_shown(problem.value)}: {problem.rule}"


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return _shown(value)


def _shown(value: object) -> str:
    """The value as it was written: numbers as decimals, JSON's words."""
    words: dict[object, str] = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    shown = str(value) if isinstance(value, Decimal) else repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"
