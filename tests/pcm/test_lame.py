# SPDX-License-Identifier: Apache-2.0
"""LAME behind its own interface: silent, closed, bounded, and set as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.side_info import BlockType
from audioengine.pcm import lame
from audioengine.pcm.encode import LOOK_AHEAD_FRAMES, WARM_UP_FRAMES, Stretch, encode_channel
from tests.strategies import examples, formats
from tests.support import decode_pyav, decode_soundfile, stream

Samples = npt.NDArray[np.float32]


def noise(count: int, seed: int = 0, amplitude: float = 0.3) -> Samples:
    random = np.random.default_rng(seed)
    return random.uniform(-amplitude, amplitude, count).astype(np.float32)


def attacks(count: int, every: int = 3001) -> Samples:
    """Silence with bursts in it."""
    pcm = np.zeros(count, dtype=np.float32)
    for start in range(0, count, every):
        pcm[start : start + 300] = noise(len(pcm[start : start + 300]), start, 0.9)
    return pcm


@pytest.fixture
def library() -> Iterator[None]:
    """LAME is looked for anew, before and after."""
    lame._library.cache_clear()
    yield
    lame._library.cache_clear()


@pytest.mark.usefixtures("library")
def test_a_wheel_that_hides_lame_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    other = pydantic_core._pydantic_core.__file__
    monkeypatch.setattr(lame, "lameenc", SimpleNamespace(__file__=other))
    with (
        pytest.raises(ImportError, match=r"lameenc.*lame_init, .*1\.7 to 1\.9"),
        lame.encoder(8000, 1, 16, 5, lowpass_hz=None, short_blocks=True),
    ):
        pass


def test_lame_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Here it is asked to; by itself it does on errors."""
    print_config = lame._library().lame_print_config
    print_config.argtypes = [lame._Handle]
    handle = lame._library().lame_init()
    lame._library().lame_init_params(handle)
    print_config(handle)
    lame._library().lame_close(handle)
    assert capfd.readouterr().err
    with lame.encoder(8000, 1, 16, 5, lowpass_hz=None, short_blocks=True) as encoder:
        print_config(encoder._handle)
    assert capfd.readouterr() == ("", "")


