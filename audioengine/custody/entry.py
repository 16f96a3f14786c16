# SPDX-License-Identifier: Apache-2.0
"""One entry of a custody record: files, request, ranges, versions, verdicts, and no secrets.

An entry contains only the fields of a request that are named here, never its token or an encryption
key. Ranges count in samples. A number of a request that is not whole is text, its exact decimal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audioengine.custody.canonical import plain_values
from audioengine.pcm.digest import PcmDigest
from audioengine.report import FileReport, MergeReport, StoreReport, TrimReport, VerdictReport
from audioengine.storage import DestinationLike, ObjectPlace, SourceLike
from audioengine.storage.buckets import SCHEME, Found
from audioengine.version import VERSION

Entry = dict[str, Any]


def of_store(
    report: StoreReport,
    source: Mapping[str, Any],
    output: Mapping[str, Any],
    request: Mapping[str, object],
    verification: Mapping[str, Any] | None,
) -> Entry:
    """Return the entry of a store.

    source, output: as `file_facts` gives them. request: its arguments, as values.
    """
    applied = {
        "trim": _trim(report.trim),
        "masks": [
            {
                "party": mask.party,
                "channel": mask.channel,
                "asked": list(mask.asked.samples),
                "applied": list(mask.applied.samples),
            }
            for mask in report.masks
        ],
        "render": report.render,
        "frames": asdict(report.frames),
    }
    warnings = {"warnings": [asdict(notice) for notice in report.warnings]}
    return _entry("store", [source], output, request, applied, verification) | warnings


def of_merge(
    report: MergeReport,
    places: Sequence[Mapping[str, Any]],
    output: Mapping[str, Any],
    request: Mapping[str, object],
    verification: Mapping[str, Any] | None,
) -> Entry:
    """Return the entry of a merge.

    places: where each part's source is, in the report's order.
    """
    sources = []
    parts = []
    for part, place in zip(report.parts, places, strict=True):
        assert part.source is not None
        sources.append({**_file(part.source), **place, "id": part.id})
        parts.append(
            {
                "id": part.id,
                "offset": part.offset.samples,
                "moved": part.moved_samples,
                "interval": list(part.interval.samples),
                "trim": _trim(part.trim),
                "masks": [
                    {
                        "party": mask.party,
                        "channel": mask.channel,
                        "asked": list(mask.asked.samples),
                        "applied": list(mask.applied.samples),
                        "timeline": list(mask.timeline.samples),
                    }
                    for mask in part.masks
                ],
                "heard": [list(interval.samples) for interval in part.heard],
                "silenced": [list(interval.samples) for interval in part.silenced],
            }
        )
    applied = {
        "parts": parts,
        "omitted": [part.id for part in report.omitted],
        "render": report.render,
        "frames": asdict(report.frames),
    }
    warnings = {"warnings": [asdict(notice) for notice in report.warnings]}
    return _entry("merge", sources, output, request, applied, verification) | warnings


def of_copy(source: Entry, output: Entry) -> Entry:
    """Return the entry of an object that its store copied: no audio passed through here."""
    return _entry("copy", [source], output, {}, {}, None)


def of_repeat(output: Entry) -> Entry:
    """Return the entry of a command's output that an earlier run had made."""
    return _entry("found", [], output, {}, {}, None)


def file_facts(file: FileReport, place: str | None, pcm: PcmDigest | None = None) -> Entry:
    """Describe a file that was read or written here."""
    facts = {**_file(file), "place": place}
    if pcm is not None:
        facts["pcm"] = asdict(pcm)
    return facts


def found_facts(found: Found, place: str) -> Entry:
    """Describe an object as its store does, where nobody here has read it."""
    facts = {
        "etag": found.etag.strip('"'),
        "version": found.version,
        "store_sha256": found.sha256,
        "bytes": found.size,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return {**known, "place": place}


def place_of(place: SourceLike | DestinationLike) -> str | None:
    """Return an absolute path without links, or ``s3://bucket/key``; None for an unnamed place."""
    if isinstance(place, ObjectPlace):
        return str(place)
    if not isinstance(place, (str, os.PathLike)):
        return None
    text = os.fsdecode(place)
    return text if text.startswith(SCHEME) else str(Path(text).resolve())


def verdict_facts(verdict: VerdictReport) -> Entry:
    """Return the verdicts of an output that was verified."""
    checks = {check.name: check.passed for check in verdict.checks}
    return {"passed": verdict.passed, "checks": checks, "decoder": verdict.decoder}


def _entry(
    operation: str,
    sources: Sequence[Mapping[str, Any]],
    output: Mapping[str, Any],
    request: Mapping[str, object],
    applied: Mapping[str, Any],
    verification: Mapping[str, Any] | None,
) -> Entry:
    from audioengine.commands.redaction import redacted  # pydantic is slow to import

    entry: Entry = redacted(
        {
            "operation": operation,
            "sources": list(sources),
            "output": output,
            "request": plain_values(request),
            "applied": applied,
            "verification": verification,
            "versions": versions(),
        }
    )
    return entry


def versions() -> Mapping[str, str]:
    """Return the versions that decide about outputs: this package, the decoder, the encoder."""
    from importlib.metadata import version  # with it come email, zipfile and the network

    import soundfile

    return {
        "audioengine": VERSION,
        "lameenc": version("lameenc"),
        "libsndfile": soundfile.__libsndfile_version__,
        "soundfile": soundfile.__version__,
    }


def _file(file: FileReport) -> Entry:
    return {
        "sha256": file.sha256,
        "bytes": file.bytes,
        "samples": file.samples,
        "rate_hz": file.rate_hz,
        "channels": file.channels,
    }


def _trim(trim: TrimReport) -> Entry:
    asked = None if trim.asked is None else list(trim.asked.samples)
    return {"asked": asked, "applied": list(trim.applied.samples)}
