# SPDX-License-Identifier: Apache-2.0
"""Packet captures, broken: their legs have all the samples they promise, or they are refused."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np

import audioengine as ae
from audioengine.captures.capture import CapturedLeg
from audioengine.operations.captured import CaptureFile, opened_capture
from tests.captures.made import (
    EPOCH_NS,
    Datagram,
    Sender,
    ethernet,
    ipv4,
    ipv6,
    noise,
    pcap,
    pcapng,
    raw,
    rtp,
)

_TYPES = {101: "telephone-event", 96: "pcma"}
_BLOCK = 4099
_MOST_SAMPLES = 1 << 21


def captures(data: bytes) -> None:
    """Any bytes are a call whose parts follow one another, or are refused."""
    with (
        suppress(ae.AudioEngineError),
        opened_capture(CaptureFile(data, payload_types=_TYPES), None) as call,
    ):
        json.loads(call.meta)
        call.stream_reports(dict.fromkeys(call.legs, 0), 8_000)
        for leg in call.legs.values():
            _whole(leg)


def _whole(leg: CapturedLeg) -> None:
    place = 0
    for part in leg.parts:
        assert place <= part.start, "parts follow one another"
        place = part.start + part.length
    assert place <= leg.length, "parts are in their leg"
    if leg.length > _MOST_SAMPLES:
        # A few packets far apart may promise days; a part of them must be right too.
        next(leg.blocks(_BLOCK))
        return
    pcm = np.concatenate(list(leg.blocks(_BLOCK)))
    assert len(pcm) == leg.length, "as many samples as it says"
    assert np.isfinite(pcm).all(), "samples are numbers"


def seeds() -> list[bytes]:
    """A short call in each container and link layer, and what networks do to one."""
    sent = Sender(packet=40).send(noise(480))
    back = Sender(30_002, 0x9ABC_DEF0, EPOCH_NS + 3_000_000, packet=40).send(noise(320, 1))
    a_law = Sender(30_004, 7, payload_type=96, packet=40).send(noise(240, 2))
    both = sorted((*sent, *back), key=lambda one: one.arrival_ns)
    key = Datagram(
        sent[-1].arrival_ns + 1, 30_000, rtp(101, 1_012, 160_480, 0x1234_5678, b"\1\n\0P")
    )
    wraps = Sender(sequence=0xFFFC, timestamp=0xFFFF_FF80, packet=40).send(noise(480, 3))
    far = Sender(start_ns=EPOCH_NS + 10**12, sequence=2_000, packet=40).send(noise(320, 4))
    times = [(one.arrival_ns, one) for one in both]
    return [
        raw(both),
        raw(both)[:-9],
        raw([*sent, key]),
        raw([*a_law, *sent[:2], *sent[:2]]),
        raw(wraps),
        raw([*sent, *far]),
        raw([sent[at ^ 1] for at in range(len(sent))]),
        # All packets at one time, more of them than a drift is looked for in.
        raw([Datagram(0, 30_000, rtp(0, at, 8_000 * at, 9, b"\xff")) for at in range(20)]),
        pcap([(at, ethernet(ipv4(one), 7)) for at, one in times], 1, order=">", nanoseconds=True),
        pcap([(at, ethernet(ipv6(one))) for at, one in times], 1),
        pcap([(at, bytes(14) + b"\x08\0" + ipv4(one)) for at, one in times], 113),
        pcapng([(at % 2, at, ipv4(one)) for at, one in times], [(101, 6), (101, 9)]),
        pcapng([(0, at, ipv4(one)) for at, one in times], [(101, 9)], order=">"),
    ]
