# SPDX-License-Identifier: Apache-2.0
"""An output appears whole or not at all: nothing is left of what fails, stops or is killed."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.operations.conftest import EDIT, NAME
from tests.operations.helpers import DECODERS, recording
from tests.support import FIXTURES

ROOT = FIXTURES.parent


def test_a_source_that_fails_while_it_is_read_is_a_storage_error(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        reads = 0

        def read(self, *size: int | None) -> bytes:
            self.reads += 1
            if self.reads > 2:
                raise OSError(5, "Input/output error")
            return super().read(*size)

    target = tmp_path / "out.mp3"
    with pytest.raises(ae.StorageError, match="source"):
        ae.store(Failing(recording(NAME).data), target, EDIT)
    assert list(tmp_path.iterdir()) == []


def test_a_destination_that_fails_is_a_storage_error() -> None:
    class Failing(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(ae.StorageError, match="destination"):
        ae.store(recording(NAME).data, Failing(), EDIT)


@pytest.mark.parametrize("change", ["longer", "touched"])
def test_a_source_that_changes_meanwhile_is_not_trusted(
    change: str, source: Path, tmp_path: Path
) -> None:
    """The output could be of neither; a later try may succeed."""
    target = tmp_path / "out.mp3"

    def disturb(*_: int) -> None:
        if change == "longer":
            with source.open("ab") as file:
                file.write(b"\0")
        else:
            os.utime(source, (1, 1))

    with pytest.raises(ae.StorageError, match="changed") as caught:
        ae.store(source, target, EDIT, progress=disturb)
    assert caught.value.retryable
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp3"]


def test_a_published_output_is_whole_at_once(source: Path, tmp_path: Path, wanted: bytes) -> None:
    """As long as progress is made, the old file is there; afterwards the new one is."""
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")
    seen = set()
    ae.store(source, target, EDIT, progress=lambda *_: seen.add(target.read_bytes()))
    assert seen == {b"old"}
    assert target.read_bytes() == wanted
    assert DECODERS["miniaudio"](wanted).shape == (39_000, 2)


def test_a_full_disk_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        parts = [entry for entry in tmp_path.iterdir() if entry.name.startswith(".out.mp3.")]
        if os.fstat(descriptor).st_ino in {part.stat().st_ino for part in parts}:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ae.StorageError, match="No space left") as caught:
        ae.store(source, target, EDIT)
    assert caught.value.retryable
    assert target.read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.mp3", "out.mp3"]


# Interrupted


class StopError(Exception):
    """Something that the caller's own code raises."""


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("render", ["smart", "full"])
def test_after_any_interruption_there_is_no_output_and_no_litter(
    error: type[BaseException], render: Any, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")

    def stop(*_: int) -> None:
        raise error

    with pytest.raises(error):
        ae.store(source, target, EDIT, ae.StoreOptions(render=render), progress=stop)
    assert target.read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.mp3", "out.mp3"]


def test_ctrl_c_leaves_nothing(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"

    def press(*_: int) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ae.store(source, target, EDIT, progress=press)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp3"]


KILLED = """
import os, signal, sys
import audioengine as ae
source, target = sys.argv[1:]
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
ae.store(source, target, ae.Modification(mask={"both": [ae.Interval(1, 2)]}), progress=kill)
"""


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_a_killed_process_left_is_removed_by_the_next_one(
    source: Path, tmp_path: Path, wanted: bytes
) -> None:
    """It has a recognisable name; what belongs to other destinations stays."""
    target, other = tmp_path / "out.mp3", tmp_path / "other.mp3"
    for place in (target, target, other):
        assert run(KILLED, source, place).returncode == -signal.SIGKILL
    left = {entry.name for entry in tmp_path.iterdir()} - {"in.mp3"}
    assert len(left) == 2  # the second run removed what the first had left
    assert all(name.endswith(".audioengine-part") for name in left)
    assert all(name.startswith((".out.mp3.", ".other.mp3.")) for name in left)
    assert not target.exists()
    ae.store(source, target, EDIT)
    assert target.read_bytes() == wanted
    (remains,) = {entry.name for entry in tmp_path.iterdir()} - {"in.mp3", "out.mp3"}
    assert remains.startswith(".other.mp3.")


def test_a_file_that_only_looks_like_a_leftover_stays(source: Path, tmp_path: Path) -> None:
    names = {".out.mp3.audioengine-part", ".out.mp3.0123abcd.audioengine-part", "out.mp3.tmp"}
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
    ae.store(source, tmp_path / "out.mp3", EDIT)
    assert names < {entry.name for entry in tmp_path.iterdir()}


def test_what_another_run_is_writing_now_is_not_removed(
    source: Path, tmp_path: Path, wanted: bytes
) -> None:
    """Two stores to one destination at a time: the last to end is what stands there."""
    target = tmp_path / "out.mp3"
    inner: list[ae.StoreReport] = []

    def meanwhile(*_: int) -> None:
        if not inner:
            inner.append(ae.store(source, target, ae.Modification(trim=ae.Interval(1, 2))))

    ae.store(source, target, EDIT, progress=meanwhile)
    assert inner
    assert target.read_bytes() == wanted
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.mp3", "out.mp3"]


# Open files


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Fail where the body leaves files open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
def test_no_file_stays_open(source: Path, tmp_path: Path) -> None:
    """Neither after success nor after errors of any kind."""
    target = tmp_path / "out.mp3"
    ae.store(source, target, EDIT)
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"This is no recording.")
    with few_descriptors():
        for _ in range(5):
            ae.store(source, target, EDIT)
            ae.inspect(source)
            ae.decode(source, 1, 2)
            for attempt in (
                lambda: ae.inspect(bad),
                lambda: ae.store(bad, target, EDIT),
                lambda: ae.store(source, target, ae.Modification(trim=ae.Interval(8, 9))),
                lambda: ae.store(source, tmp_path / "missing" / "out.mp3", EDIT),
            ):
                with pytest.raises(ae.AudioEngineError):
                    attempt()


def test_more_sources_are_open_at_once_than_a_shell_allows(tmp_path: Path) -> None:
    """As far as the system lets a process go."""
    parts = []
    for number in range(60):
        path = tmp_path / f"{number}.mp3"
        path.write_bytes(recording("tiny-101-samples").data)
        parts.append(f"ae.MergePart({str(path)!r}, 1728890677283 + {number})")
    code = (
        "import resource, audioengine as ae;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard));"
        f"print(len(ae.plan_merge([{', '.join(parts)}]).parts))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "60\n"
