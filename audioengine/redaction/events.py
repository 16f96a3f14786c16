# SPDX-License-Identifier: Apache-2.0
"""Events of an agent's desktop or a recorder: pause and resume, mask and unmask, keys pressed.

CSV with a first line ``time,event,party``, or JSON Lines with the same keys. Times are ISO 8601
with a zone, or epoch milliseconds. What is open at either end of the events is masked as far as
the recording goes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

from audioengine.edits import Party
from audioengine.errors import InvalidRequestError, LimitError, Problem
from audioengine.json_input import parse_object
from audioengine.notices import Notice
from audioengine.redaction.finding import Finding, Findings, Guard, Origin
from audioengine.redaction.parties import PARTIES
from audioengine.redaction.table_rows import HIDDEN, table_rows
from audioengine.times import MAX_EPOCH_MS, MIN_EPOCH_MS, Interval, Number, exact

PausedTime: TypeAlias = Literal["kept", "removed"]
EventName: TypeAlias = Literal["pause", "resume", "mask", "unmask", "keydown", "keyup"]
Kind: TypeAlias = Literal["PAUSE", "MASK", "KEYS"]

EVENTS: tuple[EventName, ...] = get_args(EventName)
LEAD_MS = (2000, 500)
"""Agents press late: the number has begun when they pause, and they resume with its end."""
KEYS_GUARD_MS = 60
KEYS_JOIN_S = 3
MAX_BYTES = 16 << 20
"""Of a file: a day's events of an agent have a thousandth."""

_PAIRS: Mapping[Kind, tuple[EventName, EventName]] = {
    "PAUSE": ("pause", "resume"),
    "MASK": ("mask", "unmask"),
    "KEYS": ("keydown", "keyup"),
}
_COLUMNS = ("time", "event", "party")
_NAMED_AT_MOST = 20
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?\s?(Z|z|[+-]\d\d:?\d\d)"
)


@dataclass(frozen=True, slots=True)
class _Event:
    """One event, on the recording's clock as if nothing had been left out."""

    seconds: Fraction
    name: EventName
    party: Party | None
    path: str


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From an event to the one that ends it; None: there is none."""

    kind: Kind
    party: Party | None
    start: Fraction | None
    end: Fraction | None
    path: str


def parse_events(
    data: bytes,
    start_time_ms: Number,
    *,
    names: Mapping[str, str] | None = None,
    lead_ms: Guard = LEAD_MS,
    paused_time: PausedTime = "kept",
) -> Findings:
    """Read the events of one recording.

    start_time_ms: when the recording began, in epoch milliseconds.
    names: what events are called there, to what they are called here: ``{"suspend": "pause"}``.
    lead_ms: by how much pauses and masks are widened, or (before, after). Keys get KEYS_GUARD_MS,
        and those within KEYS_JOIN_S are one finding.
    paused_time: "removed" where the recorder leaves paused time out, so that what follows lies
        earlier; of a pause only its edges are masked then.

    Raises InvalidRequestError, which names the lines, for an event or a party that is unknown, a
    time without a zone and what is neither CSV nor JSON Lines; and LimitError for more than
    MAX_BYTES.
    """
    start_ms = exact(start_time_ms, "start_time_ms")
    if not MIN_EPOCH_MS < start_ms < MAX_EPOCH_MS:
        raise InvalidRequestError.of("start_time_ms", start_time_ms, "must be epoch milliseconds")
    if paused_time not in get_args(PausedTime):
        raise InvalidRequestError.of("paused_time", paused_time, "must be kept or removed")
    called = _called(names or {})
    before, after = _lead(lead_ms)
    if len(data) > MAX_BYTES:
        raise LimitError(f"the events have {len(data):,} bytes, at most {MAX_BYTES:,} are allowed")
    digest = hashlib.sha256(data).hexdigest()
    events = _read(data, start_ms, called)
    stretches, notices = _stretches(events)
    removed: list[tuple[Fraction, Fraction | None]] = []
    if paused_time == "removed":
        removed = _joined((one.start, one.end) for one in stretches if one.kind == "PAUSE")
    findings = []
    for one in _keys_joined(stretches):
        lead = (Fraction(KEYS_GUARD_MS, 1000),) * 2 if one.kind == "KEYS" else (before, after)
        interval = _interval(one, lead, removed)
        if interval is None:
            message = f"{one.path}: it ended before the recording began, and masks nothing."
            notices.append(Notice("event_outside", message))
        else:
            origin = Origin("events", digest, one.path)
            findings.append(Finding(one.party, interval, one.kind, None, origin))
    return Findings(tuple(findings), (Origin("events", digest),), warnings=tuple(notices))


def _called(names: Mapping[str, str]) -> dict[str, EventName]:
    """What events may be called, in lower case."""
    known: dict[str, EventName] = {name: name for name in EVENTS}
    for name, meant in names.items():
        if meant not in known:
            rule = f"must stand for one of {', '.join(EVENTS)}"
            raise InvalidRequestError.of(f"event_names.{name}", meant, rule)
        known[name.strip().lower()] = known[meant]
    return known


def _lead(lead_ms: Guard) -> tuple[Fraction, Fraction]:
    pair = lead_ms if isinstance(lead_ms, tuple) else (lead_ms, lead_ms)
    if len(pair) != 2:
        raise InvalidRequestError.of("lead_ms", lead_ms, "must be one number or (before, after)")
    before, after = (exact(value, "lead_ms") / 1000 for value in pair)
    if before < 0 or after < 0:
        raise InvalidRequestError.of("lead_ms", lead_ms, "must be at least 0 ms")
    return before, after


def _read(data: bytes, start_ms: Fraction, called: Mapping[str, EventName]) -> list[_Event]:
    """The events by their times.

    Raises InvalidRequestError.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequestError.of("the events", HIDDEN, "must be text in UTF-8") from None
    problems: list[Problem] = []
    rows = (
        _json_lines(text)
        if text.lstrip()[:1] == "{"
        else table_rows(text, _COLUMNS, _COLUMNS[:2], problems, only=False)
    )
    found = [_event(path, row, start_ms, called, problems) for path, row in rows]
    if problems:
        raise InvalidRequestError(problems[:_NAMED_AT_MOST])
    return sorted((one for one in found if one is not None), key=lambda one: one.seconds)


