# SPDX-License-Identifier: Apache-2.0
"""A worker is killed at any moment, many times: its commands come to their end all the same."""

from __future__ import annotations

import io
import json
import multiprocessing
import multiprocessing.process
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.execution.service import DATA, KEPT, TEMP
from tests.service import worker_program
from tests.service.site import Site, delete, merge, send, store, temp_key, wait_for
from tests.support import FIXTURES

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("AUDIOENGINE_KILLS", "6"))
RECORDINGS = 6 * KILLS
HEAVY = ["tests.service.worker_program", "audioengine.execution.execute", "audioengine.operations"]

# Forked from a process that has imported all that is slow to import.
forked = multiprocessing.get_context("forkserver")


@contextmanager
def started(
    site: Site, *, in_threads: bool = True, max_receives: int = 1000, offset_s: float = 0
) -> Iterator[multiprocessing.process.BaseProcess]:
    """A worker as a process, killed at the end if it still runs."""
    values = site.values(visibility_s=1, wait_s=0, max_receives=max_receives)
    forked.set_forkserver_preload(HEAVY)
    process = forked.Process(
        target=worker_program.work,
        args=(site.folder, values),
        kwargs={"in_threads": in_threads, "offset_s": offset_s},
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def random_commands(site: Site, chance: random.Random) -> list[dict[str, Any]]:
    """Stores, copies, merges and deletes, some of which must fail, in some order."""
    commands: list[dict[str, Any]] = []
    for number in range(RECORDINGS):
        name = f"r{number}"
        site.put(name)
        own = [store(name)]
        if chance.random() < 0.3:
            own = [store(name, modificationParams=None)]
        if chance.random() < 0.3:
            trim = {"trim": {"from": 0.5}}
            own.append(store(name, f"{name}-trimmed.mp3", modificationParams=trim))
        if chance.random() < 0.2:
            own.append(store(name, f"{name}-not.mp3", destinationBucket="elsewhere"))
        elif chance.random() < 0.7:
            own.append(delete(name))
        if number and chance.random() < 0.2:
            commands.append(merge([name, f"keep{number}"], f"{name}-merged.mp3"))
            site.put(f"keep{number}")
        commands += own
    return commands


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def finish(site: Site, **options: Any) -> None:
    """The last worker ends what is left, and drains when it is asked to stop."""
    queue = site.queue()
    with started(site, **options) as process:
        wait_for(lambda: queue.depth() == queue.dead() == 0, 300)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
        assert process.exitcode == 0
    assert queue.dead() == 0


def kill_some(site: Site, chance: random.Random, longest_s: float, **options: Any) -> None:
    """Kill workers one after another, each so long after it has begun to tell."""
    queue, told = site.queue(), 0

    def has_begun() -> bool:
        return len(site.lines()) > told or queue.depth() == 0

    for _ in range(KILLS):
        told = len(site.lines())
        # Workers whose clocks differ, as those of machines do.
        offset_s = chance.choice([-20, 0, 20])
        with started(site, offset_s=offset_s, **options) as process:
            # Then it is in the middle of others.
            wait_for(has_begun, 120)
            time.sleep(chance.uniform(0, longest_s))
            process.kill()


def test_kill_9_at_random_points_of_random_commands(site: Site) -> None:
    queue, chance = site.queue(), random.Random(4711)
    commands = random_commands(site, chance)
    for command in commands:
        send(queue, command)
    kill_some(site, chance, 0.3)
    finish(site, offset_s=-20)
    check(site, commands)


def test_kill_9_at_the_last_receive(site: Site) -> None:
    """Each message is handed out once: what was in hand of the killed is with the dead letters."""
    queue, chance = site.queue(), random.Random(815)
    commands = random_commands(site, chance)
    for command in commands:
        send(queue, command)
    kill_some(site, chance, 0.05, max_receives=1)
    finish(site, max_receives=1, offset_s=-20)
    told_of = site.by_command()
    for command in commands:
        (kind,) = {event["event"] for event in told_of[command["replyId"]]}
        temporary = site.root / TEMP / temp_key(command.get("recordingId", ""))
        if kind == "RECORDINGSTORED":
            found = (site.root / KEPT / command["fileName"]).read_bytes()
            assert found == made(command.get("modificationParams"))
        elif kind == "STORERECORDINGFAILED":
            assert not (site.root / KEPT / command["fileName"]).exists()
            assert temporary.exists()
        elif kind == "RECORDINGDELETED":
            assert not temporary.exists()
        elif kind == "DELETERECORDINGFAILED":
            assert temporary.exists()
    left = [path.name for path in (site.root / KEPT).glob(".*-part") if ".meta." not in path.name]
    assert left == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks into /proc")
def test_processes_end_with_a_worker_that_is_killed(site: Site) -> None:
    queue = site.queue()
    commands = []
    for number in range(10):
        site.put(f"r{number}")
        commands += [store(f"r{number}"), delete(f"r{number}")]
    for command in commands:
        send(queue, command)
    with started(site, in_threads=False) as process:
        wait_for(site.lines, 120)
        assert process.pid is not None
        children = children_of(process.pid)
        assert len(children) >= 2
        process.kill()
        process.join()
        wait_for(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children))
    finish(site)
    check(site, commands)


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def check(site: Site, commands: list[dict[str, Any]]) -> None:
    told = site.by_command()
    outputs: dict[str, bytes] = {}
    for command in commands:
        kinds = {event["event"] for event in told[command["replyId"]]}
        assert len(kinds) == 1, (command, kinds)
        (kind,) = kinds
        assert kind.endswith("FAILED") == (command.get("destinationBucket") == "elsewhere")
        params = command.get("modificationParams")
        if command["method"] == "STORERECORDING" and not kind.endswith("FAILED"):
            key = json.dumps(params)
            outputs.setdefault(key, made(params))
            found = (site.root / KEPT / command["fileName"]).read_bytes()
            assert found == outputs[key]
        if command["method"] == "MERGERECORDINGS":
            assert ae.inspect(site.root / KEPT / command["fileName"]).samples > 0
    deleted = {one["recordingId"] for one in commands if one["method"] == "DELETERECORDING"}
    for command in commands:
        recording = command.get("recordingId")
        if recording is not None:
            assert (site.root / TEMP / temp_key(recording)).exists() == (recording not in deleted)
    assert not [path for path in (site.root / KEPT).iterdir() if "part" in path.name]


