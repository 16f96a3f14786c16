# SPDX-License-Identifier: Apache-2.0
"""What a store plans, against deciding sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.choices import CallerChannel, SharedFrames
from audioengine.edits import AppliedMask, Edits, MaskParty, Span
from audioengine.errors import UnsupportedAudioError
from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.index import FrameIndex
from audioengine.plan import store as planning
from audioengine.plan.grid import FrameRange
from audioengine.plan.stereo import Coupling
from audioengine.plan.store import StorePlan
from audioengine.plan.windows import SourceWindows
from tests.strategies import examples
from tests.support import index_of

LSF = StreamFormat(Version.MPEG_2, 2, 2)
MPEG_1 = StreamFormat(Version.MPEG_1, 0, 2)
MONO = StreamFormat(Version.MPEG_2_5, 2, 1)


@dataclass
class Couplings:
    """The coupling of every frame of a source; remembers what it was asked for."""

    kinds: npt.NDArray[np.uint8]
    asked: list[FrameRange] = field(default_factory=list)

    def __call__(self, frames: FrameRange) -> npt.NDArray[np.uint8]:
        self.asked.append(frames)
        out = np.full(frames.count, Coupling.SILENT, dtype=np.uint8)
        for number in range(max(frames.first, 0), min(frames.last, len(self.kinds))):
            out[number - frames.first] = self.kinds[number]
        return out

    def windows(self, channels: int, frames: FrameRange) -> SourceWindows:
        """All of them long."""
        out = SourceWindows.nothing(frames.count, channels)
        for number in range(max(frames.first, 0), min(frames.last, len(self.kinds))):
            out.there[number - frames.first] = True
            out.coupled[number - frames.first] = self.kinds[number] in _COUPLED
        return out


_COUPLED = (Coupling.MID_SIDE, Coupling.INTENSITY)


def plan_store(index: FrameIndex, asked: Edits, kinds: Couplings, **options: Any) -> StorePlan:
    return planning.make_store_plan(
        index, asked, kinds, partial(kinds.windows, index.format.channels), **options
    )


def couplings(kind: Coupling, frames: int = 200) -> Couplings:
    return Couplings(np.full(frames, kind, dtype=np.uint8))


def edits(index: FrameIndex, trim: Span | None, *masks: tuple[MaskParty, Span]) -> Edits:
    applied = tuple(AppliedMask(party, span, span) for party, span in masks)
    return Edits(index.samples, trim or Span(0, index.samples), trim, applied)


@dataclass(frozen=True)
class Case:
    """A recording, an edit of it, and how its channels are coupled."""

    index: FrameIndex
    edits: Edits
    kinds: npt.NDArray[np.uint8]
    caller_channel: CallerChannel = "left"
    shared_frames: SharedFrames = "keep"

    def plan(self, index: FrameIndex | None = None) -> StorePlan:
        return plan_store(
            index or self.index,
            self.edits,
            Couplings(self.kinds),
            caller_channel=self.caller_channel,
            shared_frames=self.shared_frames,
        )


def cut(draw: st.DrawFn, samples: int, whole: Span | None = None) -> Span:
    start = draw(st.integers(0, samples - 1))
    length = draw(st.one_of(st.integers(1, samples), st.integers(1, 700)))
    return Span(start, min(samples, start + length)) if whole is None else whole


@st.composite
def cases(draw: st.DrawFn, *, mixed: bool = True) -> Case:
    """Trims longer than two frames: what lies within one has a grid of its own."""
    format = draw(st.sampled_from((LSF, MPEG_1, MONO)))
    frames = draw(st.integers(14, 70))
    bitrates = draw(
        st.one_of(
            st.integers(2, 12).map(lambda one: [one] * frames),
            st.lists(st.integers(1, 14), min_size=frames, max_size=frames),
        )
    )
    tag = draw(st.one_of(st.none(), st.tuples(st.integers(0, 2000), st.integers(0, 2500))))
    index = index_of(format, bitrates, delay_and_padding=tag)
    spf = format.samples_per_frame
    trim = None
    if draw(st.booleans()):
        start = draw(st.integers(0, index.samples - 2 * spf))
        trim = Span(start, draw(st.integers(start + 2 * spf, index.samples)))
    parties: st.SearchStrategy[MaskParty] = st.sampled_from(("caller", "callee", "both"))
    masks = [
        (draw(parties), cut(draw, index.samples)) for _ in range(draw(st.integers(not trim, 4)))
    ]
    kinds = [Coupling.SEPARATE, Coupling.MID_SIDE] if mixed else [Coupling.SEPARATE]
    coupled = draw(st.lists(st.sampled_from(kinds), min_size=frames, max_size=frames))
    return Case(
        index,
        edits(index, trim, *masks),
        np.array(coupled, dtype=np.uint8),
        draw(st.sampled_from(("left", "right"))),
        draw(st.sampled_from(("keep", "mask_both"))) if mixed else "keep",
    )


def frames_of(ranges: Sequence[FrameRange]) -> set[int]:
    return {frame for part in ranges for frame in range(part.first, part.last)}


def samples_of(spans: Sequence[Span], index: FrameIndex) -> npt.NDArray[np.bool_]:
    flags = np.zeros(index.raw_samples, dtype=bool)
    for span in spans:
        flags[span.start : span.end] = True
    return flags


def masked_by_hand(case: Case, channel: int) -> npt.NDArray[np.bool_]:
    """Which raw samples of a channel the beep replaces, of frames that are coded left/right."""
    out = np.zeros(case.index.raw_samples, dtype=bool)
    for mask in case.edits.masks:
        own = 0 if (mask.party == "caller") == (case.caller_channel == "left") else 1
        if mask.party == "both" or case.index.format.channels == 1 or own == channel:
            start = case.index.start
            out[start + mask.applied.start : start + mask.applied.end] = True
    return out


def required_by_hand(case: Case, plan: StorePlan, masked: npt.NDArray[np.bool_]) -> set[int]:
    """The output's frames that depend on a sample that is masked or not played."""
    index, format = case.index, case.index.format
    start = index.start + case.edits.trim.start
    end = index.start + case.edits.trim.end
    margin = 4 * format.support
    # What a source decodes to before its first frame and behind its last is silence anyway.
    changed = np.zeros(index.raw_samples + 2 * margin, dtype=bool)
    changed[margin:-margin] = masked
    if start > 0:
        changed[: margin + start] = True
    if end < index.raw_samples:
        changed[margin + end :] = True
    return {
        frame
        for frame in range(plan.grid.frames.first, plan.grid.frames.last)
        if changed[margin + frame * format.samples_per_frame :][: format.support].any()
    }


