# SPDX-License-Identifier: Apache-2.0
"""Warnings that somebody takes for failures."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import get_args

from audioengine.choices import WarningCode
from audioengine.errors import InvalidRequestError, Problem
from audioengine.notices import Notice


def check_codes(refuse: Collection[str]) -> None:
    """Raise InvalidRequestError where `refuse` is no collection of `WarningCode`s."""
    known = get_args(WarningCode)
    rule = f"must be a list of these: {', '.join(known)}"
    if isinstance(refuse, str) or not isinstance(refuse, Collection):
        raise InvalidRequestError.of("refuse", refuse, rule)
    problems = [Problem("refuse", code, rule) for code in refuse if code not in known]
    if problems:
        raise InvalidRequestError(problems)


def refuse_warnings(warnings: Iterable[Notice], refuse: Collection[str]) -> None:
    """Raise InvalidRequestError where one of the warnings has a code of `refuse`."""
    problems = [
        Problem(f"warnings.{one.code}", "<refused>", one.message)
        for one in warnings
        if one.code in refuse
    ]
    if problems:
        raise InvalidRequestError(problems)
