# SPDX-License-Identifier: Apache-2.0
"""What a request asks of a recording, and the same on the recording's sample clock.

`Modification` and `Beep` are the request. `resolve` judges it against one recording and returns
`Edits`: whole samples, half-open, clipped, with nothing left to interpret.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from numbers import Integral
from operator import attrgetter
from typing import Literal, TypeAlias

from audioengine.choices import Fill
from audioengine.errors import InvalidRequestError, Problem
from audioengine.notices import Notice
from audioengine.times import (
    MIN_EPOCH_MS,
    Bounds,
    Clock,
    Interval,
    Number,
    check_mask_count,
    exact,
    exact_or_none,
    grouped,
    ms_to_samples,
    plain,
    round_half_up,
    round_outward,
)

__all__ = [
    "AppliedMask",
    "Beep",
    "Dialect",
    "Edits",
    "IfUntagged",
    "Interval",
    "MaskParty",
    "Modification",
    "Party",
    "Span",
    "join",
    "resolve",
    "touching",
    "untagged_notice",
]

Party: TypeAlias = Literal["caller", "callee"]
MaskParty: TypeAlias = Literal["caller", "callee", "both"]
Dialect: TypeAlias = Literal["sqs", "rest"]

_MASK_PARTIES: tuple[MaskParty, ...] = ("caller", "callee", "both")

SHORT_MASK_MS = 50
"""No spoken secret is shorter; seconds that are taken for milliseconds are."""
CLIP_TOLERANCE_S = 5
"""Clocks of recorders and of those who mask differ by less; milliseconds taken for seconds, not."""
LAME_LATENESS = 1105
"""Samples by which a LAME stream without any tag frame holds its audio late: 576 + 529."""

_MIN_BEEP_HZ, _MAX_BEEP_HZ = 200, 3000
_MAX_BEEP_SHARE_OF_RATE = Fraction(35, 100)  # LAME's low-pass swallows more
_MIN_BEEP_DBFS, _MAX_BEEP_DBFS = -60, -3


@dataclass(frozen=True, slots=True)
class Modification:
    """The edits of one recording: what to keep of it and what to mask in it.

    Raises InvalidRequestError where a field is not of its type or `mask` has another key; what the
    times are worth is judged by `resolve`, which knows the recording. One Interval of a party
    stands for a list of it. Raises LimitError for more
    than MAX_MASKS intervals.
    """

    trim: Interval | None = None
    """The stretch to keep, or None for all of it; either bound may be None."""
    mask: Mapping[str, Sequence[Interval]] = field(default_factory=dict, hash=False)
    """Stretches to mask, by "caller", "callee" or "both", on the untrimmed recording's clock.

    One bound of each may be None: it is masked from the start, or to the end.
    """
    absolute_times: bool = False
    """Whether all bounds are epoch milliseconds, and not relative to the recording's start."""
    guard_ms: Number | tuple[Number, Number] = 0
    """By how many milliseconds each mask is widened on both sides, or (before, after)."""
    relative_unit: Literal["s", "ms"] = "s"
    """Unit of relative bounds; "ms" is for commands in the REST dialect, and is whole."""
    clip_tolerance_s: Number = CLIP_TOLERANCE_S
    """By how many seconds a bound may lie beyond the recording's end; it is clipped then."""

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        mask = _lists(self.mask, problems)
        check_mask_count(sum(map(len, mask.values())))
        if self.trim is not None and not isinstance(self.trim, Interval):
            problems.append(Problem("trim", self.trim, "must be an Interval or None"))
        if not isinstance(self.absolute_times, bool):
            problems.append(Problem("absoluteTimes", self.absolute_times, "must be true or false"))
        if self.relative_unit not in ("s", "ms"):
            problems.append(Problem("relative_unit", self.relative_unit, 'must be "s" or "ms"'))
        for party, intervals in mask.items():
            path = f"mask.{party}"
            if party not in _MASK_PARTIES:
                problems.append(Problem(path, intervals, "is not one of caller, callee, both"))
            problems += [
                Problem(f"{path}[{i}]", interval, "must be an Interval")
                for i, interval in enumerate(intervals)
                if not isinstance(interval, Interval)
            ]
        if problems:
            raise InvalidRequestError(problems)
        object.__setattr__(self, "mask", mask)

    @property
    def asks(self) -> bool:
        """Whether there is a trim or a mask."""
        return self.trim is not None or any(self.mask.values())

    @classmethod
    def from_params(
        cls, params: Mapping[str, object] | str | None, dialect: Dialect = "sqs"
    ) -> Modification:
        """Read `modificationParams` of a command, as JSON values, or as the text of JSON.

        Relative times are seconds in the queue's dialect, "sqs", and milliseconds in "rest".

        Raises InvalidRequestError naming every field of a wrong form.
        """
        from audioengine.params import parse  # pydantic is slow to import

        if dialect not in ("sqs", "rest"):
            raise InvalidRequestError.of("dialect", dialect, 'must be "sqs" or "rest"')
        wire = parse(params)
        return cls(
            trim=wire.trim,
            mask=wire.mask,
            absolute_times=wire.absolute_times,
            relative_unit="ms" if dialect == "rest" else "s",
        )


