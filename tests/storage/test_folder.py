# SPDX-License-Identifier: Apache-2.0
"""Folders as buckets: nothing leads out of them, and metadata is never another object's."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pickle
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.storage.buckets import Found, Location
from tests.storage.conftest import Doors
from tests.support import FIXTURES

META = ".meta.json"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    path = tmp_path / "root" / "bucket"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def local(bucket: Path) -> Doors:
    return Doors(ae.FolderStorage(bucket.parent), "bucket")


def found(doors: Doors, key: str) -> Found:
    there = doors.storage.find(doors.at(key))
    assert there is not None
    return there


def tree(path: Path) -> dict[str, bytes | str | None]:
    """All that lies in a folder, with what is in it; links are not followed."""
    entries: dict[str, bytes | str | None] = {}
    for entry in sorted(path.rglob("*")):
        name = str(entry.relative_to(path))
        if entry.is_symlink():
            entries[name] = str(entry.readlink())
        else:
            entries[name] = entry.read_bytes() if entry.is_file() else None
    return entries


# Nothing outside


DOORS: dict[str, Callable[[Doors, Location], object]] = {
    "find": lambda doors, at: doors.storage.find(at),
    "read": lambda doors, at: Doors(doors.storage, at.bucket).get(at.key),
    "write": lambda doors, at: Doors(doors.storage, at.bucket).put(at.key, b"new", {"a": "1"}),
    "copy to": lambda doors, at: doors.storage.copy(doors.at("in.mp3"), at, found(doors, "in.mp3")),
    "copy from": lambda doors, at: doors.storage.copy(
        at, doors.at("copy.mp3"), found(doors, "in.mp3")
    ),
    "versions": lambda doors, at: doors.storage.versions(at),
    "delete": lambda doors, at: doors.storage.delete(at),
}
SECRET = b"outside of the root"
NAMES = st.one_of(
    st.sampled_from(
        ["..", ".", "", "bucket", "in.mp3", "link", "loop", "out", "file-link", "secret", "~", "\0"]
    ),
    st.sampled_from(["in.mp3.meta.json", "x.audioengine-part", "..\\..", "C:", "\udc80", "\ud800"]),
    st.text(max_size=5),
)


@given(
    door=st.sampled_from(sorted(DOORS)),
    bucket=NAMES | st.lists(NAMES, max_size=4).map("/".join),
    segments=st.lists(NAMES, max_size=5),
)
@example(door="read", bucket="bucket", segments=["..", "..", "out", "secret"])
@example(door="write", bucket="..", segments=["out", "secret"])
@example(door="delete", bucket="bucket", segments=["link", "secret"])
@example(door="write", bucket="bucket", segments=["file-link"])
@example(door="read", bucket="linked", segments=["secret"])
@example(door="write", bucket="", segments=["", "tmp", "secret"])
@example(door="write", bucket="bucket", segments=["link", "new", "secret"])
@example(door="find", bucket="bucket", segments=["loop"])
@example(door="delete", bucket="other", segments=["in.mp3"])
def test_no_key_and_no_bucket_leads_out_of_the_root(
    door: str, bucket: str, segments: list[str]
) -> None:
    with TemporaryDirectory() as temporary:
        base = Path(temporary)
        root = base / "root"
        for name in ("root/bucket", "root/other", "out"):
            (base / name).mkdir(parents=True)
        (base / "out" / "secret").write_bytes(SECRET)
        (base / "secret").write_bytes(SECRET)
        (root / "secret").write_bytes(SECRET)
        (root / "bucket" / "link").symlink_to(base / "out")
        (root / "bucket" / "file-link").symlink_to(base / "out" / "secret")
        (root / "bucket" / "loop").symlink_to(root / "bucket" / "loop")
        (root / "linked").symlink_to(base / "out")
        doors = Doors(ae.FolderStorage(root), "bucket")
        doors.put("in.mp3", b"data")
        before = tree(base)
        got: object = None
        with suppress(ae.AudioEngineError):
            got = DOORS[door](doors, Location(bucket, "/".join(segments)))
        assert got != SECRET
        after = tree(base)
        for name in before.keys() | after.keys():
            if not name.startswith(("root/bucket/", "root/other/")):
                assert after.get(name) == before.get(name), name
        for name in ("link", "file-link", "loop"):
            assert after[f"root/bucket/{name}"] == before[f"root/bucket/{name}"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "key",
    [
        *("", "/in.mp3", "a//b", "a/", ".", "..", "a/../b", "./a", "a\0b", "\ud800", "a" * 246),
        *("in.mp3.meta.json", "a.meta.json/in.mp3", ".in.mp3.01234567.audioengine-part"),
    ],
)
def test_keys_that_no_file_can_have_are_refused(key: str, door: str, local: Doors) -> None:
    local.put("in.mp3", b"data", {"a": "1"})
    with pytest.raises(ae.InvalidRequestError, match="key"):
        DOORS[door](local, local.at(key))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../root/bucket", "/", "a\0b", "linked"])
def test_buckets_that_are_no_folder_of_the_root_are_refused(
    name: str, door: str, local: Doors, bucket: Path
) -> None:
    local.put("in.mp3", b"data")
    (bucket.parent / "linked").symlink_to(bucket)
    with pytest.raises(ae.InvalidRequestError, match="bucket"):
        DOORS[door](local, Location(name, "in.mp3"))


@pytest.mark.parametrize("door", DOORS)
def test_metadata_that_is_a_link_is_not_followed(
    door: str, local: Doors, bucket: Path, tmp_path: Path
) -> None:
    local.put("in.mp3", b"data")
    secret = tmp_path / "secret"
    secret.write_text('{"metadata": {"secret": "1"}}')
    (bucket / "other.mp3").write_bytes(b"other")
    (bucket / f"other.mp3{META}").symlink_to(secret)
    with pytest.raises(ae.InvalidRequestError, match="link"):
        DOORS[door](local, local.at("other.mp3"))
    assert secret.read_text() == '{"metadata": {"secret": "1"}}'


def test_links_inside_a_bucket_and_of_its_root_are_followed(
    local: Doors, bucket: Path, tmp_path: Path
) -> None:
    (bucket / "real").mkdir()
    (bucket / "link").symlink_to("real")
    (tmp_path / "way").symlink_to(bucket.parent)
    by_link = Doors(ae.FolderStorage(tmp_path / "way"), "bucket")
    by_link.put("link/in.mp3", b"data", {"a": "1"})
    assert local.get("real/in.mp3") == b"data"
    assert found(local, "real/in.mp3").metadata == {"a": "1"}


# Metadata


def test_metadata_is_beside_the_object_and_says_of_which_it_is(local: Doors, bucket: Path) -> None:
    local.put("calls/in.mp3", b"data", {"Domain": "example.org"}, {"a": "1"})
    assert sorted(tree(bucket)) == ["calls", "calls/in.mp3", f"calls/in.mp3{META}"]
    meta = json.loads((bucket / f"calls/in.mp3{META}").read_text())
    assert meta.pop("mtimeNs") == (bucket / "calls/in.mp3").stat().st_mtime_ns
    assert meta == {
        "metadata": {"Domain": "example.org", "a": "1"},
        "sha256": b64encode(sha256(b"data").digest()).decode(),
        "bytes": 4,
    }
    assert found(local, "calls/in.mp3").sha256 == meta["sha256"]


@pytest.mark.parametrize("by", ["rename", "overwrite", "longer at the same time"])
def test_metadata_does_not_count_where_the_file_was_replaced(
    by: str, local: Doors, bucket: Path
) -> None:
    local.put("in.mp3", b"data", {"a": "1"})
    path = bucket / "in.mp3"
    status = path.stat()
    later = status.st_mtime_ns + 1
    if by == "rename":
        (bucket / "other").write_bytes(b"else")
        (bucket / "other").rename(path)
    elif by == "overwrite":
        path.write_bytes(b"else")
    else:
        path.write_bytes(b"data and more")
        later -= 1
    os.utime(path, ns=(status.st_atime_ns, later))
    assert found(local, "in.mp3").metadata == {}
    assert found(local, "in.mp3").sha256 is None
    with closing(local.storage.source(local.at("in.mp3"))) as source:
        assert source.metadata == {}


def test_metadata_counts_where_the_same_bytes_were_put_back(local: Doors, bucket: Path) -> None:
    local.put("in.mp3", b"data", {"a": "1"})
    (bucket / "in.mp3").unlink()
    assert local.storage.find(local.at("in.mp3")) is None
    (bucket / "in.mp3").write_bytes(b"data")
    os.utime(bucket / "in.mp3", (1, 1))
    assert found(local, "in.mp3").metadata == {"a": "1"}


def test_metadata_may_be_written_by_hand(local: Doors, bucket: Path) -> None:
    (bucket / "in.mp3").write_bytes(b"data")
    assert found(local, "in.mp3").metadata == {}
    (bucket / f"in.mp3{META}").write_text('{"metadata": {"Start-Time-Ms": 5}}')
    assert found(local, "in.mp3").metadata == {"start-time-ms": "5"}


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "[]", "{}", '{"metadata": 1}', '{"metadata": []}', "[" * 100_000, "\xff"],
)
def test_what_is_no_metadata_is_a_storage_error_until_it_is_replaced(
    text: str, local: Doors, bucket: Path
) -> None:
    (bucket / "in.mp3").write_bytes(b"data")
    (bucket / f"in.mp3{META}").write_bytes(text.encode("latin-1"))
    with few_descriptors():
        for attempt in (lambda: found(local, "in.mp3"), lambda: local.get("in.mp3")):
            with pytest.raises(ae.StorageError, match=r"in\.mp3\.meta\.json.*no metadata"):
                attempt()
    local.put("in.mp3", b"data", {"a": "1"})
    assert found(local, "in.mp3").metadata == {"a": "1"}


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Fail where the body leaves files open."""
    before = len(list(Path("/dev/fd").iterdir()))
    yield
    assert len(list(Path("/dev/fd").iterdir())) <= before


