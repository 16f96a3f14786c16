# SPDX-License-Identifier: Apache-2.0
"""Finds UDP datagrams in packets: link layer, VLAN tags, IPv4 (RFC 791), IPv6 (RFC 8200)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioengine.captures.capture_file import Positions, Records

# https://www.tcpdump.org/linktypes.html
_NULL, _ETHERNET, _LOOP, _COOKED, _COOKED_2 = 0, 1, 108, 113, 276
_RAW = (12, 14, 101, 228, 229)
_LINK_BYTES = {_NULL: 4, _ETHERNET: 14, _LOOP: 4, _COOKED: 16, _COOKED_2: 20}
_TYPE_PLACE = {_ETHERNET: 12, _COOKED: 14, _COOKED_2: 0}
"""The offset of the field that names the next protocol."""

_VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
_MOST_VLAN_TAGS = 3
_IPV4, _IPV6 = 0x0800, 0x86DD
_UDP = 17
_IPV6_HEAD, _UDP_HEAD = 40, 8
_IPV6_OPTIONS = (0, 43, 60)
"""Extension headers that may precede UDP: hop-by-hop, routing, destination."""
_MOST_IPV6_OPTIONS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Datagrams:
    """UDP payloads in the capture's order."""

    data: npt.NDArray[np.uint8]
    base: int
    """Where `data` begins in the file."""
    starts: Positions
    """[shape=(n,)] Where each payload begins in `data`."""
    lengths: Positions
    """[shape=(n,)] The payload's length in bytes."""
    times_ns: npt.NDArray[np.int64]
    from_ports: npt.NDArray[np.int64]
    to_ports: npt.NDArray[np.int64]


class _Bytes:
    """Reads numbers at many offsets at once; bytes outside a packet read as zero."""

    def __init__(self, records: Records) -> None:
        self._data = records.data
        self._ends = records.starts + records.lengths

    def u8(self, at: Positions, rows: Positions) -> Positions:
        inside = at < self._ends[rows]
        return np.where(inside, self._data[np.where(inside, at, 0)], 0).astype(np.int64)

    def u16(self, at: Positions, rows: Positions) -> Positions:
        return self.u8(at, rows) << 8 | self.u8(at + 1, rows)


def find_datagrams(records: Records) -> Datagrams:
    """Find the UDP datagrams among packets; fragments and truncated datagrams are left out."""
    read = _Bytes(records)
    rows = np.arange(len(records.starts))
    at, rows = _network_layer(records, read, rows)
    version = read.u8(at, rows) >> 4
    parts = [
        _ipv4(read, at[version == 4], rows[version == 4]),
        _ipv6(read, at[version == 6], rows[version == 6]),
    ]
    at = np.concatenate([part[0] for part in parts])
    rows = np.concatenate([part[1] for part in parts])
    order = np.argsort(rows, kind="stable")
    at, rows = at[order], rows[order]
    lengths = read.u16(at + 4, rows) - _UDP_HEAD
    whole = (lengths >= 0) & (at + _UDP_HEAD + lengths <= (records.starts + records.lengths)[rows])
    at, rows, lengths = at[whole], rows[whole], lengths[whole]
    return Datagrams(
        records.data,
        records.base,
        at + _UDP_HEAD,
        lengths,
        records.times_ns[rows],
        read.u16(at, rows),
        read.u16(at + 2, rows),
    )


def _network_layer(records: Records, read: _Bytes, rows: Positions) -> tuple[Positions, Positions]:
    """Where the IP header of each packet is, if it has one."""
    found_at, found_rows = [], []
    for link in np.unique(records.links).tolist():
        mine = rows[records.links == link]
        at = records.starts[mine]
        if link in _TYPE_PLACE:
            kind = read.u16(at + _TYPE_PLACE[link], mine)
            at = at + _LINK_BYTES[link]
            for _ in range(_MOST_VLAN_TAGS):
                tagged = np.isin(kind, _VLAN_TYPES)
                kind = np.where(tagged, read.u16(at + 2, mine), kind)
                at = np.where(tagged, at + 4, at)
            is_ip = np.isin(kind, (_IPV4, _IPV6))
            at, mine = at[is_ip], mine[is_ip]
        elif link in _LINK_BYTES:
            at = at + _LINK_BYTES[link]
        elif link not in _RAW:
            continue
        found_at.append(at)
        found_rows.append(mine)
    if not found_at:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(found_at), np.concatenate(found_rows)


def _ipv4(read: _Bytes, at: Positions, rows: Positions) -> tuple[Positions, Positions]:
    """The UDP headers; a fragment has none, or lacks a part of its payload."""
    whole = (read.u16(at + 6, rows) & 0x3FFF) == 0
    udp = whole & (read.u8(at + 9, rows) == _UDP)
    at, rows = at[udp], rows[udp]
    return at + 4 * (read.u8(at, rows) & 15), rows


def _ipv6(read: _Bytes, at: Positions, rows: Positions) -> tuple[Positions, Positions]:
    kind = read.u8(at + 6, rows)
    at = at + _IPV6_HEAD
    for _ in range(_MOST_IPV6_OPTIONS):
        option = np.isin(kind, _IPV6_OPTIONS)
        kind = np.where(option, read.u8(at, rows), kind)
        at = np.where(option, at + 8 * (1 + read.u8(at + 1, rows)), at)
    udp = kind == _UDP
    return at[udp], rows[udp]
