# SPDX-License-Identifier: Apache-2.0
"""Resolves a request on the clock of one recording: whole samples, nothing left to interpret."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from audioengine.declaration import NumberPair
from audioengine.edits.encoder_delay import LAME_LATENESS, untagged_notice
from audioengine.edits.findings_file import FindingsFile
from audioengine.edits.modification import MASK_PARTIES, MaskParty, Modification, Party
from audioengine.edits.request_times import SHORT_MASK_MS, given_text, lasts, mask_bounds
from audioengine.edits.spans import Span, join
from audioengine.errors import InvalidRequestError, Problem
from audioengine.notices import Notice
from audioengine.times import (
    MIN_EPOCH_MS,
    Bounds,
    Clock,
    Number,
    exact_or_none,
    grouped,
    ms_to_samples,
    plain,
    round_half_up,
    round_outward,
)

CLIP_TOLERANCE_S = 5
"""More than clocks of recorders and agents differ; less than milliseconds taken for seconds."""


@dataclass(frozen=True, slots=True)
class AppliedMask:
    """One mask of a request, on the recording's clock."""

    party: MaskParty
    asked: Span
    """What was asked, rounded outward; may reach outside the recording."""
    applied: Span
    """The same with its guard, clipped to the recording; never empty."""


@dataclass(frozen=True, slots=True)
class Edits:
    """A request on the clock of one recording."""

    samples: int
    """Length of the recording."""
    trim: Span
    """The kept stretch, inside the recording; at least one sample unless the recording is empty."""
    trim_asked: Span | None = None
    """The stretch asked for, rounded but not clipped; None: no trim was asked for."""
    masks: tuple[AppliedMask, ...] = ()
    """In the order of the request: caller, callee, both; also masks that the trim removes."""
    warnings: tuple[Notice, ...] = ()
    """Warnings of probable mistakes that can be honoured."""
    findings: tuple[FindingsFile, ...] = ()
    """The files that masks come from, and what was found there."""

    def spans(self, party: Party) -> tuple[Span, ...]:
        """Return the masked samples of one party as sorted spans that do not touch."""
        return join(mask.applied for mask in self.masks if mask.party in (party, "both"))

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes, so that a copy will do."""
        return not self.masks and self.trim == Span(0, self.samples)


def resolve(
    modification: Modification,
    *,
    rate_hz: int,
    samples: int,
    tagged: bool = True,
    start_time_ms: Number | None = None,
    encoder_delay: int = 0,
    likely_delay: int = LAME_LATENESS,
) -> Edits:
    """Place a request on the clock of a recording of `samples` samples at `rate_hz`.

    Trim bounds are clipped, then rounded half up; mask bounds round outward. Absolute times need
    `start_time_ms`, the epoch time of the recording's start. It is the time of sample 0, or of
    sample `encoder_delay` if the source's tag states no delay (`tagged` false); the warning about
    that suggests `likely_delay`.

    Raises InvalidRequestError with every problem of the request.
    """
    problems: list[Problem] = []
    warnings: list[Notice] = [*modification.notices]
    whole = Span(0, samples)
    clock = _clock(modification, rate_hz, start_time_ms, 0 if tagged else encoder_delay, problems)
    guard = _guard(modification.guard_ms, rate_hz, problems)
    place = _Place(whole, clock, _tolerance(modification, rate_hz, problems), problems, warnings)

    trim, trim_asked = whole, None
    if modification.trim is not None:
        bounds = clock.bounds(modification.trim, "trim", problems)
        if bounds is not None:
            trim, trim_asked = _trim(bounds, place)

    masks = []
    for party in MASK_PARTIES:
        for i, interval in enumerate(modification.mask.get(party, ())):
            bounds = mask_bounds(clock, interval, f"mask.{party}[{i}]", problems)
            if bounds is not None:
                masks += _mask(party, bounds, guard, place)

    if problems:
        raise InvalidRequestError(problems)
    if not tagged and modification.absolute_times and (trim_asked is not None or masks):
        warnings.append(untagged_notice(rate_hz, encoder_delay, likely_delay))
    return Edits(samples, trim, trim_asked, tuple(masks), tuple(warnings), modification.findings)


def _tolerance(modification: Modification, rate_hz: int, problems: list[Problem]) -> Fraction:
    """The largest distance of a bound beyond the recording's end, in exact samples."""
    given = modification.clip_tolerance_s
    if given is None:
        given = CLIP_TOLERANCE_S
    tolerance = exact_or_none(given, "clip_tolerance_s", problems) or Fraction(0)
    if tolerance < 0:
        problems.append(Problem("clip_tolerance_s", given, "must be at least 0 s"))
    return tolerance * rate_hz


def _clock(
    modification: Modification,
    rate_hz: int,
    start_time_ms: Number | None,
    zero: int,
    problems: list[Problem],
) -> Clock:
    if not (modification.absolute_times and modification.asks):
        unit = "epoch ms" if modification.absolute_times else modification.relative_unit
        return Clock(rate_hz, unit, None, 0)
    start_ms = None
    if start_time_ms is None:
        rule = "needs the recording's start_time_ms, which is not known"
        problems.append(Problem("absoluteTimes", True, rule))
    else:
        start_ms = exact_or_none(start_time_ms, "start_time_ms", problems)
        if start_ms is not None and start_ms <= MIN_EPOCH_MS:
            rule = "must be epoch milliseconds, more than 10^11"
            problems.append(Problem("start_time_ms", start_time_ms, rule))
            start_ms = None
    return Clock(rate_hz, "epoch ms", start_ms, zero)


