# SPDX-License-Identifier: Apache-2.0
"""Where recordings come from and go to: any kind of place, whole or not at all, no litter."""

from __future__ import annotations

import errno
import io
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.operations.helpers import DECODERS, Cut, recording
from tests.support import FIXTURES, time_limit

NAME = "mpeg25-8k-32k"
ROOT = FIXTURES.parent
EDIT = Cut((1000, 40_000), caller=((8000, 16_000),)).modification(8000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp3"
    path.write_bytes(recording(NAME).data)
    return path


@pytest.fixture(scope="module")
def wanted() -> bytes:
    """What the edit makes of the recording."""
    out = io.BytesIO()
    ae.store(recording(NAME).data, out, EDIT)
    return out.getvalue()


class Unseekable(io.BytesIO):
    """Like a pipe."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


SOURCES: dict[str, Callable[[Path], Any]] = {
    "text path": str,
    "path": lambda path: path,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "file object": lambda path: io.BytesIO(path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "raw file": lambda path: path.open("rb", buffering=0),
    "unseekable": lambda path: Unseekable(path.read_bytes()),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_any_kind_of_source_gives_the_same(kind: str, source: Path, wanted: bytes) -> None:
    given = SOURCES[kind](source)
    out = io.BytesIO()
    report = ae.store(given, out, EDIT)
    assert out.getvalue() == wanted
    assert report.source.bytes == source.stat().st_size
    if hasattr(given, "close"):
        assert not given.closed
        given.close()


def test_a_file_object_is_read_from_where_it_is_and_left_there(wanted: bytes) -> None:
    given = io.BytesIO(b"something else" + recording(NAME).data)
    given.seek(14)
    out = io.BytesIO()
    ae.store(given, out, EDIT)
    assert out.getvalue() == wanted
    assert given.tell() == 14


def test_a_file_object_is_written_to_where_it_is() -> None:
    out = io.BytesIO(b"before")
    out.seek(0, 2)
    ae.store(recording(NAME).data, out)
    assert out.getvalue() == b"before" + recording(NAME).data
    assert not out.closed


@pytest.mark.parametrize("kind", ["text path", "path", "open file", "raw file"])
def test_any_kind_of_destination_gets_the_same(
    kind: str, tmp_path: Path, source: Path, wanted: bytes
) -> None:
    path = tmp_path / "out.mp3"
    kinds: dict[str, Any] = {"text path": str(path), "path": path}
    if kind in kinds:
        ae.store(source, kinds[kind], EDIT)
    else:
        with path.open("wb", buffering=0 if kind == "raw file" else -1) as file:
            ae.store(source, file, EDIT)
    assert path.read_bytes() == wanted
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.mp3", "out.mp3"]


def test_a_destination_that_takes_little_at_a_time_gets_all_of_it(wanted: bytes) -> None:
    """A raw stream may write less than it is given, and says so."""

    class Narrow(io.RawIOBase):
        def __init__(self) -> None:
            self.taken = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            part = bytes(data)[:1000]
            self.taken += part
            return len(part)

    narrow = Narrow()
    ae.store(recording(NAME).data, narrow, EDIT)  # type: ignore[arg-type]
    assert bytes(narrow.taken) == wanted


def test_a_plain_copy_is_byte_identical(tmp_path: Path) -> None:
    """Tags and all, of anything that can be read."""
    for name in ("tags-id3-ape", "junk-in-middle", "xing-no-lame", "freeformat-16k", "lavf-44k"):
        target = tmp_path / "out.mp3"
        report = ae.store(FIXTURES / f"{name}.mp3", target)
        assert target.read_bytes() == recording(name).data
        assert report.render == "copy"
        assert report.source.sha256 == report.output.sha256


def test_a_trim_to_everything_is_a_plain_copy(source: Path) -> None:
    out = io.BytesIO()
    report = ae.store(source, out, ae.Modification(trim=ae.Interval(0, 6)))
    assert report.render == "copy"
    assert out.getvalue() == source.read_bytes()


# Source and destination the same


def test_a_recording_may_be_replaced_by_itself(source: Path, wanted: bytes) -> None:
    source.chmod(0o640)
    ae.store(source, source, EDIT)
    assert source.read_bytes() == wanted
    assert stat.S_IMODE(source.stat().st_mode) == 0o640
    assert [entry.name for entry in source.parent.iterdir()] == ["in.mp3"]


def test_a_failed_edit_leaves_the_recording_that_it_would_replace(source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(ae.InvalidRequestError):
        ae.store(source, source, ae.Modification(trim=ae.Interval(7, 8)))
    assert source.read_bytes() == before
    assert [entry.name for entry in source.parent.iterdir()] == ["in.mp3"]


def test_a_symbolic_link_is_written_through(tmp_path: Path, source: Path, wanted: bytes) -> None:
    """As any program would: the link stays, what it points to is replaced."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link, target = tmp_path / "link.mp3", folder / "real.mp3"
    target.write_bytes(b"old")
    link.symlink_to(target)
    ae.store(source, link, EDIT)
    assert link.is_symlink()
    assert target.read_bytes() == wanted
    assert [entry.name for entry in folder.iterdir()] == ["real.mp3"]


# Modes


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask(umask: int, mode: int, tmp_path: Path, source: Path) -> None:
    target = tmp_path / "out.mp3"
    before = os.umask(umask)
    try:
        ae.store(source, target, EDIT)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_replaced_file_keeps_its_mode(mode: int, tmp_path: Path, source: Path) -> None:
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")
    target.chmod(mode)
    ae.store(source, target, EDIT)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_nobody_else_can_read_what_is_not_finished(tmp_path: Path, source: Path) -> None:
    """The output of a private file is as private while it is written."""
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")
    target.chmod(0o600)
    modes: set[int] = set()

    def look(*_: int) -> None:
        modes.update(
            stat.S_IMODE(entry.stat().st_mode)
            for entry in tmp_path.iterdir()
            if entry.name.startswith(".out.mp3.")
        )

    ae.store(source, target, EDIT, progress=look)
    assert modes == {0o600}


# Names


@pytest.mark.parametrize(
    "name",
    ["with space.mp3", "ümlaut-日本.mp3", ".hidden", "no-suffix", "x" * 251 + ".mp3", "ü" * 126],
)
def test_any_name_that_the_file_system_takes(
    name: str, tmp_path: Path, source: Path, wanted: bytes
) -> None:
    target = tmp_path / name
    ae.store(source, target, EDIT)
    assert target.read_bytes() == wanted
    assert {entry.name for entry in tmp_path.iterdir()} == {"in.mp3", name}


def test_names_need_not_be_utf_8(tmp_path: Path, source: Path, wanted: bytes) -> None:
    target = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp3"))
    ae.store(source, target, EDIT)
    assert target.read_bytes() == wanted
    out = io.BytesIO()
    ae.store(target, out)
    assert out.getvalue() == wanted


UNWRITABLE: dict[str, Callable[[Path], Any]] = {
    "no such folder": lambda folder: folder / "missing" / "out.mp3",
    "a folder": lambda folder: folder,
    "a folder's name": lambda folder: f"{folder}/",
    "under a file": lambda folder: folder / "in.mp3" / "out.mp3",
    "a device": lambda _: "/dev/full",
    "a null character": lambda folder: f"{folder}/a\0b.mp3",
    "no name": lambda _: "",
    "a name too long": lambda folder: folder / ("x" * 256),
}


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_an_unwritable_destination_is_a_storage_error(
    kind: str, tmp_path: Path, source: Path
) -> None:
    """Which names the destination; nothing is left behind, no folder is made."""
    target = UNWRITABLE[kind](tmp_path)
    for modification in (EDIT, None):
        with pytest.raises(ae.StorageError, match="destination") as caught:
            ae.store(source, target, modification)
        assert isinstance(caught.value, OSError)
        assert not caught.value.retryable
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp3"]


UNREADABLE: dict[str, Callable[[Path], Any]] = {
    "no such file": lambda folder: folder / "missing.mp3",
    "no such folder": lambda folder: folder / "missing" / "in.mp3",
    "a folder": lambda folder: folder,
    "under a file": lambda folder: folder / "in.mp3" / "in.mp3",
    "a device": lambda _: "/dev/zero",
    "a null character": lambda folder: f"{folder}/a\0b.mp3",
    "no name": lambda _: "",
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_source_is_a_storage_error(kind: str, tmp_path: Path, source: Path) -> None:
    """Which names the source; the destination is not touched."""
    assert source.exists()
    given = UNREADABLE[kind](tmp_path)
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")
    for attempt in (
        lambda: ae.store(given, target, EDIT),
        lambda: ae.plan_store(given, EDIT),
        lambda: ae.inspect(given),
        lambda: ae.decode(given),
    ):
        with pytest.raises(ae.StorageError, match="source"):
            attempt()
    assert target.read_bytes() == b"old"


def test_a_pipe_in_the_file_system_does_not_block(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with time_limit(5):
        with pytest.raises(ae.StorageError, match="regular file"):
            ae.inspect(pipe)
        with pytest.raises(ae.StorageError, match="regular file"):
            ae.store(recording(NAME).data, pipe, EDIT)


@pytest.mark.parametrize("place", ["gs://bucket/key.mp3", "https://example.org/a.mp3", "file:///a"])
def test_other_stores_are_refused_by_name(place: str, source: Path) -> None:
    with pytest.raises(ae.InvalidRequestError, match="source"):
        ae.inspect(place)
    with pytest.raises(ae.InvalidRequestError, match="destination"):
        ae.store(source, place)


@pytest.mark.parametrize("given", [None, 7, 1.5, ["in.mp3"], object()])
def test_what_is_no_place_is_an_invalid_request(given: Any, source: Path) -> None:
    with pytest.raises(ae.InvalidRequestError, match="source"):
        ae.inspect(given)
    with pytest.raises(ae.InvalidRequestError, match="destination"):
        ae.store(source, given)


def test_bytes_are_no_destination(source: Path) -> None:
    with pytest.raises(ae.InvalidRequestError, match="destination"):
        ae.store(source, b"out.mp3")  # type: ignore[arg-type]


def test_text_files_are_neither_source_nor_destination(source: Path) -> None:
    with pytest.raises(ae.InvalidRequestError, match="binary"):
        ae.inspect(io.StringIO("This is no recording."))  # type: ignore[arg-type]
    out = io.StringIO()
    with pytest.raises(ae.AudioEngineError):
        ae.store(source, out, EDIT)  # type: ignore[arg-type]
    assert out.getvalue() == ""


def test_closed_files_are_errors_of_ours(source: Path) -> None:
    closed = io.BytesIO(source.read_bytes())
    closed.close()
    with pytest.raises(ae.AudioEngineError):
        ae.inspect(closed)
    with pytest.raises(ae.AudioEngineError):
        ae.store(source, closed, EDIT)


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
        ae.store(source, target, EDIT, render=render, progress=stop)
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
    names = {".out.mp3.audioengine-part", ".out.mp3.0123456.audioengine-part", "out.mp3.tmp"}
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


def test_a_published_output_is_whole_at_once(source: Path, tmp_path: Path, wanted: bytes) -> None:
    """As long as progress is made, the old file is there; afterwards the new one is."""
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")
    seen = set()
    ae.store(source, target, EDIT, progress=lambda *_: seen.add(target.read_bytes()))
    assert seen == {b"old"}
    assert target.read_bytes() == wanted
    assert DECODERS["miniaudio"](wanted).shape == (39_000, 2)


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
