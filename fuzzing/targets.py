# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: functions of bytes that return whatever they are given, or raise what is wrong.

An error of `audioengine.errors` is a right answer to wrong bytes. Any other exception is a finding,
and so is a broken promise: those raise FindingError.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import Any, TypeAlias

import miniaudio
import numpy as np

import audioengine as ae
from audioengine.commands.requests import modifications, parse_command
from audioengine.commands.unknown import EVENT_KEYS
from audioengine.commands.wire import keys
from audioengine.edits import time_problems
from audioengine.json_input import parse_json, unambiguous
from audioengine.mp3.assemble import SlotWriter, frame_head
from audioengine.mp3.header import FrameHeader, Mode, StreamFormat, Version, parse_header
from audioengine.mp3.info_tag import parse_info_tag
from audioengine.mp3.lost import LostFrames
from audioengine.mp3.main_data import Frame, read_frames
from audioengine.mp3.reservoir import SlotRule, lay
from audioengine.mp3.scan import scan
from audioengine.mp3.side_info import (
    MAX_BIG_VALUES,
    SideInfo,
    granule_layout,
    main_data_bits,
    pack_side_info,
    parse_side_info,
)
from audioengine.mp3.splice import ChannelFrame, amplified, join_channels, split_channels
from audioengine.mp3.tags import tag_at, trailing_tags
from audioengine.operations.recording import source_warnings
from audioengine.storage.objects import BytesSource
from audioengine.times import exact
from fuzzing import service
from fuzzing.calls import captures
from fuzzing.draw import REQUEST_BYTES, Draw
from fuzzing.masks import labels_and_events
from fuzzing.recorders import containers
from fuzzing.transcripts import transcripts

Run: TypeAlias = Callable[[bytes], None]

FORMATS = tuple(
    StreamFormat(version, rate_index, channels)
    for version in Version
    for rate_index in range(3)
    for channels in (1, 2)
)


_OF_SOUND = {"beep", "mask_edges", "voice_gone", "kept_sound"}


class FindingError(Exception):
    """A promise that does not hold."""


def expect(holds: object, promise: str) -> None:
    """Raise FindingError where a promise does not hold."""
    if not holds:
        raise FindingError(promise)


def header(data: bytes) -> None:
    """Any four bytes are a header that says what they say, or none."""
    for offset in range(max(1, len(data) - 3)):
        found = parse_header(data, offset)
        if found is None:
            continue
        word = bytearray(data[offset : offset + 4])
        word[2] &= 0xFE
        expect(found.word == word, "a header is written as it was read")
        if found.bitrate_index:
            size = found.format.frame_bytes(found.bitrate_index, found.padding)
            expect(size == found.format.frame_sizes[word[2]], "sizes agree")
            expect(size >= found.main_data_offset, "a frame holds its side information")


def side_information(data: bytes) -> None:
    """Any bits are side information; one by one and many at once they say the same."""
    draw = Draw(data)
    format = draw.one_of(FORMATS)
    mode = Mode.SINGLE_CHANNEL if format.channels == 1 else Mode.STEREO
    head = FrameHeader(format, False, 14, 0, mode, 0, 0)
    size = format.frame_bytes(14)
    slots = size - head.main_data_offset
    infos = []
    for _ in range(1 + draw.below(8)):
        info = parse_side_info(draw.bytes(format.side_info_bytes), format)
        packed = pack_side_info(info, format)
        expect(parse_side_info(packed, format) == info, "side information is written as read")
        infos.append(info)
    stream = b"".join((head.word + pack_side_info(one, format)).ljust(size, b"\0") for one in infos)
    lost = LostFrames(format, np.array(format.frame_sizes, dtype=np.uint16))
    lost.add(stream, 0, np.full(len(infos), head.word[2], dtype=np.uint8))
    expect(list(lost.numbers()) == _lost(infos, format, slots), "lost frames are found")


