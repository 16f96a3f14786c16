# SPDX-License-Identifier: Apache-2.0
"""What a record is told of commands, and never is."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.custody.records import KEY, codes
from tests.execution import service
from tests.execution.service import DATA, KEPT, RECORDING, TEMP, TEMP_KEY, run, store_command

CANARY = base64.b64encode(bytes(range(70, 102))).decode()
PLACE = f"s3://{KEPT}/{RECORDING}.mp3"


@pytest.fixture
def record(tmp_path: Path) -> ae.CustodyRecord:
    return ae.CustodyRecord(tmp_path / "record.jsonl", KEY)


def entries(record: ae.CustodyRecord) -> list[dict[str, Any]]:
    path = Path(record.path)
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["entry"] for line in lines]


def test_a_store(record: ae.CustodyRecord) -> None:
    storage = service.storage()
    outcome = run(store_command(), storage, record=record)
    (entry,) = entries(record)
    assert entry["command"] == {
        "method": "STORERECORDING", "recordings": [RECORDING], "digest": outcome.digest,
    }  # fmt: skip
    assert entry["sources"][0]["place"] == f"s3://{TEMP}/{TEMP_KEY}"
    assert entry["output"]["place"] == PLACE
    assert entry["applied"]["masks"]
    verdict = ae.verify_record(record, storage=storage)
    assert (verdict.passed, verdict.outputs_checked, verdict.sources_checked) == (True, 1, 1)
    storage.put(KEPT, f"{RECORDING}.mp3", DATA)
    assert codes(ae.verify_record(record, storage=storage)) == {"output_changed"}


@pytest.mark.parametrize("versioned", [False, True])
def test_a_copy_is_told_as_the_store_tells_it(record: ae.CustodyRecord, versioned: bool) -> None:
    """ETag, version and checksum; no audio passed through here."""
    storage = service.storage(versioned=versioned)
    run(store_command(modificationParams=None), storage, record=record)
    (entry,) = entries(record)
    assert entry["operation"] == "copy"
    for file in (*entry["sources"], entry["output"]):
        assert set(file) - {"version"} == {"place", "etag", "store_sha256", "bytes"}
        assert ("version" in file) == versioned
    assert ae.verify_record(record, storage=storage).passed
    storage.put(KEPT, f"{RECORDING}.mp3", bytes(len(DATA)))
    # What a version was, it stays.
    found = codes(ae.verify_record(record, storage=storage))
    assert found == (set() if versioned else {"output_changed"})
    storage.delete(storage.place(KEPT, f"{RECORDING}.mp3").location)
    assert codes(ae.verify_record(record, storage=storage)) == {"output_missing"}


def test_an_output_that_is_there_already_is_told_too(record: ae.CustodyRecord) -> None:
    """It may have been made by a run that was killed before it could record it."""
    storage = service.storage()
    run(store_command(), storage)
    again = run(store_command(), storage, record=record)
    assert again.result is not None
    assert again.result.is_repeated
    (entry,) = entries(record)
    assert entry["operation"] == "found"
    assert entry["output"]["place"] == PLACE
    assert entry["command"]["digest"] == again.digest
    assert ae.verify_record(record, storage=storage).passed


def test_a_merge(record: ae.CustodyRecord) -> None:
    storage = service.storage()
    command = service.merge_command()
    outcome = run(command, storage, record=record)
    assert outcome.error is None
    (entry,) = entries(record)
    assert entry["operation"] == "merge"
    assert entry["command"]["method"] == "MERGERECORDINGS"
    assert entry["sources"][0]["place"] == f"s3://{TEMP}/{TEMP_KEY}"
    assert ae.verify_record(record, storage=storage).passed
    assert run(command, storage, record=record).error is None
    assert [one["operation"] for one in entries(record)] == ["merge", "found"]


def test_what_makes_no_output_is_not_told(record: ae.CustodyRecord) -> None:
    storage = service.storage()
    run(store_command(fileName=".."), storage, record=record)
    run(service.delete_command(), storage, record=record)
    assert entries(record) == []


def test_no_token_and_no_key_is_in_a_record(record: ae.CustodyRecord) -> None:
    storage = service.storage()
    tokens = set()
    for name, more in (("a.mp3", {}), ("b.mp3", {"modificationParams": None})):
        for _ in range(2):
            command = store_command(fileName=name, encryptionKey=CANARY, **more)
            tokens.add(command["replyId"])
            assert run(command, storage, record=record).error is None
    assert [one["operation"] for one in entries(record)] == ["store", "found", "copy", "found"]
    text = Path(record.path).read_text()
    raw = base64.b64decode(CANARY)
    for secret in (*tokens, CANARY, raw.decode(), raw.hex(), KEY.decode(), service.KEY):
        assert secret not in text


def test_a_record_that_can_not_be_written_ends_a_command_before_it_does_anything(
    record: ae.CustodyRecord,
) -> None:
    storage = service.storage()
    Path(record.path).write_bytes(b"no record\n")
    outcome = run(store_command(), storage, record=record)
    assert isinstance(outcome.error, ae.InvalidRequestError)
    assert storage.requests == []
