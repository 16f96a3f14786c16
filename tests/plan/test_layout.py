# SPDX-License-Identifier: Apache-2.0
"""Whose frames stand where in a merge, against asking every sample that a frame depends on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Edits, Span
from audioengine.mp3.header import StreamFormat, Version
from audioengine.plan.conference import Hearing, Presence, who_is_heard
from audioengine.plan.grid import FrameRange, place
from audioengine.plan.layout import CopiedStretch, Layout
from audioengine.plan.placing import PlacedPart
from tests.strategies import examples
from tests.support import index_of

FORMAT = StreamFormat(Version.MPEG_2, 2, 2)
SPF = FORMAT.samples_per_frame
# Samples around the timeline that a frame may depend on, and more.
AROUND = 20 * SPF

Truths = npt.NDArray[np.bool_]
Masked = tuple[tuple[Span, ...], ...]


def recording(
    frames: int,
    *,
    offset: int,
    trim: Span | None = None,
    masked: Masked = ((), ()),
    conferences: tuple[Span, ...] = (),
) -> PlacedPart:
    """An untagged recording; its first sample lies at `offset`."""
    index = index_of(FORMAT, [5] * frames)
    edits = Edits(index.samples, trim or Span(0, index.samples))
    return PlacedPart(index, edits, (), masked, FORMAT.rate_hz, offset, 0, conferences)


@dataclass(frozen=True)
class Merge:
    """Recordings in order of start, on the frames of one of them."""

    parts: tuple[PlacedPart, ...]
    owner: int = 0

    @cached_property
    def layout(self) -> Layout:
        whole = Span(0, max(part.audio.end for part in self.parts))
        presences = [Presence(part.audio, part.conferences) for part in self.parts]
        stretches = who_is_heard(presences, whole)
        origin = -self.parts[self.owner].raw_zero % SPF
        return Layout(
            FORMAT,
            place(FORMAT, Span(origin, origin + whole.length)),
            origin,
            self.parts,
            stretches,
            Hearing.of(stretches, len(self.parts)),
            [n for n, part in enumerate(self.parts) if (part.raw_zero + origin) % SPF == 0],
        )

    def at(self, spans: Iterable[Span]) -> Truths:
        """Whether each sample of the timeline, from AROUND before it on, is in any of these."""
        out = np.zeros(self.layout.stretches[-1].span.end + 2 * AROUND, dtype=bool)
        for span in spans:
            out[max(0, span.start + AROUND) : max(0, span.end + AROUND)] = True
        return out

    @cached_property
    def silent(self) -> Truths:
        return ~self.at(stretch.span for stretch in self.layout.stretches if stretch.heard)

    def same(self, number: int) -> Truths:
        """Where the output is what the recording's frames decode to, or both are silent."""
        alone = (one.span for one in self.layout.stretches if one.heard == (number,))
        raw = self.parts[number].raw
        # Its last frame rings on, unless the timeline ends there.
        end = min(raw.end + FORMAT.support - SPF, self.layout.stretches[-1].span.end)
        own = Span(raw.start, max(raw.end, end))
        return self.at(alone) | (self.silent & ~self.at([own]))

    def depends(self, frame: int) -> slice:
        start = frame * SPF - self.layout.origin + AROUND
        return slice(start, start + FORMAT.support)


def where(draw: st.DrawFn, most: int) -> Span:
    """A stretch from 0 to `most`, often of few samples."""
    start = draw(st.integers(0, most - 1))
    return Span(
        start, draw(st.integers(start + 1, min(most, start + draw(st.sampled_from((9, most))))))
    )


