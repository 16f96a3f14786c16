# SPDX-License-Identifier: Apache-2.0
"""The manifest of a batch: what kind it is, and its jobs, read as they are needed.

JSON Lines say of each job what is to be done. A CSV, an inventory and a prefix only name
recordings; the same is done to all of them, and `ForAll` says what.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from audioengine.batch.manifest_all import ForAll, Tally, csv_jobs, prefix_jobs
from audioengine.batch.manifest_inventory import inventory_jobs
from audioengine.batch.manifest_job import BadLine, Job, job_of
from audioengine.batch.manifest_text import lines
from audioengine.errors import InvalidRequestError
from audioengine.storage import S3Options, open_source


def jobs_of(
    manifest: str,
    s3: S3Options | None = None,
    for_all: ForAll | None = None,
    tally: Tally | None = None,
) -> Iterator[Job | BadLine]:
    """The jobs of a manifest in order; empty lines are passed over.

    manifest: a local path or s3://bucket/key of JSON Lines; of a CSV as S3 Batch Operations takes
        it, by the ending .csv; of an S3 Inventory, by the ending manifest.json; or a local folder
        or s3://bucket/prefix/, for all that is in it.
    for_all: what is done to each recording of a manifest that is no JSON Lines.
    tally: counts what is no recording.

    Raises InvalidRequestError at once where `for_all` and the manifest do not fit; StorageError
    where the manifest can't be read, LimitError for a line without end.
    """
    if is_json_lines(manifest):
        if for_all is not None:
            rule = "must not be given: each line of a JSON Lines manifest has its own destination"
            raise InvalidRequestError.of("to", for_all.to, rule)
        return _json_lines(manifest, s3)
    tally = tally or Tally()
    if for_all is None:
        rule = "must be given: the manifest names no destinations"
        raise InvalidRequestError.of("to", None, rule)
    if _is_folder(manifest):
        return prefix_jobs(manifest, s3, for_all, tally)
    if manifest.lower().endswith("manifest.json"):
        return inventory_jobs(manifest, s3, for_all, tally)
    return csv_jobs(manifest, s3, for_all, tally)


def count_jobs(manifest: str, s3: S3Options | None = None, for_all: ForAll | None = None) -> int:
    """How many jobs and bad lines there are.

    Raises what `jobs_of` raises.
    """
    if for_all is not None or not is_json_lines(manifest):
        return sum(1 for _ in jobs_of(manifest, s3, for_all))
    with closing(open_source(manifest, s3)) as source:
        return sum(1 for data in lines(source) if data.strip())


def is_json_lines(manifest: str) -> bool:
    """Whether a manifest is JSON Lines, by its name, or a folder's being there."""
    return not _is_folder(manifest) and not manifest.lower().endswith((".csv", "manifest.json"))


def _is_folder(manifest: str) -> bool:
    return manifest.endswith("/") or ("://" not in manifest and Path(manifest).is_dir())


def _json_lines(manifest: str, s3: S3Options | None) -> Iterator[Job | BadLine]:
    with closing(open_source(manifest, s3)) as source:
        for line, data in enumerate(lines(source), 1):
            if data.strip():
                yield job_of(line, data)
