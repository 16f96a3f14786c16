# SPDX-License-Identifier: Apache-2.0
"""The demo's merge: three recordings a conference in the middle, checked by another decoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from audioengine.parts import MergePart
from audioengine.report import Check
from audioengine.verification.voice import OVERLAP

if TYPE_CHECKING:
    from audioengine.report import MergeReport, StretchReport

Pcm = npt.NDArray[Any]

_LEAST_CORRELATION = 0.9  # speech at 32 kbit/s and its source: 0.97 and more; a shift by 2: 0.8
_LAGS = 40
_EDGE_S = 0.05


def conference_parts(command: Path) -> list[MergePart]:
    """The recordings that a command of the fixtures merges; they lie beside it."""
    from audioengine.commands.requests import parse_to_merge

    entries, _ = parse_to_merge(json.loads(command.read_text(), parse_float=Decimal))
    return [
        MergePart(
            command.parent / f"{entry.recording_id}.mp3",
            entry.start_time_ms,
            entry.conference_segments,
            recording_id=entry.recording_id,
        )
        for entry in entries
    ]


def played(data: bytes) -> Pcm:
    """[shape=(n, channels)] All samples of a recording, by a decoder that isn't ours.

    Raises VerificationError where there is none.
    """
    from audioengine.mp3.scan import scan
    from audioengine.storage import open_source
    from audioengine.verification.decoder import decode_frames, decoder_name

    decoder_name()
    source = open_source(data)
    index = scan(source)
    pcm = decode_frames(source, index, 0, index.frames)
    return pcm[index.start : index.start + index.samples]


def check_merge(sources: Sequence[Pcm], output: Pcm, report: MergeReport) -> list[Check]:
    """Check a merge against its sources, all as an independent decoder plays them.

    sources: in the report's order, stereo, at the output's rate. Places are computed anew from the
    start times; only what was made anew is taken from the report.
    """
    rate_hz = report.output.rate_hz
    starts = [part.start_time_ms for part in report.parts]
    places = [int((start - min(starts)) * rate_hz / 1000 + 0.5) for start in starts]
    ends = [place + len(source) for place, source in zip(places, sources, strict=True)]
    length = _exact_length(output, max(ends))
    if not length.passed:
        return [length]
    names = [part.id for part in report.parts]
    placed = dict(zip(names, zip(places, sources, strict=True), strict=True))
    made = np.zeros(len(output), dtype=bool)
    for part in report.remade:
        start, end = part.interval.samples
        made[start : end + OVERLAP] = True
    checks = [length]
    for stretch in report.timeline:
        start, end = stretch.interval.samples
        right = sum((_cut(*placed[name], start, end) for name in stretch.heard), np.zeros((1, 2)))
        copied = ~made[start:end]
        if len(stretch.heard) == 1 and copied.any():
            differs = (output[start:end] != right)[copied].any(axis=1)
            checks.append(_equal(f"{_what(stretch)} is the source, bit for bit", differs))
        else:
            edge = round(_EDGE_S * rate_hz)
            inside = slice(start + edge, end - edge)
            checks.append(_resembles(stretch, output[inside], right[edge:-edge]))
    return checks


def _exact_length(output: Pcm, samples: int) -> Check:
    measured = {"played_samples": len(output), "wanted_samples": samples}
    message = f"{len(output):,} samples are played, {samples:,} are right."
    return Check("length", output.shape == (samples, 2), measured, message)


def _equal(what: str, differs: npt.NDArray[np.bool_]) -> Check:
    count = int(np.count_nonzero(differs))
    measured = {"compared_samples": len(differs), "different_samples": count}
    message = f"{len(differs):,} samples compared, {count:,} differ."
    return Check(what, not count, measured, message)


def _cut(place: int, source: Pcm, start: int, end: int) -> Pcm:
    """[shape=(end - start, 2)] A source's samples on the timeline; float, so that sums fit."""
    return source[start - place : end - place].astype(np.float64)


def _what(stretch: StretchReport) -> str:
    start, end = (f"{ms / 1000:g}" for ms in stretch.interval.ms)
    what = f"{start} to {end} s, {' + '.join(stretch.heard)}"
    return f"{what} without {', '.join(stretch.silenced)}" if stretch.silenced else what


def _resembles(stretch: StretchReport, heard: Pcm, right: Pcm) -> Check:
    """Whether what was encoded anew is the sum of its sources, to the sample."""
    ours, theirs = (heard / 32_768).ravel("F"), right.ravel("F")
    scores = {lag: _correlation(ours, np.roll(theirs, lag)) for lag in range(-_LAGS, _LAGS + 1)}
    best = max(scores, key=scores.__getitem__)
    measured = {"correlation": round(scores[0], 3), "best_offset_samples": best}
    message = f"Correlation {scores[0]:.3f}, highest at an offset of {best} samples."
    passed = best == 0 and scores[0] >= _LEAST_CORRELATION
    return Check(f"{_what(stretch)} is in its place", passed, measured, message)


def _correlation(ours: Pcm, theirs: Pcm) -> float:
    scale = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float(ours @ theirs) / scale if scale else 0.0