# Whole or not at all


class KilledError(Exception):
    """Stands for the end of the process."""


STEPS = ["fsync", "replace", "open", "flock", "close", "write", "unlink"]


def kill_at(step: str, number: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Raise at the step of that number, and let nothing be done any more, as if killed."""
    where: dict[str, tuple[Any, str]] = {
        "replace": (Path, "replace"),
        "unlink": (Path, "unlink"),
        "flock": (fcntl, "flock"),
    }
    owner, name = where.get(step, (os, step))
    real = getattr(owner, name)
    count = [0]

    def counted(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] == number:
            for done in (Path, "unlink"), (Path, "replace"):
                monkeypatch.setattr(*done, dead)
            raise KilledError
        return real(*arguments, **named)

    def dead(*_: object, **__: object) -> None:
        raise KilledError

    monkeypatch.setattr(owner, name, counted)
    return count


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_killed_at_any_step_an_object_has_its_own_metadata_or_none(
    step: str, number: int, local: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (b"old data", {"a": "old"}), (b"new data", {"a": "new"})
    local.put("in.mp3", *old)
    with monkeypatch.context() as patch:
        kill_at(step, number, patch)
        with suppress(KilledError):
            local.put("in.mp3", *new)
    data, metadata = local.get("in.mp3"), found(local, "in.mp3").metadata
    assert (data, metadata) in [old, (old[0], {}), new]
    # The next one is not in its way.
    local.put("in.mp3", b"newest", {"a": "newest"})
    assert (local.get("in.mp3"), found(local, "in.mp3").metadata) == (b"newest", {"a": "newest"})


@pytest.mark.parametrize("failing", ["meta", "object"])
def test_what_can_t_be_published_leaves_the_old_object_and_no_litter(
    failing: str, local: Doors, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.put("in.mp3", b"old", {"a": "1"})
    replace = Path.replace

    def full(part: Path, target: Path) -> Path:
        if target.name.endswith(META) == (failing == "meta"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(part, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(ae.StorageError, match="No space left") as caught:
            local.put("in.mp3", b"new", {"a": "2"})
    assert caught.value.retryable
    assert local.get("in.mp3") == b"old"
    assert found(local, "in.mp3").metadata == ({"a": "1"} if failing == "meta" else {})
    assert sorted(tree(bucket)) == ["in.mp3", f"in.mp3{META}"]


WRITER = """
import sys
from contextlib import closing
import audioengine as ae
from audioengine.storage.buckets import Location
storage, at = ae.FolderStorage(sys.argv[1]), Location("bucket", "in.mp3")
for number in range(40):
    name = f"{sys.argv[2]}-{number}"
    with closing(storage.staging(at, ae.S3Options(metadata={"name": name}))) as staging:
        staging.write(name.encode())
        staging.publish()
"""


def test_two_processes_publish_at_once_and_readers_see_pairs(local: Doors, bucket: Path) -> None:
    local.put("in.mp3", b"first", {"name": "first"})
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(bucket.parent), name], cwd=FIXTURES.parent
        )
        for name in ("a", "b")
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        with closing(local.storage.source(local.at("in.mp3"))) as source:
            data = source.read(0, source.size).decode()
            assert source.metadata in ({"name": data}, {})
            seen.add(data)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(seen) > 2
    assert found(local, "in.mp3").metadata == {"name": local.get("in.mp3").decode()}
    assert sorted(tree(bucket)) == ["in.mp3", f"in.mp3{META}"]


# Folders


def test_an_object_and_a_folder_can_t_have_one_name(local: Doors, bucket: Path) -> None:
    local.put("a/b", b"data")
    before = tree(bucket)
    with pytest.raises(ae.StorageError, match="folder"):
        local.put("a", b"data")
    with pytest.raises(ae.StorageError):
        local.put("a/b/c", b"data")
    assert local.storage.find(local.at("a")) is None
    with pytest.raises(ae.StorageError):
        local.get("a")
    local.storage.delete(local.at("a"))
    local.storage.delete(local.at("a/b/c"))
    assert tree(bucket) == before


def test_folders_are_made_in_buckets_but_no_bucket(local: Doors, bucket: Path) -> None:
    local.put("a/b/c/in.mp3", b"data")
    assert (bucket / "a/b/c/in.mp3").read_bytes() == b"data"
    with pytest.raises(ae.StorageError, match=r"no bucket 'other'.*make a folder"):
        Doors(local.storage, "other").put("in.mp3", b"data")
    assert not (bucket.parent / "other").exists()


def test_what_is_no_file_is_no_object(local: Doors, bucket: Path) -> None:
    os.mkfifo(bucket / "pipe.mp3")
    assert local.storage.find(local.at("pipe.mp3")) is None
    with pytest.raises(ae.StorageError, match="regular"):
        local.get("pipe.mp3")
    with pytest.raises(ae.StorageError, match="regular"):
        local.put("pipe.mp3", b"data")


# What a folder can't


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (ae.S3Options(kms_key="alias/recordings"), "encryptionKey"),
        (ae.S3Options(customer_key=b"canary" * 5 + b"22"), "encryptionKey"),
        (ae.S3Options(version="v1"), "version"),
    ],
)
def test_what_a_folder_can_t_is_refused(
    options: ae.S3Options, field: str, local: Doors, bucket: Path
) -> None:
    at = local.put("in.mp3", b"data")
    attempts: list[Callable[[], object]] = [lambda: local.storage.source(at, options)]
    if field == "version":
        attempts += [lambda: local.storage.find(at, options)]
    else:
        attempts += [
            lambda: local.storage.staging(at, options),
            lambda: local.storage.copy(at, at, found(local, "in.mp3"), options),
        ]
    for attempt in attempts:
        with pytest.raises(ae.InvalidRequestError, match=field) as caught:
            attempt()
        assert "canary" not in str(caught.value)
    assert sorted(tree(bucket)) == ["in.mp3", f"in.mp3{META}"]


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize(
    ("mode", "files", "folders"), [(None, 0o600, 0o700), (0o640, 0o640, 0o750)]
)
def test_files_have_the_storage_s_mode(
    umask: int, mode: int | None, files: int, folders: int, tmp_path: Path
) -> None:
    """Objects and their metadata, new ones, copies and those that replace a file."""
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "old").write_bytes(b"readable by all")
    (tmp_path / "bucket" / "old").chmod(0o644)
    storage = ae.FolderStorage(tmp_path, **({} if mode is None else {"mode": mode}))
    before = os.umask(umask)
    try:
        for key in ("old", "a/b/new"):
            with closing(storage.place("bucket", key).staging()) as staging:
                staging.write(b"whole")
                staging.publish()
        source = Location("bucket", "old")
        found = storage.find(source)
        assert found is not None
        storage.copy(source, Location("bucket", "a/copy"), found)
    finally:
        os.umask(before)
    for path in (tmp_path / "bucket").rglob("*"):
        wanted = folders & ~umask if path.is_dir() else files
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def caught(what: Callable[[], object]) -> ae.AudioEngineError | None:
    try:
        what()
    except ae.AudioEngineError as error:
        return error
    return None


def published(storage: ae.Storage, at: Location) -> None:
    with closing(storage.staging(at)) as staging:
        staging.write(b"new")
        staging.publish()


STORED: dict[str, Callable[[ae.Storage, Location], object]] = {
    "find": lambda storage, at: storage.find(at),
    "source": lambda storage, at: storage.source(at).read(0, 1),
    "staging": published,
    "delete": lambda storage, at: storage.delete(at),
    "objects": lambda storage, at: list(storage.objects(at.bucket)),
}


@pytest.mark.parametrize("name", ["open", "pread", "write", "fsync", "scandir", "unlink", "mkdir"])
@pytest.mark.parametrize("door", STORED)
def test_no_message_tells_where_the_root_is(
    door: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tenants are told them; the key alone tells which object it was."""
    (tmp_path / "bucket").mkdir()
    storage = ae.FolderStorage(tmp_path)
    published(storage, Location("bucket", "there.mp3"))
    key = "a/there.mp3" if name == "mkdir" else "there.mp3"

    def broken(*_arguments: Any, **_more: Any) -> Any:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(tmp_path))

    monkeypatch.setattr(os, name, broken)
    error = caught(lambda: STORED[door](storage, Location("bucket", key)))
    monkeypatch.undo()
    assert error is None or error.retryable or key.startswith("a/")
    assert str(tmp_path) not in str(error)


