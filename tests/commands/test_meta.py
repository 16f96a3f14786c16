# SPDX-License-Identifier: Apache-2.0
"""`meta`: both broken samples of the reference, real JSON, and everything else."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.commands.meta import Meta, Stream, parse_meta
from audioengine.errors import InvalidRequestError
from tests.commands.reference import QUEUE_META, REST_META, json_like

START = 1680093356094


def refused(text: str) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        parse_meta(text)
    return {problem.path: problem.rule for problem in caught.value.problems}


def test_without_outer_braces() -> None:
    meta = parse_meta(QUEUE_META)
    assert meta.recordings_parts_info.caller_streams == (
        Stream(start=1557932777534, ssrc=2408484501),
    )
    assert meta.start_time_ms == 1557932777523
    assert parse_meta(json.dumps(meta.to_dict())) == meta


def test_without_quotes() -> None:
    meta = parse_meta(REST_META)
    assert meta.recordings_parts_info.callee_streams == (
        Stream(start=1680093356094, ssrc=3758356851),
    )
    assert meta.start_time_ms == 1680093356094


def test_without_either() -> None:
    assert parse_meta(
        f"recordingsPartsInfo : {{callerStreams: [{{start:{START}}}]}}"
    ) == parse_meta(full([START]))


def full(starts: list[Any]) -> str:
    streams = [{"start": start} for start in starts]
    return json.dumps({"recordingsPartsInfo": {"callerStreams": streams, "calleeStreams": None}})


def test_the_earliest_of_several() -> None:
    assert parse_meta(full([START + 5, START + 0.5, START + 9])).start_time_ms == START + 0.5
    assert parse_meta(full([])).start_time_ms is None
    assert parse_meta("recordingsPartsInfo: {}").start_time_ms is None


def test_text_in_quotes_stays() -> None:
    """What looks like a key inside a string is none."""
    text = f'{{"recordingsPartsInfo": {{callerStreams: [{{start: {START}, ssrc: "a: \\"b: c"}}]}}}}'
    assert parse_meta(text).recordings_parts_info.caller_streams[0].ssrc == 'a: "b: c'


def test_refusals() -> None:
    epoch = "must be epoch milliseconds, more than 10^11 and less than 10^14"
    path = "meta.recordingsPartsInfo.callerStreams"
    assert refused(full([5, START, 10**14])) == {
        f"{path}[0].start": epoch,
        f"{path}[2].start": epoch,
    }
    assert refused(full(["x", None, True, float("nan")])) == {
        f"{path}[0].start": "must be a number",
        f"{path}[1].start": "must be a number",
        f"{path}[2].start": "must be a number",
        f"{path}[3].start": "must be finite",
    }
    assert refused("{}") == {"meta.recordingsPartsInfo": "must be given"}
    for text in ("", "[]", "{", "a: b", '"', "__import__('os')", "{" * 100_000, "1" * 5000):
        assert next(iter(refused(text))).startswith("meta")


@given(
    st.text()
    | json_like("recordingsPartsInfo", "callerStreams", "start").map(json.dumps)
    | st.text(list('{}[]:,"\\ ab1.e\n'))
)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(parse_meta(text), Meta)


@pytest.mark.parametrize("text", ['\\"', "a", "a ", '"a', "a:", "\\"])
def test_long_nonsense_takes_no_long_time(text: str) -> None:
    begun = time.perf_counter()
    refused(text * 100_000)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("party", "meant"),
    [
        ("callerstreams", "callerStreams"),
        ("caller_streams", "callerStreams"),
        ("callerStream", "callerStreams"),
        ("CALLEESTREAMS", "calleeStreams"),
    ],
)
def test_no_streams_are_lost_with_a_misspelt_key(party: str, meant: str) -> None:
    other = {"callerStreams", "calleeStreams"} - {meant}
    info = {party: [{"start": START}], other.pop(): [{"start": START + 9000}]}
    rules = refused(json.dumps({"recordingsPartsInfo": info}))
    assert list(rules) == [f"meta.recordingsPartsInfo.{party}"]
    assert f"did you mean {meant}?" in rules[f"meta.recordingsPartsInfo.{party}"]


def test_other_keys_are_ignored() -> None:
    info = {"callerStreams": [{"start": START, "codec": "PCMU"}], "mixer": 1}
    assert parse_meta(json.dumps({"recordingsPartsInfo": info, "node": 1})).start_time_ms == START
