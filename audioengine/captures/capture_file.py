# SPDX-License-Identifier: Apache-2.0
"""Reads the records of a capture file: pcap and pcapng (draft-ietf-opsawg-pcap, -pcapng).

A file is read in blocks. Consecutive records of one size, as in a call, are found together,
without a step of Python for each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioengine.errors import LimitError, MalformedAudioError, UnsupportedAudioError
from audioengine.mp3.bytesource import ByteSource

BLOCK_BYTES = 4 << 20
MAX_RECORD_BYTES = 1 << 20
"""tcpdump's largest snapshot is 256 KiB; pcapng adds options."""
MAX_INTERFACES = 1_000

_PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order, and nanoseconds per unit of the time stamps."""
_PCAP_HEAD, _PCAP_RECORD = 24, 16

_INTERFACE, _ENHANCED = 1, 6
_ORDER_MAGIC = 0x1A2B3C4D
_BLOCK_LEAST, _ENHANCED_HEAD = 12, 28
_OPTION_TSRESOL, _OPTION_TSOFFSET = 9, 14
_NS = 1_000_000_000

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Packets of one block of the file, in the file's order."""

    data: npt.NDArray[np.uint8]
    """The block's bytes."""
    base: int
    """Where the block begins in the file."""
    starts: Positions
    """[shape=(n,)] Where each packet begins in `data`."""
    lengths: Positions
    """[shape=(n,)] The number of captured bytes."""
    times_ns: npt.NDArray[np.int64]
    """[shape=(n,)] When it was captured, since the epoch."""
    links: npt.NDArray[np.int32]
    """[shape=(n,)] The link type of its interface."""
    end: int
    """Where the next packet would begin in the file."""


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    ns_per_unit: int
    """0 if a unit is shorter than a nanosecond."""
    units_per_ns: int
    offset_ns: int


def is_capture(head: bytes) -> bool:
    """Whether a file that begins with these bytes (4 or more) is a pcap or pcapng."""
    return head[:4] in _PCAP_MAGICS or head[:4] == b"\x0a\x0d\x0d\x0a"


def read_records(source: ByteSource) -> Iterator[Records]:
    """Yield the packets of a pcap or pcapng file, one block at a time.

    Bytes after the last whole packet are left out; captures that were cut off have some.

    Raises UnsupportedAudioError if the file is neither, MalformedAudioError, LimitError and
    StorageError.
    """
    head = source.read(0, _PCAP_HEAD)
    if head[:4] in _PCAP_MAGICS:
        if len(head) < _PCAP_HEAD:
            return
        order, unit_ns = _PCAP_MAGICS[head[:4]]
        link = int(struct.unpack_from(f"{order}I", head, 20)[0]) & 0x0FFF_FFFF
        yield from _read_pcap(source, order, unit_ns, link)
    elif is_capture(head):
        yield from _Sections(source).read()
    else:
        raise UnsupportedAudioError("this is neither a pcap nor a pcapng file", 0)


def _read_pcap(source: ByteSource, order: str, unit_ns: int, link: int) -> Iterator[Records]:
    base = _PCAP_HEAD
    length_of = struct.Struct(f"{order}I")
    while base < source.size:
        data = source.read(base, BLOCK_BYTES)
        runs: list[Positions] = []
        at = 0
        while at + _PCAP_RECORD <= len(data):
            length = int(length_of.unpack_from(data, at + 8)[0])
            if length > MAX_RECORD_BYTES:
                message = f"a packet has {length} bytes, at most {MAX_RECORD_BYTES} are possible"
                raise MalformedAudioError(message, base + at)
            stride = _PCAP_RECORD + length
            count = _run(data, at, stride, {8: length}, order)
            if not count:
                break
            runs.append(at + stride * np.arange(count))
            at += stride * count
        if not at:
            return  # the last packet is cut off
        heads = np.concatenate(runs)
        block = np.frombuffer(data, np.uint8)
        seconds = _u32(data, heads, order)
        times = seconds * _NS + _u32(data, heads + 4, order) * unit_ns
        lengths = _u32(data, heads + 8, order)
        links = np.full(len(heads), link, np.int32)
        starts = heads + _PCAP_RECORD
        yield Records(block, base, starts, lengths, times, links, base + at)
        base += at


def _run(data: bytes, at: int, stride: int, fields: Mapping[int, int], order: str) -> int:
    """The number of consecutive records of `stride` bytes with these 4-byte `fields`."""
    room = (len(data) - at) // stride
    found = 0
    probe = 8
    while found < room:
        size = min(probe, room - found)
        same = np.ones(size, bool)
        for place, value in fields.items():
            begin = at + found * stride + place
            same &= np.ndarray((size,), f"{order}u4", data, begin, (stride,)) == value
        if not same.all():
            return found + int(same.argmin())
        found += size
        probe *= 8
    return found


def _u32(data: bytes, positions: Positions, order: str) -> Positions:
    """Numbers of 4 bytes at any offset."""
    every: npt.NDArray[np.uint32] = np.ndarray((len(data) - 3,), f"{order}u4", data, 0, (1,))
    return every[positions].astype(np.int64)