def _lost(infos: list[SideInfo], format: StreamFormat, slots: int) -> list[int]:
    """Which frames of `slots` bytes each are lost, looked at one by one."""
    layout = granule_layout(format.lsf)
    out = []
    free = 0
    for number, info in enumerate(infos):
        packed = [one for granule in info.granules for one in granule]
        used = (main_data_bits(info, format) + 7) // 8
        bad = info.main_data_begin > free or used > slots + info.main_data_begin
        bad |= any(one >> layout.values_shift & 0x1FF > MAX_BIG_VALUES for one in packed)
        bad |= any(one >> layout.window_shift & 7 == 4 for one in packed)
        if bad:
            out.append(number)
        free = slots + (free if bad else info.main_data_begin - used)
    return out


def index(data: bytes) -> None:
    """Any bytes are an index whose parts tile the file, or none."""
    source = BytesSource(data)
    with suppress(ae.AudioEngineError):
        found = scan(source)
        frames = read_frames(source, found, 0, found.frames)
        expect(len(frames) == found.frames > 0, "all frames can be read")
        lost = tuple(frame.number for frame in frames if not frame.intact)
        expect(lost == found.lost, "the index names every lost frame")
        places = [(part.offset, part.length) for part in found.tags]
        places += [(part.offset, part.length) for part in found.junk]
        places += [(part.offset, part.length) for part in found.ranges(0, found.frames)]
        if found.incomplete_last is not None:
            places.append((found.incomplete_last.offset, found.incomplete_last.length))
        expect((found.tag_at is None) is (found.info_tag is None), "a tag has a place")
        if found.tag_at is not None:
            places.append((found.tag_at.offset, found.tag_at.length))
        covered = sum(length for _, length in places)
        expect(covered == len(data), "parts and gaps tile the file")
        expect(0 <= found.start < found.start + found.samples <= found.raw_samples, "a clock")
        source_warnings(found)
        ae.inspect(data)


def tags(data: bytes) -> None:
    """Any bytes are tags that lie in the file, or none."""
    source = BytesSource(data)
    position = 0
    while (
        tag := tag_at(data[position : position + 32], position, len(data) - position)
    ) is not None:
        expect(tag.offset == position and 0 < tag.length <= len(data) - position, "tags lie inside")
        position += tag.length
    end = len(data)
    for tag in trailing_tags(source):
        expect(tag.length > 0 and tag.offset >= 0, "tags at the end lie inside")
        expect(tag.offset + tag.length == end, "tags at the end follow one another")
        end = tag.offset
    found = parse_header(data)
    if found is not None and (info := parse_info_tag(data, found)) is not None:
        for value in (info.encoder_delay, info.padding):
            expect(value is None or 0 <= value <= 4095, "delay and padding have 12 bits")


def splice(data: bytes) -> None:
    """Frames taken apart, and joined and laid anew, hold the same bits."""
    source = BytesSource(data)
    with suppress(ae.AudioEngineError):
        found = scan(source)
        frames = read_frames(source, found, 0, min(found.frames, 64))
        for frame in frames:
            if frame.intact:
                _split_and_join(frame)
        _lay_anew(frames)


def _split_and_join(frame: Frame) -> None:
    format = frame.header.format
    parts = split_channels(frame.side_info, frame.adu, format)
    info, adu = join_channels(parts, format, frame.side_info.main_data_begin)
    expect(info == frame.side_info, "joined side information is what was taken apart")
    spare = -main_data_bits(info, format) % 8
    same = int.from_bytes(adu, "big") >> spare == int.from_bytes(frame.adu, "big") >> spare
    expect(same, "joined main data is what was taken apart")
    for part in parts:
        with suppress(ValueError):
            expect(amplified(amplified(part, 8, format), -8, format) == part, "gain is given back")