def _json_lines(text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            path = f"line {number}"
            yield path, parse_object(line, path, "the JSON of one event")


def _event(
    path: str,
    row: Mapping[str, object],
    start_ms: Fraction,
    called: Mapping[str, EventName],
    problems: list[Problem],
) -> _Event | None:
    """One event; None, with `problems` added to, where it is none. Other keys are left alone."""
    before = len(problems)
    name = row.get("event")
    meant = called.get(name.strip().lower()) if isinstance(name, str) else None
    if meant is None:
        rule = f"must be one of {', '.join(sorted(called))}, or be given a meaning by event_names"
        problems.append(Problem(f"{path}.event", HIDDEN, rule))
    party = row.get("party")
    whose = party.strip().lower() if isinstance(party, str) else party
    if whose in (None, ""):
        whose = "both"
    if not isinstance(whose, str) or whose not in PARTIES:
        rule = f"must be one of {', '.join(PARTIES)}, or missing: both"
        problems.append(Problem(f"{path}.party", HIDDEN, rule))
    epoch_ms = _epoch_ms(row.get("time"))
    if epoch_ms is None:
        rule = "must be epoch milliseconds, or ISO 8601 with a zone: 2026-11-30T09:15:02.5Z"
        problems.append(Problem(f"{path}.time", HIDDEN, rule))
    if len(problems) > before or meant is None or epoch_ms is None:
        return None
    return _Event((epoch_ms - start_ms) / 1000, meant, PARTIES[str(whose)], path)


def _epoch_ms(value: object) -> Fraction | None:
    """The exact epoch milliseconds of a time; None: it is none."""
    if isinstance(value, str):
        iso = _ISO.fullmatch(value.strip())
        if iso is not None:
            return _iso_ms(*iso.groups())
        if not re.fullmatch(r"[0-9]{1,15}(?:\.[0-9]{1,12})?", value.strip()):
            return None
        value = Decimal(value.strip())
    try:
        number = exact(value, "time")
    except InvalidRequestError:
        return None
    return number if MIN_EPOCH_MS < number < MAX_EPOCH_MS else None


def _iso_ms(day: str, time: str, fraction: str | None, zone: str) -> Fraction | None:
    offset = "+0000" if zone in "Zz" else zone.replace(":", "")
    try:
        moment = datetime.strptime(f"{day}T{time}{offset}", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    whole = since.days * 86_400 + since.seconds
    return 1000 * (whole + Fraction(int(fraction or 0), 10 ** len(fraction or "")))


def _stretches(events: Iterable[_Event]) -> tuple[list[_Stretch], list[Notice]]:
    """What lies between events that belong together, of each kind and each party apart."""
    given = list(events)
    stretches: list[_Stretch] = []
    notices: list[Notice] = []
    for kind, (begin, end) in _PAIRS.items():
        for party in dict.fromkeys(one.party for one in given):
            own = [one for one in given if one.party == party and one.name in (begin, end)]
            stretches += _paired(kind, begin, own, notices)
    far = Fraction(-(10**12))
    return sorted(stretches, key=lambda one: far if one.start is None else one.start), notices


def _paired(
    kind: Kind, begin: EventName, events: list[_Event], notices: list[Notice]
) -> Iterator[_Stretch]:
    opened: _Event | None = None
    # Where nothing is known to be masked: an end without a beginning masks all since then.
    free: Fraction | None = None
    for one in events:
        if one.name == begin:
            opened = opened or one
            continue
        if opened is None:
            since = "the recording's start" if free is None else "the event before it"
            message = f"{one.path}: {one.name} without {begin}; all since {since} is masked."
            notices.append(Notice("event_without_start", message))
        yield _Stretch(
            kind, one.party, free if opened is None else opened.seconds, one.seconds, one.path
        )
        opened, free = None, one.seconds
    if opened is not None:
        message = f"{opened.path}: {begin} without an end; all from there to the recording's end "
        notices.append(Notice("event_without_end", message + "is masked."))
        yield _Stretch(kind, opened.party, opened.seconds, None, opened.path)


def _keys_joined(stretches: Iterable[_Stretch]) -> Iterator[_Stretch]:
    """The stretches, with keys of a party that are near to each other as one."""
    last: dict[Party | None, _Stretch] = {}
    for one in stretches:
        if one.kind != "KEYS":
            yield one
            continue
        before = last.get(one.party)
        near = before is not None and (
            before.end is None or one.start is None or one.start - before.end <= KEYS_JOIN_S
        )
        if before is None or not near:
            if before is not None:
                yield before
            last[one.party] = one
            continue
        end = None if before.end is None or one.end is None else max(before.end, one.end)
        last[one.party] = _Stretch("KEYS", one.party, before.start, end, before.path)
    yield from last.values()


def _joined(
    stretches: Iterable[tuple[Fraction | None, Fraction | None]],
) -> list[tuple[Fraction, Fraction | None]]:
    """Sorted stretches from the recording's start on, of which no two overlap."""
    joined: list[tuple[Fraction, Fraction | None]] = []
    clipped = (
        (max(start or Fraction(0), Fraction(0)), end)
        for start, end in stretches
        if end is None or end > 0
    )
    for start, end in sorted(clipped, key=lambda one: one[0]):
        if not joined:
            joined.append((start, end))
            continue
        first, last = joined[-1]
        if last is None:
            break
        if start > last:
            joined.append((start, end))
        else:
            joined[-1] = (first, None if end is None else max(last, end))
    return joined


def _interval(
    one: _Stretch,
    lead: tuple[Fraction, Fraction],
    removed: list[tuple[Fraction, Fraction | None]],
) -> Interval | None:
    """The stretch with its lead on the recording's clock; None: it was before the recording."""
    if one.end is not None and one.end + lead[1] <= 0:
        return None
    start = None if one.start is None else _recorded(one.start, removed) - lead[0]
    end = None if one.end is None else _recorded(one.end, removed) + lead[1]
    if start is not None and start <= 0:
        start = None
    if start is None and end is None:
        start = Fraction(0)
    return Interval(_number(start, up=False), _number(end, up=True))


def _recorded(seconds: Fraction, removed: list[tuple[Fraction, Fraction | None]]) -> Fraction:
    """Where an instant is in a recording that lacks stretches."""
    lacking = Fraction(0)
    for start, end in removed:
        if start >= seconds:
            break
        lacking += (seconds if end is None else min(seconds, end)) - start
    return seconds - lacking


def _number(seconds: Fraction | None, *, up: bool) -> Decimal | None:
    """Seconds to the microsecond, rounded outward."""
    if seconds is None:
        return None
    whole, rest = divmod(seconds * 10**6, 1)
    return Decimal(int(whole) + (1 if up and rest else 0)).scaleb(-6)
