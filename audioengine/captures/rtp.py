# SPDX-License-Identifier: Apache-2.0
"""Finds RTP packets among datagrams (RFC 3550, 5.1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audioengine.captures.datagrams import Datagrams

PACKET = np.dtype(
    [
        ("offset", "<i8"),  # of the payload, in the file
        ("arrival_ns", "<i8"),
        ("timestamp", "<u4"),
        ("sequence", "<u2"),
        ("size", "<u2"),  # of the payload
        ("payload_type", "u1"),
        ("first", "u1"),  # bytes of the payload: they say how long Opus lasts
        ("second", "u1"),
    ]
)
"""The 27 bytes kept per packet until its samples are read."""
Packets = npt.NDArray[np.void]

_HEAD, _LEAST_TYPE_OF_RTCP, _MOST_TYPE_OF_RTCP = 12, 64, 95


def find_packets(datagrams: Datagrams) -> tuple[npt.NDArray[np.uint64], Packets]:
    """[shape=(n,)] The datagrams that may be RTP packets, and the stream of each.

    A stream's number consists of its SSRC and both its ports: 32, 16 and 16 bits.

    A datagram counts if it has version 2, room for the fields of its header, and a payload type
    that RTCP does not use on the same port (RFC 5761, 4).
    """
    data = datagrams.data
    enough = datagrams.lengths >= _HEAD
    starts, lengths = datagrams.starts[enough], datagrams.lengths[enough]

    def u8(at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return data[at].astype(np.int64)

    def u16(at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return u8(at) << 8 | u8(at + 1)

    first = u8(starts)
    kinds = u8(starts + 1) & 0x7F
    heads = _HEAD + 4 * (first & 15)
    extended = (first & 0x10 != 0) & (heads + 4 <= lengths)
    words = u16(np.where(extended, starts + heads + 2, 0))
    heads = np.where(extended, heads + 4 + 4 * words, heads)
    last = u8(starts + lengths - 1)
    sizes = lengths - heads - np.where(first & 0x20 != 0, last, 0)
    valid = (first >> 6 == 2) & (sizes >= 0)
    valid &= (kinds < _LEAST_TYPE_OF_RTCP) | (kinds > _MOST_TYPE_OF_RTCP)
    valid &= extended | (first & 0x10 == 0)
    starts, rows = starts[valid], np.flatnonzero(enough)[valid]

    packets = np.empty(len(starts), PACKET)
    packets["offset"] = datagrams.base + starts + heads[valid]
    packets["arrival_ns"] = datagrams.times_ns[rows]
    packets["timestamp"] = u16(starts + 4) << 16 | u16(starts + 6)
    packets["sequence"] = u16(starts + 2)
    packets["size"] = sizes[valid]
    packets["payload_type"] = kinds[valid]
    payloads, ends = starts + heads[valid], starts + lengths[valid] - 1
    for place, name in enumerate(("first", "second")):
        packets[name] = np.where(sizes[valid] > place, data[np.minimum(payloads + place, ends)], 0)
    ssrc = u16(starts + 8) << 16 | u16(starts + 10)
    keys = ssrc.astype(np.uint64) << np.uint64(32)
    keys |= (datagrams.from_ports[rows] << 16 | datagrams.to_ports[rows]).astype(np.uint64)
    return keys, packets
