# SPDX-License-Identifier: Apache-2.0
"""Captures with a known truth: when each sample was sent, and what became of each packet."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from audioengine.captures.capture import CapturedLeg, read_capture
from audioengine.storage.objects import BytesSource

EPOCH_NS = 1_728_890_677_283_000_000
RATE = 8_000


@dataclass(frozen=True)
class Datagram:
    """One packet on its way: when the capture saw it, where it went, and what it holds."""

    arrival_ns: int
    to_port: int
    payload: bytes
    from_port: int = 40_000


@dataclass(frozen=True)
class Sender:
    """One party that sends G.711 to a port."""

    to_port: int = 30_000
    ssrc: int = 0x1234_5678
    start_ns: int = EPOCH_NS
    sequence: int = 1_000
    timestamp: int = 160_000
    payload_type: int = 0
    drift_ppm: float = 0.0
    """How much slower its clock runs than the capture's."""
    packet: int = 160
    """Samples."""

    def send(self, codes: npt.NDArray[np.uint8]) -> list[Datagram]:
        """The packets of all codes, each arriving when its first sample was sent."""
        out = []
        for number in range(len(codes) // self.packet):
            begin = number * self.packet
            sent = begin / RATE * (1 + self.drift_ppm / 1e6)
            payload = codes[begin : begin + self.packet].tobytes()
            out.append(
                Datagram(
                    self.start_ns + round(sent * 1e9),
                    self.to_port,
                    rtp(
                        self.payload_type,
                        self.sequence + number,
                        self.timestamp + begin,
                        self.ssrc,
                        payload,
                    ),
                )
            )
        return out


def rtp(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, first: int = 0x80
) -> bytes:
    head = struct.pack(
        ">BBHII", first, payload_type, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc
    )
    return head + payload


def noise(samples: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Codes of G.711 that do not repeat."""
    return np.random.default_rng(seed).integers(0, 256, samples, np.uint8)


def jittered(
    packets: Sequence[Datagram],
    rng: np.random.Generator,
    most_ms: float = 60,
    lost: float = 0.0,
    repeated: float = 0.0,
) -> list[Datagram]:
    """The same, each later by up to `most_ms`, so that many overtake; some lost, some twice."""
    out = []
    for packet in packets:
        if rng.random() < lost:
            continue
        late = round(min(rng.exponential(most_ms / 3), most_ms) * 1e6)
        out.append(replace(packet, arrival_ns=packet.arrival_ns + late))
        if rng.random() < repeated:
            again = packet.arrival_ns + late + round(rng.uniform(0, 5e6))
            out.append(replace(packet, arrival_ns=again))
    return sorted(out, key=lambda one: one.arrival_ns)


def ipv4(packet: Datagram, *, fragment: bool = False) -> bytes:
    udp = struct.pack(">HHHH", packet.from_port, packet.to_port, 8 + len(packet.payload), 0)
    total = 20 + len(udp) + len(packet.payload)
    flags = 0x2000 if fragment else 0x4000
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, total, 1, flags, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )
    return head + udp + packet.payload


def ipv6(packet: Datagram, options: bytes = b"") -> bytes:
    udp = struct.pack(">HHHH", packet.from_port, packet.to_port, 8 + len(packet.payload), 0)
    body = options + udp + packet.payload
    head = struct.pack(
        ">IHBB16s16s", 6 << 28, len(body), 0 if options else 17, 64, b"\1" * 16, b"\2" * 16
    )
    return head + body


def ethernet(ip: bytes, *vlans: int) -> bytes:
    kind = 0x0800 if ip[0] >> 4 == 4 else 0x86DD
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in vlans)
    return b"\2" * 6 + b"\4" * 6 + tags + struct.pack(">H", kind) + ip


def pcap(
    frames: Iterable[tuple[int, bytes]],
    link: int = 101,
    *,
    order: str = "<",
    nanoseconds: bool = False,
) -> bytes:
    """A classic capture of (arrival in ns, bytes)."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    unit = 1 if nanoseconds else 1_000
    for time_ns, data in frames:
        seconds, rest = divmod(time_ns, 1_000_000_000)
        out.append(struct.pack(f"{order}IIII", seconds, rest // unit, len(data), len(data)) + data)
    return b"".join(out)


def pcapng(
    frames: Iterable[tuple[int, int, bytes]],
    interfaces: Sequence[tuple[int, int]],
    *,
    order: str = "<",
) -> bytes:
    """A capture of (interface, arrival in ns, bytes); interfaces are (link type, 10^-n s)."""

    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        size = 12 + len(body)
        return struct.pack(f"{order}II", kind, size) + body + struct.pack(f"{order}I", size)

    out = [block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for link, digits in interfaces:
        options = struct.pack(f"{order}HHB3x", 9, 1, digits) + struct.pack(f"{order}HH", 0, 0)
        out.append(block(1, struct.pack(f"{order}HHI", link, 0, 262_144) + options))
    for number, time_ns, data in frames:
        units = time_ns // 10 ** (9 - interfaces[number][1])
        head = struct.pack(
            f"{order}IIIII", number, units >> 32, units & 0xFFFF_FFFF, len(data), len(data)
        )
        out.append(block(6, head + data))
    return b"".join(out)


def raw(packets: Iterable[Datagram]) -> bytes:
    """As rtpengine writes it: raw IP, microseconds."""
    return pcap([(packet.arrival_ns, ipv4(packet)) for packet in packets])


def legs(data: bytes, types: dict[int, str] | None = None) -> tuple[CapturedLeg, ...]:
    return read_capture(BytesSource(data), types).legs


def played(leg: CapturedLeg) -> npt.NDArray[np.float32]:
    blocks = list(leg.blocks(5_000))
    assert sum(map(len, blocks)) == leg.length
    return np.concatenate(blocks)


def decoded(codes: npt.NDArray[np.uint8], payload_type: int = 0) -> npt.NDArray[np.float32]:
    """What FFmpeg makes of codes."""
    import av

    context: Any = av.CodecContext.create("pcm_mulaw" if payload_type == 0 else "pcm_alaw", "r")
    context.sample_rate, context.layout = RATE, "mono"
    frames = context.decode(av.Packet(codes.tobytes()))
    pcm = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    return np.asarray(pcm / 32_768, np.float32)
