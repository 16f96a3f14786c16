# SPDX-License-Identifier: Apache-2.0
"""Cuts clips around the masks of a recording, each as an MP3.

A clip is cut as `store` trims: it keeps the recording's frames, and plays exactly the samples of
its stretch. A player that seeks in a long MP3 guarantees neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from audioengine.edits import Edits, Span, join
from audioengine.operations.options import StoreOptions
from audioengine.operations.outputs import open_output
from audioengine.operations.recording import Recording
from audioengine.operations.store_rendering import render_store
from audioengine.operations.store_request import is_copy
from audioengine.render.workers import executor_of

MARGIN_S = 1.5
"""Audio before and after each edge: an edge moves by 10 ms, and ±1 s around it is played."""

WHOLE_AT_MOST_S = 8
"""A longer mask has a clip at each edge, and none in between."""

CLIPPED_AT_MOST_S = 900
"""The length of all clips of a page together; later masks have no clips."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a recording that plays on its own."""

    span: Span
    """On the clock of the page, which is the source's."""
    data: bytes
    """An MP3 that plays as many samples as the stretch has."""


def stretches(masks: Iterable[Span], samples: int, rate_hz: int) -> tuple[Span, ...]:
    """The stretches of clips: around the edges of these masks, joined where they touch."""
    margin, whole = round(MARGIN_S * rate_hz), WHOLE_AT_MOST_S * rate_hz
    wanted: list[Span] = []
    for mask in masks:
        around = Span(mask.start - margin, mask.end + margin)
        if mask.length <= whole:
            wanted.append(around)
        else:
            wanted += [
                Span(around.start, mask.start + margin),
                Span(mask.end - margin, around.end),
            ]
    found, left = [], CLIPPED_AT_MOST_S * rate_hz
    for span in join(one.clipped(Span(0, samples)) for one in wanted):
        part = Span(span.start, min(span.end, span.start + left))
        if part.length:
            found.append(part)
        left -= part.length
    return tuple(found)


def clips_of(
    recording: Recording, spans: Sequence[Span], offset: int, workers: int
) -> tuple[Clip, ...]:
    """A clip of each span that the recording plays a part of.

    offset: where on the page's clock the recording begins.
    """
    samples = recording.index.samples
    inside = [span.clipped(Span(offset, offset + samples)) for span in spans]
    inside = [span for span in inside if span.length]
    with executor_of(workers) as executor:
        made = executor.map(partial(_cut, recording, offset), inside)
        return tuple(Clip(span, data) for span, data in zip(inside, made, strict=True))


def _cut(recording: Recording, offset: int, span: Span) -> bytes:
    """The MP3 of a stretch."""
    trim = Span(span.start - offset, span.end - offset)
    edits = Edits(trim=trim, trim_asked=trim, samples=recording.index.samples)
    if is_copy(recording, edits):
        return recording.source.read(0, recording.source.size)
    buffer = BytesIO()
    with closing(open_output(buffer)) as staging:
        render_store(recording, edits, StoreOptions(), staging, 1)
        staging.publish()
    return buffer.getvalue()
