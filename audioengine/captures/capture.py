# SPDX-License-Identifier: Apache-2.0
"""Reads the capture of one call: its legs on the call's clock, and their samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from audioengine.captures.capture_file import read_records
from audioengine.captures.datagrams import find_datagrams
from audioengine.captures.payloads import CODECS, NO_SOUND, STATIC_TYPES, Bytes, Samples
from audioengine.captures.rtp import Packets, find_packets
from audioengine.captures.streams import Numbers, PacketRun, RtpStream, StreamCollector
from audioengine.errors import InvalidRequestError, LimitError
from audioengine.mp3.bytesource import ByteSource
from audioengine.times import round_half_up

if TYPE_CHECKING:
    import soxr

BLOCK_S = 30
"""The seconds of a leg that are decoded at once."""
MAX_LEG_S = 7 * 86_400
"""The longest leg; wrong clocks could make it endless."""
_NEAR_BYTES = 1 << 16
"""Payloads with fewer bytes between them are read together."""
_PIECE = 1 << 23
"""About how many bytes of the file are read at once."""
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class LegPart:
    """A stretch of a stream at its position in a leg."""

    stream: RtpStream
    stretch: PacketRun
    start: int
    """Its first sample in the leg."""
    length: int
    """Samples of the leg until it ends, or until the next part begins."""

    @property
    def start_ns(self) -> int:
        """When its first sample was sent, since the epoch."""
        return self.stretch.clock.start_ns


@dataclass(frozen=True, slots=True, eq=False)
class CapturedLeg:
    """One party's sound: all streams to one port."""

    port: int
    rate: int
    start_ns: int
    """When its first sample was sent, since the epoch."""
    length: int
    """Samples."""
    parts: tuple[LegPart, ...]
    source: ByteSource

    @property
    def starts_at(self) -> Fraction:
        """Epoch time of the first sample in milliseconds."""
        return Fraction(self.start_ns, 1_000_000)

    @property
    def streams(self) -> tuple[RtpStream, ...]:
        """Its streams in order."""
        return tuple({id(part.stream): part.stream for part in self.parts}.values())

    def blocks(self, size: int) -> Iterator[Samples]:
        """[shape=(n,)] All samples in order, at most `size` at a time; zeros without packets."""
        for block in self._pieces():
            for begin in range(0, len(block), size):
                yield block[begin : begin + size]

    def _pieces(self) -> Iterator[Samples]:
        place = 0
        for part in self.parts:
            yield from _silence(part.start - place, self.rate)
            left = part.length
            for block in _resampled(self.source, part.stretch, self.rate):
                yield block[:left]
                left -= len(block[:left])
            yield from _silence(left, self.rate)
            place = part.start + part.length
        yield from _silence(self.length - place, self.rate)


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """The legs of a captured call, by destination port."""

    legs: tuple[CapturedLeg, ...]
    silent_streams: tuple[RtpStream, ...]
    """Streams of unnamed payload types."""
    cut_off_bytes: int
    """Bytes after the last whole packet."""


def read_capture(source: ByteSource, payload_types: Mapping[int, str] | None = None) -> Capture:
    """Find the RTP in a pcap or pcapng file.

    payload_types: the codecs of the types from 96, such as ``{101: "telephone-event",
        111: "opus"}``: pcmu, pcma, g722, g729, opus, telephone-event or cn.

    Raises UnsupportedAudioError if the file is no capture, MalformedAudioError, LimitError,
    InvalidRequestError and StorageError.
    """
    collector = StreamCollector()
    types = {**STATIC_TYPES, **_checked(payload_types or {})}
    end = source.size
    for records in read_records(source):
        collector.add(*find_packets(find_datagrams(records)))
        end = records.end
    streams = list(collector.streams(types))
    sounding = sorted((one for one in streams if one.stretches), key=lambda one: one.to_port)
    legs = [
        _leg(source, port, tuple(group))
        for port, group in groupby(sounding, key=lambda one: one.to_port)
    ]
    silent = tuple(one for one in streams if not one.stretches)
    return Capture(tuple(legs), silent, source.size - end)


def _checked(types: Mapping[int, str]) -> dict[int, str]:
    allowed = (*CODECS, *NO_SOUND)
    out = {}
    for number, name in types.items():
        if not 0 <= number < 128:
            raise InvalidRequestError.of("payload_types", number, "must be from 0 to 127")
        if name.lower() not in allowed:
            rule = f"must be one of {', '.join(allowed)}"
            raise InvalidRequestError.of(f"payload_types[{number}]", name, rule)
        out[number] = name.lower()
    return out