@given(cases(mixed=False))
@examples(150)
def test_a_channels_frames_are_remade_that_depend_on_what_changes_in_it(case: Case) -> None:
    plan = case.plan()
    assert (plan.render, plan.fallbacks, plan.grid.origin) == ("smart", (), 0)
    for channel in range(case.index.format.channels):
        masked = masked_by_hand(case, channel)
        np.testing.assert_array_equal(samples_of(plan.masked[channel], case.index), masked)
        assert frames_of(plan.required[channel]) == required_by_hand(case, plan, masked)
        assert list(plan.required[channel]) == sorted(plan.required[channel])


@given(cases())
@examples(150)
def test_of_the_other_party_only_what_is_coded_together_is_masked_too_where_asked(
    case: Case,
) -> None:
    plan = case.plan()
    format = case.index.format
    for channel in range(format.channels):
        masked = samples_of(plan.masked[channel], case.index)
        own = masked_by_hand(case, channel)
        assert (masked >= own).all()
        assert frames_of(plan.required[channel]) == required_by_hand(case, plan, masked)
        extra = masked & ~own
        if case.shared_frames == "keep":
            assert not extra.any()
            continue
        # What is masked in addition is masked for the other party, and reached by a shared frame.
        other = masked_by_hand(case, 1 - channel) if format.channels == 2 else own
        reached = np.zeros_like(extra)
        for frame in np.flatnonzero(case.kinds == Coupling.MID_SIDE).tolist():
            start = frame * format.samples_per_frame
            reached[start : start + format.support] = True
        assert not (extra & ~(other & reached)).any()


@given(cases())
@examples(100)
def test_the_core_of_a_mask_is_what_depends_on_its_audible_samples(case: Case) -> None:
    plan = case.plan()
    format, index = case.index.format, case.index
    kept = Span(index.start + case.edits.trim.start, index.start + case.edits.trim.end)
    assert plan.kept == kept
    assert [planned.mask for planned in plan.masks] == list(case.edits.masks)
    for planned in plan.masks:
        applied = planned.mask.applied
        raw = Span(index.start + applied.start, index.start + applied.end).clipped(kept)
        expected = [
            frame
            for frame in range(plan.grid.frames.first, plan.grid.frames.last)
            if raw.length
            and frame * format.samples_per_frame < raw.end
            and frame * format.samples_per_frame + format.support > raw.start
        ]
        assert list(range(planned.core.first, planned.core.last)) == expected
        # Where the other party is masked throughout by others, it is a mask of both.
        other = np.zeros(case.edits.samples, dtype=bool)
        for mask in case.edits.masks:
            if mask.party != planned.mask.party:
                other[mask.applied.start : mask.applied.end] = True
        covered = other[applied.start : applied.end].all()
        one_party = format.channels == 2 and planned.mask.party != "both" and not covered
        shared = sum(
            case.kinds[frame] == Coupling.MID_SIDE
            for frame in expected
            if 0 <= frame < index.frames and one_party
        )
        assert planned.shared_frames == shared
        assert len(planned.channels) == (1 if one_party else format.channels)