def _lay_anew(frames: list[Frame]) -> None:
    first = frames[0].header
    format = first.format
    rule = SlotRule(format, 14, False, 4 + format.side_info_bytes)
    head = FrameHeader(format, False, 14, 0, first.mode, 0, 0)
    writer = SlotWriter(format)
    wanted: list[tuple[ChannelFrame, ...]] = []
    behind = 0
    for frame in frames:
        channels = frame.channels()
        if channels is None:
            continue
        info, adu = join_channels(channels, format)
        placement = lay(len(adu), len(wanted), behind, 0, rule)
        if placement is None:
            continue
        behind = placement.free
        info = info._replace(main_data_begin=placement.main_data_begin)
        writer.push(frame_head(head, info), rule.slots[14], adu, placement.main_data_begin)
        wanted.append(channels)
    if len(wanted) < 3:
        return
    made = BytesSource(b"".join(writer.flush()))
    again = scan(made)
    if again.tags or again.info_tag is not None:
        # Bits that look like a tag at an end of a file are one, to every decoder.
        return
    expect(again.lost == () and again.frames == len(wanted), "frames laid anew are all there")
    read = [frame.channels() for frame in read_frames(made, again, 0, again.frames)]
    expect(read == wanted, "frames laid anew hold what was laid")


@dataclass(frozen=True)
class _Stored:
    sound: bytes
    modification: ae.Modification
    options: ae.StoreOptions
    made: bytes
    report: ae.StoreReport


def _stored(draw: Draw, sound: bytes) -> _Stored | None:
    """What `store` makes of a recording and a request that are drawn; None where it refuses."""
    modification, options = draw.modification(), draw.options()
    out = BytesIO()
    try:
        report = ae.store(sound, out, modification, options, workers=1)
    except ae.AudioEngineError:
        expect(not out.getvalue(), "a store that fails writes nothing")
        return None
    return _Stored(sound, modification, options, out.getvalue(), report)


def store(data: bytes) -> None:
    """Any bytes are edited to exactly the samples asked for, as minimp3 plays them, or refused."""
    done = _stored(Draw(data[:REQUEST_BYTES]), data[REQUEST_BYTES:])
    if done is None:
        return
    info = ae.inspect(done.sound)
    expect(info.samples == done.report.source.samples, "inspect and store count the same")
    plan = ae.plan_store(done.sound, done.modification, done.options)
    expect(plan.output_samples == done.report.output.samples, "plan and store count the same")
    expect(plan.render == done.report.render, "the plan says how")
    if done.report.render == "copy":
        expect(done.made == done.sound, "what is not edited is copied")
        return
    played = miniaudio.mp3_read_s16(done.made)
    expect(played.num_frames == done.report.output.samples, "the output is as long as it says")
    expect(played.nchannels == done.report.output.channels, "and has as many channels")
    made = ae.inspect(done.made)
    expect(made.samples == done.report.output.samples, "and counts as long")
    expect(made.warnings == () and made.tags == (), "an output is nothing but frames")


def verify(data: bytes) -> None:
    """What `store` made passes; whatever else is in its place is judged."""
    draw = Draw(data[:REQUEST_BYTES])
    done = _stored(draw, data[REQUEST_BYTES:])
    if done is None:
        return
    verdict = ae.verify(done.sound, done.made, done.modification, done.options, workers=1)
    # What can't be Huffman code, decoders take for different sounds: those aren't judged here.
    failed = {check.name: check.message for check in verdict.checks if not check.passed}
    expect(failed.keys() <= _OF_SOUND, f"what store made passes, but {failed}")
    broken = bytearray(done.made)
    for _ in range(draw.below(4)):
        at = draw.below(1 << 16) % len(broken)
        broken[at] ^= draw.below(256)
    with suppress(ae.AudioEngineError):
        ae.verify(done.sound, bytes(broken), done.modification, done.options, workers=1)


