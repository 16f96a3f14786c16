# SPDX-License-Identifier: Apache-2.0
"""The outbox: durable, in order for each address, and nobody waits for another's address."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.service import outbox as outbox_module
from audioengine.service.outbox import Flusher, Outbox
from audioengine.service.sending import Letter, Sender
from tests.service.core.senders import Unsteady, letter
from tests.support import FIXTURES


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "down", "up", "flush", "restart"]), st.integers(0, 2)),
        max_size=25,
    )
)
def test_nothing_is_lost_and_each_address_keeps_its_order(
    tmp_path: Path, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path / f"{time.monotonic_ns()}.db"
    sender, box = Unsteady(), Outbox(path, first_pause_s=0)
    put: dict[str, list[str]] = {}
    for number, (step, place) in enumerate(steps):
        address = f"topic{place}"
        if step == "put":
            box.put(letter(address, str(number)))
            put.setdefault(address, []).append(str(number))
        elif step == "restart":
            box.close()
            box = Outbox(path, first_pause_s=0)
        elif step == "flush":
            flush_once(box, sender)
        else:
            (sender.down.add if step == "down" else sender.down.discard)(address)
        for name, bodies in put.items():
            sent = sender.bodies(name)
            assert sent == bodies[: len(sent)]
            assert box.holds("topic", name) == (len(sent) < len(bodies))
    sender.down.clear()
    flush_once(box, sender)
    assert box.depth() == 0
    assert {name: sender.bodies(name) for name in put} == put
    box.close()


def flush_once(box: Outbox, sender: Sender) -> None:
    """Without a pause after failures each address would be due again at once, for ever."""
    tries = iter(range(20))
    box.flush({"topic": sender}, lambda: next(tries, None) is None)


def test_what_fails_is_tried_again_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(random, "uniform", lambda *_: 1.0)
    sender, box = Unsteady({"t"}), Outbox(tmp_path / "box.db")
    box.put(letter("t", "1"))
    tried = []
    for _ in range(4000):
        now[0] += 1
        before = len(sender.tried)
        box.flush({"topic": sender})
        tried += [now[0] - 1000] * (len(sender.tried) - before)
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert tried[0] == 1
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert pauses[-1] == 300
    box.close()


def test_two_processes_do_not_send_to_one_address_at_once(tmp_path: Path) -> None:
    first, second = (Outbox(tmp_path / "box.db", first_pause_s=0) for _ in range(2))
    for number in range(3):
        first.put(letter("t", str(number)))
    taken, others = Unsteady(), Unsteady()

    class Slow(Sender):
        def send(self, letter: Letter) -> None:
            assert second.flush({"topic": others}) == 0
            taken.send(letter)

    assert first.flush({"topic": Slow()}) == 3
    assert taken.bodies("t") == ["0", "1", "2"]
    assert others.tried == []


KILLED = """
import sys, os, signal
from audioengine.service.outbox import Outbox
from audioengine.service.sending import Letter
box = Outbox(sys.argv[1])
for number in range(100):
    box.put(Letter(channel="topic", address="t", body=str(number)))
    print(number, flush=True)
"""


def test_what_was_put_survives_the_death_of_its_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "box.db")]
    environment = {**os.environ, "PYTHONPATH": str(FIXTURES.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        told = 20 + len(process.stdout.readlines())
    box, sender = Outbox(tmp_path / "box.db"), Unsteady()
    assert box.depth() in (told, told + 1)
    time.sleep(1.1)
    box.flush({"topic": sender})
    assert sender.bodies("t") == [str(number) for number in range(len(sender.taken))]
    assert len(sender.taken) >= told
    assert stat.S_IMODE((tmp_path / "box.db").stat().st_mode) == 0o600
    box.close()


def test_a_flusher_sends_in_the_background_whatever_a_sender_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_LOOKS_EVERY_S", 0.02)
    box = Outbox(tmp_path / "box.db", first_pause_s=0.01)
    sent = threading.Event()
    errors: list[Exception] = [ValueError("a bug"), ae.StorageError("down")]

    class Buggy(Sender):
        def send(self, letter: Letter) -> None:
            assert letter.body == "1"
            if errors:
                raise errors.pop()
            sent.set()

    monkeypatch.setattr(outbox_module, "_LEASE_S", 0.1)
    flusher = Flusher(box, {"topic": Buggy()})
    box.put(letter("t", "1"))
    assert sent.wait(10)
    flusher.close()
    assert box.depth() == 0
    box.close()
