# SPDX-License-Identifier: Apache-2.0
"""Every seed and every finding so far goes through every target that it fits."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

import audioengine as ae
from fixtures import hostile
from fuzzing import seeds, service
from fuzzing.draw import REQUEST_BYTES, Draw
from fuzzing.targets import TARGETS, FindingError, commands, expect, store
from tests.support import time_limit

SECONDS = 10
# Requests that reach far into the code: copy, mask, trim, mask and trim, everything.
REQUESTS = (
    bytes(REQUEST_BYTES),
    b"\x01\x00\x10\x00\x20",
    b"\x04\x20\x00",
    b"\x13\x02\x08\x00\x20\x01\x30\x00\x10\x00\x40\x00\x40\x00",
    b"\x0a\x00\x10\x00\x20\x01\x30\x00\x10\x05\x00\xff\x03",
)
SOUND = [name for name, target in TARGETS.items() if target.sound]


@pytest.mark.parametrize("finding", seeds.findings())
@pytest.mark.parametrize("name", SOUND)
def test_recordings_that_once_broke_something_do_no_longer(name: str, finding: str) -> None:
    data = seeds.findings()[finding]
    heads = [request.ljust(REQUEST_BYTES, b"\0") for request in REQUESTS]
    for head in heads if TARGETS[name].request else [b""]:
        with time_limit(SECONDS):
            TARGETS[name].run(head + data)


@pytest.mark.parametrize("finding", hostile.COMMANDS)
def test_commands_that_once_broke_something_do_no_longer(finding: str) -> None:
    for mode in range(len(service.templates()) + 1):
        with time_limit(SECONDS):
            commands(bytes((mode,)) + hostile.COMMANDS[finding])


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_right(name: str) -> None:
    """A few of each target's; they fit into its inputs."""
    every = seeds.seeds(name)
    assert all(len(seed) <= TARGETS[name].most_bytes for seed in every)
    for seed in every[:: max(1, len(every) // 12)]:
        with time_limit(SECONDS):
            TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff", bytes(100), b"\xff\xfb\x90\x00" * 50])
def test_any_bytes_are_an_input(name: str, data: bytes) -> None:
    TARGETS[name].run(data)


def test_a_broken_promise_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """An output that is a frame short, as a renderer's mistake would make it."""
    expect(True, "what holds is none")
    data = seeds.findings()["impossible-side-info-8k"]
    head = REQUESTS[1].ljust(REQUEST_BYTES, b"\0")
    store(head + data)

    real = ae.store

    def shorter(source: bytes, out: BytesIO, *arguments: Any, **options: Any) -> ae.StoreReport:
        report = real(source, out, *arguments, **options)
        out.truncate(len(out.getvalue()) - 288)
        return report

    monkeypatch.setattr(ae, "store", shorter)
    with pytest.raises(FindingError, match="as long as it says"):
        store(head + data)


def test_requests_are_drawn_from_any_bytes() -> None:
    assert Draw(b"").modification().mask == {}
    for number in range(256):
        draw = Draw(bytes((number,)) * REQUEST_BYTES)
        draw.modification()
        draw.options()
