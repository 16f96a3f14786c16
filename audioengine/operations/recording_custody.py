# SPDX-License-Identifier: Apache-2.0
"""The custody entries of `store` and `merge`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audioengine.custody import entry as custody_entry
from audioengine.custody.writer import CustodyWriter
from audioengine.declaration import values
from audioengine.errors import AudioEngineError, InvalidRequestError, StorageError
from audioengine.mp3.scan import scan
from audioengine.operations.options import MergeOptions
from audioengine.parts import TimedPart
from audioengine.pcm.digest import pcm_digest
from audioengine.report import FileReport, MergeReport, RecordedReport, StoreReport, VerdictReport
from audioengine.storage import DestinationLike, ObjectPlace, S3Options, SourceLike, Staging
from audioengine.storage.buckets import SCHEME


def require_record(record: CustodyWriter | None) -> None:
    """Raise before any work if the output could not be recorded.

    Raises InvalidRequestError, VerificationError and StorageError.
    """
    if record is None:
        return
    if not callable(getattr(record, "add", None)):
        raise InvalidRequestError.of("record", record, "must be a CustodyRecord or None")
    record.check()


def recorded(record: CustodyWriter, entry: custody_entry.Entry) -> RecordedReport | None:
    """Record a published output.

    Raises StorageError; its message says that the output is published.
    """
    try:
        return record.add(entry)
    except AudioEngineError as error:
        message = f"the output is published, but not recorded: {error}"
        raise StorageError(message, retryable=error.retryable) from error


def store_entry(
    record: CustodyWriter,
    report: StoreReport,
    source: SourceLike,
    destination: DestinationLike,
    staging: Staging,
    request: Mapping[str, object],
    verdict: VerdictReport | None,
    s3: S3Options | None,
) -> custody_entry.Entry:
    """Return the entry of a store before its staged output is published.

    verdict: the verification of the output, if it was verified.
    """
    return custody_entry.of_store(
        report,
        {**custody_entry.file_facts(report.source, None), **_source(source, s3)},
        _output(record, report.output, destination, staging),
        request,
        custody_entry.verdict_facts(verdict) if verdict else None,
    )


def merge_entry(
    record: CustodyWriter,
    report: MergeReport,
    parts: Sequence[TimedPart],
    destination: DestinationLike,
    staging: Staging,
    options: MergeOptions,
    verdict: VerdictReport | None,
    s3: S3Options | None,
) -> custody_entry.Entry:
    """Return the entry of a merge before its staged output is published.

    parts: the merged recordings in order of start. verdict: as for `store_entry`.
    """
    return custody_entry.of_merge(
        report,
        [_source(one.part.source, s3) for one in parts],
        _output(record, report.output, destination, staging),
        {**values(options), "parts": [_part(one, options) for one in parts]},
        custody_entry.verdict_facts(verdict) if verdict else None,
    )


def _source(source: SourceLike, s3: S3Options | None) -> dict[str, Any]:
    place = custody_entry.place_of(source)
    options = source.options if isinstance(source, ObjectPlace) else s3
    file: dict[str, Any] = {"place": place}
    if place is not None and place.startswith(SCHEME) and options is not None and options.version:
        file["version"] = options.version
    return file


def _output(
    record: CustodyWriter, file: FileReport, destination: DestinationLike, staging: Staging
) -> custody_entry.Entry:
    pcm = pcm_digest(staging, scan(staging)) if record.pcm_digest else None
    return custody_entry.file_facts(file, custody_entry.place_of(destination), pcm)


def _part(one: TimedPart, options: MergeOptions) -> Mapping[str, object]:
    part = one.part
    return {
        "id": one.name,
        "start_time_ms": part.start_time_ms,
        "conferences": [
            [segment.start_time_ms, segment.end_time_ms]
            for segment in part.conference_segments or ()
        ],
        "modification": part.modification and options.completed(part.modification),
        "encoder_delay": part.encoder_delay,
    }
