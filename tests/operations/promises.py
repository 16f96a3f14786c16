# SPDX-License-Identifier: Apache-2.0
"""What holds for every edit: `assert_*` demand what is promised of what `store` makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np

from fixtures import mpeg
from tests.operations import bits
from tests.operations.bits import Sound
from tests.operations.helpers import DECODERS, Flags, Recording, Result, number
from tests.support import DAMAGED

OVERLAP = 1056
"""Samples after a frame in which decoders still use what it holds."""


def assert_promises(result: Result) -> None:
    """All of the following."""
    assert_clock(result)
    assert_tag(result)
    if result.report.render == "smart":
        assert_untouched(result)
        assert_kept_outside_remade(result)
        assert_copied(result)
    assert_no_leftovers(result)


def assert_clock(result: Result) -> None:
    """The output has exactly the samples asked for, in every decoder."""
    assert result.kept == (result.cut.trim or (0, result.source.samples))
    assert result.report.output.samples == result.length
    for decoder in DECODERS:
        assert result.decoded(decoder).shape == (result.length, result.source.channels), decoder


def assert_untouched(result: Result) -> None:
    """Outside what the edits reach, every decoded sample is the source's."""
    assert result.report.render == "smart"
    _assert_equal(result, [~reached(result)] * result.source.channels)


def assert_kept_outside_remade(result: Result) -> None:
    """Each channel is the source's outside the frames re-made for it and what they overlap."""
    source = result.source
    zero = source.start + result.kept[0]
    assert result.report.render == "smart"
    same = []
    for channel in range(source.channels):
        ranges = [
            (frame * source.spf - zero, (frame + 1) * source.spf + OVERLAP - zero)
            for frame in result.remade(channel)
        ]
        same.append(~flags(result.length, ranges))
    _assert_equal(result, same)


def flags(length: int, ranges: Iterable[tuple[int, int]]) -> Flags:
    """[shape=(length,)] Whether a sample is in any of the ranges."""
    out = np.zeros(length, dtype=bool)
    for start, end in ranges:
        out[max(0, start) : max(0, end)] = True
    return out


def reached(result: Result) -> Flags:
    """[shape=(length,)] Which samples of the output may differ from the source's."""
    source = result.source
    ext, spf = source.ext, source.spf
    start, end = result.kept
    ranges = []
    for mask in result.report.masks:
        (low, high), (before, after) = mask.applied.samples, mask.moved_frames
        assert 0 <= before <= source.most_moved
        assert 0 <= after <= source.most_moved
        ranges.append((low - ext - before * spf - start, high + ext + after * spf - start))
    before, after = _cut_moves(result)
    if source.start + start > 0:
        ranges.append((0, ext + after * spf))
    if source.start + end < len(source.frames) * spf:
        ranges.append((end - start - ext - before * spf, end - start))
    return flags(end - start, ranges)


def _cut_moves(result: Result) -> tuple[int, int]:
    """Frames by which what a cut re-makes reaches further in: before the end, after the start."""
    source = result.source
    moved = {
        frame
        for part in result.report.remade
        if part.reason in ("window", "shared")
        for frame in range(*part.frames)
    }
    start, end = (source.start + at for at in result.kept)
    first, last = (start - 1) // source.spf + 1, (end - source.ext) // source.spf
    steps = range(source.most_moved + 1)
    after = next((n for n in steps if first + n not in moved), source.most_moved)
    before = next((n for n in steps if last - n not in moved), source.most_moved)
    return before, after


def same_phase(result: Result) -> bool:
    """Whether mpg123 rounds the output's samples as it rounds the source's.

    Its synthesis goes round in 8 slots of 32 samples (stereo: 4). `soundfile.read` decodes what is
    hidden twice, once to open the file and once to seek to its start, four frames at most.
    """
    source = result.source
    broken = any(not source.frames[frame].is_tag for frame in source.silent)
    if broken or source.name in DAMAGED or result.first_frame is None:
        return False  # of a broken frame, it may leave out the synthesis
    first, spf = source.start // source.spf, source.spf
    audible = (source.start + result.kept[0]) // spf
    # An untagged source is played with silent frames put in front.
    lead = 0 if source.start else 2 if source.lsf else 1
    twice = min(4, audible - result.first_frame) - min(4, first + lead)
    moved = audible - first - 2 * twice
    return moved * spf // 32 % (8 if source.channels == 1 else 4) == 0


