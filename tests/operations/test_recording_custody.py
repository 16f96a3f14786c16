# SPDX-License-Identifier: Apache-2.0
"""What a record is told of a store and of a merge, and when."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.custody.record import CustodyRecord
from audioengine.storage.files import FileStaging
from tests.support import FIXTURES, fixture

CALL = FIXTURES / "mpeg2-16k-48k.mp3"
LEGS = [FIXTURES / f"conference-{leg}-8k.mp3" for leg in "ab"]
KEY = b"a key of the tests"
EDIT = ae.Modification(
    trim=ae.Interval(0.5, 5), mask={"callee": [ae.Interval(1.25, 2)]}, guard_ms=(10, 40)
)
START = 1_728_890_677_283
CANARY = bytes(range(64, 96))


def entries(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["entry"] for line in record.read_text().splitlines()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parts(**more: Any) -> list[ae.MergePart]:
    segment = [ae.ConferenceSegment(START + 3000)]
    return [
        ae.MergePart(leg, START + 3000 * number, segment, recording_id=leg.stem[-4:], **more)
        for number, leg in enumerate(LEGS)
    ]


def test_a_store_is_told_whole(tmp_path: Path) -> None:
    record, out = tmp_path / "record.jsonl", tmp_path / "out.mp3"
    kept = ae.CustodyRecord(record, KEY, pcm_digest=True)
    report = ae.store(
        CALL, out, EDIT, ae.StoreOptions(beep=ae.Beep(800.5), verify=True), record=kept
    )
    (entry,) = entries(record)
    assert entry["operation"] == "store"
    (source,) = entry["sources"]
    assert (source["place"], source["sha256"]) == (str(CALL), sha256(CALL))
    output = entry["output"]
    assert (output["place"], output["sha256"]) == ("out.mp3", sha256(out))
    assert (output["bytes"], output["samples"]) == (out.stat().st_size, report.output.samples)
    assert output["pcm"]["samples"] == 72_000
    assert output["pcm"]["decoder"].startswith("libsndfile ")
    assert entry["request"]["modification"]["trim"] == ["0.5", 5]
    assert entry["request"]["modification"]["mask"] == {"callee": [["1.25", 2]]}
    assert entry["request"]["beep"]["frequency_hz"] == "800.5"
    assert entry["applied"]["trim"] == {"asked": [8000, 80_000], "applied": [8000, 80_000]}
    (mask,) = entry["applied"]["masks"]
    assert (mask["asked"], mask["applied"]) == ([20_000, 32_000], [19_840, 32_640])
    assert entry["applied"]["render"] == "smart"
    assert set(entry["versions"]) == {"audioengine", "lameenc", "libsndfile", "soundfile"}
    assert entry["verification"]["passed"] is True
    assert entry["verification"]["checks"]["voice_gone"] is True
    assert entry["verification"]["decoder"].startswith("miniaudio")
    assert report.recorded is not None
    assert (report.recorded.record, report.recorded.count) == (str(record), 1)
    assert report.to_dict()["recorded"]["head"] == ae.verify_record(kept).head


def test_a_merge_is_told_whole(tmp_path: Path) -> None:
    record, out = tmp_path / "record.jsonl", tmp_path / "out.mp3"
    masked = ae.Modification(mask={"caller": [ae.Interval(1, 2)]})
    kept = ae.CustodyRecord(record, pcm_digest=True)
    report = ae.merge(parts(modification=masked), out, ae.MergeOptions(align="frame"), record=kept)
    (entry,) = entries(record)
    assert entry["operation"] == "merge"
    assert [(one["id"], one["sha256"]) for one in entry["sources"]] == [
        (leg.stem[-4:], sha256(leg)) for leg in LEGS
    ]
    assert [one["place"] for one in entry["sources"]] == [str(leg) for leg in LEGS]
    assert entry["output"]["sha256"] == sha256(out)
    assert entry["output"]["pcm"]["samples"] == report.output.samples
    assert entry["request"]["align"] == "frame"
    first, second = entry["request"]["parts"]
    assert (first["start_time_ms"], second["start_time_ms"]) == (START, START + 3000)
    assert first["conferences"] == [[START + 3000, None]]
    told = entry["applied"]["parts"]
    assert [one["offset"] for one in told] == [0, 24_000]
    assert told[1]["silenced"] == [list(one.samples) for one in report.parts[1].silenced]
    assert told[0]["masks"][0]["asked"] == [8000, 16_000]
    assert report.recorded is not None
    assert ae.verify_record(record, head=report.recorded.head).passed


def test_a_copy_and_outputs_without_a_name(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    kept = ae.CustodyRecord(record)
    ae.store(fixture("mono-8k"), io.BytesIO(), record=kept)
    (entry,) = entries(record)
    assert (entry["sources"][0]["place"], entry["output"]["place"]) == (None, None)
    assert entry["sources"][0]["sha256"] == entry["output"]["sha256"]
    assert entry["applied"]["render"] == "copy"
    assert entry["verification"] is None
    assert "pcm" not in entry["output"]


def test_equal_work_is_told_alike(tmp_path: Path) -> None:
    """But for the chain: numbers may come as text, float or int."""
    from decimal import Decimal

    kept = ae.CustodyRecord(tmp_path / "record.jsonl")
    for bound in (2, 2.0, Decimal("2.00")):
        ae.store(CALL, io.BytesIO(), ae.Modification(trim=ae.Interval(bound, 3)), record=kept)
    told = entries(tmp_path / "record.jsonl")
    assert told[0] == told[1] == told[2]


def test_nothing_is_done_where_it_can_not_be_recorded(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    record.write_bytes(b"no record\n")
    for kept in (ae.CustodyRecord(record), "record.jsonl"):
        with pytest.raises(ae.InvalidRequestError, match="record"):
            ae.store(CALL, tmp_path / "out.mp3", EDIT, record=kept)  # type: ignore[arg-type]
        with pytest.raises(ae.InvalidRequestError, match="record"):
            ae.merge(parts(), tmp_path / "out.mp3", record=kept)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["record.jsonl"]


def test_what_failed_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ae.CustodyRecord(tmp_path / "record.jsonl", KEY)

    def broken(*_: object) -> None:
        raise ae.StorageError("broken")

    monkeypatch.setattr(FileStaging, "publish", broken)
    with pytest.raises(ae.StorageError, match="broken"):
        ae.store(CALL, tmp_path / "out.mp3", EDIT, record=kept)
    assert list(tmp_path.iterdir()) == []


def test_an_error_says_that_an_output_is_there_and_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: CustodyRecord, _entry: Mapping[str, Any]) -> None:
        raise ae.StorageError("the disk is full", retryable=True)

    monkeypatch.setattr(CustodyRecord, "add", broken)
    with pytest.raises(ae.StorageError, match="published, but not recorded") as caught:
        ae.store(CALL, tmp_path / "out.mp3", EDIT, record=ae.CustodyRecord(tmp_path / "r.jsonl"))
    assert caught.value.retryable
    assert (tmp_path / "out.mp3").is_file()


def test_a_record_holds_no_secret(tmp_path: Path) -> None:
    """Neither a customer's key, nor its own, nor what looks like one in a name."""
    record = tmp_path / "record.jsonl"
    storage = ae.MemoryStorage("calls")
    options = ae.S3Options(customer_key=CANARY, metadata={"a": "b"})
    place = storage.place("calls", "out.mp3", options)
    name = f'encryptionKey="{CANARY.decode()}"'
    ae.store(CALL, place, EDIT, s3=options, record=ae.CustodyRecord(record, CANARY))
    part = ae.MergePart(LEGS[0], START, recording_id=name)
    ae.merge([part], io.BytesIO(), record=ae.CustodyRecord(record, CANARY))
    text = record.read_text()
    assert json.loads(text.splitlines()[0])["entry"]["output"]["place"] == "s3://calls/out.mp3"
    for secret in (CANARY.decode(), CANARY.hex(), json.dumps(CANARY.decode())[1:-1]):
        assert secret not in text