@given(cases())
@examples(100)
def test_clusters_hold_what_is_remade_and_all_that_is_no_copy(case: Case) -> None:
    plan = case.plan()
    frames = plan.grid.frames
    inside = frames_of(plan.clusters)
    for channel in (*plan.made, *plan.borders):
        assert frames_of(channel) <= inside
    # All that is not in a cluster is copied from the source.
    assert set(range(frames.first, 0)) <= inside
    outside = set(range(frames.first, frames.last)) - inside
    assert all(0 <= frame < case.index.frames for frame in outside)
    assert plan.copied_frames == len(outside)
    assert inside <= set(range(frames.first, frames.last))
    for before, after in zip(plan.clusters, plan.clusters[1:], strict=False):
        assert after.first - before.last > 12


@given(cases())
@examples(100)
def test_what_is_made_is_required_or_coded_together_with_it(case: Case) -> None:
    """Beside long windows, no run has borders."""
    plan = case.plan()
    required = [frames_of(channel) for channel in plan.required]
    coupled = {n for n in set().union(*required) if 0 <= n < len(case.kinds)}
    coupled = {n for n in coupled if case.kinds[n] == Coupling.MID_SIDE}
    if case.index.format.channels == 1:
        coupled = set()
    assert [frames_of(channel) for channel in plan.made] == [own | coupled for own in required]
    assert not any(plan.borders)


@given(cases(), st.integers(0, 999))
@examples(100)
def test_remade_frames_take_their_bitrate_from_frames_that_no_edit_touches(
    case: Case, seed: int
) -> None:
    """What is masked or cut off has no influence on it."""
    plan = case.plan()
    touched = {frame for channel in plan.required for frame in frames_of(channel)}
    untouched = [
        frame
        for frame in range(max(0, plan.grid.frames.first), plan.grid.frames.last)
        if frame not in touched
    ]
    index = case.index
    if not untouched:
        return
    random = np.random.default_rng(seed)
    other = index.byte2.copy()
    for frame in set(range(index.frames)) - set(untouched):
        other[frame] = random.integers(1, 15) << 4 | index.format.rate_index << 2
    changed = case.plan(replace(index, byte2=other))
    assert (changed.bitrate_index, changed.padded) == (plan.bitrate_index, plan.padded)

    rates = [index.format.bitrates_kbps[index.byte2[frame] >> 4] for frame in untouched]
    kbps = index.format.bitrates_kbps[plan.bitrate_index]
    if len(set(rates)) == 1:
        assert (kbps, plan.padded) == (rates[0], True)
    else:
        mean = sum(rates) / len(rates)
        lower = index.format.bitrates_kbps[plan.bitrate_index - 1]
        assert lower < mean <= kbps
        assert not plan.padded


def test_where_all_is_touched_a_vbr_recordings_bitrates_are_forgotten() -> None:
    index = index_of(LSF, [3, 9, 14] * 20)
    plan = plan_store(
        index, edits(index, None, ("both", Span(0, index.samples))), couplings(Coupling.SEPARATE)
    )
    assert (LSF.bitrates_kbps[plan.bitrate_index], plan.padded) == (48, False)
    index = index_of(LSF, [5] * 60)
    plan = plan_store(
        index, edits(index, None, ("both", Span(0, index.samples))), couplings(Coupling.SEPARATE)
    )
    assert (plan.bitrate_index, plan.padded) == (5, True)


STRETCH = Span(20_000, 30_000)


def stretch_frames(plan: StorePlan) -> set[int]:
    """The frames that depend on STRETCH; some are re-made around it at the recording's ends."""
    return frames_of([plan.masks[0].core])


@pytest.mark.parametrize("party", ["caller", "callee"])
@pytest.mark.parametrize("caller_channel", ["left", "right"])
def test_a_party_is_on_its_channel(party: MaskParty, caller_channel: CallerChannel) -> None:
    index = index_of(LSF, [6] * 100)
    plan = plan_store(
        index,
        edits(index, None, (party, STRETCH)),
        couplings(Coupling.SEPARATE),
        caller_channel=caller_channel,
    )
    own = 0 if (party, caller_channel) in (("caller", "left"), ("callee", "right")) else 1
    assert plan.masks[0].channels == (own,)
    assert (plan.masked[own], plan.masked[1 - own]) == ((STRETCH,), ())


