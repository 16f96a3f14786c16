# SPDX-License-Identifier: Apache-2.0
"""An hour's capture of two G.711 streams, to samples."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np

from audioengine.captures.capture import read_capture
from audioengine.storage.files import FileSource
from benchmarks.results import record

SUBJECT = "An hour's packet capture of two G.711 streams: to samples, without encoding"
PACKETS = 180_000
MOST_S, MOST_MIB = 3, 128
EPOCH_S = 1_728_890_677


def write_hour(path: Path) -> None:
    """Raw IP, as rtpengine writes it: 360,000 packets of 20 ms, their sound noise."""
    head = 16 + 20 + 8 + 12
    records = np.zeros((2 * PACKETS, head + 160), np.uint8)
    records[:, head:] = np.random.default_rng(0).integers(0, 256, (2 * PACKETS, 160), np.uint8)
    number = np.arange(2 * PACKETS) // 2
    leg = np.arange(2 * PACKETS) % 2

    def put(at: int, kind: str, values: object) -> None:
        size = np.dtype(kind).itemsize
        column = np.broadcast_to(np.asarray(values), (2 * PACKETS,)).astype(kind)
        records[:, at : at + size] = column.view(np.uint8).reshape(-1, size)

    put(0, "<u4", EPOCH_S + number // 50)
    put(4, "<u4", number % 50 * 20_000 + leg * 3_000)
    put(8, "<u4", head - 16 + 160)
    put(12, "<u4", head - 16 + 160)
    put(16, "u1", 0x45)
    put(18, ">u2", 200)
    put(25, "u1", 17)
    put(36, ">u2", 40_000)
    put(38, ">u2", 30_000 + 2 * leg)
    put(40, ">u2", 180)
    put(44, "u1", 0x80)
    put(46, ">u2", number & 0xFFFF)
    put(48, ">u4", number * 160)
    put(52, ">u4", 1 + leg)
    file_head = np.array([0xA1B2C3D4, 0x40002, 0, 0, 262_144, 101], "<u4").tobytes()
    path.write_bytes(file_head + records.tobytes())


def test_an_hour_to_samples(scratch: Path) -> None:
    path = scratch / "hour.pcap"
    write_hour(path)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    capture = read_capture(FileSource(path))
    samples = sum(len(block) for leg in capture.legs for block in leg.blocks(1 << 16))
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert samples == 2 * PACKETS * 160
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    mib = (after.ru_maxrss - before.ru_maxrss) / 1024
    record(SUBJECT, "CPU", "audioengine", f"{cpu_s:.2f} s", "≤ 3 s", kept=cpu_s <= MOST_S)
    record(SUBJECT, "memory", "audioengine", f"{mib:.0f} MiB", "≤ 128 MiB", kept=mib <= MOST_MIB)
    record(SUBJECT, "time", "audioengine", f"{seconds:.2f} s", "≤ 3 s", kept=seconds <= MOST_S)