class _Sections:
    """Reads a pcapng file; each of its sections has its own byte order and interfaces."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._order = "<"
        self._interfaces: list[_Interface] = []

    def read(self) -> Iterator[Records]:
        base = 0
        while base < self._source.size:
            data = self._source.read(base, BLOCK_BYTES)
            at = 0
            runs: list[tuple[Positions, _Interface]] = []
            order = self._order
            while at + _BLOCK_LEAST <= len(data):
                if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
                    if runs:
                        break  # the next section may have another byte order
                    order = self._section(data, at, base)
                size = self._block_bytes(data, at, base)
                if at + size > len(data):
                    break
                kind = self._u32(data, at)
                if kind == _INTERFACE:
                    self._add_interface(data[at : at + size], base + at)
                if kind != _ENHANCED:
                    at += size
                    continue
                number = self._u32(data, at + 8)
                if number >= len(self._interfaces):
                    raise MalformedAudioError(f"interface {number} is not described", base + at)
                fields = {0: _ENHANCED, 4: size, 8: number, 20: self._u32(data, at + 20)}
                count = _run(data, at, size, fields, order)
                runs.append((at + size * np.arange(count), self._interfaces[number]))
                at += size * count
            if not at:
                return  # the last block is cut off
            # Also without a packet: what is whole up to here is not cut off.
            yield self._records(data, base, runs, base + at)
            base += at

    def _u32(self, data: bytes, at: int) -> int:
        return int(struct.unpack_from(f"{self._order}I", data, at)[0])

    def _section(self, data: bytes, at: int, base: int) -> str:
        """Begin a section."""
        for order in "<>":
            if struct.unpack_from(f"{order}I", data, at + 8)[0] == _ORDER_MAGIC:
                self._order = order
                self._interfaces = []
                return order
        raise MalformedAudioError("a section has no byte order", base + at)

    def _block_bytes(self, data: bytes, at: int, base: int) -> int:
        size = self._u32(data, at + 4)
        if size % 4 or not _BLOCK_LEAST <= size <= MAX_RECORD_BYTES:
            rule = f"a multiple of 4 from {_BLOCK_LEAST} to {MAX_RECORD_BYTES}"
            raise MalformedAudioError(f"a block of {size} bytes must be {rule}", base + at)
        if self._u32(data, at) == _ENHANCED:
            if size < _ENHANCED_HEAD + 4:
                raise MalformedAudioError(f"a packet's block of {size} bytes is short", base + at)
            if at + _ENHANCED_HEAD <= len(data):
                captured = self._u32(data, at + 20)
                if _ENHANCED_HEAD + captured + 4 > size:
                    message = f"a packet of {captured} bytes is longer than its block"
                    raise MalformedAudioError(message, base + at)
        return size

    def _add_interface(self, block: bytes, offset: int) -> None:
        """Add an interface; its time stamps count microseconds unless an option says otherwise."""
        if len(self._interfaces) == MAX_INTERFACES:
            raise LimitError(f"the capture has more than {MAX_INTERFACES} interfaces")
        if len(block) < 20:
            raise MalformedAudioError("the description of an interface is too short", offset)
        (link,) = struct.unpack_from(f"{self._order}H", block, 8)
        units_per_s, offset_s = 1_000_000, 0
        at = 16
        while at + 4 <= len(block) - 4:
            code, length = struct.unpack_from(f"{self._order}HH", block, at)
            value = block[at + 4 : at + 4 + length]
            if code == _OPTION_TSRESOL and length == 1:
                exponent = value[0] & 0x7F
                units_per_s = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == _OPTION_TSOFFSET and length == 8:
                (offset_s,) = struct.unpack(f"{self._order}q", value)
            elif not code:
                break
            at += 4 + (length + 3) // 4 * 4
        whole = units_per_s <= _NS and _NS % units_per_s == 0
        if not whole and units_per_s % _NS:
            raise UnsupportedAudioError(
                f"time stamps in 1/{units_per_s} s are not supported, only powers of ten", offset
            )
        if not -(1 << 33) < offset_s < 1 << 33:
            raise MalformedAudioError(f"time stamps have an offset of {offset_s} s", offset)
        self._interfaces.append(
            _Interface(
                link,
                _NS // units_per_s if whole else 0,
                1 if whole else units_per_s // _NS,
                offset_s * _NS,
            )
        )

    def _records(
        self, data: bytes, base: int, runs: list[tuple[Positions, _Interface]], end: int
    ) -> Records:
        heads = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in runs)])
        counts = np.array([len(places) for places, _ in runs], np.int64)

        def each(values: list[int]) -> npt.NDArray[np.int64]:
            return np.repeat(np.array(values, np.int64), counts)

        order = self._order
        units = _u32(data, heads + 12, order).astype(np.uint64) << np.uint64(32)
        units |= _u32(data, heads + 16, order).astype(np.uint64)
        units //= each([face.units_per_ns for _, face in runs]).astype(np.uint64)
        times = units.astype(np.int64) * each([max(1, face.ns_per_unit) for _, face in runs])
        times += each([face.offset_ns for _, face in runs])
        return Records(
            np.frombuffer(data, np.uint8),
            base,
            heads + _ENHANCED_HEAD,
            _u32(data, heads + 20, order),
            times,
            each([face.link for _, face in runs]).astype(np.int32),
            end,
        )