def test_under_equal_channels_both_are_masked_with_a_warning() -> None:
    index = index_of(LSF, [6] * 100)
    for kinds in (couplings(Coupling.EQUAL), couplings(Coupling.EQUAL)):
        kinds.kinds[::3] = Coupling.SILENT
        plan = plan_store(index, edits(index, None, ("callee", STRETCH)), kinds)
        assert plan.masks[0].channels == (0, 1)
        assert plan.masked == ((STRETCH,), (STRETCH,))
        assert [notice.code for notice in plan.warnings] == ["equal_channels"]
        assert plan.render == "smart"


@pytest.mark.parametrize("kind", [Coupling.SEPARATE, Coupling.SILENT])
def test_one_frame_that_differs_or_silence_alone_makes_no_equal_channels(kind: Coupling) -> None:
    index = index_of(LSF, [6] * 100)
    kinds = couplings(Coupling.EQUAL)
    if kind is Coupling.SEPARATE:
        kinds.kinds[45] = kind
    else:
        kinds.kinds[:] = kind
    plan = plan_store(index, edits(index, None, ("caller", STRETCH)), kinds)
    assert plan.masks[0].channels == (0,)
    assert plan.warnings == ()


def test_intensity_masks_both_in_those_frames_and_takes_the_full_path() -> None:
    index = index_of(LSF, [6] * 100)
    kinds = couplings(Coupling.SEPARATE)
    kinds.kinds[40:43] = Coupling.INTENSITY
    asked = edits(index, None, ("caller", STRETCH))
    plan = plan_store(index, asked, kinds)
    assert plan.render == "full"
    assert [notice.code for notice in plan.fallbacks] == ["intensity_stereo"]
    assert plan.masked[0] == (STRETCH,)
    assert plan.masked[1] == (Span(40 * 576, 42 * 576 + 1632),)
    assert plan.required == ((plan.grid.frames,),) * 2
    with pytest.raises(UnsupportedAudioError, match="intensity"):
        plan_store(index, asked, kinds, fallback="refuse")
    # Under a mask of both parties it does not matter.
    plan = plan_store(index, edits(index, None, ("both", STRETCH)), kinds)
    assert plan.render == "smart"


def test_the_coupling_is_read_only_under_masks_of_one_party() -> None:
    index = index_of(LSF, [6] * 100)
    kinds = couplings(Coupling.SEPARATE)
    plan_store(index, edits(index, Span(3000, 40_000), ("both", STRETCH)), kinds)
    assert kinds.asked == []
    # Nor under one that the trim removes.
    plan = plan_store(index, edits(index, Span(3000, 19_000), ("caller", STRETCH)), kinds)
    assert kinds.asked == []
    assert plan.masks[0].core.count == 0
    plan = plan_store(index, edits(index, None, ("caller", STRETCH)), kinds)
    assert kinds.asked == [plan.masks[0].core]
    mono = index_of(MONO, [3] * 100)
    plan_store(mono, edits(mono, None, ("caller", STRETCH)), kinds)
    assert len(kinds.asked) == 1


@pytest.mark.parametrize("kind", [Coupling.EQUAL, Coupling.INTENSITY])
def test_the_coupling_within_a_frame_is_that_of_the_sources_frames(kind: Coupling) -> None:
    """A trim within one frame has its own grid; the channels are coupled as they are there."""
    index = index_of(LSF, [6] * 100)
    kinds = couplings(Coupling.SEPARATE)
    trim = Span(50 * 576 + 100, 50 * 576 + 300)
    kinds.kinds[45:55] = kind
    plan = plan_store(index, edits(index, trim, ("caller", Span(0, index.samples))), kinds)
    assert plan.grid.origin == trim.start
    for channel in range(2):
        audible = [span.clipped(plan.kept) for span in plan.masked[channel]]
        assert audible == [plan.kept], "the caller is heard on the callee's channel"


def test_full_render_remakes_everything() -> None:
    index = index_of(LSF, [6] * 100)
    asked = edits(index, None, ("caller", STRETCH))
    plan = plan_store(index, asked, couplings(Coupling.SEPARATE), render="full")
    assert plan.required == ((plan.grid.frames,),) * 2
    assert plan.clusters == (plan.grid.frames,)
    assert (plan.render, plan.fallbacks, plan.copied_frames) == ("full", (), 0)
    assert plan.masked == ((STRETCH,), ())