def _guard(
    given: NumberPair | None, rate_hz: int, problems: list[Problem]
) -> tuple[Fraction, Fraction]:
    """Return the guard before and after a mask, in exact samples."""
    guard_ms = 0 if given is None else given
    values = guard_ms if isinstance(guard_ms, tuple) else (guard_ms,)
    if isinstance(guard_ms, tuple) and len(values) != 2:
        problems.append(Problem("guard_ms", guard_ms, "must be one number or (before, after)"))
        return Fraction(0), Fraction(0)
    guards = []
    for value in values:
        guard = exact_or_none(value, "guard_ms", problems) or Fraction(0)
        if guard < 0:
            problems.append(Problem("guard_ms", value, "must be at least 0 ms"))
        guards.append(ms_to_samples(guard, rate_hz))
    return guards[0], guards[-1]


@dataclass(frozen=True)
class _Place:
    """A recording on its clock, with the problems and warnings of a request."""

    whole: Span
    clock: Clock
    tolerance: Fraction
    """The largest distance of a bound beyond its end, in samples."""
    problems: list[Problem]
    warnings: list[Notice]

    @cached_property
    def latest(self) -> Fraction:
        """The latest position of a bound."""
        return self.whole.end + self.tolerance


def _trim(bounds: Bounds, place: _Place) -> tuple[Span, Span]:
    """Return the trim clipped and as asked, both rounded."""
    whole = place.whole
    start = Fraction(0) if bounds.start is None else bounds.start
    end = Fraction(whole.end) if bounds.end is None else bounds.end
    asked = Span(round_half_up(start), round_half_up(end))
    if _is_outside(bounds, start, end, place):
        return whole, asked
    trim = Span(
        round_half_up(max(start, Fraction(0))), round_half_up(min(end, Fraction(whole.end)))
    )
    if trim.length < 1:
        place.problems.append(_too_short(bounds, place.clock))
        return whole, asked
    place.warnings.extend(_clipped("trim_clipped", bounds, asked, trim, place))
    return trim, asked


def _mask(
    party: MaskParty, bounds: Bounds, guard: tuple[Fraction, Fraction], place: _Place
) -> list[AppliedMask]:
    """Return the mask in a list; an empty list, with a problem added, if it can't be honoured."""
    whole, clock = place.whole, place.clock
    # An open end is the recording's own, so nothing of the mask lies outside there.
    start = min(Fraction(0), bounds.end or Fraction(0)) if bounds.start is None else bounds.start
    end = max(Fraction(whole.end), start) if bounds.end is None else bounds.end
    asked = Span(*round_outward(start, end))
    if _is_outside(bounds, asked.start, asked.end, place):
        return []
    length = end - start
    # Comparing a fraction with a number of another type takes ten times as long.
    numerator, denominator = length.as_integer_ratio()
    if numerator < denominator:
        place.problems.append(_too_short(bounds, clock))
        return []
    if numerator * 1000 < SHORT_MASK_MS * clock.rate_hz * denominator:
        ms = length * 1000 / clock.rate_hz
        place.warnings.append(Notice("short_mask", f"{bounds.path} {lasts(ms, clock)}."))
    inside = asked.clipped(whole)
    place.warnings.extend(_clipped("mask_clipped", bounds, asked, inside, place))
    guarded = Span(*round_outward(start - guard[0], end + guard[1])) if any(guard) else asked
    return [AppliedMask(party, asked, guarded.clipped(whole))]


def _is_outside(bounds: Bounds, start: Fraction | int, end: Fraction | int, place: _Place) -> bool:
    """Add a problem if ``[start, end)`` is outside the recording, or ends far beyond it."""
    whole, clock = place.whole, place.clock
    rule = None
    if start >= whole.end:
        field, value = "from", bounds.asked.start
    elif end <= 0:
        field, value = "to", bounds.asked.end
    elif bounds.end is not None and bounds.end > place.latest:
        field, value = "to", bounds.asked.end
        rule = _beyond(bounds.end, place)
    else:
        return False
    if rule is None:
        shown = clock.describe(whole.start, whole.end)
        rule = f"puts the interval outside the recording, which lasts from {shown}"
    other = "" if value is None else clock.other_reading(value, whole.end)
    place.problems.append(Problem(f"{bounds.path}.{field}", value, rule + other))
    return True


def _beyond(end: Fraction, place: _Place) -> str:
    rate_hz = place.clock.rate_hz
    lasts = grouped(Fraction(place.whole.end, rate_hz))
    most = grouped(place.tolerance / rate_hz)
    return (
        f"{grouped(end / rate_hz)} s lies beyond the recording's {lasts} s, by more than "
        f"clip_tolerance_s, {most} s; leave it out for the recording's end"
    )


def _clipped(code: str, bounds: Bounds, asked: Span, applied: Span, place: _Place) -> list[Notice]:
    """The warning that an interval reaches outside the recording by at least one sample."""
    early = bounds.start is not None and bounds.start <= -1
    late = bounds.end is not None and bounds.end >= place.whole.end + 1
    if not early and not late:
        return []
    given, kept = (place.clock.describe(one.start, one.end) for one in (asked, applied))
    message = f"{bounds.path} reaches outside the recording: asked {given}, applied {kept}."
    return [Notice(code, message)]


def _too_short(bounds: Bounds, clock: Clock) -> Problem:
    one = plain(Fraction(1000, clock.rate_hz))
    rule = f"must cover at least one sample, {one} ms"
    return Problem(bounds.path, given_text(bounds.asked), rule)
