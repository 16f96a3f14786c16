# SPDX-License-Identifier: Apache-2.0
"""Custody records of what lies in S3: sources, outputs, their versions, and what S3 copied."""

from __future__ import annotations

from pathlib import Path

import audioengine as ae
from tests.custody.records import KEY, codes
from tests.storage.calls import DATA, EDIT
from tests.storage.conftest import Moto


def test_files_in_s3_are_read_anew(moto: Moto, tmp_path: Path) -> None:
    record = ae.CustodyRecord(tmp_path / "record.jsonl", KEY)
    source = moto.put("in.mp3", DATA)
    ae.store(source, moto.place("out.mp3"), EDIT, record=record)
    verdict = ae.verify_record(record)
    assert (verdict.passed, verdict.outputs_checked, verdict.sources_checked) == (True, 1, 1)
    moto.put("in.mp3", DATA[:-1])
    assert codes(ae.verify_record(record)) == {"source_changed"}
    moto.client.delete_object(Bucket=moto.bucket, Key="in.mp3")
    verdict = ae.verify_record(record)
    assert (verdict.passed, verdict.sources_unreachable) == (True, 1)
    moto.put("out.mp3", b"x")
    assert codes(ae.verify_record(record)) == {"output_changed"}
    moto.client.delete_object(Bucket=moto.bucket, Key="out.mp3")
    assert codes(ae.verify_record(record)) == {"output_missing"}


def test_a_source_is_looked_for_by_its_version(moto: Moto, tmp_path: Path) -> None:
    moto.client.put_bucket_versioning(
        Bucket=moto.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    record = ae.CustodyRecord(tmp_path / "record.jsonl", KEY)
    source = moto.put("in.mp3", DATA)
    version = moto.client.head_object(Bucket=moto.bucket, Key="in.mp3")["VersionId"]
    moto.put("in.mp3", b"another")
    ae.store(source, tmp_path / "out.mp3", EDIT, s3=ae.S3Options(version=version), record=record)
    verdict = ae.verify_record(record)
    assert (verdict.passed, verdict.sources_checked) == (True, 1)