def test_nor_does_any_other(tmp_path: Path) -> None:
    (tmp_path / "bucket" / "folder").mkdir(parents=True)
    storage = ae.FolderStorage(tmp_path)
    published(storage, Location("bucket", "there"))
    (tmp_path / "bucket" / f"there{META}").write_text("none")
    for door, make in STORED.items():
        for bucket, key in (("bucket", "gone"), ("bucket", "folder"), ("bucket", "there")):
            for at in (Location(bucket, key), Location("none", key), Location(bucket, f"{key}/x")):
                assert str(tmp_path) not in str(caught(partial(make, storage, at))), door


def test_a_folder_storage_may_be_sent_to_another_process(local: Doors) -> None:
    local.put("in.mp3", b"data")
    again = pickle.loads(pickle.dumps(local.storage))
    assert Doors(again, "bucket").get("in.mp3") == b"data"
    assert repr(again) == repr(local.storage)


def test_only_whole_objects_are_listed_as_files(local: Doors, bucket: Path) -> None:
    """A leftover of a killed publish is the storage's own."""
    local.put("in.mp3", b"data")
    with closing(local.storage.staging(local.at("out.mp3"))):
        (part,) = {entry.name for entry in bucket.iterdir()} - {"in.mp3", f"in.mp3{META}"}
        with pytest.raises(ae.InvalidRequestError, match="own"):
            local.storage.find(local.at(part))
