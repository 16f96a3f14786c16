# SPDX-License-Identifier: Apache-2.0
"""The command as a process: what it imports, and how it ends when it is stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.helpers import CALL, COMMAND, ROOT, TEMPORARY, long_call, run, started
from tests.support import decode_miniaudio

HEAVY = {"numpy", "soundfile", "lameenc", "pydantic", "scipy", "av", "miniaudio"}
EDIT = ("--trim", "1-", "--render", "full")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A recording that takes long to re-encode, and is alone in its folder."""
    path = tmp_path / "source" / "call.mp3"
    path.parent.mkdir()
    path.write_bytes(long_call())
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A destination in a folder of its own."""
    folder = tmp_path / "target"
    folder.mkdir()
    return folder / "out.mp3"


def wait_for_part(target: Path) -> Path:
    """The temporary file, once something is written to it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for part in target.parent.glob(TEMPORARY):
            if part.stat().st_size:
                return part
        time.sleep(0.02)
    raise AssertionError("no temporary file")


def imported_by(code: str) -> set[str]:
    """Heavy modules that a piece of code imports."""
    show = "import sys; print('\\n'.join(sorted({name.split('.')[0] for name in sys.modules})))"
    command = [sys.executable, "-c", f"{code}\n{show}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return HEAVY & set(done.stdout.split())


def through_main(*args: str) -> str:
    return f"""
from audioengine.cli import main
try:
    main({[*args]!r})
except SystemExit as end:
    assert end.code == 0, end.code
"""


def test_a_cheap_start(tmp_path: Path) -> None:
    """Nothing heavy is imported before it is needed; pydantic only for --params."""
    request = "import audioengine as ae; ae.Modification(trim=ae.Interval(1, 2)); ae.Beep()"
    assert imported_by(request) == set()
    assert imported_by(through_main("--help") + through_main("store", "--help")) == set()
    edit = ("--trim", "1-2", "--mask", "both=1.2-1.5")
    store = through_main("store", CALL, str(tmp_path / "out.mp3"), *edit)
    assert imported_by(store) == {"numpy", "soundfile", "lameenc"}
    assert "pydantic" in imported_by(through_main("plan", CALL, "--params", '{"mask": {}}'))


def test_as_a_process(target: Path) -> None:
    """``python -m audioengine`` is the command: report on stdout, exit code 0."""
    with started("store", CALL, target, "--mask", "both=1-2", "--json") as process:
        out, err = process.communicate()
    assert process.returncode == 0
    assert err == b""
    assert json.loads(out)["output"]["bytes"] == target.stat().st_size


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping(source: Path, target: Path, number: signal.Signals) -> None:
    """Ctrl-C and its kin: exit code 130, a word to people and machines, no output of any kind."""
    target.write_bytes(b"before")
    with started("store", source, target, *EDIT, "--json") as process:
        wait_for_part(target)
        process.send_signal(number)
        # Impatience does not disturb the cleaning up.
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["error"] == {
        "type": "Interrupted",
        "message": "interrupted",
        "retryable": True,
    }
    assert err.decode().strip() == "Error: interrupted"
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == b"before"


def test_a_killed_run_is_cleaned_up_by_the_next(source: Path, target: Path) -> None:
    """What kill -9 leaves has a recognisable name, and the next run there removes it."""
    with started("store", source, target, *EDIT) as process:
        part = wait_for_part(target)
        assert re.fullmatch(r"\.out\.mp3\.[0-9]+\.audioengine-part", part.name)
        # While it is written, another run on the same destination leaves it alone.
        assert run("store", CALL, target).exit_code == 0
        assert part.exists()
        process.kill()
        process.communicate()
    assert part.exists()
    assert run("store", CALL, target, "--mask", "both=1-2").exit_code == 0
    assert list(target.parent.iterdir()) == [target]
    assert len(decode_miniaudio(target.read_bytes())) == 96_000


def test_a_bar_on_a_terminal(source: Path, target: Path) -> None:
    """Long work shows how far it is where stderr is a terminal; stopping it ends the line."""
    ours, theirs = os.openpty()
    with started("store", source, target, *EDIT, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while b"Rendering" not in seen:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        with suppress(OSError):  # the end of a terminal that nobody has open any more
            while True:
                seen += os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == 130
    assert out == b""
    assert b"interrupted" in seen


def test_a_background_job_ignores_what_its_shell_told_it_to(target: Path) -> None:
    """A signal that is ignored from the start stays ignored, as nohup wants it."""
    code = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
    code += "os.execv(sys.executable, sys.argv[1:])"
    check = (
        "import signal, sys; from audioengine.cli.program import _orderly_stop\n"
        "with _orderly_stop():\n"
        "    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN\n"
        "    assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, signal.SIG_DFL)\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
    )
    command = [sys.executable, "-c", code, sys.executable, "-c", check]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == 0
    assert not list(target.parent.iterdir())


def test_a_reader_that_leaves(target: Path) -> None:
    """A closed pipe ends the command without a traceback; the output is whole."""
    reader, writer = os.pipe()
    os.close(reader)
    with started("store", CALL, target, "--mask", "both=1-2", stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate()
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert len(decode_miniaudio(target.read_bytes())) == 96_000


def test_the_entry_point_is_the_command() -> None:
    """The installed script and ``python -m`` are the same."""
    done = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith("audioengine, version ")
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert 'audioengine = "audioengine.__main__:main"' in pyproject
