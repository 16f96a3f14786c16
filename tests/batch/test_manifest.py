# SPDX-License-Identifier: Apache-2.0
"""The manifest of a batch: any bytes give jobs and lines that can't be done, none is lost."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.batch import manifest as module
from audioengine.batch import manifest_text
from audioengine.batch.job_outcome import error_entry
from audioengine.batch.manifest import count_jobs, jobs_of
from audioengine.batch.manifest_all import ForAll
from audioengine.batch.manifest_job import (
    BadLine,
    CommandJob,
    Job,
    PlainJob,
    job_of,
    parse_job,
)
from audioengine.commands.requests import DeleteRecording, parse_command
from audioengine.storage import Source, open_source
from tests.batch.helpers import MASK, job, manifest_of
from tests.commands.reference import MERGE
from tests.support import Bytes

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_KEYS = ("source", "destination", "modification", "startTime", "guardMs", "else")
_LINES = st.one_of(
    st.binary(max_size=40),
    _VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(_KEYS), _VALUES).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"source": st.text(), "destination": st.text()}, optional={"guardMs": _VALUES}
    ).map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
    st.sampled_from([b"", b" ", b"\r", b"\t \x0c"]),
)


class InMemory(Bytes):
    """A manifest that is no file."""

    def close(self) -> None:
        """There is nothing to give back."""


def read(data: bytes, block: int = 1 << 20) -> list[Job | BadLine]:
    """The jobs of a manifest that is read in such blocks."""
    with (
        patch.object(module, "open_source", lambda *_: InMemory(data)),
        patch.object(manifest_text, "_BLOCK_BYTES", block),
    ):
        found = list(jobs_of("manifest"))
        assert count_jobs("manifest") == len(found)
        return found


def plain(jobs: list[Job | BadLine]) -> list[Any]:
    """Jobs and errors as values that can be compared."""
    return [one if isinstance(one, Job) else (one.line, one.key, str(one.error)) for one in jobs]


def bad(line: dict[str, Any] | str | bytes) -> ae.InvalidRequestError:
    """Why a line can't be done."""
    text = json.dumps(line) if isinstance(line, dict) else line
    (found,) = read(text.encode() if isinstance(text, str) else text)
    error = refusal(found)
    assert error is not None
    return error


def refusal(found: Job | BadLine) -> ae.InvalidRequestError | None:
    """Why something can't be done, as the parent or a worker says it."""
    if isinstance(found, BadLine):
        return found.error
    try:
        parse_job(found)
    except ae.InvalidRequestError as error:
        return error
    return None


def test_a_number_beyond_all_bounds_is_a_line_that_cannot_be_done() -> None:
    error = bad('{"source": "a", "destination": "b", "startTime": 1e-99999999999999999999999}')
    assert "too large, or too small" in str(error)


def plain_job(data: bytes) -> PlainJob:
    """The job of a line, read in full."""
    (found,) = read(data)
    assert isinstance(found, Job)
    parsed = parse_job(pickle.loads(pickle.dumps(found)))
    assert isinstance(parsed, PlainJob)
    return parsed


def rules(error: ae.InvalidRequestError) -> dict[str, str]:
    return {problem.path: problem.rule for problem in error.problems}


