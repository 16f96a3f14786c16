# SPDX-License-Identifier: Apache-2.0
"""Small inputs that ask for endless work end in a typed error, or within limits that are counted.

All of them together have 60 s, by one alarm.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.requests import MAX_COMMAND_BYTES
from audioengine.mp3 import lost, tags
from audioengine.mp3 import scan as scanning
from audioengine.mp3.header import FrameHeader, parse_header
from audioengine.mp3.scan import scan
from audioengine.operations import merge_request
from audioengine.pcm import decode
from audioengine.times import MAX_MASKS
from audioengine.verification import waves
from audioengine.verification.waves import beep_wave
from fuzzing import service
from tests.support import Bytes, fixture, time_limit

SECONDS = 60
MIB = 1 << 20
GIB = 1 << 30
SOUND = fixture("untagged-8k")
NOTHING = bytes(MIB)
START = 1_728_890_677_283


@pytest.fixture(scope="module", autouse=True)
def _in_time() -> Iterator[None]:
    with time_limit(SECONDS):
        yield


@dataclass
class Zeros:
    """Some bytes at some places, and else zeros that are nowhere; counts what is read."""

    size: int
    parts: dict[int, bytes]
    reads: list[int] = field(default_factory=list)

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        self.reads.append(length)
        if not any(
            place < offset + length and offset < place + len(self.parts[place])
            for place in self.parts
        ):
            return NOTHING[:length]
        out = bytearray(length)
        for place, part in self.parts.items():
            first, last = max(place, offset), min(place + len(part), offset + length)
            if first < last:
                out[first - offset : last - offset] = part[first - place : last - place]
        return bytes(out)


def peak_of(work: Any) -> int:
    """The most bytes that work holds at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_gigabytes_of_zeros_are_refused_after_the_first_kilobytes() -> None:
    source = Zeros(1 << 50, {})
    with pytest.raises(ae.MalformedAudioError, match="not an MP3"):
        scan(source)
    assert sum(source.reads) <= 2 * MIB


def test_gigabytes_of_zeros_in_a_recording_are_read_once() -> None:
    """In blocks, none of which is kept."""
    source = Zeros(GIB, {0: SOUND, GIB - len(SOUND): SOUND})

    def work() -> None:
        index = scan(source)
        assert index.frames == 2 * len(SOUND) // 288
        assert [junk.length for junk in index.junk] == [GIB - 2 * len(SOUND)]

    assert peak_of(work) <= 8 * MIB
    assert sum(source.reads) <= GIB + GIB // 100
    assert len(source.reads) <= GIB // MIB + 50


@pytest.mark.parametrize("end", [0, 10])
def test_a_tag_that_claims_256_megabytes_is_not_read(end: int) -> None:
    """Nor is one that claims more than there is."""
    claimed = (1 << 28) - 1
    head = b"ID3\x04\0\0" + b"\x7f\x7f\x7f\x7f"
    source = Zeros(claimed + 10 + len(SOUND), {0: head, claimed + 10: SOUND})
    assert scan(source).frames == len(SOUND) // 288
    assert sum(source.reads) <= 4 * MIB
    short = Zeros(10 * MIB + end, {0: head})
    with pytest.raises(ae.MalformedAudioError):
        scan(short)
    assert sum(short.reads) <= 2 * MIB


@pytest.mark.parametrize(
    ("front", "back"),
    [
        (b"ID3\x04\0\0\0\0\0\0", b""),
        (b"", b"000000LYRICS200"),
        (b"", (b"APETAGEX" + bytes((208, 7, 0, 0, 32, 0, 0, 0)) + bytes(16))),
    ],
)
def test_tags_are_counted(front: bytes, back: bytes) -> None:
    """As many as a thousand honest files have; more are refused at that place."""
    several = front * 500 + SOUND + back * 500
    assert len(scan(Bytes(several)).tags) == 500
    source = Bytes(front * (tags.MAX_TAGS + 1) + SOUND + back * (tags.MAX_TAGS + 1))
    with pytest.raises(ae.LimitError, match="10000 tags"):
        scan(source)
    assert len(source.reads) <= 4 * tags.MAX_TAGS


def test_tags_between_frames_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "MAX_TAGS", 100)
    assert scan(Bytes(b"TAG".ljust(128, b"\0").join([SOUND] * 101))).frames == 101 * 86
    with pytest.raises(ae.LimitError):
        scan(Bytes(b"TAG".ljust(128, b"\0").join([SOUND] * 102)))


def test_gaps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scanning.MAX_GAPS == 10_000
    monkeypatch.setattr(scanning, "MAX_GAPS", 300)
    piece = SOUND[: 3 * 288] + b"junk"
    assert len(scan(Bytes(piece * 300)).junk) == 300
    with pytest.raises(ae.LimitError, match="more than 300 gaps"):
        scan(Bytes(piece * 302))


