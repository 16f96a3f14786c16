# SPDX-License-Identifier: Apache-2.0
"""Local files where the system is short of something, or knows less than others."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.storage import files
from audioengine.storage.files import FileSource, FileStaging
from tests.support import FIXTURES


def failing(
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    code: int,
    *,
    times: int | None = None,
    when: Callable[..., bool] = lambda *_: True,
) -> list[tuple[Any, ...]]:
    """Let a call of the system fail, always or the first times; the arguments of all calls."""
    real = getattr(owner, name)
    calls: list[tuple[Any, ...]] = []
    failed = [0]

    def call(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if when(*arguments) and (times is None or failed[0] < times):
            failed[0] += 1
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, call)
    return calls


def write(path: Path, data: bytes) -> None:
    with closing(FileStaging(path)) as staging:
        staging.write(data)
        staging.publish()


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


# Links


@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_links_in_a_circle_are_no_place(circle: list[str], tmp_path: Path) -> None:
    for name, other in zip(circle, [*circle[1:], circle[0]], strict=True):
        (tmp_path / name).symlink_to(tmp_path / other)
    with pytest.raises(ae.StorageError, match="can't write destination"):
        FileStaging(tmp_path / "a")
    with pytest.raises(ae.StorageError, match="can't read source"):
        FileSource(tmp_path / "a")
    assert names(tmp_path) == circle


def test_a_link_to_what_is_not_there_yet_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link", b"data")
    assert (tmp_path / "target").read_bytes() == b"data"
    assert (tmp_path / "link").is_symlink()


# Too many open files


def a_part(path: Any, *_: Any) -> bool:
    return str(path).endswith(files.TEMPORARY_SUFFIX)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Limits of 64 open files, of at most 100; what was set instead."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 100))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: asked.append(limit))
    return asked


def test_writing_raises_the_limit_of_open_files(
    tmp_path: Path, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, os, "open", errno.EMFILE, times=1, when=a_part)
    write(tmp_path / "out.mp3", b"data")
    assert (tmp_path / "out.mp3").read_bytes() == b"data"
    assert limits == [(100, 100)]


@pytest.mark.parametrize("error", [ValueError, OSError])
@pytest.mark.parametrize("door", ["read", "write"])
def test_where_the_limit_can_t_be_raised_that_there_is_one_is_the_error(
    door: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.mp3").write_bytes(b"data")

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(resource, "setrlimit", refuse)
    failing(monkeypatch, os, "open", errno.EMFILE)
    with pytest.raises(ae.StorageError, match="Too many open files") as caught:
        FileSource(tmp_path / "in.mp3") if door == "read" else FileStaging(tmp_path / "out.mp3")
    assert caught.value.retryable


def test_no_limit_is_raised_for_another_reason(
    tmp_path: Path, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, os, "open", errno.EACCES)
    with pytest.raises(ae.StorageError, match="Permission denied") as caught:
        FileSource(tmp_path / "in.mp3")
    assert not caught.value.retryable
    assert limits == []


def test_more_outputs_are_open_at_once_than_a_shell_allows(tmp_path: Path) -> None:
    code = (
        "import resource; from contextlib import closing;"
        "from audioengine.storage.files import FileStaging;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard));"
        f"open_ones = [FileStaging(f'{tmp_path}/{{number}}') for number in range(60)];"
        "[(one.publish(), one.close()) for one in open_ones]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=FIXTURES.parent)
    assert len(names(tmp_path)) == 60


# Publishing


def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(fd: int) -> None:
        is_folder = os.fstat(fd).st_ino == tmp_path.stat().st_ino
        done.append("folder" if is_folder else f"{os.fstat(fd).st_size} bytes")
        fsync(fd)

    def noted_replace(part: Path, target: Path) -> Path:
        done.append("name")
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write(tmp_path / "out.mp3", b"data")
    assert done == ["4 bytes", "name", "folder"]


def test_what_can_t_be_brought_to_disk_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.mp3").write_bytes(b"old")
    failing(monkeypatch, os, "fsync", errno.EIO)
    with pytest.raises(ae.StorageError, match="can't write") as caught:
        write(tmp_path / "out.mp3", b"new")
    assert caught.value.retryable
    assert (tmp_path / "out.mp3").read_bytes() == b"old"
    assert names(tmp_path) == ["out.mp3"]


def test_after_its_name_is_there_an_output_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store onto its own source would be edited twice, were it tried again."""
    before = descriptors()
    staging = FileStaging(tmp_path / "out.mp3")
    number = staging._fd
    staging.write(b"data")
    with monkeypatch.context() as patch:
        close = os.close
        closed: list[int] = []

        def unwilling(fd: int) -> None:
            closed.append(fd)
            close(fd)
            raise OSError(errno.EIO, "Input/output error")

        is_folder = lambda fd: os.fstat(fd).st_ino == tmp_path.stat().st_ino  # noqa: E731
        failing(patch, os, "fsync", errno.EINVAL, when=is_folder)
        patch.setattr(os, "close", unwilling)
        staging.publish()
        staging.close()
        staging.close()
    # The file's and, perhaps with its number, the folder's.
    assert closed[0] == number
    assert len(closed) == 2
    assert (tmp_path / "out.mp3").read_bytes() == b"data"
    assert descriptors() == before


def test_a_start_is_rewritten_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, bytes(data)[:3], at))
    with closing(FileStaging(tmp_path / "out.mp3")) as staging:
        staging.write(b"........ and the rest")
        staging.rewrite_start(b"the start")
        staging.publish()
    assert (tmp_path / "out.mp3").read_bytes() == b"the startand the rest"