@given(st.lists(_LINES), st.sampled_from([b"", b"\n"]), st.integers(1, 40))
@example([b'{"source": "a", "destination": "b"}'] * 3, b"", 1)
@example([b'{"source": "a", "destination": "b", "\\ud800": "\\udfff"}'], b"\n", 7)
def test_any_bytes_give_one_job_or_bad_line_for_each_line_that_is_not_empty(
    lines: list[bytes], end: bytes, block: int
) -> None:
    """In order, wherever blocks end; and what is said of bad ones can be written down."""
    data = b"\n".join(lines) + end
    found = read(data)
    wanted = [number for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    assert [one.line for one in found] == wanted
    assert plain(read(data, block)) == plain(found)
    for one in found:
        if isinstance(one, Job):
            json.dumps(one.journal_fields(), ensure_ascii=False).encode()
        if (error := refusal(one)) is not None:
            assert not error.retryable
            json.dumps(error_entry(error), ensure_ascii=False).encode()


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_equal_lines_have_equal_keys_and_others_have_others(one: bytes, two: bytes) -> None:
    """White space around a line is none of it; its place is not either."""
    one, two = (data.replace(b"\n", b"").strip() or b"x" for data in (one, two))
    first, second, third = read(b"\n\n".join((one, b" " + one + b"\r", two)))
    assert first.key == second.key
    assert (first.key == third.key) == (one == two)


def test_a_line_is_a_job_as_its_text_says_it() -> None:
    """Numbers keep their decimals; what is null is not said."""
    line = job("out.mp3", "in.mp3", modification=MASK, startTime=1728890677283, guardMs=[10, 40])
    found = plain_job(json.dumps(line).replace("40", "40.10").encode())
    assert (found.source, found.destination) == ("in.mp3", "out.mp3")
    assert found.start_time_ms == 1728890677283
    assert found.options == {"guard_ms": (10, Decimal("40.10"))}
    assert found.modification == ae.Modification(mask={"caller": [ae.Interval(1, 2)]})
    nothing = dict.fromkeys(("modification", "startTime", "guardMs", "version"))
    found = plain_job(json.dumps(job("out.mp3", "in.mp3", **nothing)).encode())
    assert (found.start_time_ms, found.options) == (None, {})
    assert found.modification == ae.Modification()


def test_a_byte_order_mark_and_other_ends_of_lines_do_no_harm() -> None:
    line = json.dumps(job("out.mp3", "in.mp3")).encode()
    found = read(b"\xef\xbb\xbf" + line + b"\r\n" + line + b"\r\n")
    assert [type(one) for one in found] == [Job, Job]


def test_everything_that_is_wrong_with_a_line_is_named_by_path_value_and_rule() -> None:
    line = {"source": "", "destination": 1, "startTime": "now", "guardMs": "5", "to": "there"}
    error = bad(line)
    guard = "must be a number or a list of two, before and after"
    known = (
        "source, destination, modification, transcript, redact, startTime, version, guardMs, "
        "clipToleranceS"
    )
    assert rules(error) == {
        "source": "must not be empty",
        "destination": "must be text",
        "startTime": "must be a number",
        "guardMs": guard,
        "to": f"is not a known key; known here: {known}",
    }
    assert {problem.path: problem.value for problem in error.problems} == line


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("{}", {"source": "must be given", "destination": "must be given"}),
        ("[]", {"job": "must be an object"}),
        ("null", {"job": "must be an object"}),
        ({"source": "a", "destination": "a"}, None),
        ({"source": "a", "destination": "b", "modification": 3}, None),
    ],
)
def test_what_is_no_job_is_refused(line: Any, wanted: dict[str, str] | None) -> None:
    found = rules(bad(line))
    assert found == wanted if wanted else found.keys() <= {"destination", "modificationParams"}


@pytest.mark.parametrize("line", ["{", b"\xff", "{'source': 1}", "9" * 5000, '{"a": 1} {}'])
def test_what_is_no_json_is_refused_and_said_why(line: str | bytes) -> None:
    (problem,) = bad(line).problems
    assert "must be the JSON of one job: " in problem.rule


@pytest.mark.parametrize("key", _KEYS)
@pytest.mark.parametrize("depth", [300, 800, 900, 950, 980, 100_000])
def test_nesting_of_any_depth_is_a_bad_line_and_no_more(key: str, depth: int) -> None:
    """Python's stack ends somewhere, with another RecursionError each time."""
    values = {"source": '"a"', "destination": '"b"', key: "[" * depth + "]" * depth}
    line = ", ".join(f'"{name}": {value}' for name, value in values.items())
    assert error_entry(bad(f"{{{line}}}"))["problems"]


@pytest.mark.parametrize("guard", [True, "5", {}, [], [1], [1, 2, 3], [1, None], [[1], 2], 1e400])
def test_a_guard_is_a_number_or_two(guard: Any) -> None:
    assert list(rules(bad(job("b", "a", guardMs=guard)))) == ["guardMs"]


def test_wrong_times_are_named_by_their_place_in_the_edit() -> None:
    wrong: dict[str, Any] = {"mask": {"caller": [{}], "me": []}}
    assert rules(bad(job("b", "a", modification=wrong))) == {
        "mask.caller[0]": "must have from or to: it is open at one end at most",
        "mask.me": "is not a known key; known here: caller, callee",
    }


def test_a_job_in_place_is_refused() -> None:
    """Done again after a kill, it would be made of its own result."""
    assert list(rules(bad(job("a.mp3", "a.mp3")))) == ["destination"]


