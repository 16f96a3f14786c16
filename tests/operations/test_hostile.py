# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a value or an error of ours, in bounded time and memory, and no half output."""

from __future__ import annotations

import io
import resource
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg
from tests.operations.helpers import decode_lengths
from tests.strategies import edited_bytes
from tests.support import ALL, fixture, time_limit

SECONDS = 10
SMALL = tuple(name for name in ALL if len(fixture(name)) < 70_000)

seconds = st.one_of(
    st.floats(0, 8, allow_nan=False),
    st.sampled_from((0, 1, 2.5, 6, 6.2, -1, 1e9, 1e18, float("nan"), float("inf"))),
)
intervals = st.builds(ae.Interval, seconds, seconds)
ordered = st.tuples(st.floats(0, 6), st.floats(0.01, 6)).map(
    lambda pair: ae.Interval(pair[0], sum(pair))
)


@st.composite
def requests(draw: st.DrawFn, interval: st.SearchStrategy[ae.Interval]) -> ae.Modification:
    return ae.Modification(
        trim=draw(st.one_of(st.none(), interval)),
        mask={
            party: draw(st.lists(interval, max_size=2)) for party in ("caller", "callee", "both")
        },
        guard_ms=draw(st.one_of(st.sampled_from((0, 20)), st.just((10, 40)))),
    )


options = st.fixed_dictionaries({
    "render": st.sampled_from(("smart", "smart", "full")),
    "fallback": st.sampled_from(("full", "refuse")),
    "shared_frames": st.sampled_from(("keep", "mask_both")),
    "allow_truncated": st.booleans(),
})  # fmt: skip


def survives(data: bytes, modification: ae.Modification, chosen: dict[str, Any]) -> None:
    """Whatever `data` is, each operation ends well or with an error of ours, and says the same."""
    with time_limit(SECONDS):
        info = report = None
        out = io.BytesIO()
        with suppress(ae.AudioEngineError):
            info = ae.inspect(data)
        with suppress(ae.AudioEngineError):
            report = ae.store(data, out, modification, ae.StoreOptions(**chosen))
        if report is None:
            assert out.getvalue() == b""
            return
        assert info is not None
        assert report.source.samples == info.samples
        if report.render == "copy":
            assert out.getvalue() == data
            return
        again = ae.inspect(out.getvalue())
        assert (again.samples, again.tagged) == (report.output.samples, True)
        assert again.warnings == ()
        assert again.tags == ()


@given(st.binary(max_size=4000), requests(ordered), options)
@settings(max_examples=100)
def test_any_bytes(data: bytes, modification: ae.Modification, chosen: dict[str, Any]) -> None:
    survives(data, modification, chosen)


@st.composite
def almost_frames(draw: st.DrawFn) -> bytes:
    """Headers that look right, with anything between them."""
    out = b""
    for _ in range(draw(st.integers(1, 30))):
        head = bytes((
            0xFF,
            draw(st.sampled_from((0xFB, 0xF3, 0xE3, 0xFA, 0xF2))),
            draw(st.integers(0, 255)),
            draw(st.integers(0, 255)),
        ))  # fmt: skip
        frame = mpeg.Frame(0, head)
        size = 24
        if 0 < head[2] >> 4 < 15 and head[2] >> 2 & 3 != 3:
            size = (144_000 if frame.version == 3 else 72_000) * frame.kbps // frame.rate
        fill = draw(st.sampled_from((b"\0", b"\xff", b"\x5a\xa5", b"Info", b"Xing", b"VBRI")))
        times = draw(st.integers(1, 8))
        out += (head + fill * size)[:size] * times
    return out


@given(almost_frames(), requests(ordered), options)
@settings(max_examples=100)
def test_bytes_that_look_like_frames(
    data: bytes, modification: ae.Modification, chosen: dict[str, Any]
) -> None:
    survives(data, modification, chosen)


@pytest.mark.parametrize("name", SMALL)
@given(st.data())
@settings(max_examples=6)
def test_fixtures_cut_and_pasted(name: str, data: st.DataObject) -> None:
    survives(data.draw(edited_bytes(name)), data.draw(requests(ordered)), data.draw(options))