def _lists(mask: object, problems: list[Problem]) -> dict[str, tuple[Interval, ...]]:
    """The intervals of each party; nothing, with `problems` added to, where it is no mapping."""
    if not isinstance(mask, Mapping):
        rule = 'must be a mapping of "caller", "callee" or "both" to lists of Intervals'
        problems.append(Problem("mask", mask, rule))
        return {}
    lists = {}
    for party, intervals in mask.items():
        one = (intervals,) if isinstance(intervals, Interval) else intervals
        if isinstance(one, (str, bytes, Mapping)) or not isinstance(one, Iterable):
            rule = "must be a list of Intervals; Modification.from_params reads the wire's shape"
            problems.append(Problem(f"mask.{party}", intervals, rule))
            continue
        lists[party] = tuple(one)
    return lists


def modification_of(given: object, path: str = "modification") -> Modification:
    """Return a modification; None is none.

    Raises InvalidRequestError for anything else, also for a mapping in the wire's shape: of its
    times only a dialect says the unit.
    """
    if given is None:
        return Modification()
    if isinstance(given, Modification):
        return given
    rule = "must be a Modification or None"
    if isinstance(given, (Mapping, str)):
        rule += '; Modification.from_params(…, "sqs") reads modificationParams in seconds, '
        rule += '"rest" in milliseconds'
    raise InvalidRequestError.of(path, given, rule)


@dataclass(frozen=True, slots=True)
class Beep:
    """What is heard in place of masked audio.

    Raises InvalidRequestError where a value is out of range.
    """

    frequency_hz: Number = 1000
    """Of the sine, 200 to 3000 Hz and below 0.35 of the recording's rate."""
    level_dbfs: Number = -20
    """Peak level, -60 to -3 dBFS."""
    fill: Fill = "beep"
    """Whether there is a beep at all."""

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        frequency = exact_or_none(self.frequency_hz, "beep.frequency_hz", problems)
        if frequency is not None and not _MIN_BEEP_HZ <= frequency <= _MAX_BEEP_HZ:
            rule = f"must be {_MIN_BEEP_HZ} to {_MAX_BEEP_HZ} Hz"
            problems.append(Problem("beep.frequency_hz", self.frequency_hz, rule))
        level = exact_or_none(self.level_dbfs, "beep.level_dbfs", problems)
        if level is not None and not _MIN_BEEP_DBFS <= level <= _MAX_BEEP_DBFS:
            rule = f"must be {_MIN_BEEP_DBFS} to {_MAX_BEEP_DBFS} dBFS"
            problems.append(Problem("beep.level_dbfs", self.level_dbfs, rule))
        if self.fill not in ("beep", "silence"):
            problems.append(Problem("beep.fill", self.fill, 'must be "beep" or "silence"'))
        if problems:
            raise InvalidRequestError(problems)

    def check_rate(self, rate_hz: int) -> None:
        """Raise InvalidRequestError where the beep is too high for a recording of this rate."""
        limit = _MAX_BEEP_SHARE_OF_RATE * rate_hz
        if self.fill == "beep" and exact(self.frequency_hz, "beep.frequency_hz") >= limit:
            rule = f"must be below {plain(limit)} Hz in a recording of {rate_hz} Hz"
            raise InvalidRequestError.of("beep.frequency_hz", self.frequency_hz, rule)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of samples ``[start, end)``; empty where both are equal."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.end - self.start

    def clipped(self, bounds: Span) -> Span:
        """Return the part inside `bounds`: empty, at one of its ends, where there is none."""
        start = min(max(self.start, bounds.start), bounds.end)
        return Span(start, min(max(self.end, start), bounds.end))


