# SPDX-License-Identifier: Apache-2.0
"""Whether options have one of the words that they may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from audioengine.edits import Beep
from audioengine.errors import InvalidRequestError, Problem


def check_options(options: object, choices: Mapping[str, Any]) -> None:
    """Check the fields of `options` against the Literals of `choices`, and its `beep`.

    Raises InvalidRequestError with every field that is wrong.
    """
    problems = []
    for name, literal in choices.items():
        value, words = getattr(options, name), get_args(literal)
        if value not in words:
            problems.append(Problem(name, value, f"must be {' or '.join(words)}"))
    beep = getattr(options, "beep", None)
    if not isinstance(beep, Beep):
        problems.append(Problem("beep", beep, "must be a Beep"))
    if problems:
        raise InvalidRequestError(problems)
