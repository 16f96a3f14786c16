# SPDX-License-Identifier: Apache-2.0
"""Where recordings come from and go to: any kind of place, a file's own, and its mode."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.operations.conftest import EDIT, NAME
from tests.operations.helpers import recording
from tests.support import FIXTURES


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
