# SPDX-License-Identifier: Apache-2.0
"""The outbox: durable, in order for each address, and nobody waits for another's address."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.service.notifications import outbox as outbox_module
from audioengine.service.notifications.letter import Channel, Letter, Sender
from audioengine.service.notifications.outbox import Flusher, Outbox
from tests.service.senders import Unsteady, letter
from tests.service.site import wait_for
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
    tries = iter(range(60))
    box.flush({"topic": sender}, lambda: next(tries, None) is None)


def test_what_fails_is_tried_again_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(random, "uniform", lambda *_: 1.0)
    sender, box = Unsteady({"t"}), Outbox(tmp_path / "box.db", clock=lambda: now[0])
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
from audioengine.service.notifications.outbox import Outbox
from audioengine.service.notifications.letter import Letter
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


class Hanging(Sender):
    """Takes letters, but answers for some addresses only once it may; notes how many it has."""

    def __init__(self, *slow: str) -> None:
        self.slow = slow
        self.may = threading.Event()
        self.lock = threading.Lock()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.sent: list[Letter] = []
        self.quick = threading.Semaphore(0)

    def send(self, letter: Letter) -> None:
        with self.lock:
            self.under_way[letter.address] += 1
            self.most |= self.under_way
        if letter.address in self.slow:
            assert self.may.wait(60)
        with self.lock:
            self.under_way[letter.address] -= 1
            self.sent.append(letter)
        if letter.address not in self.slow:
            self.quick.release()


def callback(address: str, number: int, lane: int = 0) -> Letter:
    return Letter(channel="callback", address=address, body=str(number), lane=lane)


def test_addresses_that_hang_hold_up_no_other(tmp_path: Path) -> None:
    """Topics and tenants, more of them than are sent to at once; what is due first, hangs."""
    slow = [f"slow{number}" for number in range(80)]
    sender, box = Hanging(*slow), Outbox(tmp_path / "box.db")
    for name in slow[:5]:
        for number in range(64):
            box.put(callback(name, number, lane=number % 8), has_failed=False)
    box.put(letter(slow[0], "0"), has_failed=False)
    flusher = Flusher(box, {"topic": sender, "callback": sender})
    wait_for(lambda: sum(sender.under_way.values()) == 41)
    for number in range(20):
        box.put(callback("quick", number), has_failed=False)
        box.put(letter("topic", str(number)), has_failed=False)
    for _ in range(40):
        assert sender.quick.acquire(timeout=20)
    assert max(sender.most[name] for name in slow[1:]) == 8
    for address in ("quick", "topic"):
        told = [one.body for one in sender.sent if one.address == address]
        assert told == [str(number) for number in range(20)]
    sender.may.set()
    wait_for(lambda: box.depth() == 0)
    for name in slow[:5]:
        for lane in range(8):
            numbers = [
                int(one.body)
                for one in sender.sent
                if (one.channel, one.address, one.lane) == ("callback", name, lane)
            ]
            assert numbers == list(range(lane, 64, 8))
    flusher.close()
    box.close()


def test_lines_that_fail_leave_room_for_others(tmp_path: Path) -> None:
    """Each takes its whole time-out: what failed last time is tried by half of those who send."""
    slow = [f"slow{number}" for number in range(200)]
    sender, box = Hanging(*slow), Outbox(tmp_path / "box.db", first_pause_s=0)
    for name in slow:
        box.put(callback(name, 1), has_failed=False)
    down: Mapping[Channel, Sender] = {"callback": Unsteady(slow)}
    for line in box.due(down.keys()):
        assert box.take(line)
        box.send(line, down)
    flusher = Flusher(box, {"callback": sender})
    wait_for(lambda: sum(sender.under_way.values()) == 32)
    box.put(callback("quick", 1), has_failed=False)
    assert sender.quick.acquire(timeout=20)
    assert sum(sender.under_way.values()) == 32
    sender.may.set()
    flusher.close()
    box.close()


def test_a_line_lets_others_go_first_after_a_while(tmp_path: Path) -> None:
    now = [0.0]
    box = Outbox(tmp_path / "box.db", clock=lambda: now[0])
    taken: list[str] = []

    class Slow(Sender):
        def send(self, letter: Letter) -> None:
            taken.append(letter.address)
            now[0] += 4

    for number in range(6):
        box.put(letter("a", str(number)), has_failed=False)
    box.put(letter("b", "0"), has_failed=False)
    box.flush({"topic": Slow()})
    assert "".join(taken) == "aabaaaa"
    box.close()


@pytest.mark.parametrize("step_s", [-1e6, 1e6])
def test_a_clock_that_is_set_stalls_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """Neither that of the day nor, after a boot, that of the machine."""
    now = [2e6]
    sender, path = Unsteady({"t"}), tmp_path / "box.db"
    box = Outbox(path, clock=lambda: now[0])
    box.put(letter("t", "1"), has_failed=False)
    assert box.flush({"topic": sender}) == 0
    sender.down.clear()
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + step_s)
    assert box.flush({"topic": sender}) == 0
    now[0] += 2
    assert box.flush({"topic": sender}) == 1
    sender.down.add("t")
    box.put(letter("t", "2"), has_failed=False)
    assert box.flush({"topic": sender}) == 0
    box.close()
    now[0] = 5.0
    sender.down.clear()
    box = Outbox(path, clock=lambda: now[0])
    assert box.flush({"topic": sender}) == 0
    now[0] += 2
    assert box.flush({"topic": sender}) == 1
    box.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "box.db")) as made, made:
        made.execute("CREATE TABLE letters (number INTEGER)")
    with pytest.raises(ae.StorageError, match="another version has made it"):
        Outbox(tmp_path / "box.db")