@pytest.mark.parametrize("free", [False, True])
def test_headers_that_begin_nothing_are_counted(
    free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also such that look like free format, each of which is looked behind for more."""
    looked = 0

    def counting(data: bytes, offset: int = 0) -> FrameHeader | None:
        nonlocal looked
        looked += 1
        return parse_header(data, offset)

    monkeypatch.setattr(scanning, "parse_header", counting)
    monkeypatch.setattr(scanning, "MAX_FALSE_HEADERS", 2000)
    header = bytes((0xFF, SOUND[1], SOUND[2] & 0x0F if free else 0x90, 0x00))
    # No three are equally far apart.
    junk = b"".join(header + bytes(60 + place) for place in range(2500))
    with pytest.raises(ae.LimitError, match="2000 headers"):
        scan(Bytes(SOUND + junk + SOUND))
    assert looked <= 20 * 2000


def test_bytes_that_only_look_like_sync_words_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanning, "MAX_FALSE_HEADERS", 10)
    for junk in (b"\xff" * MIB, b"\xff\xfb" * (MIB // 2), b"\xff\xf3\xff" * (MIB // 3)):
        assert scan(Bytes(SOUND + junk + SOUND)).frames == 172


def test_lost_frames_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lost.MAX_LOST_FRAMES == 250_000
    monkeypatch.setattr(lost, "MAX_LOST_FRAMES", 1000)
    frame = (bytes((0xFF, 0xF3, 0x18, 0xC0)) + b"\xff" * 9).ljust(36, b"\0")
    with pytest.raises(ae.LimitError, match="1000 frames"):
        scan(Bytes(frame * 2000))


def test_a_million_masks_are_refused_before_they_are_looked_at() -> None:
    intervals = [ae.Interval(1, 2)] * 1_000_000
    with pytest.raises(ae.LimitError, match="1000000 intervals, at most 10000"):
        ae.Modification(mask={"caller": intervals})
    stretches = [{"from": 1, "to": 2}] * 1_000_000
    for mask in (
        stretches,
        {"caller": stretches},
        {"callee": stretches[:9000], "caller": [{}] * 9000},
    ):
        with pytest.raises(ae.LimitError, match="at most 10000"):
            ae.Modification.from_params({"mask": mask})
    few = ae.Modification.from_params({"mask": stretches[:MAX_MASKS]})
    assert len(few.mask["both"]) == MAX_MASKS


def test_hundreds_of_masks_are_done() -> None:
    """In an output no larger than that with a few: they share frames."""
    data = SOUND * 5
    sizes = []
    for count in (10, 400):
        intervals = [ae.Interval(place * 0.06, place * 0.06 + 0.03) for place in range(count)]
        out = BytesIO()
        report = ae.store(data, out, ae.Modification(mask={"both": intervals}), workers=1)
        assert report.output.samples == 576 * 430
        assert len(report.masks) == count
        sizes.append(len(out.getvalue()))
    assert sizes[1] <= 2 * sizes[0]


def test_verifying_masks_takes_time_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beeps are painted near each mask's own ends, not once for each other mask."""
    data = SOUND * 3
    painted = []
    for count in (30, 120):
        intervals = [ae.Interval(place * 0.15, place * 0.15 + 0.06) for place in range(count)]
        modification = ae.Modification(mask={"both": intervals})
        out = BytesIO()
        ae.store(data, out, modification, workers=1)
        calls = 0

        def counting(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            return beep_wave(*arguments)

        monkeypatch.setattr(waves, "beep_wave", counting)
        assert ae.verify(data, out.getvalue(), modification, workers=1).passed
        painted.append(calls)
    assert painted[1] <= 6 * painted[0]


def test_a_timeline_of_years_is_refused_before_anything_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded or laid out")

    monkeypatch.setattr(decode, "_open_in_memory", never)
    monkeypatch.setattr(merge_request, "make_plan", never)
    three_years = 3 * 365 * 86_400_000
    parts = [ae.MergePart(SOUND, START), ae.MergePart(SOUND + b"\0", START + three_years)]
    out = BytesIO()

    def work() -> None:
        with pytest.raises(ae.LimitError, match="the timeline would last"):
            ae.merge(parts, out, workers=1)

    assert peak_of(work) <= 4 * MIB
    assert out.getvalue() == b""
    with pytest.raises(ae.InvalidRequestError):
        ae.store(SOUND, out, ae.Modification(mask={"both": [ae.Interval(10**8, 10**8 + 1)]}))


def test_huge_commands_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"method": "STORERECORDING", "other": "x" * (8 * MIB)})
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was read"))
    outcome = ae.execute(text, service.storage(), service.settings(), workers=1)
    assert isinstance(outcome.error, ae.LimitError)
    assert len(json.dumps(outcome.to_dict())) < MIB


@pytest.mark.parametrize(
    "text",
    [
        b"[" * (MAX_COMMAND_BYTES - 1),
        b'{"a":' * (MAX_COMMAND_BYTES // 5 - 1),
        b'{"method": "STORERECORDING", "toMerge": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"method": "MERGERECORDINGS", "toMerge": [' + b"{}," * 50_000 + b"{}]}",
        b'{"modificationParams": {"mask": [' + b'{"from":1,"to":2},' * 50_000 + b"{}]}}",
        b'{"method": "MERGERECORDINGS", "toMerge": [{"conferenceSegments": ['
        + b"{}," * 50_000
        + b"{}]}]}",
        b'{"recordingId": ' + b"9" * 100_000 + b"}",
        b'{"method": "STORERECORDING"'
        + b"".join(b',"%d":0' % number for number in range(20_000))
        + b"}",
    ],
    ids=["deep list", "deep object", "nested", "entries", "masks", "segments", "digits", "keys"],
)
def test_long_commands_have_an_outcome(text: bytes) -> None:
    outcome = ae.execute(text, service.storage(), service.settings(), workers=1)
    assert isinstance(outcome.error, ae.AudioEngineError)
    assert not str(outcome.error).startswith("internal error"), outcome.error.__cause__
    assert len(outcome.notices) <= 101
    assert len(json.dumps(outcome.to_dict())) < MIB


def test_deep_values_have_an_outcome() -> None:
    """A command that is given as values may be nested deeper than JSON can be read."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    template = service.templates()[0]
    for name in ("modificationParams", "other", "fileName"):
        command = {**template, name: deep}
        outcome = ae.execute(command, service.storage(), service.settings(), workers=1)
        assert isinstance(outcome.error, ae.AudioEngineError) or name == "other"
    while deep:
        # Python frees nested lists by recursion, too.
        (deep,) = deep
