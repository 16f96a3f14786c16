# SPDX-License-Identifier: Apache-2.0
"""What a record says of one output: files, request, ranges, versions, verdicts; no secrets.

Only what is named here is told of a request, never its token nor an encryption key. Ranges count in
samples; numbers of a request that are not whole are text, their exact decimals.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from audioengine.custody.canonical import plain
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
    """The entry of a store.

    source, output: as `file_told` gives them. request: its arguments, as values.
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
    told = {"warnings": [asdict(one) for one in report.warnings]}
    return _entry("store", [source], output, request, applied, verification) | told


def of_merge(
    report: MergeReport,
    places: Sequence[Mapping[str, Any]],
    output: Mapping[str, Any],
    request: Mapping[str, object],
    verification: Mapping[str, Any] | None,
) -> Entry:
    """The entry of a merge.

    places: what is told of each part's source beside its report, in the report's order.
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
                "heard": [list(one.samples) for one in part.heard],
                "silenced": [list(one.samples) for one in part.silenced],
            }
        )
    applied = {
        "parts": parts,
        "omitted": [one.id for one in report.omitted],
        "render": report.render,
        "frames": asdict(report.frames),
    }
    told = {"warnings": [asdict(one) for one in report.warnings]}
    return _entry("merge", sources, output, request, applied, verification) | told


def of_copy(source: Entry, output: Entry) -> Entry:
    """The entry of an object that its store copied itself: no audio passed through here."""
    return _entry("copy", [source], output, {}, {}, None)


def of_repeat(output: Entry) -> Entry:
    """The entry of a command's output that was there already, made at an earlier time."""
    return _entry("found", [], output, {}, {}, None)


def file_told(file: FileReport, place: str | None, pcm: PcmDigest | None = None) -> Entry:
    """What is told of a file that was read or written here."""
    told = {**_file(file), "place": place}
    if pcm is not None:
        told["pcm"] = asdict(pcm)
    return told


def found_told(found: Found, place: str) -> Entry:
    """What a store itself says of an object that nobody here has read."""
    facts = {
        "etag": found.etag.strip('"'),
        "version": found.version,
        "store_sha256": found.sha256,
        "bytes": found.size,
    }
    told = {name: value for name, value in facts.items() if value is not None}
    return {**told, "place": place}


def place_of(place: SourceLike | DestinationLike) -> str | None:
    """How a place is told: an absolute path without links, or ``s3://bucket/key``.

    None: it has no name.
    """
    if isinstance(place, ObjectPlace):
        return str(place)
    if not isinstance(place, (str, os.PathLike)):
        return None
    text = os.fsdecode(place)
    return text if text.startswith(SCHEME) else str(Path(text).resolve())


def verdicts_told(verdict: VerdictReport) -> Entry:
    """The verdicts of an output that was judged."""
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
            "request": plain(request),
            "applied": applied,
            "verification": verification,
            "versions": versions(),
        }
    )
    return entry


def versions() -> Mapping[str, str]:
    """Of what makes outputs: this package, the decoder's library, the encoder."""
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