@st.composite
def flipped(draw: st.DrawFn, name: str) -> bytes:
    """A fixture with many wrong bytes, most of them in headers and side information."""
    data = bytearray(fixture(name))
    frames = list(mpeg.frames(bytes(data)))
    for _ in range(draw(st.integers(1, 30))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if frames and at % 2:
            at = frames[at % len(frames)].offset + draw(st.integers(0, 39))
        if at < len(data):
            data[at] = draw(st.integers(0, 255))
    return bytes(data)


@pytest.mark.parametrize("name", SMALL)
@given(st.data())
@settings(max_examples=6)
def test_fixtures_with_wrong_bytes(name: str, data: st.DataObject) -> None:
    survives(data.draw(flipped(name)), data.draw(requests(ordered)), data.draw(options))


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "vbr-16k", "tags-id3-ape", "freeformat-16k"])
@given(st.data())
@settings(max_examples=15)
def test_truncated_fixtures(name: str, data: st.DataObject) -> None:
    whole = fixture(name)
    length = data.draw(st.one_of(st.integers(0, len(whole)), st.integers(0, 600)))
    survives(whole[:length], data.draw(requests(ordered)), data.draw(options))


@given(requests(intervals), st.sampled_from(("mpeg25-8k-32k", "one-frame", "tiny-101-samples")))
@settings(max_examples=60)
def test_any_request(modification: ae.Modification, name: str) -> None:
    """Times of any size and order: refused with their paths, or done to the sample."""
    out = io.BytesIO()
    paths: list[str] = []
    try:
        report = ae.store(fixture(name), out, modification)
    except ae.InvalidRequestError as error:
        paths = [problem.path for problem in error.problems]
    if paths:
        assert out.getvalue() == b""
        assert all(path.startswith(("trim", "mask.")) for path in paths)
    elif report.render == "copy":
        assert out.getvalue() == fixture(name)
    else:
        assert decode_lengths(out.getvalue()) == {report.output.samples}


BOMBS = {
    "sync words": b"\xff\xfb" * 150_000,
    "all ones": b"\xff" * 300_000,
    "zeros": bytes(300_000),
    "free format headers": bytes((0xFF, 0xFB, 0x00, 0x00)) * 75_000,
    "free format, far apart": (bytes((0xFF, 0xFB, 0x00, 0x00)) + bytes(4000)) * 75,
    "tags in tags": b"ID3\x04\0\0\0\0\0\0" * 30_000,
    "an endless tag": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(300_000),
    "ape footers": (b"APETAGEX" + bytes((208, 7, 0, 0, 32, 0, 0, 0)) + bytes(16)) * 9000,
    "lyrics": b"000015LYRICS200" * 20_000,
    "id3v1 tags": (b"TAG" + bytes(125)) * 2400,
    "the smallest frames": (bytes((0xFF, 0xF3, 0x14, 0xC0)).ljust(24, b"\0")) * 12_000,
    "frames that each lose their data": (bytes((0xFF, 0xF3, 0x18, 0xC0, 0xFF)).ljust(36, b"\0"))
    * 8000,
    "frames with junk between": (bytes((0xFF, 0xF3, 0x18, 0xC0)).ljust(36, b"\0") * 3 + b"junk!")
    * 2500,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bytes_made_to_take_long(kind: str) -> None:
    """300 kB of anything are judged within seconds, and in little memory."""
    modification = ae.Modification(mask={"both": [ae.Interval(0.1, 0.2)]})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    survives(BOMBS[kind], modification, {"allow_truncated": True})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before <= 200_000  # KiB


def test_a_tag_that_promises_everything_costs_nothing() -> None:
    """Frame counts and sizes of tags are not believed."""
    data = mpeg.patch_tag(fixture("mpeg2-16k-48k"), 8, b"\xff\xff\xff\xff\xff\xff\xff\xff")
    with time_limit(SECONDS):
        info = ae.inspect(data)
        with pytest.raises(ae.MalformedAudioError):
            ae.store(data, io.BytesIO())
    assert info.samples == 96_239


@pytest.mark.parametrize("fields", [(0, 0), (4095, 4095), (0, 4095), (4095, 0)])
def test_any_delay_and_padding(fields: tuple[int, int]) -> None:
    """Also such that leave nothing of a short recording: then the tag doesn't count."""
    for name in ("mpeg2-16k-48k", "tiny-101-samples"):
        value = (fields[0] << 12 | fields[1]).to_bytes(3, "big")
        data = mpeg.patch_tag(fixture(name), 141, value)
        info = ae.inspect(data)
        assert 0 < info.samples <= info.frames * 576
        out = io.BytesIO()
        half = info.samples / info.rate_hz / 2
        report = ae.store(data, out, ae.Modification(trim=ae.Interval(0, half)))
        assert decode_lengths(out.getvalue()) == {report.output.samples}