def test_free_format_takes_the_full_path_at_a_bitrate_no_lower() -> None:
    index = index_of(LSF, [0] * 100)
    sizes = np.zeros(256, dtype=np.uint16)
    sizes[LSF.rate_index << 2] = 252  # 56 kbit/s
    index = replace(index, sizes=sizes)
    asked = edits(index, None, ("caller", STRETCH))
    plan = plan_store(index, asked, couplings(Coupling.SEPARATE))
    assert (plan.render, [notice.code for notice in plan.fallbacks]) == ("full", ["free_format"])
    assert LSF.bitrates_kbps[plan.bitrate_index] == 56
    with pytest.raises(UnsupportedAudioError, match="free format"):
        plan_store(index, asked, couplings(Coupling.SEPARATE), fallback="refuse")


@pytest.mark.parametrize(("frame", "near"), [(40, True), (20, True), (68, True), (90, False)])
@pytest.mark.parametrize("how", ["gap", "lost"])
def test_damage_matters_in_the_neighbourhood_of_an_edit(frame: int, near: bool, how: str) -> None:
    """The mask's own frames are 33 to 52, the end is untouched."""
    index = index_of(
        LSF,
        [6] * 200,
        gaps_before=[frame] if how == "gap" else [],
        lost=[frame] if how == "lost" else [],
    )
    asked = edits(index, None, ("caller", STRETCH))
    plan = plan_store(index, asked, couplings(Coupling.SEPARATE))
    codes = [notice.code for notice in plan.fallbacks]
    assert codes == (["damage"] if near else [])
    assert plan.render == ("full" if near else "smart")
    if how == "lost":
        assert plan.lost == (frame,)
        assert frame in frames_of(plan.clusters)
    if near:
        assert str(frame) in plan.fallbacks[0].message
        assert str(index.offset(frame)) in plan.fallbacks[0].message
        with pytest.raises(UnsupportedAudioError, match="damaged"):
            plan_store(index, asked, couplings(Coupling.SEPARATE), fallback="refuse")


@pytest.mark.parametrize(("frame", "near"), [(5, False), (50, True), (90, False)])
def test_damage_near_a_trim_within_a_frame_is_judged_by_the_sources_frames(
    frame: int, near: bool
) -> None:
    index = index_of(LSF, [6] * 100, lost=[frame])
    trim = Span(50 * 576 + 100, 50 * 576 + 300)
    plan = plan_store(index, edits(index, trim), couplings(Coupling.SEPARATE))
    assert plan.render == "full"
    codes = [notice.code for notice in plan.fallbacks]
    assert codes == [*(["damage"] if near else []), "within_a_frame"]


@pytest.mark.parametrize("trim", [Span(20_000, 30_000), Span(28_900, 29_100)])
def test_a_lost_frame_outside_the_output_is_none_of_its(trim: Span) -> None:
    index = index_of(LSF, [6] * 100, lost=[0, 80])
    plan = plan_store(index, edits(index, trim), couplings(Coupling.SEPARATE))
    assert plan.lost == ()


def test_an_untagged_recording_keeps_its_first_frames_behind_silent_ones() -> None:
    """One in MPEG-1, two in LSF: the delay hides them, and nothing changes in the first."""
    for format, lead in ((LSF, 2), (MPEG_1, 1)):
        index = index_of(format, [6] * 100)
        plan = plan_store(
            index, edits(index, None, ("both", Span(50_000, 51_000))), couplings(Coupling.SEPARATE)
        )
        assert plan.grid.frames == FrameRange(-lead, 100)
        assert plan.grid.encoder_delay == lead * format.samples_per_frame - 529
        assert frames_of(plan.required[0]) == stretch_frames(plan)
        assert plan.clusters[0].first == -lead
        assert plan.clusters[0].last <= 3


@given(cases(), st.data())
@examples(30)
def test_the_same_request_has_the_same_plan(case: Case, data: st.DataObject) -> None:
    """However its masks are written: in another order, one twice, one in two pieces."""
    masks = list(case.edits.masks)
    if masks:
        again = data.draw(st.sampled_from(masks))
        masks.append(again)
        cut_at = again.applied.start + again.applied.length // 2
        if again.applied.start < cut_at:
            masks.append(replace(again, applied=Span(again.applied.start, cut_at)))
    shuffled = tuple(data.draw(st.permutations(masks)))
    same = replace(case, edits=replace(case.edits, masks=shuffled)).plan()
    wanted = case.plan()
    # What is listed of each mask for the report follows the request.
    assert replace(same, edits=wanted.edits, masks=wanted.masks) == wanted