def _assert_equal(result: Result, same: Sequence[Flags]) -> None:
    """Where `same`, by channel, decoders play of the output what they play of the source."""
    for decoder in DECODERS:
        got, want = result.decoded(decoder), result.expected(decoder)
        assert got.shape == want.shape, decoder
        for channel, there in enumerate(same):
            different = there & (got[:, channel] != want[:, channel])
            if decoder == "soundfile" and not same_phase(result):
                different[different] = (np.abs(got - want)[different, channel]) > 6e-8
            places = np.flatnonzero(different)
            message = f"{decoder}, channel {channel}: {len(places)} samples, from {places[:1]}"
            assert not len(places), message


def assert_tag(result: Result) -> None:
    """The output begins with an Info frame that is right, and has no other metadata."""
    data, every = result.data, result.every
    tag, frames = every[0], every[1:]
    assert tag.is_tag
    assert not any(frame.is_tag for frame in frames)
    assert not tag.protected
    assert (tag.version, tag.rate, tag.mode) == (frames[0].version, frames[0].rate, frames[0].mode)
    at = 4 + tag.side_length
    assert not any(tag.data[4:at])
    constant = len({frame.kbps for frame in frames}) == 1
    assert tag.data[at : at + 4] == (b"Info" if constant else b"Xing")
    assert number(tag, at + 4, 4) == 15
    assert number(tag, at + 8, 4) == len(frames)
    assert number(tag, at + 12, 4) == len(data)
    ends = np.cumsum([len(frame.data) for frame in every])
    for percent, entry in enumerate(tag.data[at + 16 : at + 116]):
        assert entry == min(255, 256 * ends[len(frames) * percent // 100] // len(data)), percent
    lame = at + 120
    assert tag.data[lame : lame + 4] in (b"LAME", b"Lavf", b"Lavc")
    assert (tag.data[lame + 9] & 15 == 1) == constant
    assert not any(tag.data[lame + 11 : lame + 19])  # peak and ReplayGain
    assert number(tag, lame + 28, 4) == len(data)
    assert number(tag, lame + 32, 2) == bits.tag_crc(mpeg.join(frames))
    assert number(tag, lame + 34, 2) == bits.tag_crc(tag.data[: lame + 34])
    assert not any(tag.data[lame + 36 :])
    delay, padding = result.tag_fields
    assert (delay, padding) == (result.report.output.encoder_delay, result.report.output.padding)
    assert len(frames) * result.source.spf - delay - padding == result.length


def assert_copied(result: Result) -> None:
    """Frames that the report does not call re-made are the source's; it counts all right."""
    source, first = result.source, result.first_frame
    assert first is not None
    remade = [result.remade(channel) for channel in range(source.channels)]
    # The first frame that sample 0 of the output depends on; before it is only lead-in.
    begun = (source.start + result.kept[0] - source.ext) // source.spf + 1
    counts = dict.fromkeys(asdict(result.report.frames), 0)
    for place, sound in enumerate(result.sounds):
        frame = first + place
        assert sound.adu is not None
        kept = [frame not in frames for frames in remade]
        if frame < max(begun, 0) or frame in source.silent:
            # There is nothing of the source to keep.
            for channel, keep in zip(sound.channels, kept, strict=True):
                assert not keep or not any(channel.data), frame
            kept = [False] * len(kept)
        counts[_how(sound, source, frame, kept)] += 1
    assert counts == asdict(result.report.frames)


def _how(sound: Sound, source: Recording, frame: int, kept: Sequence[bool]) -> str:
    """How the frame came to be, what is kept of the source's checked."""
    if all(kept):
        original = source.sounds[frame]
        assert sound.head == original.head, frame
        assert sound.adu == original.adu, frame
        return "verbatim" if sound.data == original.data else "slot_rewritten"
    assert not sound.coupled
    if sound.frame.protected:
        assert sound.data[4:6] == bits.frame_crc(sound.frame)
    if not any(kept):
        return "reencoded" if sound.adu else "silent"
    original = source.sounds[frame]
    channel = kept.index(True)
    if original.equal:
        assert sound.channels[channel] == original.channels[0].halved, frame
    else:
        assert not original.coupled
        assert sound.channels[channel] == original.channels[channel], frame
    return "spliced"


def assert_no_leftovers(result: Result) -> None:
    """Every slot byte of a changed frame that belongs to no main data is zero."""
    owned = bits.owned_slots(result.sounds)
    originals = {frame.data for frame in result.source.frames}
    for place, sound in enumerate(result.sounds):
        if sound.data not in originals:
            slots = np.frombuffer(sound.data[len(sound.head) :], dtype=np.uint8)
            assert not slots[~owned[slice(*sound.slot)]].any(), place