def test_encoders_are_closed_however_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    library = lame._library()
    opened: list[Any] = []
    closed: list[Any] = []
    init, close = library.lame_init, library.lame_close

    def counted_init() -> Any:
        opened.append(init())
        return opened[-1]

    def counted_close(handle: Any) -> Any:
        closed.append(handle)
        return close(handle)

    monkeypatch.setattr(library, "lame_init", counted_init)
    monkeypatch.setattr(library, "lame_close", counted_close)
    settings: dict[str, Any] = {"lowpass_hz": None, "short_blocks": True}
    with lame.encoder(8000, 1, 16, 5, **settings) as encoder:
        encoder.encode(noise(1000)[None])
    with (
        pytest.raises(ValueError, match="NaN"),
        lame.encoder(8000, 1, 16, 5, **settings) as encoder,
    ):
        encoder.encode(np.full((1, 1000), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match="9000 Hz"), lame.encoder(9000, 1, 16, 5, **settings):
        pass
    assert len(opened) == 3
    assert closed == opened


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_would_end_the_process_is_refused(value: float) -> None:
    pcm = noise(5000)
    pcm[4999] = value
    with (
        lame.encoder(8000, 1, 16, 5, lowpass_hz=None, short_blocks=True) as encoder,
        pytest.raises(ValueError, match="NaN or infinity"),
    ):
        encoder.encode(pcm[None])


@given(formats, st.integers(1, 14), st.booleans(), st.data())
@examples(20)
def test_any_finite_samples_are_taken(
    format: StreamFormat, index: int, short_blocks: bool, data: st.DataObject
) -> None:
    kinds = {
        "loud": noise(9000, amplitude=9),
        "huge": noise(9000, amplitude=3e38),
        "tiny": noise(9000, amplitude=1e-40),
        "square": np.sign(noise(9000)) * np.float32(9),
        "attacks": attacks(9000),
        "zero": np.zeros(9000, dtype=np.float32),
    }
    some = st.sampled_from(sorted(kinds))
    lowpass = data.draw(st.one_of(st.none(), st.integers(1, format.rate_hz)))
    kbps = format.bitrates_kbps[index]
    with lame.encoder(
        format.rate_hz, format.channels, kbps, 5, lowpass_hz=lowpass, short_blocks=short_blocks
    ) as encoder:
        names = data.draw(st.lists(st.tuples(some, some), min_size=1, max_size=4))
        coded = [
            encoder.encode(np.stack([kinds[one], kinds[two]][: format.channels]))
            for one, two in names
        ]
        coded.append(encoder.flush())
    assert any(coded)


def frequencies(rate: int) -> npt.NDArray[np.floating[Any]]:
    """Where `powers` are, in Hz."""
    return np.fft.rfftfreq(1024, 1 / rate)


def powers(pcm: Samples) -> npt.NDArray[np.floating[Any]]:
    rows = pcm[: len(pcm) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    return np.asarray(np.mean(np.abs(np.fft.rfft(rows)) ** 2, axis=0))


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("part", [0.4, 0.6, 0.8, 0.9])
def test_the_low_pass_is_where_it_is_set(version: Version, part: float) -> None:
    """To the width of one of the filter bank's 32 bands; what lies below keeps its level."""
    format = StreamFormat(version, 0, 1)
    rate, spf = format.rate_hz, format.samples_per_frame
    hz = int(part * rate / 2)
    pcm = noise((60 + LOOK_AHEAD_FRAMES) * spf)
    units = encode_channel([Stretch(pcm, 0, 60)], format, 8, lowpass_hz=hz)[0]
    hertz, band = frequencies(rate), rate / 64
    for decode in (decode_pyav, decode_soundfile):
        got = decode(stream(format, [(unit,) for unit in units]))[:, 0]
        level = 10 * np.log10(powers(got) / powers(pcm))
        assert np.all(np.abs(level[(hertz > 500) & (hertz < hz - 2 * band)]) < 2)
        assert np.all(level[hertz > hz + 2 * band] < -30)


@pytest.mark.parametrize("rate_index", [0, 1])
def test_no_low_pass_is_none(rate_index: int) -> None:
    """Left to itself, LAME's ends at 20.5 kHz at most."""
    format = StreamFormat(Version.MPEG_1, rate_index, 1)
    rate, spf = format.rate_hz, format.samples_per_frame
    pcm = noise((40 + LOOK_AHEAD_FRAMES) * spf)
    units = encode_channel([Stretch(pcm, 0, 40)], format, 14, lowpass_hz=rate // 2)[0]
    got = decode_pyav(stream(format, [(unit,) for unit in units]))[:, 0]
    top = frequencies(rate) > 0.4 * rate
    assert np.all(10 * np.log10(powers(got) / powers(pcm))[top] > -3)


@pytest.mark.parametrize("version", Version)
def test_windows_are_all_long_where_that_is_asked(version: Version) -> None:
    format = StreamFormat(version, 0, 1)
    pcm = attacks((60 + LOOK_AHEAD_FRAMES) * format.samples_per_frame)

    def blocks(short_blocks: bool) -> set[BlockType]:
        stretch = Stretch(pcm, WARM_UP_FRAMES, 56)
        units = encode_channel([stretch], format, 8, short_blocks=short_blocks)[0]
        return {block for unit in units for block in unit.block_types(format)}

    assert BlockType.SHORT in blocks(True)
    assert blocks(False) == {BlockType.LONG}


def test_encoders_in_threads_give_what_they_give_alone() -> None:
    format = StreamFormat(Version.MPEG_2, 2, 1)

    def encoded(seed: int) -> list[Any]:
        pcm = noise(40 * format.samples_per_frame, seed)
        lowpass = 2000 + 500 * (seed % 5)
        return encode_channel([Stretch(pcm, 4, 30)], format, 3 + seed % 4, lowpass_hz=lowpass)

    alone = [encoded(seed) for seed in range(24)]
    assert len({str(units) for units in alone}) == 24
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(encoded, range(24))) == alone


def test_attacks_are_those_of_another_bitrate_where_asked() -> None:
    """LAME's threshold falls with the bitrate, and so does the number of long windows."""
    random = np.random.default_rng(3)
    steps = np.repeat(random.uniform(0.02, 0.2, 400), 192)
    pcm = (random.standard_normal(len(steps)) * steps).astype(np.float32)
    format = StreamFormat(Version.MPEG_1, 0, 1)
    stretch = Stretch(pcm, 4, 50)

    def windows(bitrate_index: int, windows_of: int | None = None) -> list[object]:
        made = encode_channel([stretch], format, bitrate_index, windows_of=windows_of)[0]
        return [unit.block_types(format) for unit in made]

    assert windows(5) != windows(14)
    assert windows(5, windows_of=14) == windows(14)
    assert windows(5, windows_of=5) == windows(5)
