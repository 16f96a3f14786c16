# SPDX-License-Identifier: Apache-2.0
"""Collects RTP streams: packets of one SSRC in order, split where the clock jumps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from audioengine.captures.clock import RtpClock, clock_of
from audioengine.captures.payloads import CODECS, COMFORT_NOISE, TELEPHONE_EVENT, Codec
from audioengine.captures.rtp import Packets
from audioengine.errors import LimitError

MAX_STREAMS = 65_536
"""The most pairs of SSRC and ports; other traffic may look like RTP for a packet or two."""
MAX_TICKS = 1 << 45
"""Of all jumps of a stream's timestamps together: nanoseconds of more do not fit into 64 bits."""
LEAST_PACKETS = 5
"""The fewest packets of a stream: 100 ms of a call."""
MOST_PARTING_NS = 250_000_000
"""A stretch ends where arrival and timestamp diverge by more: no jitter buffer bridges that."""
_NEIGHBOURS = 10
"""The packets before and after a position that are compared by their least lateness: even a delayed
burst has at least one packet in time."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PacketRun:
    """Packets of one codec on one unbroken clock, in sequence, without repeats."""

    codec: Codec
    packets: Packets
    ticks: Numbers
    """[shape=(n,)] The packets' timestamps, from 0 for the earliest."""
    counts: Numbers
    """[shape=(n,)] Samples in each packet."""
    clock: RtpClock
    lost: int
    """Packets missing between the first and the last."""
    repeated: int
    late: int
    """Packets that arrived after one with a higher sequence number."""

    @property
    def samples(self) -> int:
        """Samples from the first to the last, at the codec's rate."""
        return int((self.places + self.counts).max())

    @property
    def places(self) -> Numbers:
        """[shape=(n,)] The first sample of each packet."""
        return self.ticks * (self.codec.rate_hz // self.codec.clock_hz)

    @property
    def heard(self) -> int:
        """Samples in packets; the others are digital silence."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class RtpStream:
    """The packets of one sender from one port to another."""

    ssrc: int
    from_port: int
    to_port: int
    stretches: tuple[PacketRun, ...]
    packets: int
    events: int
    """Packets that report pressed keys (RFC 4733); their contents are never decoded."""
    comfort_noise: int
    unknown: Mapping[int, int]
    """Packets by unnamed payload type."""


class StreamCollector:
    """Gathers packets by stream while a capture is read."""

    def __init__(self) -> None:
        self._parts: dict[int, list[Packets]] = {}

    def add(self, keys: npt.NDArray[np.uint64], packets: Packets) -> None:
        """Add packets in the capture's order, each with its stream's number.

        Raises LimitError for more than MAX_STREAMS.
        """
        if not len(keys):
            return
        order = np.argsort(keys, kind="stable")
        keys, packets = keys[order], packets[order]
        bounds = np.flatnonzero(np.diff(keys)) + 1
        for part, key in zip(np.split(packets, bounds), keys[np.append(0, bounds)], strict=True):
            self._parts.setdefault(int(key), []).append(part)
        if len(self._parts) > MAX_STREAMS:
            raise LimitError(f"the capture has more than {MAX_STREAMS} pairs of SSRC and ports")

    def streams(self, types: Mapping[int, str]) -> Iterator[RtpStream]:
        """The streams with sound, in order of their first packet.

        types: by payload type, a name in CODECS or NO_SOUND.
        """
        whole = [
            (key, np.concatenate(parts))
            for key, parts in self._parts.items()
            if sum(map(len, parts)) >= LEAST_PACKETS
        ]
        self._parts = {}
        whole.sort(key=lambda found: int(found[1]["arrival_ns"][0]))
        for key, packets in whole:
            if _counts_up(packets):
                stream = _stream(key, packets, types)
                if stream.stretches or stream.unknown:
                    yield stream


def _counts_up(packets: Packets) -> bool:
    """Whether sequence numbers mostly count up: those of other protocols do not."""
    sequence: Numbers = packets["sequence"].astype(np.int64)
    steps = (sequence[1:] - sequence[:-1]) & 0xFFFF
    steps = steps[steps > 0]  # two interfaces may have seen each packet
    return bool(len(steps) and np.mean(steps < 100) > 0.5)


def _stream(key: int, packets: Packets, types: Mapping[int, str]) -> RtpStream:
    names = np.array([types.get(number, "") for number in range(128)], dtype=object)
    kinds = names[packets["payload_type"]]
    unknown = packets["payload_type"][kinds == ""]
    numbers, counts = np.unique(unknown, return_counts=True)
    return RtpStream(
        key >> 32,
        key >> 16 & 0xFFFF,
        key & 0xFFFF,
        tuple(_stretches(packets, kinds)),
        len(packets),
        int(np.count_nonzero(kinds == TELEPHONE_EVENT)),
        int(np.count_nonzero(kinds == COMFORT_NOISE)),
        dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
    )


def _stretches(packets: Packets, kinds: npt.NDArray[np.object_]) -> Iterator[PacketRun]:
    """Packets in the capture's order, split where the codec or the clock changes."""
    # Events and comfort noise count in the sequence, so that they are not taken for losses.
    sequence = _unwrapped(packets["sequence"], 16)
    # Each codec's timestamps are unwrapped on their own: events keep that of the key's begin.
    is_sound = np.isin(kinds, list(CODECS))
    rows = np.flatnonzero(is_sound)
    if not len(rows):
        return
    for name, part in _runs(kinds, rows):
        codec = CODECS[name]
        ticks = _unwrapped(packets["timestamp"][part], 32)
        if np.ptp(ticks) > MAX_TICKS:
            raise LimitError(f"timestamps of a stream jump over more than {MAX_TICKS:,}")
        media_ns = codec.nanoseconds(ticks)
        for begin, end in _unbroken(packets["arrival_ns"][part] - media_ns):
            rows_here = part[begin:end]
            between = np.arange(rows_here[0], rows_here[-1] + 1)
            silent = between[~is_sound[between]]
            yield _stretch(
                codec, packets[rows_here], ticks[begin:end], sequence[rows_here], sequence[silent]
            )


def _runs(kinds: npt.NDArray[np.object_], rows: Numbers) -> Iterator[tuple[str, Numbers]]:
    """Consecutive packets of one codec."""
    names = kinds[rows]
    bounds = np.flatnonzero(names[1:] != names[:-1]) + 1
    for part in np.split(rows, bounds):
        yield str(kinds[part[0]]), part


def _unwrapped(values: npt.NDArray[np.uint32] | npt.NDArray[np.uint16], bits: int) -> Numbers:
    """Unwrap counters; each value is taken as close as possible to the one before."""
    half = 1 << bits - 1
    numbers: Numbers = values.astype(np.int64)
    steps = (numbers[1:] - numbers[:-1] + half) % (2 * half) - half
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(steps)))


