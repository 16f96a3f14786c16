# SPDX-License-Identifier: Apache-2.0
"""Random merges; their length, who is heard when, and what is copied are held against a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import audioengine as ae
from soak.material import made
from soak.round import Round
from tests.operations.helpers import SMART, Cut, Flags, Ranges, Recording, recorded, recording
from tests.operations.merge_promises import assert_clock, assert_gaps, assert_heard
from tests.operations.merging import Merged, merge
from tests.operations.timelines import Part, Timeline, reach
from tests.support import DAMAGED, FOREIGN, arguments

# What is left out is long, or has a clock of its own in decoders that aren't ours.
NAMES = tuple(
    name
    for name in (*SMART, *FOREIGN)
    if name not in (*DAMAGED, "demo-call", "naive-concat") and not recording(name).silent
)
SHARE_MADE = 0.3
LATEST_MS = 12_000
FRAMES_MS = (24, 26, 36, 48, 52, 72)


def merge_some(work: Round) -> None:
    """One to five recordings, on one grid or on many, with conferences, trims and masks."""
    random = work.random
    alike = random.random() < 0.6
    first = recording(random.choice(NAMES))
    pool = [
        name
        for name in NAMES
        if not alike or (recording(name).rate, recording(name).channels) == _kind(first)
    ]
    names = random.sample(pool, min(len(pool), random.choice((1, 2, 2, 3, 3, 4, 5))))
    sources = [
        _made(work, number, first) if random.random() < SHARE_MADE else recording(name)
        for number, name in enumerate(names)
    ]
    parts = tuple(_part(work, source) for source in sources)
    options: dict[str, Any] = {
        "align": random.choice(("sample", "sample", "frame")),
        "render": random.choice(("smart", "smart", "smart", "full")),
        "mask_scope": random.choice(("part", "part", "conference")),
        "shared_frames": random.choice(("keep", "mask_both")),
        "workers": random.choice((1, 2)),
    }
    work.say(f"merge({', '.join(map(repr, parts))}, **{options})")
    for part in parts:
        work.keep(f"{Path(part.name).name}.mp3", part.source.data)
    merged = merge(*parts, **options)
    work.keep("output.mp3", merged.data)
    work.count_successions(merged.data)
    if not work.windows_only:
        if not work.verify_only:
            _judge(merged)
        asked = arguments(ae.MergeOptions, options)
        verdict = ae.verify_merge([part.asked for part in parts], merged.data, **asked)
        work.judge(verdict)
    work.passed += 1


def _made(work: Round, number: int, alike: Recording) -> Recording:
    """Sound of the rate and channels of another recording; `merge` tells parts by their names."""
    name, data = made(work.random, alike.rate, most_channels=alike.channels)
    return recorded(f"{number}, {name}", data)


def _kind(source: Recording) -> tuple[int, int]:
    return source.rate, source.channels


def _part(work: Round, source: Recording) -> Part:
    random = work.random
    late = random.randrange(LATEST_MS)
    if random.random() < 0.5:
        # On the frames of another that begins at 0.
        late -= late % random.choice(FRAMES_MS)
    segments = []
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        start = random.randrange(-2000, LATEST_MS)
        segments.append((start, random.choice((None, start + random.randrange(1, 8000)))))
    cut = None
    if random.random() < 0.4:
        cut = Cut(
            _span(work, source) if random.random() < 0.5 else None,
            *(_spans(work, source) for _ in range(3)),
        )
    return Part(source, late, tuple(segments), cut=cut)


def _spans(work: Round, source: Recording) -> Ranges:
    return tuple(_span(work, source) for _ in range(work.random.choice((0, 0, 1, 2))))


def _span(work: Round, source: Recording) -> tuple[int, int]:
    """Ten samples at least."""
    start = work.random.randrange(source.samples - 10)
    return start, work.random.randrange(start + 10, source.samples + 1)


def _judge(merged: Merged) -> None:
    if merged.options["align"] == "frame" and any(p.moved_samples for p in merged.report.parts):
        # Where they moved to, the model doesn't know: all decoders play what the report says.
        for decoder in ("miniaudio", "pyav", "soundfile"):
            assert len(merged.decoded(decoder)) == merged.report.output.samples
        return
    assert_clock(merged)
    assert_heard(merged)
    assert_gaps(merged)
    _assert_copies(merged)


def _assert_copies(merged: Merged) -> None:
    """Far from masks, what one says alone on the output's frames is that recording."""
    model, owner = merged.model, merged.report.grid_owner
    if owner is None or merged.report.render != "smart":
        return
    masked = _near_masks(model)
    for number, (start, end) in model.copied(owner):
        same = ~masked[start:end]
        for decoder in ("miniaudio", "pyav"):
            want = model.own(number, decoder)[start:end]
            got = merged.decoded(decoder)[start:end]
            different = np.flatnonzero((got != want).any(axis=1) & same)
            assert not len(different), (decoder, model.parts[number].name, start + different[:1])


def _near_masks(model: Timeline) -> Flags:
    """[shape=(length,)] Where a mask of any recording may show."""
    out = np.zeros(model.length, dtype=bool)
    for number, part in enumerate(model.parts):
        cut = part.cut or Cut()
        far = int(reach(part.source) * model.ratio(number)) + 1
        for start, end in (span for spans in cut.masks.values() for span in spans):
            low, high = model.place(number, start) - far, model.place(number, end) + far
            out[max(0, low) : max(0, high)] = True
    return out