def join(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same samples as sorted spans of which no two overlap or touch."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return tuple(joined)


def touching(spans: Sequence[Span], window: Span) -> Sequence[Span]:
    """Return those of joined spans that overlap or touch the window, without looking at all."""
    first = bisect_left(spans, window.start, key=attrgetter("end"))
    return spans[first : bisect_right(spans, window.end, key=attrgetter("start"))]


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
    """What is kept, inside the recording, at least one sample unless the recording is empty."""
    trim_asked: Span | None = None
    """What was asked to be kept, rounded, not clipped; None: no trim was asked."""
    masks: tuple[AppliedMask, ...] = ()
    """In the order of the request: caller, callee, both. Also those that the trim removes."""
    warnings: tuple[Notice, ...] = ()
    """What looks like a mistake but can be honoured."""

    def spans(self, party: Party) -> tuple[Span, ...]:
        """Return the masked samples of one party: sorted, no two touching, in the recording."""
        return join(mask.applied for mask in self.masks if mask.party in (party, "both"))

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes: a plain copy is the answer."""
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

    Trim bounds are clipped, then rounded half up; mask bounds round outward. `start_time_ms` is the
    epoch time of the recording's start, which absolute times need. It is the time of sample 0,
    or, where no tag of the source tells its delay (`tagged` false), of sample `encoder_delay`;
    `likely_delay` is what a warning says of that.

    Raises InvalidRequestError with every problem of the request.
    """
    problems: list[Problem] = []
    warnings: list[Notice] = []
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
    for party in _MASK_PARTIES:
        for i, interval in enumerate(modification.mask.get(party, ())):
            bounds = _mask_bounds(clock, interval, f"mask.{party}[{i}]", problems)
            if bounds is not None:
                masks += _mask(party, bounds, guard, place)

    if problems:
        raise InvalidRequestError(problems)
    if not tagged and modification.absolute_times and (trim_asked is not None or masks):
        warnings.append(untagged_notice(rate_hz, encoder_delay, likely_delay))
    return Edits(samples, trim, trim_asked, tuple(masks), tuple(warnings))


def time_problems(modification: Modification) -> list[Problem]:
    """Return what is wrong with the times of a request whatever its recording may be."""
    problems: list[Problem] = []
    unit = "epoch ms" if modification.absolute_times else modification.relative_unit
    clock = Clock(1, unit, None, 0)
    if modification.trim is not None:
        clock.bounds(modification.trim, "trim", problems)
    for party, intervals in modification.mask.items():
        for i, interval in enumerate(intervals):
            _mask_bounds(clock, interval, f"mask.{party}[{i}]", problems)
    return problems


def short_mask_problems(modification: Modification) -> list[Problem]:
    """Return the masks that last under SHORT_MASK_MS, whatever the recording may be."""
    unit = "epoch ms" if modification.absolute_times else modification.relative_unit
    clock = Clock(1000, unit, Fraction(0), 0)
    problems: list[Problem] = []
    for party, intervals in modification.mask.items():
        for i, interval in enumerate(intervals):
            bounds = _mask_bounds(clock, interval, f"mask.{party}[{i}]", [])
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
                    Problem(bounds.path, _given(interval), f"{rule} {_lasts(ms, clock)}")
                )
    return problems


def _mask_bounds(
    clock: Clock, interval: Interval, path: str, problems: list[Problem]
) -> Bounds | None:
    if interval.start is None and interval.end is None:
        rule = "must have from or to: a mask is open at one end at most"
        problems.append(Problem(interval.origin or path, None, rule))
        return None
    return clock.bounds(interval, path, problems)


def _tolerance(modification: Modification, rate_hz: int, problems: list[Problem]) -> Fraction:
    """How far a bound may lie beyond the recording's end, in exact samples."""
    given = modification.clip_tolerance_s
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
    if isinstance(zero, bool) or not isinstance(zero, int) or zero < 0:
        problems.append(Problem("encoder_delay", zero, "must be a whole number of samples, >= 0"))
        zero = 0
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
    guard_ms: Number | tuple[Number, Number], rate_hz: int, problems: list[Problem]
) -> tuple[Fraction, Fraction]:
    """Return the guard before and after a mask, in exact samples."""
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
    """A recording on its clock, and what is said of the intervals of a request."""

    whole: Span
    clock: Clock
    tolerance: Fraction
    """How far bounds may lie beyond its end, in samples."""
    problems: list[Problem]
    warnings: list[Notice]

    @cached_property
    def latest(self) -> Fraction:
        """Where a bound may lie at the latest."""
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
    """Return the mask, or nothing, with problems added to, where it can't be honoured."""
    whole, clock = place.whole, place.clock
    # Open where the recording is: nothing of it lies outside, be it as far as it may.
    start = min(Fraction(0), bounds.end or Fraction(0)) if bounds.start is None else bounds.start
    end = max(Fraction(whole.end), start) if bounds.end is None else bounds.end
    asked = Span(*round_outward(start, end))
    if _is_outside(bounds, asked.start, asked.end, place):
        return []
    length = end - start
    if length < 1:
        place.problems.append(_too_short(bounds, clock))
        return []
    if length * 1000 < SHORT_MASK_MS * clock.rate_hz:
        ms = length * 1000 / clock.rate_hz
        place.warnings.append(Notice("short_mask", f"{bounds.path} {_lasts(ms, clock)}."))
    inside = asked.clipped(whole)
    place.warnings.extend(_clipped("mask_clipped", bounds, asked, inside, place))
    guarded = Span(*round_outward(start - guard[0], end + guard[1])) if any(guard) else asked
    return [AppliedMask(party, asked, guarded.clipped(whole))]