@st.composite
def merges(draw: st.DrawFn) -> Merge:
    """Apart, overlapping, in conferences, trimmed, masked; many on the same frames."""
    parts = []
    offset = 0
    for _ in range(draw(st.integers(1, 4))):
        frames = draw(st.integers(3, 14))
        samples = frames * SPF
        trim = where(draw, samples) if draw(st.booleans()) else Span(0, samples)
        masked = tuple(
            tuple(where(draw, samples) for _ in range(draw(st.integers(0, 2)))) for _ in range(2)
        )
        conferences = tuple(
            Span(offset + span.start, offset + span.end)
            for span in [where(draw, samples) for _ in range(draw(st.integers(0, 1)))]
        )
        parts.append(
            recording(frames, offset=offset, trim=trim, masked=masked, conferences=conferences)
        )
        offset += draw(st.integers(0, 14)) * SPF
        offset += draw(st.sampled_from((0, 0, 1, SPF // 2)))
    return Merge(tuple(parts), draw(st.integers(0, len(parts) - 1)))


def frames_of(ranges: Iterable[FrameRange]) -> set[int]:
    return {frame for part in ranges for frame in range(part.first, part.last)}


many_frames = merges().filter(lambda merge: merge.layout.grid.origin == 0)


@given(many_frames)
@examples(60)
def test_a_frame_stands_where_all_it_depends_on_is_its_recordings(merge: Merge) -> None:
    layout = merge.layout
    all_frames = frames_of((layout.grid.frames,))
    silent = {f for f in all_frames if merge.silent[merge.depends(f)].all()}
    fitting: list[set[int]] = [set(), set()]
    copied: set[tuple[int, int, int]] = set()
    for number in layout.candidates:
        part = merge.parts[number]
        if not layout.hearing.alone[number]:
            continue
        shift = (part.raw_zero + layout.origin) // SPF
        own = set(range(shift, shift + part.index.frames))
        same = merge.same(number)
        unmasked = same.copy()
        for masked in part.masked_on_timeline:
            unmasked &= ~merge.at(masked)
        silent |= {f for f in all_frames - own if unmasked[merge.depends(f)].all()}
        for channel, masked in enumerate(part.masked_on_timeline):
            kept = same & ~merge.at(masked)
            fit = {f for f in all_frames if kept[merge.depends(f)].all()}
            fitting[channel] |= fit
            copied |= {(f, number, shift) for f in fit & own}
    assert frames_of(layout.silent) == silent
    assert [frames_of(layout.required(channel)) for channel in (0, 1)] == [
        all_frames - silent - fit for fit in fitting
    ]
    found = [
        (frame, one.part, one.shift) for one in layout.copied for frame in frames_of((one.frames,))
    ]
    assert len(found) == len(set(found))
    assert set(found) == copied
    assert [one.frames for one in layout.copied] == sorted(one.frames for one in layout.copied)


@given(many_frames)
@examples(60)
def test_what_is_made_anew_without_a_mask_has_a_cause(merge: Merge) -> None:
    layout = merge.layout
    causes = {cause.reason: frames_of(cause.frames) for cause in layout.causes()}
    assert list(causes) == ["mixed", "off_grid", "switch"]
    mixed = merge.at(one.span for one in layout.stretches if len(one.heard) > 1)
    off_grid = merge.at(
        one.span
        for one in layout.stretches
        if len(one.heard) == 1 and one.heard[0] not in layout.candidates
    )
    for frame in frames_of((layout.grid.frames,)):
        assert (frame in causes["mixed"]) == mixed[merge.depends(frame)].any()
        assert (frame in causes["off_grid"]) == off_grid[merge.depends(frame)].any()
    unmasked = Merge(
        tuple(
            recording(
                part.index.frames,
                offset=part.offset,
                trim=part.edits.trim,
                conferences=part.conferences,
            )
            for part in merge.parts
        ),
        merge.owner,
    )
    assert causes["switch"] == frames_of(unmasked.layout.required(0))


def test_recordings_one_after_the_other_are_copied_with_a_silent_gap_between() -> None:
    merge = Merge((recording(10, offset=0), recording(10, offset=20 * SPF)))
    # What the last two would play behind the end is not to be heard in the gap.
    assert merge.layout.copied == (
        CopiedStretch(FrameRange(0, 8), 0, 0),
        CopiedStretch(FrameRange(20, 30), 1, 20),
    )
    assert merge.layout.required(0) == merge.layout.required(1) == (FrameRange(8, 10),)
    assert merge.layout.silent == (FrameRange(-2, 0), FrameRange(10, 20))


@pytest.mark.parametrize("channel", [0, 1])
def test_a_mask_of_one_party_leaves_the_other_its_frames(channel: int) -> None:
    masked: list[tuple[Span, ...]] = [(), ()]
    masked[channel] = (Span(5 * SPF, 6 * SPF),)
    layout = Merge((recording(10, offset=0, masked=tuple(masked)),)).layout
    assert layout.copied == (CopiedStretch(FrameRange(0, 10), 0, 0),)
    # The two before as well: a frame depends on samples of the two after it.
    assert layout.required(channel) == (FrameRange(3, 6),)
    assert layout.required(1 - channel) == ()


def test_on_frames_of_its_own_nothing_is_copied_or_silent() -> None:
    """An output so short that its frames begin where it does; one depends on silence alone."""
    alone = Merge((recording(3, offset=0, trim=Span(500, 560)),)).layout
    grid = place(FORMAT, Span(7, 567))
    assert grid.origin == 7
    layout = Layout(FORMAT, grid, 7, alone.parts, alone.stretches, alone.hearing, [])
    assert not layout.copied
    assert not layout.silent
    assert layout.required(0) == layout.required(1) == (grid.frames,)
