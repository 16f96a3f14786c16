# SPDX-License-Identifier: Apache-2.0
"""What stands around the sound: the tag frame, foreign metadata, length and clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audioengine.mp3.crc import tag_crc
from audioengine.mp3.header import HEADER_BYTES, parse_header
from audioengine.mp3.info_tag import DECODER_DELAY, OWN_ENCODER
from audioengine.report import Check
from audioengine.verification.case import Case
from audioengine.verification.decoder import Announced

_BLOCK_BYTES = 1 << 20
_ALL_FLAGS = 15
_TABLE = range(100)

# Of the LAME extension, counted from it: what a source's encoder measured or was told.
_SAYS_OF_THE_SOURCE = {
    "low-pass": slice(10, 11),
    "peak": slice(11, 15),
    "ReplayGain": slice(15, 19),
    "flags": slice(19, 20),
    "noise shaping": slice(24, 25),
    "gain": slice(25, 26),
    "preset": slice(26, 28),
}


def tag_check(case: Case) -> Check:
    """Whether the first frame is an Info frame that is right in every field.

    Counts, sizes, the seek table and both checksums are computed anew from the frames behind it.
    Fields that tell of the whole source (peak, ReplayGain, quality …) must be empty.
    """
    index, output = case.output_index, case.output
    if index.info_tag is None or index.info_tag.encoder is None:
        return Check("tag", False, {}, "There is no Info frame with a LAME extension at the start.")
    first = index.offset(0)
    frame = output.read(0, first)
    header = parse_header(frame)
    start = HEADER_BYTES + index.format.side_info_bytes
    lame = start + 120
    if header is None or len(frame) < lame + 36:
        return Check("tag", False, {}, "The file does not begin with its Info frame.")
    ends = [index.offset(percent * index.frames // 100) for percent in _TABLE]
    size = min(index.offset(index.frames), 0xFFFFFFFF)
    rates = np.flatnonzero(index.bitrate_counts(0, index.frames)).tolist()
    constant = len(rates) == 1
    right: dict[str, tuple[object, object]] = {
        "kind": (frame[start : start + 4], b"Info" if constant else b"Xing"),
        "CRC bit": (header.protected, False),
        "format": ((header.format, header.mode), (index.format, index.header.mode)),
        "header": (frame[:HEADER_BYTES], replace(header, mode_extension=0).word),
        "copyright, original, emphasis": (header.flags in case.flags, True),
        "side information": (any(frame[HEADER_BYTES:start]), False),
        "fields": (_number(frame, start + 4, 4), _ALL_FLAGS),
        "frames": (_number(frame, start + 8, 4), index.frames),
        "bytes": (_number(frame, start + 12, 4), size),
        "seek table": (
            frame[start + 16 : start + 116],
            bytes(min(255, 256 * end // size) for end in ends),
        ),
        "quality": (_number(frame, start + 116, 4), 0),
        "encoder": (frame[lame : lame + 9] in _names(case), True),
        "method": (frame[lame + 9], int(constant)),
        "bitrate": (frame[lame + 20], min(255, index.format.bitrates_kbps[rates[0]])),
        "music length": (_number(frame, lame + 28, 4), size),
        "music CRC": (_number(frame, lame + 32, 2), _music_crc(case, first)),
        "tag CRC": (_number(frame, lame + 34, 2), tag_crc(frame[: lame + 34])),
        "rest": (any(frame[lame + 36 :]), False),
    }
    for name, place in _SAYS_OF_THE_SOURCE.items():
        right[name] = any(frame[lame:][place]), False
    wrong = [name for name, (found, wanted) in right.items() if found != wanted]
    measured = {"fields": len(right), "wrong": len(wrong)}
    if wrong:
        return Check("tag", False, measured, f"Wrong in the Info frame: {', '.join(wrong)}.")
    return Check("tag", True, measured, "The Info frame is right in every field.")


def _names(case: Case) -> set[bytes]:
    """What an encoder may be called: that of a source, by a tag that counts, or that of the engine.

    Not anything else: there is room for nine letters.
    """
    tags = (voice.index.info_tag for voice in case.voices)
    names = {tag.encoder for tag in tags if tag is not None and tag.gapless and tag.encoder}
    return names | {OWN_ENCODER.ljust(9, b"\0")}


def metadata_check(case: Case) -> Check:
    """Whether the file is nothing but frames: no tags, no junk, no cut-off frame."""
    index = case.output_index
    found = [f"{tag.kind} tag at byte {tag.offset}" for tag in index.tags]
    found += [f"junk at byte {junk.offset}" for junk in index.junk]
    found += [f"Info frame inside, frame {frame}" for frame in index.inner_tags]
    if index.incomplete_last is not None:
        found.append(f"frame cut off at byte {index.incomplete_last.offset}")
    tags = sum(tag.length for tag in index.tags)
    junk = sum(part.length for part in index.junk)
    measured = {"tag_bytes": tags, "junk_bytes": junk}
    if found:
        return Check("metadata", False, measured, f"More than frames: {', '.join(found[:5])}.")
    return Check("metadata", True, measured, "There is nothing but frames.")


def length_check(case: Case, heard: Announced, undecodable: int) -> Check:
    """Whether the decoder plays exactly the samples asked for.

    heard: what the decoder makes of the tag; undecodable: stretches of the output whose frames it
    does not decode to a whole frame of samples each.
    """
    wanted, format = case.plan.kept.length, case.format
    tag = case.output_index.info_tag
    raw = case.output_index.raw_samples
    trimmed = (tag.encoder_delay or 0) + (tag.padding or 0) if tag else 0
    measured = {
        "wanted_samples": wanted,
        "played_samples": heard.samples,
        "by_tag_samples": raw - trimmed,
        "undecodable_stretches": undecodable,
    }
    same_kind = (heard.rate_hz, heard.channels) == (format.rate_hz, format.channels)
    passed = same_kind and heard.samples == raw - trimmed == wanted and not undecodable
    message = f"{heard.samples:,} samples are played, {wanted:,} were asked for."
    if not same_kind:
        message += f" They are {heard.channels} channels at {heard.rate_hz} Hz."
    if undecodable:
        message += f" {undecodable} stretches can't be decoded whole."
    return Check("length", passed, measured, message)


def clock_check(case: Case, sources_end_off: Sequence[int]) -> Check:
    """Whether delay and padding put the first sample where the request wants it.

    The output's last frame is the one that plays the request's last sample, so the number of frames
    gives each its place; delay and padding must then agree, to the sample.

    sources_end_off: how many samples players play of each recording beyond what the request is
    judged by; sound that they play must not be lost.
    """
    plan, spf = case.plan, case.format.samples_per_frame
    tag = case.output_index.info_tag
    starts = case.frames.first * spf + plan.grid.origin + case.hidden
    padding = (tag.padding or 0) if tag else 0
    ends = plan.grid.frames.last * spf + plan.grid.origin + DECODER_DELAY - padding
    measured = {
        "starts_late_samples": starts - plan.kept.start,
        "ends_late_samples": ends - plan.kept.end,
        "lead_in_frames": plan.grid.frames.first - case.frames.first,
        "source_plays_on_samples": max(sources_end_off, default=0, key=abs),
    }
    if any(sources_end_off):
        message = (
            f"Players play {measured['source_plays_on_samples']} samples more of a recording than "
            "the output is made of."
        )
        return Check("clock", False, measured, message)
    enough = case.frames.first <= plan.grid.frames.first
    passed = enough and (starts, ends) == (plan.kept.start, plan.kept.end)
    if passed:
        return Check("clock", True, measured, "Every sample is where the request puts it.")
    message = (
        f"The output begins {starts - plan.kept.start} samples late and ends "
        f"{ends - plan.kept.end} samples late, by its frames and its tag."
    )
    if not enough:
        message += " Frames are missing that its first samples depend on."
    return Check("clock", False, measured, message)


def _music_crc(case: Case, first: int) -> int:
    crc = 0
    end = case.output_index.offset(case.output_index.frames)
    for offset in range(first, end, _BLOCK_BYTES):
        crc = tag_crc(case.output.read(offset, min(_BLOCK_BYTES, end - offset)), crc)
    return crc


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")
