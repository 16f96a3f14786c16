# SPDX-License-Identifier: Apache-2.0
"""Opens the packet capture that `convert` takes, assigns its legs, and reports on its streams."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction

from audioengine.captures.capture import Capture, CapturedLeg, LegPart, read_capture
from audioengine.captures.clock import MOST_DRIFT_PPM
from audioengine.edits import Span
from audioengine.errors import InvalidRequestError, Problem, UnsupportedAudioError
from audioengine.notices import Notice
from audioengine.report import IntervalReport, StreamPartReport, StreamReport
from audioengine.storage import S3Options, Source, SourceLike, open_source
from audioengine.times import round_half_up, samples_to_ms

PARTIES = ("caller", "callee")


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A pcap or pcapng file with the RTP of one call."""

    source: SourceLike
    """A path, s3://bucket/key, bytes, a readable binary file object, or an object of a storage."""
    caller: int | None = None
    """The SSRC of one of the caller's streams, or the port they were sent to. None: the party heard
    first is the caller, with a warning."""
    callee: int | None = None
    payload_types: Mapping[int, str] | None = None
    """The codecs of RTP payload types from 96: ``{111: "opus", 101: "telephone-event"}``."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenCapture:
    """A capture that is open."""

    source: Source
    legs: Mapping[str, CapturedLeg]
    """By party."""
    warnings: tuple[Notice, ...]

    @property
    def meta(self) -> str:
        """When each part of a stream began, in RECORDINGREADY's form."""
        streams = {
            f"{party}Streams": [
                {
                    "start": round_half_up(Fraction(part.start_ns, 1_000_000)),
                    "ssrc": part.stream.ssrc,
                }
                for part in leg.parts
            ]
            for party, leg in self.legs.items()
        }
        return json.dumps({"recordingsPartsInfo": streams})

    def stream_reports(self, offsets: Mapping[str, int], rate: int) -> tuple[StreamReport, ...]:
        """The report of each stream; `offsets` is the sample at which each party's leg begins."""
        out = []
        for party, leg in self.legs.items():
            for stream in leg.streams:
                parts = [part for part in leg.parts if part.stream is stream]
                out.append(
                    StreamReport(
                        party=party,
                        ssrc=stream.ssrc,
                        from_port=stream.from_port,
                        to_port=stream.to_port,
                        codec=parts[0].stretch.codec.name,
                        packets=stream.packets,
                        events=stream.events,
                        comfort_noise=stream.comfort_noise,
                        parts=tuple(_part(one, leg, offsets[party], rate) for one in parts),
                    )
                )
        return tuple(out)


@contextmanager
def opened_capture(capture: CaptureFile, s3: S3Options | None) -> Iterator[OpenCapture]:
    """Open a capture and assign its legs to the parties.

    Raises InvalidRequestError if they can't be assigned, UnsupportedAudioError if the file is no
    capture or holds no readable RTP, MalformedAudioError, LimitError and StorageError.
    """
    with closing(open_source(capture.source, s3)) as source:
        found = read_capture(source, capture.payload_types)
        if not found.legs:
            unknown = sorted({kind for one in found.silent_streams for kind in one.unknown})
            raise UnsupportedAudioError(
                "the capture has no RTP with sound"
                + (f"; payload_types must name the types {unknown}" if unknown else "")
            )
        legs, guessed = _by_party(capture, found)
        yield OpenCapture(source, legs, tuple(_warnings(found, legs, guessed=guessed)))


def _by_party(capture: CaptureFile, found: Capture) -> tuple[dict[str, CapturedLeg], bool]:
    """The legs by party, and whether the caller was guessed."""
    asked = {"caller": capture.caller, "callee": capture.callee}
    problems = []
    legs: dict[str, CapturedLeg] = {}
    for party, name in asked.items():
        if name is None:
            continue
        matching = [leg for leg in found.legs if name in _names(leg)]
        if len(matching) == 1:
            legs[party] = matching[0]
        else:
            what = "matches several ports" if matching else "is not in the capture"
            problems.append(Problem(party, name, f"{what}: must be one of {_choices(found)}"))
    if not problems and len(legs) == 2 and legs["caller"] is legs["callee"]:
        rule = "is the caller's leg too: must be another"
        problems.append(Problem("callee", capture.callee, rule))
    left = [leg for leg in found.legs if leg not in legs.values()]
    missing = [party for party in PARTIES if party not in legs]
    if not problems and len(left) > len(missing) and missing:
        rule = f"must be given: the capture has {len(found.legs)} legs: {_choices(found)}"
        problems.append(Problem(missing[0], None, rule))
    if problems:
        raise InvalidRequestError(problems)
    left.sort(key=lambda leg: (leg.start_ns, leg.port))
    legs.update(zip(missing, left, strict=False))
    guessed = len(missing) == 2 and bool(left)
    return {party: legs[party] for party in PARTIES if party in legs}, guessed


def _names(leg: CapturedLeg) -> set[int]:
    return {leg.port, *(stream.ssrc for stream in leg.streams)}


def _choices(found: Capture) -> str:
    return "; ".join(
        f"port {leg.port} (SSRC {', '.join(str(one.ssrc) for one in leg.streams)})"
        for leg in found.legs
    )


def _warnings(
    found: Capture, legs: Mapping[str, CapturedLeg], *, guessed: bool
) -> Iterator[Notice]:
    if guessed:
        ports = ", ".join(f"{party} port {leg.port}" for party, leg in legs.items())
        yield Notice(
            "caller_guessed",
            f"The caller was not named; it is taken to be the party heard first: {ports}.",
        )
    for party, leg in legs.items():
        lost = sum(part.stretch.lost for part in leg.parts)
        if lost:
            yield Notice(
                "packets_lost",
                f"{lost:,} of the {party}'s packets are not in the capture; there is silence.",
            )
        if any(part.stretch.clock.contradicts for part in leg.parts):
            yield Notice(
                "capture_times_wrong",
                f"The capture's times and the {party}'s timestamps run apart by more than "
                f"{MOST_DRIFT_PPM:,} ppm, which no clock does; the samples are on the stream's own "
                "clock, and when it began is not sure.",
            )
    unknown = {
        kind
        for stream in (*found.silent_streams, *(s for leg in found.legs for s in leg.streams))
        for kind in stream.unknown
    }
    if unknown:
        yield Notice(
            "payload_types_unknown",
            f"Packets of the payload types {sorted(unknown)} were left out: payload_types does not "
            "name them.",
        )
    if found.cut_off_bytes:
        yield Notice(
            "capture_cut_off",
            f"The capture ends inside a packet: its last {found.cut_off_bytes:,} bytes are left "
            "out.",
        )


def _part(part: LegPart, leg: CapturedLeg, offset: int, rate: int) -> StreamPartReport:
    stretch = part.stretch
    start = offset + round(part.start * rate / leg.rate)
    span = Span(start, start + round(part.length * rate / leg.rate))
    return StreamPartReport(
        start_time_ms=round(part.start_ns / 1e6, 3),
        interval=IntervalReport.of(span, rate),
        drift_ppm=round(stretch.clock.drift_ppm, 3),
        resampled=stretch.clock.resampled,
        silent_ms=samples_to_ms(max(0, stretch.samples - stretch.heard), stretch.codec.rate_hz),
        lost=stretch.lost,
        repeated=stretch.repeated,
        late=stretch.late,
    )