def _lasts(ms: Fraction, clock: Clock) -> str:
    """How short a mask is, as its times are read, and what they may have been meant as."""
    told = f"is only {plain(ms)} ms long, its times read as {clock.unit}"
    meant = f"; in seconds they would last {grouped(ms)} s"
    return told + meant if clock.unit == "ms" else told


def _is_outside(bounds: Bounds, start: Fraction | int, end: Fraction | int, place: _Place) -> bool:
    """Add to the problems where ``[start, end)`` is outside the recording, or ends far beyond."""
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
        lasts = clock.describe(whole.start, whole.end)
        rule = f"leaves the interval outside the recording, which lasts from {lasts}"
    other = "" if value is None else clock.other_reading(value, whole.end)
    place.problems.append(Problem(f"{bounds.path}.{field}", value, rule + other))
    return True


def _beyond(end: Fraction, place: _Place) -> str:
    rate_hz = place.clock.rate_hz
    lasts = grouped(Fraction(place.whole.end, rate_hz))
    most = grouped(place.tolerance / rate_hz)
    return (
        f"{grouped(end / rate_hz)} s lies beyond the recording's {lasts} s, by more than "
        f"clip_tolerance_s, {most} s; leave it out to go on to the end"
    )


def _clipped(code: str, bounds: Bounds, asked: Span, applied: Span, place: _Place) -> list[Notice]:
    """The warning that an interval reaches outside the recording by a sample at least."""
    early = bounds.start is not None and bounds.start <= -1
    late = bounds.end is not None and bounds.end >= place.whole.end + 1
    if not early and not late:
        return []
    given, kept = (place.clock.describe(one.start, one.end) for one in (asked, applied))
    message = f"{bounds.path} reaches outside the recording: asked {given}, applied {kept}."
    return [Notice(code, message)]


def _given(interval: Interval) -> str:
    start, end = ("" if one is None else one for one in (interval.start, interval.end))
    return f"{start} to {end}".strip()


def _too_short(bounds: Bounds, clock: Clock) -> Problem:
    one = plain(Fraction(1000, clock.rate_hz))
    rule = f"must cover at least one sample, {one} ms"
    return Problem(bounds.path, _given(bounds.asked), rule)


def untagged_notice(
    rate_hz: int, encoder_delay: int, likely_delay: int, what: str = "Absolute times"
) -> Notice:
    """The warning that `what` meets a source whose start nothing tells.

    likely_delay: what is right if LAME made the source.
    """
    late_ms = plain(Fraction(likely_delay * 1000, rate_hz))
    message = (
        f"{what} meet a source without a gapless tag that tells its delay: sample {encoder_delay} "
        f"is taken for its start. If LAME made it, be it in ffmpeg or lameenc, its audio lies "
        f"{likely_delay} samples ({late_ms} ms) late: then encoder_delay={likely_delay} is right."
    )
    return Notice("untagged_absolute_times", message)


@dataclass(frozen=True, slots=True)
class IfUntagged:
    """An encoder delay for many recordings: it counts for those whose tags tell none.

    A plain number is meant for one recording, and refused where it can have no effect.
    """

    samples: int


def delay_samples(encoder_delay: int | IfUntagged) -> int:
    """Return the samples of a delay in either form."""
    samples = encoder_delay.samples if isinstance(encoder_delay, IfUntagged) else encoder_delay
    is_whole = isinstance(samples, Integral) and not isinstance(samples, bool)
    # NumPy's too. What is no whole number is refused where it counts.
    return int(samples) if is_whole else samples


def effective_delay(
    encoder_delay: int | IfUntagged, *, tells_delay: bool, is_absolute: bool = True
) -> int:
    """Return the delay in samples.

    Raises InvalidRequestError for a number, but 0, that can have no effect on a recording.
    """
    idle = None
    if tells_delay:
        idle = "can have no effect: the source's tag tells its delay"
    elif not is_absolute:
        idle = "can have no effect: relative times count what players play"
    if idle and encoder_delay and not isinstance(encoder_delay, IfUntagged):
        raise InvalidRequestError.of("encoder_delay", encoder_delay, f"{idle}; leave it out")
    return delay_samples(encoder_delay)