# Leaving


def test_what_can_t_be_removed_is_left_to_the_next_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()
    with monkeypatch.context() as patch:
        staging = FileStaging(tmp_path / "out.mp3")
        failing(patch, Path, "unlink", errno.EROFS)
        staging.close()
    assert descriptors() == before
    assert len(names(tmp_path)) == 1
    write(tmp_path / "out.mp3", b"data")
    assert names(tmp_path) == ["out.mp3"]


def test_a_source_that_can_t_be_looked_at_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.mp3").write_bytes(b"data")
    before = descriptors()
    with monkeypatch.context() as patch:
        failing(patch, os, "fstat", errno.ESTALE)
        with pytest.raises(ae.StorageError, match="can't read source") as caught:
            FileSource(tmp_path / "in.mp3")
    assert caught.value.retryable
    assert descriptors() == before
    with closing(FileSource(tmp_path / "in.mp3")) as source, monkeypatch.context() as patch:
        failing(patch, os, "fstat", errno.ESTALE)
        with pytest.raises(ae.StorageError, match="can't read source"):
            source.check_unchanged()


# Temporary files


def test_writing_lists_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a store does not grow with what lies beside its destination."""
    for name in ("scandir", "listdir"):
        failing(monkeypatch, os, name, errno.EIO)
    monkeypatch.setattr(files, "_LOOKED_AHEAD", 3)
    looked_at = failing(monkeypatch, os, "open", errno.EIO, when=lambda *_: False)
    write(tmp_path / "out.mp3", b"data")
    parts = [Path(path).name for path, *_ in looked_at if a_part(path)]
    assert parts == [f".out.mp3.{number}.audioengine-part" for number in range(4)]


def test_leftovers_of_many_writers_are_removed_and_none_that_is_written(tmp_path: Path) -> None:
    """Whichever of the writers to a destination ended, were killed or go on."""
    target = tmp_path / "out.mp3"
    staged = [FileStaging(target) for _ in range(6)]
    assert names(tmp_path) == [f".out.mp3.{number}.audioengine-part" for number in range(6)]
    staged[0].publish()
    for number in (1, 4, 5):
        os.close(staged[number]._fd)  # as if killed
        staged[number]._fd = -1
    with closing(FileStaging(target)) as again:
        assert names(tmp_path) == [
            *(f".out.mp3.{number}.audioengine-part" for number in (0, 2, 3)),
            "out.mp3",
        ]
        again.write(b"again")
        again.publish()
    for one in staged[2:4]:
        one.close()
    assert names(tmp_path) == ["out.mp3"]
    assert target.read_bytes() == b"again"


def test_a_name_that_a_new_writer_has_taken_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One writer ends and another begins while a third looks whether the first was killed."""
    target = tmp_path / "out.mp3"
    first = FileStaging(target)
    real = fcntl.flock
    later: list[FileStaging] = []

    def flock(fd: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB and not later:
            later.append(first)
            first.publish()
            later.append(FileStaging(target))
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with closing(FileStaging(target)):
        assert len(later) == 2
        later[1].write(b"later")
        later[1].publish()
    assert target.read_bytes() == b"later"


def test_what_is_no_file_of_ours_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written through a link that somebody put there, nor into their file."""
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / ".out.mp3.0.audioengine-part").symlink_to(tmp_path / "other")
    (tmp_path / ".out.mp3.1.audioengine-part").mkdir()
    (tmp_path / ".out.mp3.2.audioengine-part").symlink_to(tmp_path / "nowhere")
    write(tmp_path / "out.mp3", b"data")
    assert (tmp_path / "other").read_bytes() == b"other"
    assert not (tmp_path / "out.mp3").is_symlink()
    assert len(names(tmp_path)) == 5


@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1))
def test_the_name_of_a_part_is_one_that_any_file_system_takes(name: str) -> None:
    assume(name not in {".", ".."})
    part = files._part(Path("folder") / name, 7).name.encode()
    assert len(part) <= 255
    assert part.startswith(b".")
    kept = part[1:].rpartition(b".")[0].rpartition(b".")[0].decode()
    assert name.startswith(kept)
    assert len(kept.encode()) > 196 or kept == name


def test_names_that_are_no_text_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff" * 230)
    with suppress(OSError):  # a file system may take text only
        path.touch()
        write(path, b"data")
        assert names(tmp_path) == [path.name]
        assert path.read_bytes() == b"data"


# Locks


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_there_are_no_locks_outputs_are_written_all_the_same(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bucket").mkdir()
    failing(monkeypatch, fcntl, "flock", code)
    with closing(FileStaging(tmp_path / "out.mp3")) as first:
        # It can't be told from a leftover, so it stays.
        write(tmp_path / "out.mp3", b"data")
        first.write(b"first")
        first.publish()
    assert (tmp_path / "out.mp3").read_bytes() == b"first"
    storage = ae.FolderStorage(tmp_path)
    ae.store(FIXTURES / "tiny-101-samples.mp3", storage.place("bucket", "out.mp3"))
    assert names(tmp_path / "bucket") == ["out.mp3", "out.mp3.meta.json"]


def test_a_lock_that_fails_otherwise_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, fcntl, "flock", errno.EIO)
    with pytest.raises(ae.StorageError, match="can't write"):
        FileStaging(tmp_path / "out.mp3")
    assert names(tmp_path) == []
