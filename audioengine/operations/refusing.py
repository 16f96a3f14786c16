# SPDX-License-Identifier: Apache-2.0
"""Turns chosen warnings into errors."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from audioengine.errors import InvalidRequestError, Problem
from audioengine.notices import Notice


def refuse_warnings(warnings: Iterable[Notice], refuse: Collection[str]) -> None:
    """Raise InvalidRequestError if a warning has a code in `refuse`."""
    problems = [
        Problem(f"warnings.{one.code}", "<refused>", one.message)
        for one in warnings
        if one.code in refuse
    ]
    if problems:
        raise InvalidRequestError(problems)
