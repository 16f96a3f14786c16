# SPDX-License-Identifier: Apache-2.0
"""What names a recording: any that the system takes; others are errors that say which it was."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.operations.conftest import EDIT, NAME
from tests.operations.helpers import recording
from tests.support import time_limit


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