def made(params: Any) -> bytes:
    if params is None:
        return DATA
    out = io.BytesIO()
    ae.store(DATA, out, ae.Modification.from_params(params))
    return out.getvalue()


@pytest.mark.parametrize("offset", ["-20s", "+20s"])
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not here")
def test_with_faketime_a_delete_behind_a_failed_store_deletes_nothing(
    site: Site, offset: str
) -> None:
    """Whatever is off: the clock of the worker, of its libraries, of the files that it writes."""
    queue = site.queue()
    for number in range(5):
        site.put(f"r{number}")
        for name, command in (
            ("store", store(f"r{number}", destinationBucket="elsewhere")),
            ("delete", delete(f"r{number}")),
        ):
            queue.send(json.dumps(command), group=f"{name}{number}")  # in no order
    values = json.dumps(site.values(visibility_s=5, wait_s=0, max_receives=1000))
    program = ["faketime", "-f", offset, sys.executable, "-c", FAKED, str(site.folder), values]
    environment = {
        **os.environ,
        "PYTHONPATH": str(FIXTURES.parent),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with subprocess.Popen(program, env=environment) as process:
        try:
            wait_for(lambda: queue.depth() == 0, 120)
            # The worker is the child of the one that was begun.
            for pid in children_of(process.pid) or [process.pid]:
                os.kill(pid, signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
    told = [event["event"] for event in site.heard()]
    assert sorted(told) == ["DELETERECORDINGFAILED"] * 5 + ["STORERECORDINGFAILED"] * 5
    assert len(list((site.root / TEMP).glob("*.mp3"))) == 5


FAKED = """
import json, sys
from pathlib import Path
from tests.service.worker_program import work
work(Path(sys.argv[1]), json.loads(sys.argv[2]), in_threads=True)
"""
