# SPDX-License-Identifier: Apache-2.0
"""Objects in S3 are read by ranges of one version, and a few blocks are kept."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from hashlib import md5

import pytest

import audioengine as ae
from audioengine.storage import open_source, s3
from audioengine.storage.block_cache import BlockCache
from tests.storage.calls import (
    DATA,
    EDIT,
    given,
    write,
)
from tests.storage.conftest import Moto


def test_an_empty_object_is_an_empty_source(moto: Moto) -> None:
    place = moto.put("in.mp3", b"")
    with closing(open_source(place)) as source:
        assert source.size == 0
        assert source.read(0, 10) == b""
    with pytest.raises(ae.MalformedAudioError):
        ae.inspect(place)


def test_an_empty_output_is_an_empty_object(moto: Moto) -> None:
    write(moto.place("out.mp3"), b"")
    assert moto.get("out.mp3") == b""


def test_large_objects_are_read_by_ranges_of_one_version_and_a_few_are_kept(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 64)
    blocks = BlockCache(3 * 64)
    monkeypatch.setattr(s3, "_BLOCKS", blocks)
    data = random.Random(1).randbytes(1000)
    place = moto.put("in.mp3", data)
    with closing(open_source(place)) as source:
        assert source.size == 1000
        for start in range(0, 1000, 50):
            assert source.read(start, 50) == data[start : start + 50]
            assert blocks.kept_bytes <= 3 * 64
        ranges = [given(one, "Range") for one in moto.sent]
        assert ranges == [f"bytes={at}-{min(at + 63, 999)}" for at in range(0, 1000, 64)]
        etag = f'"{md5(data).hexdigest()}"'
        assert [given(one, "If-Match") for one in moto.sent] == ["", *[etag] * 15]
        # The blocks that were used last are still there.
        assert source.read(840, 1000) == data[840:]
        assert len(moto.sent) == 16
        assert source.read(0, 64) == data[:64]
        assert source.read(950, 10) == data[950:960]
        assert len(moto.sent) == 17


def test_any_stretch_of_an_object_can_be_read(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 150)
    chance = random.Random(2)
    data = chance.randbytes(640)
    with closing(open_source(moto.put("in.mp3", data))) as source:
        for _ in range(20):
            start, length = chance.randrange(700), chance.randrange(200)
            assert source.read(start, length) == data[start : start + length]


def test_many_open_objects_share_one_budget(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge of a thousand recordings keeps no more than one of two."""
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 64)
    blocks = BlockCache(256)
    monkeypatch.setattr(s3, "_BLOCKS", blocks)
    data = {f"{number}.mp3": random.Random(number).randbytes(200) for number in range(12)}
    with ExitStack() as opened:
        places = {name: moto.put(name, content) for name, content in data.items()}
        sources = {
            name: opened.enter_context(closing(open_source(place)))
            for name, place in places.items()
        }
        for _ in range(2):
            for name, source in sources.items():
                assert source.read(0, 200) == data[name]
                assert blocks.kept_bytes <= 256
    assert blocks.kept_bytes == 0


def test_threads_share_what_was_read(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 500)
    data = random.Random(3).randbytes(1500)
    with closing(open_source(moto.put("in.mp3", data))) as source, ThreadPoolExecutor(4) as pool:
        starts = [start % 1400 for start in range(0, 5000, 70)]
        parts = list(pool.map(lambda start: source.read(start, 100), starts))
    assert parts == [data[start : start + 100] for start in starts]
    assert len(moto.sent) == 3


def test_a_recording_of_many_blocks_is_edited_the_same(
    moto: Moto, monkeypatch: pytest.MonkeyPatch, wanted: bytes
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 4000)
    ae.store(moto.put("in.mp3", DATA), moto.place("out.mp3"), EDIT)
    assert moto.get("out.mp3") == wanted