def _leg(source: ByteSource, port: int, streams: Sequence[RtpStream]) -> CapturedLeg:
    found = [(stream, stretch) for stream in streams for stretch in stream.stretches]
    found.sort(key=lambda one: one[1].clock.start_ns)
    rate = max(stretch.codec.rate_hz for _, stretch in found)
    zero = found[0][1].clock.start_ns
    starts = [
        round_half_up(Fraction((stretch.clock.start_ns - zero) * rate, _NS)) for _, stretch in found
    ]
    lengths = [_length(stretch, rate) for _, stretch in found]
    end = max(start + length for start, length in zip(starts, lengths, strict=True))
    if end > MAX_LEG_S * rate:
        raise LimitError(
            f"the streams to port {port} last {end / rate:.0f} s, at most {MAX_LEG_S} are allowed"
        )
    parts = []
    for number, (stream, stretch) in enumerate(found):
        limit = starts[number + 1] if number + 1 < len(found) else end
        length = max(0, min(lengths[number], limit - starts[number]))
        parts.append(LegPart(stream, stretch, starts[number], length))
    # The last stream to begin need not be the last to end.
    end = max(part.start + part.length for part in parts)
    return CapturedLeg(port, rate, zero, end, tuple(parts), source)


def _length(stretch: PacketRun, rate: int) -> int:
    """The samples of a stretch at the leg's rate, on the capture's clock."""
    return round(stretch.samples * rate / _own_rate(stretch))


def _own_rate(stretch: PacketRun) -> float:
    """The rate of a stretch's samples by the capture's clock."""
    drift = stretch.clock.drift_ppm / 1e6 if stretch.clock.resampled else 0.0
    return stretch.codec.rate_hz / (1 + drift)


def _silence(count: int, rate: int) -> Iterator[Samples]:
    while count > 0:
        size = min(count, BLOCK_S * rate)
        yield np.zeros(size, np.float32)
        count -= size


def _resampled(source: ByteSource, stretch: PacketRun, rate: int) -> Iterator[Samples]:
    """The samples of a stretch, resampled if its rate differs."""
    own = _own_rate(stretch)
    if own == rate:
        yield from _decoded(source, stretch)
        return
    import soxr

    stream: soxr.ResampleStream = soxr.ResampleStream(own, rate, 1, dtype="float32")
    for block in _decoded(source, stretch):
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _decoded(source: ByteSource, stretch: PacketRun) -> Iterator[Samples]:
    """The samples of a stretch: each payload at its timestamp, zeros in between."""
    decoder = stretch.codec.decoder()
    order = np.argsort(stretch.places, kind="stable")
    places, counts, samples = stretch.places[order], stretch.counts[order], stretch.samples
    packets = stretch.packets[order]
    size = BLOCK_S * stretch.codec.rate_hz
    carried = np.zeros(0, np.float32)
    for begin in range(0, samples, size):
        end = min(begin + size, samples)
        first, last = np.searchsorted(places, (begin, end))
        # A payload may reach into the next block.
        reach = int((places[first:last] + counts[first:last]).max(initial=end)) - begin
        block = np.zeros(max(reach, len(carried)), np.float32)
        block[: len(carried)] = carried
        here = slice(first, last)
        for rows, data, offsets in _read(source, packets[here]):
            decoder.place(
                block, places[here][rows] - begin, data, offsets, packets["size"][here][rows]
            )
        carried = block[end - begin :]
        yield block[: end - begin]


def _read(source: ByteSource, packets: Packets) -> Iterator[tuple[Numbers, Bytes, Numbers]]:
    """Read payloads in a few pieces of the file: their rows, the piece, and their offsets in it.

    Rows keep their order if the file has its packets in order, as files of calls nearly always do.
    """
    if not len(packets):
        return
    order = np.argsort(packets["offset"], kind="stable")
    starts = packets["offset"][order]
    ends = starts + packets["size"][order]
    far = (starts[1:] - ends[:-1] > _NEAR_BYTES) | (starts[1:] // _PIECE > starts[:-1] // _PIECE)
    for piece in np.split(order, np.flatnonzero(far) + 1):
        zero = int(packets["offset"][piece[0]])
        last = piece[-1]
        data = source.read(zero, int(packets["offset"][last]) + int(packets["size"][last]) - zero)
        rows = np.sort(piece)
        yield rows, np.frombuffer(data, np.uint8), packets["offset"][rows] - zero