def _read_doors(text: bytes, given: object) -> None:
    """What no key is twice in is read as it is; what is unknown, or a fraction, is refused."""
    read: object = None
    with suppress(ae.AudioEngineError):
        read = parse_json(text, "command")
        expect(read == unambiguous(text), "without repeats nothing is left out")
        expect(repr(read) == repr(given), "and it is what every reader reads")
    with suppress(ae.AudioEngineError):
        parse_json(b'{"a":' + text + b',"\\u0061":' + text + b"}", "command")
        raise FindingError("a repeated key is refused")
    for dialect in ("sqs", "rest"):
        with suppress(ae.AudioEngineError):
            command, _ = parse_command(given, dialect)
            assert isinstance(given, dict)
            known = keys(type(command)) | EVENT_KEYS | {"modificationParams"}
            expect(given.keys() <= known, "a command has no unknown keys")
            for _, edit in modifications(command):
                fractions = [
                    bound
                    for one in (edit.trim, *(one for of in edit.mask.values() for one in of))
                    if one is not None and dialect == "rest" and not edit.absolute_times
                    for bound in (one.start, one.end)
                    if bound is not None and exact(bound, "").denominator != 1
                ]
                expect(not fractions or time_problems(edit), "REST's milliseconds are whole")


def commands(data: bytes) -> None:
    """Any bytes are a command with an outcome: one of ours, that tells no secret."""
    mode, text = data[:1], data[1:]
    given: object = text
    with suppress(ValueError, RecursionError, InvalidOperation):
        given = json.loads(text, parse_float=Decimal)
    _read_doors(text, given)
    command: Any = text
    templates = service.templates()
    if isinstance(given, dict) and mode != b"\0":
        command = {**templates[(mode or b"\0")[0] % len(templates)], **given}
    storage = service.storage()
    before = {place: storage.get(*place) for place in service.SOURCES}
    outcome = ae.execute(command, storage, service.settings(), resolver=service.known, workers=1)
    if outcome.error is not None:
        expect(isinstance(outcome.error, ae.AudioEngineError), "errors are ours")
        bug = outcome.error.__cause__ if str(outcome.error).startswith("internal error") else None
        if bug is not None:
            raise bug
        after = {place: storage.get(*place) for place in service.SOURCES}
        expect(after == before, "a command that fails changes nothing")
        expect(storage.keys(service.KEPT) == (), "a command that fails leaves nothing")
    told = json.dumps(outcome.to_dict())
    expect(service.KEY not in told, "the key is not told")


@dataclass(frozen=True)
class Target:
    """Something to fuzz."""

    run: Run
    scope: tuple[str, ...]
    """Modules of audioengine, or folders of them, of which coverage is told."""
    sound: bool = True
    """Whether inputs hold MP3 frames."""
    request: bool = False
    """Whether inputs begin with what a request is drawn from."""
    most_bytes: int = 1 << 13
    seconds: int = 10
    """What one input may take of a processor."""


_MP3 = ("mp3/header", "mp3/side_info", "mp3/scan", "mp3/index", "mp3/lost", "mp3/main_data")
_PCM = ("pcm/decode", "pcm/encode", "pcm/lame")
_RENDER = ("mp3/", "plan/store", "plan/masks", "plan/grid", "render/", *_PCM)

TARGETS = {
    "header": Target(header, ("mp3/header",), most_bytes=256),
    "side_information": Target(side_information, ("mp3/side_info", "mp3/lost"), most_bytes=512),
    "index": Target(index, (*_MP3, "mp3/tags", "mp3/info_tag")),
    "tags": Target(tags, ("mp3/tags", "mp3/info_tag"), most_bytes=2048),
    "splice": Target(splice, (*_MP3, "mp3/splice", "mp3/assemble", "mp3/reservoir")),
    "store": Target(store, (*_RENDER, "operations/store"), request=True),
    "verify": Target(verify, ("verification/",), request=True),
    "commands": Target(
        commands,
        ("commands/", "execution/", "params", "parts"),
        sound=False,
        most_bytes=6144,
        seconds=30,
    ),
    "labels_and_events": Target(
        labels_and_events, ("redaction/labels/", "redaction/events"), sound=False, most_bytes=2048
    ),
    "containers": Target(containers, ("sources/",), sound=False),
    "captures": Target(captures, ("captures/", "operations/captured"), sound=False),
    "transcripts": Target(
        transcripts,
        (
            "redaction/transcripts/",
            "redaction/card_numbers",
            "redaction/number_words",
        ),
        sound=False,
        most_bytes=8192,
    ),
}
