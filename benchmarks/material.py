# SPDX-License-Identifier: Apache-2.0
"""Long two-party calls to measure with, made from the voices of the fixtures.

A call is synthesised block by block, encoded by the FFmpeg of the imageio-ffmpeg wheel (so that it
has an Info+LAME tag) and kept in a cache folder. Longer calls are one repeated: an encode begins
with a frame that leans on none before it, so joints are legal.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fastcrc
import imageio_ffmpeg
import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from fixtures import mpeg
from fixtures.speech import Samples, resample

VOICES = Path(__file__).parent.parent / "fixtures" / "voices"
EDITION = 1
"""Part of the cached files' names: raise it when what is generated changes."""
HOUR_S = 3600
MINUTE_S = HOUR_S // 60
BLOCK_S = 60
PARTIES = ("caller", "callee")


@dataclass(frozen=True, slots=True)
class Format:
    """Rate and CBR bitrate of a joint stereo recording."""

    rate: int
    kbps: int

    def __str__(self) -> str:
        return f"{self.rate / 1000:g} kHz / {self.kbps} kbit/s"


FORMATS = {"8k": Format(8000, 32), "16k": Format(16000, 48), "44k": Format(44100, 128)}


@dataclass(frozen=True, slots=True)
class Call:
    """A recording on disk and its exact length."""

    path: Path
    format: Format
    seconds: float


@cache
def _clips(party: str, rate: int) -> list[Samples]:
    """The party's sentences."""
    samples, source = sf.read(VOICES / f"{party}.ogg")
    marks = json.loads((VOICES / "sentences.json").read_text())[party]
    return [
        resample(samples[round(start * source) : round(end * source)], source, rate)
        for start, end in marks.values()
    ]


def _schedule(rate: int, samples: int, number: int) -> Iterator[tuple[int, int, Samples]]:
    """(channel, first sample, clip) in the order of their starts, up to `samples`."""
    random = np.random.default_rng(7 + 10 * number)
    now, channel = 0.4, 1
    while now * rate < samples:
        for _ in range(random.integers(1, 4)):
            clips = _clips(PARTIES[channel], rate)
            clip = clips[random.integers(len(clips))]
            yield channel, round(now * rate), clip
            now += len(clip) / rate + random.uniform(0.1, 0.35)
        manner = random.uniform()
        if manner < 0.15:  # the other one interrupts
            now -= random.uniform(0.4, 1.0)
        elif manner > 0.8:  # somebody types
            now += random.uniform(1.5, 6)
        channel = 1 - channel


def talk(rate: int, seconds: int, number: int = 0) -> Iterator[NDArray[np.int16]]:
    """Blocks of a call, shape (samples, 2): turns, overlaps, pauses, noise at -60 dBFS.

    Another `number` is another call.
    """
    random = np.random.default_rng(8 + 10 * number)
    total = seconds * rate
    coming = _schedule(rate, total, number)
    sounding: list[tuple[int, int, Samples]] = []
    following = next(coming, None)
    for start in range(0, total, BLOCK_S * rate):
        end = min(start + BLOCK_S * rate, total)
        while following is not None and following[1] < end:
            sounding.append(following)
            following = next(coming, None)
        block = 0.001 * random.standard_normal((end - start, 2))
        for channel, at, clip in sounding:
            first, last = max(start, at), min(end, at + len(clip))
            block[first - start : last - start, channel] += clip[first - at : last - at]
        sounding = [part for part in sounding if part[1] + len(part[2]) > end]
        yield np.round(np.clip(block, -1, 1) * 32767).astype(np.int16)


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that becomes it at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where calls are kept: $AUDIOENGINE_BENCH_CACHE, else below ~/.cache."""
    chosen = os.environ.get("AUDIOENGINE_BENCH_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "audioengine-bench"


def hour(form: Format) -> Call:
    """One hour, from the cache or made now, which takes up to a minute."""
    return _cached(form, HOUR_S, 0, f"call-{form.rate}-{form.kbps}k-{EDITION}.mp3")


def talk_of(form: Format, seconds: int, number: int) -> Call:
    """A call of any length that has nothing of those with other numbers; that of `hour` is 0."""
    name = f"call-{form.rate}-{form.kbps}k-{seconds}s-{number}-{EDITION}.mp3"
    return _cached(form, seconds, number, name)


def _cached(form: Format, seconds: int, number: int, name: str) -> Call:
    path = cache_folder() / name
    if not path.exists():
        with _appearing(path) as part:
            command = [
                imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y",
                "-f", "s16le", "-ar", str(form.rate), "-ac", "2", "-i", "-",
                "-c:a", "libmp3lame", "-b:a", f"{form.kbps}k", "-compression_level", "5",
                "-id3v2_version", "0", "-f", "mp3", str(part),
            ]  # fmt: skip
            with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
                assert encoder.stdin
                for block in talk(form.rate, seconds, number):
                    encoder.stdin.write(block.tobytes())
            if encoder.returncode:
                raise subprocess.CalledProcessError(encoder.returncode, command)
    return Call(path, form, seconds)


def hours(form: Format, count: int, path: Path) -> Call:
    """`count` hours, written to `path`: one hour repeated."""
    return repeated(hour(form), count, path)


def repeated(call: Call, count: int, path: Path) -> Call:
    """A call `count` times on end, written to `path` under a tag that is right.

    All but the last end a little early, where the pattern of padded frames begins anew, so that
    the pattern goes on over the joints as in a recording made in one go.
    """
    form = call.format
    data = call.path.read_bytes()
    tag = next(mpeg.frames(data)).data
    body = memoryview(data)[len(tag) :]
    numerator = (144000 if form.rate >= 32000 else 72000) * form.kbps
    period = form.rate // math.gcd(form.rate, numerator % form.rate)
    period_bytes = numerator * period // form.rate
    repeated = body[: len(body) // period_bytes * period_bytes]
    parts = [repeated] * (count - 1) + [body]

    def frames_in(part: memoryview) -> int:
        return round(len(part) * form.rate / numerator)

    crc = 0
    for part in parts:
        crc = fastcrc.crc16.arc(bytes(part), crc)
    size = len(tag) + sum(map(len, parts))
    fields = {
        8: sum(map(frames_in, parts)).to_bytes(4, "big"),
        12: size.to_bytes(4, "big"),
        120 + 28: size.to_bytes(4, "big") + crc.to_bytes(2, "big"),
    }
    for offset, value in fields.items():
        tag = mpeg.patch_tag(tag, offset, value)
    with path.open("wb") as out:
        out.write(tag)
        out.writelines(parts)
    return Call(path, form, _tagged_seconds(tag, form.rate))


def _tagged_seconds(tag: bytes, rate: int) -> float:
    """The length that a tag promises: its frames without delay and padding."""
    at = 4 + mpeg.Frame(0, tag).side_length
    frames = int.from_bytes(tag[at + 8 : at + 12], "big")
    delay_padding = int.from_bytes(tag[at + 141 : at + 144], "big")
    samples = frames * (1152 if rate >= 32000 else 576)
    return (samples - (delay_padding >> 12) - (delay_padding & 0xFFF)) / rate