def _unbroken(lateness_ns: Numbers) -> Iterator[tuple[int, int]]:
    """Ranges of packets in which arrival and timestamp do not diverge."""
    count = len(lateness_ns)
    none = np.full(_NEIGHBOURS, np.iinfo(np.int64).max)
    padded = np.concatenate((none, lateness_ns, none))
    least = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS).min(axis=1)
    # Of place i: the least of the ten packets before it, and of the ten from it on.
    before, behind = least[1:count], least[1 + _NEIGHBOURS : count + _NEIGHBOURS]
    parts = np.abs(behind - before) > MOST_PARTING_NS
    steps = np.abs(np.diff(lateness_ns))
    bounds = [0]
    places = np.flatnonzero(parts)
    clusters = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else []
    bounds += [int(cluster[steps[cluster].argmax()]) + 1 for cluster in clusters]
    return pairwise([*bounds, count])


def _stretch(
    codec: Codec, packets: Packets, ticks: Numbers, sequence: Numbers, silent: Numbers
) -> PacketRun:
    late = int(np.count_nonzero(sequence[1:] < np.maximum.accumulate(sequence)[:-1]))
    numbers, kept = np.unique(sequence, return_index=True)
    clock_ticks = ticks[kept] - ticks[kept].min()
    media_ns = codec.nanoseconds(clock_ticks)
    counts = codec.count(packets[kept])
    inside = np.unique(silent[(silent > numbers[0]) & (silent < numbers[-1])])
    span = int(numbers[-1] - numbers[0]) + 1
    return PacketRun(
        codec,
        packets[kept],
        clock_ticks,
        counts,
        clock_of(media_ns, packets["arrival_ns"][kept]),
        lost=span - len(numbers) - len(np.setdiff1d(inside, numbers)),
        repeated=len(sequence) - len(numbers),
        late=late,
    )