@pytest.mark.parametrize("block", [10, 64, 1000, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n{}"])
def test_too_long_a_line_is_a_limit_error_wherever_blocks_end(block: int, end: bytes) -> None:
    """The lines before it are given; one that is as long as may be is read."""
    longest = b'"' + b"x" * 98 + b'"'
    with patch.object(manifest_text, "_LONGEST_LINE_BYTES", 100):
        assert len(read(longest + b"\n" + longest + end, block)) == 2 + end.count(b"{")
        with (
            patch.object(module, "open_source", lambda *_: InMemory(b"{}\nx" + longest + end)),
            patch.object(manifest_text, "_BLOCK_BYTES", block),
        ):
            found = jobs_of("manifest")
            assert next(found).line == 1
            with pytest.raises(ae.LimitError, match="longer than 100 bytes"):
                next(found)


def test_a_manifest_without_end_is_not_read_ahead() -> None:
    """Millions of lines take no memory: only the block that a job is in is read."""
    line = json.dumps(job("out.mp3", "in.mp3")).encode() + b"\n"

    class Endless(InMemory):
        @property
        def size(self) -> int:
            return 1 << 60

        def read(self, offset: int, length: int) -> bytes:
            self.reads.append((offset, length))
            return (line * (length // len(line) + 2))[offset % len(line) :][:length]

    source = Endless(b"")
    with (
        patch.object(module, "open_source", lambda *_: source),
        patch.object(manifest_text, "_BLOCK_BYTES", 1000),
    ):
        jobs: Iterator[Job | BadLine] = jobs_of("manifest")
        for number in range(1, 200):
            assert next(jobs).line == number
            assert len(source.reads) <= number * len(line) // 1000 + 1


def test_a_manifest_is_read_where_it_lies_and_given_back(tmp_path: Path) -> None:
    path = str(manifest_of(tmp_path, [job("b", "a"), "", job("c", "a")]))
    opened: list[Source] = []

    def noting(*place: Any) -> Source:
        opened.append(open_source(*place))
        return opened[-1]

    with patch.object(module, "open_source", noting):
        assert [one.line for one in jobs_of(path)] == [1, 3]
        assert count_jobs(path) == 2
        unfinished = jobs_of(path)
        next(unfinished)
        unfinished.close()  # type: ignore[attr-defined]
    assert [source._fd for source in opened] == [-1] * 3  # type: ignore[attr-defined]
    with pytest.raises(ae.StorageError, match="nothing"):
        next(jobs_of(str(tmp_path / "nothing")))


def test_a_line_with_a_method_is_a_command_of_the_queue(tmp_path: Path) -> None:
    """The parent knows the recordings that it names; the rest is read where it is done."""
    both = {**MERGE, "meta": 1}
    delete = {"method": "DELETERECORDING", "recordingId": "one", "replyId": "token"}
    lines = [job("b", "a"), both, delete]
    merge, deletion = list(jobs_of(str(manifest_of(tmp_path, lines))))[1:]
    assert isinstance(merge, Job)
    assert merge.recordings == {one["recordingId"] for one in MERGE["toMerge"]}
    assert not merge.deletes
    assert set(merge.journal_fields()) == {"method"}
    parsed = parse_job(merge)
    assert isinstance(parsed, CommandJob)
    assert (parsed.command, parsed.notices) == parse_command(both)
    assert isinstance(deletion, Job)
    assert deletion.recordings == {"one"}
    assert deletion.deletes
    assert deletion.journal_fields() == {"method": "DELETERECORDING", "recordingId": "one"}
    wanted = CommandJob(DeleteRecording(recording_id="one", reply_id="token"), ())
    assert parse_job(deletion) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('{"method": "STORERECORDING", "recordingId": "r", "replyId": 5}', {"r"}),
        ('{"method": null, "recordingId": "r"}', {"r"}),
        ('{"recordingId": "r", "source": "a", "destination": "b"}', {"r"}),
        ('{"method": "X", "recordingId": 7, "toMerge": [{"recordingId": "r"}, 5, {}]}', {"r"}),
        ('{"method": "MERGERECORDINGS", "toMerge": {"recordingId": "r"}}', set()),
        ('{"method": "STORERECORDING", "recordingId": "r\\u00e9\\"", "fileN', {'ré"'}),
        ('[{"recordingId" : "r"}, {"recordingId": "s"}]', {"r", "s"}),
        ('{"recordingId": "r\\x", "recordingId": ', set()),
    ],
)
def test_what_is_wrong_still_names_its_recordings(line: str, wanted: set[str]) -> None:
    """A delete that follows must know that something was not done to them."""
    (found,) = read(line.encode())
    assert found.recordings == wanted
    assert refusal(found) is not None


def test_a_version_is_one_of_an_object() -> None:
    assert plain_job(json.dumps(job("b", "s3://a/b", version="v")).encode()).version == "v"
    assert list(rules(bad(job("b", "a", version="v")))) == ["version"]
    assert list(rules(bad(job("b", "s3://a/b", version="")))) == ["version"]


@pytest.mark.parametrize("name", ["jobs.jsonl", "jobs", "s3://bucket/jobs.json"])
def test_json_lines_take_no_destination_for_all(name: str) -> None:
    with pytest.raises(ae.InvalidRequestError) as caught:
        jobs_of(name, None, ForAll("out/"))
    assert list(rules(caught.value)) == ["to"]


def test_numbers_that_no_decimal_holds_are_refused() -> None:
    """Not taken for a bug of ours."""
    one = job_of(1, b'{"source": "a", "destination": "b", "startTime": 1e99999999999999999999}')
    assert isinstance(one, BadLine)
    assert "too large" in str(one.error)
