# SPDX-License-Identifier: Apache-2.0
"""CSV, inventory and prefix: the same for all that they name, and no output is a source."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from hashlib import md5
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import quote, quote_plus

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.batch import manifest_all, manifest_inventory
from audioengine.batch.job_outcome import How
from audioengine.batch.manifest import count_jobs, jobs_of
from audioengine.batch.manifest_all import ForAll, Tally
from audioengine.batch.manifest_job import BadLine, Job, PlainJob, parse_job
from audioengine.batch.run_job import do_job
from audioengine.operations.options import StoreOptions
from tests.batch.helpers import SHORT
from tests.batch.test_manifest import InMemory

HOW = How(StoreOptions())
TO = "s3://out/done/"
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size"
EDIT = ae.Modification(
    trim=ae.Interval(None, Decimal("9.25")),
    mask={"caller": [ae.Interval(1, 2)], "both": [ae.Interval(3, 4.5)]},
    guard_ms=(10, 40),
)

_KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def read(manifest: str | Path, for_all: ForAll) -> list[Job | BadLine]:
    found = list(jobs_of(str(manifest), None, for_all))
    assert count_jobs(str(manifest), None, for_all) == len(found)
    return found


def parsed(jobs: Sequence[Job | BadLine]) -> list[PlainJob]:
    """Jobs, read in full; there are no bad lines among them."""
    out = []
    for one in jobs:
        assert isinstance(one, Job), one
        plain = parse_job(one)
        assert isinstance(plain, PlainJob)
        out.append(plain)
    return out


def places(jobs: Sequence[Job | BadLine]) -> list[tuple[str, str, str | None]]:
    return [(one.source, one.destination, one.version) for one in parsed(jobs)]


def rules(jobs: Sequence[Job | BadLine]) -> dict[int, str]:
    """Of bad lines, what would be right, by line."""
    return {one.line: one.error.problems[0].rule for one in jobs if isinstance(one, BadLine)}


def csv_of(folder: Path, *lines: str) -> Path:
    path = folder / "jobs.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def inventory(folder: Path, lists: list[list[str]], **more: Any) -> Path:
    """An inventory on the disk, as it is when its manifest is fetched with its lists."""
    (folder / "data").mkdir(exist_ok=True)
    files = []
    for number, rows in enumerate(lists):
        data = gzip.compress("".join(f"{row}\n" for row in rows).encode())
        (folder / "data" / f"{number}.csv.gz").write_bytes(data)
        key = f"calls/daily/data/{number}.csv.gz"
        files.append({"key": key, "size": len(data), "MD5checksum": md5(data).hexdigest()})
    wire = {
        "sourceBucket": "calls",
        "destinationBucket": "arn:aws:s3:::lists",
        "version": "2016-11-30",
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": files,
        **more,
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps(wire))
    return path


def refused(manifest: str | Path, for_all: ForAll | None) -> list[str]:
    """The paths of what is refused before anything is read."""
    with pytest.raises(ae.InvalidRequestError) as caught:
        jobs_of(str(manifest), None, for_all)
    return [problem.path for problem in caught.value.problems]


@given(st.lists(st.tuples(_KEYS, st.none() | st.from_regex(r"[\w.-]+", fullmatch=True))))
def test_keys_of_a_csv_come_through_whatever_they_are(rows: list[tuple[str, str | None]]) -> None:
    """Encoded as S3 does it, or as a URL's path is; a job names the version that its row does."""
    text = "".join(
        f"calls,{quote(key, safe='') if number % 2 else quote_plus(key)}"
        f"{'' if version is None else f',{version}'}\r\n"
        for number, (key, version) in enumerate(rows)
    )
    with patch.object(manifest_all, "open_source", lambda *_: InMemory(text.encode())):
        found = read("jobs.csv", ForAll(TO))
    again = {line for line in range(2, len(rows) + 1) if rows[line - 1][0] == rows[line - 2][0]}
    assert set(rules(found)) == again
    jobs = [one for one in found if isinstance(one, Job)]
    assert places(jobs) == [
        (f"s3://calls/{key}", TO + key, version)
        for line, (key, version) in enumerate(rows, 1)
        if line not in again
    ]
    assert [one.line for one in found] == [*range(1, len(rows) + 1)]


