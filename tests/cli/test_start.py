# SPDX-License-Identifier: Apache-2.0
"""The command starts with as little as it needs, and ends when there is nothing left to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from audioengine.cli import main
from tests.cli.helpers import CALL, ROOT

EDIT = ("--trim", "1-2", "--mask", "both=1.2-1.5")

# What runs as the process ends says what the process was like.
PROGRAM = """
import atexit, gc, os, sys, threading, time
from audioengine.__main__ import main

def end():
    shown = sys.modules if sys.argv[0] == "modules" else (
        os.environ.get("OPENBLAS_NUM_THREADS"), gc.get_threshold()[0] > 10_000
    )
    print(*shown, file=sys.stderr)

def late():
    time.sleep(0.3)
    print("late")

class Last:
    def __del__(self):
        os.write(2, b"freed\\n")

last = Last()
atexit.register(end)
if sys.argv[0] == "thread":
    threading.Thread(target=late).start()
main()
"""


def ended(what: str, *args: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that ended, and `what` it was like."""
    code = f"import sys; sys.argv = {[what, *map(str, args)]!r}\n{PROGRAM}"
    environment = {name: value for name, value in os.environ.items() if "OPENBLAS" not in name}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**environment, **variables},
    )


def modules(*args: object) -> set[str]:
    done = ended("modules", *args)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("audioengine.")}


def test_the_list_of_verbs_imports_none() -> None:
    listed = {"__main__", "cli", "cli.failures", "cli.program", "errors", "version"}
    assert own(modules("--help")) == {f"audioengine.{name}" for name in listed}


def test_a_store_imports_what_it_needs(tmp_path: Path) -> None:
    """Nothing of merges, records, verification, batches or the service, and no network."""
    found = modules("store", CALL, tmp_path / "out.mp3", *EDIT)
    assert {"numpy", "soundfile", "lameenc", "audioengine.render.execute"} <= found
    parts = ("batch", "commands", "execution", "service", "settings", "verification")
    others = {f"audioengine.{name}" for name in parts}
    others |= {f"audioengine.custody.{name}" for name in ("record", "chain", "entry")}
    others |= {"audioengine.plan.merge", "audioengine.render.timeline", "audioengine.parts"}
    others |= {"audioengine.cli.batch_verb", "audioengine.cli.merge_verb", "audioengine.cli.demo"}
    others |= {"importlib.metadata", "email", "zipfile", "secrets", "socket", "asyncio", "ssl"}
    assert not others & found


@pytest.mark.parametrize("name", main.verbs)
def test_the_list_says_what_each_verb_says_of_itself(name: str) -> None:
    verb = main.get_command(click.Context(main), name)
    assert verb is not None
    assert verb.name == name
    listed = click.Command(name, help=main.verbs[name].help)
    assert listed.get_short_help_str(1000) == verb.get_short_help_str(1000)


def test_the_list_has_all_verbs_with_their_module() -> None:
    done = ended("list", "--help")
    assert [line.split()[0] for line in done.stdout.split("Commands:\n")[1].splitlines()] == sorted(
        main.verbs
    )


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("inspect", CALL, "--json"), 0, '"rate_hz"'),
        (("inspect", "/no/such/file", "--json"), 1, '"StorageError"'),
        (("store", CALL, "/tmp/x.mp3", "--trim", "x", "--json"), 2, '"UsageError"'),
        (("--version",), 0, "audioengine, version"),
    ],
    ids=["done", "failed", "wrong", "version"],
)
def test_a_command_ends_with_all_that_it_says(args: tuple[str, ...], code: int, says: str) -> None:
    """What is registered for its end is done, and nothing is freed after that.

    BLAS and garbage collection are as they should be.
    """
    done = ended("end", *args)
    assert done.returncode == code
    assert says in done.stdout
    assert done.stderr.splitlines()[-1] == "1 True"


def test_a_thread_that_still_runs_is_waited_for() -> None:
    done = ended("thread", "--version")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "late"
    assert done.stderr.splitlines()[-1] == "freed"


def test_whoever_sets_the_threads_of_blas_is_heard() -> None:
    assert ended("end", "--version", OPENBLAS_NUM_THREADS="3").stderr.split() == ["3", "True"]
