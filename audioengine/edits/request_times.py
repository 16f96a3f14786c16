# SPDX-License-Identifier: Apache-2.0
"""Checks the times of a request as far as possible without its recording."""

from __future__ import annotations

from fractions import Fraction

from audioengine.edits.modification import Modification
from audioengine.errors import Problem
from audioengine.times import Bounds, Clock, Interval, grouped, plain

SHORT_MASK_MS = 50
"""Shorter than any spoken secret; seconds taken for milliseconds are shorter still."""


def time_problems(modification: Modification) -> list[Problem]:
    """Return the problems with the times of a request that show without its recording."""
    problems: list[Problem] = []
    unit = "epoch ms" if modification.absolute_times else modification.relative_unit
    clock = Clock(1, unit, None, 0)
    if modification.trim is not None:
        clock.bounds(modification.trim, "trim", problems)
    for party, intervals in modification.mask.items():
        for i, interval in enumerate(intervals):
            mask_bounds(clock, interval, f"mask.{party}[{i}]", problems)
    return problems


def short_mask_problems(modification: Modification) -> list[Problem]:
    """Return a problem for each mask shorter than SHORT_MASK_MS."""
    unit = "epoch ms" if modification.absolute_times else modification.relative_unit
    clock = Clock(1000, unit, Fraction(0), 0)
    problems: list[Problem] = []
    for party, intervals in modification.mask.items():
        for i, interval in enumerate(intervals):
            bounds = mask_bounds(clock, interval, f"mask.{party}[{i}]", [])
            if (
                bounds is None
                or bounds.end is None
                or (bounds.start is None and unit == "epoch ms")
            ):
                continue
            ms = bounds.end - (bounds.start or 0)
            if ms < SHORT_MASK_MS:
                rule = f"must last at least {SHORT_MASK_MS} ms, unless allow_short_masks is set: it"
                problems.append(
                    Problem(bounds.path, given_text(interval), f"{rule} {lasts(ms, clock)}")
                )
    return problems


def mask_bounds(
    clock: Clock, interval: Interval, path: str, problems: list[Problem]
) -> Bounds | None:
    """A mask's bounds; None, with a problem added, if they are missing or wrong."""
    if interval.start is None and interval.end is None:
        rule = "must have from or to: a mask is open at one end at most"
        problems.append(Problem(interval.origin or path, None, rule))
        return None
    return clock.bounds(interval, path, problems)


def lasts(ms: Fraction, clock: Clock) -> str:
    """For messages: how short a mask is, by its unit, and how long in the unit probably meant."""
    shown = f"is only {plain(ms)} ms long if its times are in {clock.unit}"
    meant = f"; in seconds they would last {grouped(ms)} s"
    return shown + meant if clock.unit == "ms" else shown


def given_text(interval: Interval) -> str:
    """An interval as a request gives it, for messages."""
    start, end = ("" if one is None else one for one in (interval.start, interval.end))
    return f"{start} to {end}".strip()