def test_of_versions_of_one_key_the_first_is_done_and_the_others_are_refused(
    tmp_path: Path,
) -> None:
    """As S3 lists them, one after another; the first is the newest."""
    manifest = csv_of(
        tmp_path, "calls,a.mp3,v3", "calls,a.mp3,v2", "calls,a.mp3,v1", "calls,b.mp3,v1"
    )
    found = read(manifest, ForAll(TO))
    rule = "must not be that of row 1, which is done: both would have one output"
    assert rules(found) == {2: rule, 3: rule}
    jobs = [one for one in found if isinstance(one, Job)]
    assert [one.version for one in parsed(jobs)] == ["v3", "v1"]
    rows = [["calls,a.mp3,v2", "calls,a.mp3,v1"], ["calls,a.mp3,v0"]]
    listed = inventory(tmp_path, rows, fileSchema="Bucket, Key, VersionId")
    assert list(rules(read(listed, ForAll(TO)))) == [2, 3]


def test_an_inventory_tells_how_much_there_is_to_read(tmp_path: Path) -> None:
    rows = [
        "calls,a.mp3,v,true,false,1000",
        "calls,b.mp3,v,true,false,",
        "calls,c.mp3,v,true,false,²",
    ]
    plan = ae.plan_batch(inventory(tmp_path, [rows]), for_all=ForAll(TO))
    assert (plan.jobs, plan.source_bytes, plan.unsized) == (3, 1000, 2)


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_as_csv_give_one_job_or_bad_line_for_each_line(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    with patch.object(manifest_all, "open_source", lambda *_: InMemory(data)):
        found = read("jobs.csv", ForAll(TO))
    wanted = [number for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    assert [one.line for one in found] == wanted


def test_rows_that_can_not_be_done_stop_no_others(tmp_path: Path) -> None:
    lines = [
        "calls,a.mp3",
        "calls",
        "calls,a,b,c",
        "other,a.mp3",
        'calls,"a.mp3',
        "calls,%ff.mp3",
        "calls,",
        "",
        '"calls","b%20b.mp3",""\r',
        "calls, c.mp3\u00a0",
    ]
    found = read(csv_of(tmp_path, *lines), ForAll(TO))
    bad = rules(found)
    assert list(bad) == [2, 3, 4, 5, 6, 7]
    assert "columns Bucket, Key" in bad[2]
    assert "must be 'calls' as in the first row" in bad[4]
    assert "must be CSV" in bad[5]
    assert "URL-encoded" in bad[6]
    good = [one for one in found if isinstance(one, Job)]
    assert places(good) == [
        ("s3://calls/a.mp3", f"{TO}a.mp3", None),
        ("s3://calls/b b.mp3", f"{TO}b b.mp3", None),
        ("s3://calls/ c.mp3\u00a0", f"{TO} c.mp3\u00a0", None),
    ]
    assert not any(one.recordings for one in found)
    assert not any(one.deletes for one in good)


def test_all_jobs_get_the_same_edit_as_it_was_given(tmp_path: Path) -> None:
    """And keys tell edits apart: a resumed batch with another edit does all again."""
    manifest = csv_of(tmp_path, "calls,a.mp3", "calls,b.mp3")
    found = read(manifest, ForAll(TO, EDIT, start_time_ms=1728890677283))
    for one in parsed(found):
        mask = {
            "caller": [ae.Interval(1, 2), ae.Interval(3, 4.5)],
            "callee": [ae.Interval(3, 4.5)],
        }
        assert one.modification == ae.Modification(EDIT.trim, mask)
        assert one.start_time_ms == 1728890677283
        assert one.options == {"guard_ms": (10, 40)}
    (same, _), (other, _), (alone, _) = (
        read(manifest, ForAll(TO, EDIT, start_time_ms=1728890677283)),
        read(manifest, ForAll(TO, replace(EDIT, guard_ms=Decimal("5.5")))),
        read(manifest, ForAll(TO)),
    )
    assert same.key == found[0].key
    assert len({found[0].key, found[1].key, other.key, alone.key}) == 4
    assert [one.options for one in parsed([other, alone])] == [
        {"guard_ms": Decimal("5.5")},
        {},
    ]


def test_numbers_of_any_kind_are_written_down(tmp_path: Path) -> None:
    start: Any = np.int64(1728890677283)
    trim = ae.Interval(Decimal("0.1"), cast("Any", Fraction(5, 2)))
    guard = (Decimal("2.5"), 3)
    for_all = ForAll(TO, ae.Modification(trim, guard_ms=guard), start_time_ms=start)
    (found,) = parsed(read(csv_of(tmp_path, "calls,a.mp3"), for_all))
    assert (found.start_time_ms, found.options) == (1728890677283, {"guard_ms": guard})
    assert found.modification.trim == ae.Interval(Decimal("0.1"), Decimal("2.5"))


@pytest.mark.parametrize(
    ("for_all", "path"),
    [
        (None, "to"),
        (ForAll("s3://out/done"), "to"),
        (ForAll("out"), "to"),
        (ForAll(""), "to"),
        (ForAll("gs://out/done/"), "to"),
        (ForAll(TO, ae.Modification(guard_ms=(1, 2, 3))), "guardMs"),  # type: ignore[arg-type]
        (ForAll(TO, start_time_ms="now"), "startTime"),  # type: ignore[arg-type]
        (ForAll(TO, ae.Modification(guard_ms=object())), "guardMs"),  # type: ignore[arg-type]
        (ForAll(TO, ae.Modification(relative_unit="ms")), "relative_unit"),
    ],
)
@pytest.mark.parametrize("kind", ["jobs.csv", "manifest.json", "s3://calls/a/", "folder"])
def test_what_is_wrong_for_all_is_refused_before_anything_is_read(
    kind: str, for_all: ForAll | None, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert refused(kind, for_all) == [path]


@pytest.mark.parametrize(
    ("prefix", "to", "wrong"),
    [
        ("s3://calls/a/", "s3://calls/a/", True),
        ("s3://calls/a/", "s3://calls/a/done/", True),
        ("s3://calls/a/", "s3://calls/", True),
        ("s3://calls/a/a/", "s3://calls/a/", True),
        ("s3://calls/", "s3://calls/done/", True),
        ("s3://calls/a/", "s3://calls/ab/", False),
        ("s3://calls/a/b/", "s3://calls/a/", False),
        ("s3://calls/a/", "s3://other/a/", False),
        ("s3://calls/a/", "a/", False),
    ],
)
def test_no_output_of_a_prefix_lies_under_it(prefix: str, to: str, wrong: bool) -> None:
    names = [
        f"{prefix.split('/', 3)[3]}{name}" for name in ("x.mp3", "x/y.mp3", "x/", "x.meta.json")
    ]
    sizes = [(name, 7) for name in names]
    with patch.object(manifest_all, "list_sizes", lambda *_: iter(sizes)):
        if wrong:
            assert refused(prefix, ForAll(to)) == ["to"]
            return
        found = parsed(read(prefix, ForAll(to)))
        assert ae.plan_batch(prefix, for_all=ForAll(to)).source_bytes == 14
    assert [one.destination for one in found] == [to + name for name in names[:2]]
    assert not any(one.destination.startswith(prefix) for one in found)


def test_an_object_under_the_destination_may_be_another_ones_output(tmp_path: Path) -> None:
    manifest = csv_of(tmp_path, "calls,a.mp3", "calls,done/a.mp3", "calls,donea.mp3")
    found = read(manifest, ForAll("s3://calls/done/"))
    assert list(rules(found)) == [2]
    assert list(rules(read(manifest, ForAll("s3://calls/")))) == [1, 2, 3]


def test_a_folder_is_mirrored(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    for name in ("b/c.mp3", "a.mp3", "a.mp3.meta.json"):
        (calls / name).parent.mkdir(parents=True, exist_ok=True)
        (calls / name).touch()
    for manifest in (calls, f"{calls}/"):
        found = read(manifest, ForAll(f"{tmp_path}/out/"))
        assert places(found) == [
            (f"{calls}/{name}", f"{tmp_path}/out/{name}", None) for name in ("a.mp3", "b/c.mp3")
        ]
        assert all(one.makes_folders for one in parsed(found))
    assert not (tmp_path / "out").exists()
    assert [one.makes_folders for one in parsed(read(calls, ForAll(TO)))] == [False, False]
    with pytest.raises(ae.StorageError):
        list(jobs_of(f"{tmp_path}/nothing/", None, ForAll("out/")))


def test_no_output_of_a_folder_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whatever way it is named."""
    calls = tmp_path / "calls"
    (calls / "calls").mkdir(parents=True)
    (calls / "calls" / "a.mp3").touch()
    (tmp_path / "link").symlink_to("calls")
    monkeypatch.chdir(tmp_path)
    for to in ("calls/", "calls/out/", "link/", f"{tmp_path}/link/out/", "x/../calls/"):
        assert refused("calls", ForAll(to)) == ["to"]
    assert list(rules(read("calls", ForAll("./")))) == [1]
    assert not rules(read("calls", ForAll("callsign/")))


@pytest.mark.parametrize("key", ["../a.mp3", "a/../../b", "/etc/a", "a//b", "./a", "a\0b", "a/"])
def test_no_key_leads_out_of_a_local_destination(key: str, tmp_path: Path) -> None:
    manifest = csv_of(tmp_path, f"calls,{quote(key)}")
    assert list(rules(read(manifest, ForAll(f"{tmp_path}/out/")))) == [1]
    assert not rules(read(manifest, ForAll(TO)))


def test_of_an_inventory_the_latest_versions_that_are_not_deleted_are_jobs(tmp_path: Path) -> None:
    lists = [
        [
            '"calls","a+b%2B.mp3","v2","true","false","5"',
            '"calls","a+b%2B.mp3","v1","false","false","5"',
            '"calls","gone.mp3","v1","true","true","0"',
        ],
        ['"calls","folder/","","true","false","0"', '"calls","c.mp3","","true","false","9"'],
        [],
        ['"other","a.mp3","","true","false","0"', '"calls","short"'],
    ]
    found = read(inventory(tmp_path, lists), ForAll(TO))
    assert list(rules(found)) == [6, 7]
    assert "columns Bucket, Key, VersionId, IsLatest" in rules(found)[7]
    assert places(found[:2]) == [
        ("s3://calls/a b+.mp3", f"{TO}a b+.mp3", "v2"),
        ("s3://calls/c.mp3", f"{TO}c.mp3", None),
    ]
    assert [one.line for one in found[:2]] == [1, 5]
    few = inventory(tmp_path, [["7,k.mp3,calls"]], fileSchema="Size, Key, Bucket")
    assert places(read(few, ForAll(TO))) == [("s3://calls/k.mp3", f"{TO}k.mp3", None)]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"fileFormat": "ORC"}, "fileFormat"),
        ({"fileFormat": "Parquet"}, "fileFormat"),
        ({"fileSchema": "Key, Size"}, "fileSchema"),
        ({"fileSchema": "Bucket, Key, Key"}, "fileSchema"),
        ({"fileSchema": None}, "fileSchema"),
        ({"files": None}, "files"),
        ({"files": [{"key": "a/b"}]}, "files[0]"),
        ({"files": [{"key": "a/", "MD5checksum": "0"}, 5]}, "files[0]"),
    ],
)
def test_another_form_of_inventory_is_refused(
    more: dict[str, Any], path: str, tmp_path: Path
) -> None:
    assert refused(inventory(tmp_path, [], **more), ForAll(TO))[0] == path


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000, "\x00"])
def test_what_is_no_inventory_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert refused(tmp_path / "manifest.json", ForAll(TO)) == ["manifest"]


def test_a_list_that_is_not_what_the_inventory_means_gives_no_jobs(tmp_path: Path) -> None:
    rows = ["calls,a.mp3"]
    manifest = inventory(tmp_path, [rows], fileSchema="Bucket, Key")
    packed = tmp_path / "data" / "0.csv.gz"
    whole = packed.read_bytes()
    for data in (whole[:-1], whole[:-8] + bytes(8), b"plain"):
        packed.write_bytes(data)
        with pytest.raises(ae.StorageError, match=r"0\.csv\.gz.*MD5"):
            next(jobs_of(str(manifest), None, ForAll(TO)))
        # Also where the inventory itself was made of what is broken.
        wire = json.loads(manifest.read_text())
        wire["files"][0]["MD5checksum"] = md5(data).hexdigest().upper()
        other = tmp_path / "other-manifest.json"
        other.write_text(json.dumps(wire))
        with pytest.raises(ae.StorageError, match=r"0\.csv\.gz"):
            list(jobs_of(str(other), None, ForAll(TO)))
    packed.unlink()
    with pytest.raises(ae.StorageError, match=r"0\.csv\.gz"):
        next(jobs_of(str(manifest), None, ForAll(TO)))


def test_lists_of_an_inventory_in_s3_are_where_it_was_written(tmp_path: Path) -> None:
    manifest = inventory(tmp_path, [["calls,a.mp3"]], fileSchema="Bucket, Key")
    stored = {
        "s3://lists/calls/daily/2026/manifest.json": manifest.read_bytes(),
        "s3://lists/calls/daily/data/0.csv.gz": (tmp_path / "data" / "0.csv.gz").read_bytes(),
    }
    with patch.object(manifest_inventory, "open_source", lambda place, _: InMemory(stored[place])):
        found = read("s3://lists/calls/daily/2026/manifest.json", ForAll(TO))
    assert places(found) == [("s3://calls/a.mp3", f"{TO}a.mp3", None)]


def test_folders_are_made_for_what_mirrors_a_source_and_for_nothing_else(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    (calls / "a" / "b").mkdir(parents=True)
    (calls / "a" / "b" / "c.mp3").write_bytes(SHORT.read_bytes())
    (mirrored,) = read(calls, ForAll(f"{tmp_path}/out/"))
    assert isinstance(mirrored, Job)
    outcome = do_job(mirrored._replace(makes_folders=False), HOW)
    assert outcome.error is not None
    assert "make it first" in outcome.error["message"]
    assert do_job(mirrored, HOW).error is None
    assert (tmp_path / "out" / "a" / "b" / "c.mp3").read_bytes() == SHORT.read_bytes()
    (tmp_path / "file").touch()
    (blocked,) = read(calls, ForAll(f"{tmp_path}/file/"))
    assert isinstance(blocked, Job)
    outcome = do_job(blocked, HOW)
    assert outcome.error is not None
    assert outcome.error["type"] == "StorageError"


# Names as they come


@pytest.mark.parametrize("name", ["jobs.csv", "JOBS.CSV", "Jobs.Csv"])
@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("bucket,key", "calls,a.mp3"),
        ("Bucket,Key", "calls,a.mp3"),
        ("BUCKET, KEY", "calls,a.mp3"),
        ('"Bucket","Key","Version ID"', "calls,a.mp3,v1"),
        ("key,bucket", "a.mp3,calls"),
        ("version_id,KEY,Bucket", "v1,a.mp3,calls"),
    ],
)
def test_a_csv_may_have_a_header_in_any_case(
    header: str, row: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(f"\ufeff{header}\n{row}\n".encode())
    ((source, _, version),) = places(read(path, ForAll(TO)))
    assert source == "s3://calls/a.mp3"
    assert version == ("v1" if "v1" in row else None)


def test_only_the_first_row_may_be_a_header(tmp_path: Path) -> None:
    found = read(csv_of(tmp_path, "bucket,key", "bucket,key", "bucket,a.mp3"), ForAll(TO))
    assert [one.source for one in parsed(found)] == ["s3://bucket/key", "s3://bucket/a.mp3"]


@pytest.mark.parametrize(
    ("include", "taken"),
    [
        ((), ["A.MP3", "a.mp3", "deep/b.mp3"]),
        (("*.wav", "*.MP3"), ["A.MP3", "a.mp3", "deep/b.mp3", "deep/c.wav"]),
        (("deep/*",), ["deep/b.mp3", "deep/c.wav"]),
        (("a.*",), ["A.MP3", "a.mp3", "a.txt"]),
        (("*",), ["A.MP3", "README", "a.mp3", "a.txt", "deep/b.mp3", "deep/c.wav"]),
    ],
)
def test_what_is_no_recording_is_counted_apart(
    include: tuple[str, ...], taken: list[str], tmp_path: Path
) -> None:
    """In a folder, and in what an inventory lists; each job keeps its own place."""
    names = ["A.MP3", "README", "a.mp3", "a.txt", "deep/b.mp3", "deep/c.wav"]
    calls = tmp_path / "calls"
    for name in names:
        (calls / name).parent.mkdir(parents=True, exist_ok=True)
        (calls / name).write_bytes(b"")
    for_all = ForAll(f"{tmp_path}/out/", include=include)
    tally = Tally()
    found = parsed(list(jobs_of(f"{calls}/", None, for_all, tally)))
    assert [one.source.removeprefix(f"{calls}/") for one in found] == taken
    assert tally.left_out == len(names) - len(taken)
    rows = [f"calls,{name},v,true,false,1" for name in names]
    listed = inventory(tmp_path, [rows])
    plan = ae.plan_batch(listed, for_all=ForAll(TO, include=include))
    assert (plan.jobs, plan.left_out) == (len(taken), len(names) - len(taken))
    rows = [f"calls,{name}" for name in names]
    plan = ae.plan_batch(csv_of(tmp_path, *rows), for_all=ForAll(TO, include=include))
    # Whoever writes a list row by row means each of them.
    assert plan.jobs == (len(taken) if include else len(names))
