# SPDX-License-Identifier: Apache-2.0
"""What rounds edit and merge: fixtures, streams that use all of the standard, and sound made here.

Fixtures are speech. What `verify` finds hard is not: noise that few bits hold, tones, music, short
effects that both channels have. Such sound is made here, for all rates, bitrates and modes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

import numpy as np

from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import EDITABLE, Pcm, lame, talk
from tests.operations.streams import (
    NAMES,
    RATES,
    by_ffmpeg,
    by_soundfile,
    generated,
)
from tests.support import FOREIGN, fixture

SHARE_OF_FIXTURES = 0.5
SHARE_OF_STREAMS = 0.15
LONGEST_S = 4.0
TALK_S = 8.0
LSF_KBPS = tuple(kbps for kbps in mpeg.V2_KBPS if kbps)
MPEG_2_5_KBPS = tuple(kbps for kbps in LSF_KBPS if kbps <= 64)  # LAME writes no more
MPEG_1_KBPS = tuple(kbps for kbps in mpeg.V1_KBPS if kbps)


def draw(random: Random) -> tuple[str, bytes]:
    """The name of a recording, which says what it is, and its bytes."""
    share = random.random()
    if share < SHARE_OF_FIXTURES:
        name = random.choice((*EDITABLE, *FOREIGN))
        return name, fixture(name)
    if share < SHARE_OF_FIXTURES + SHARE_OF_STREAMS:
        name = random.choice(NAMES)
        return name, generated(name)
    return made(random, random.choice(RATES))


def made(random: Random, rate: int, *, most_channels: int = 2) -> tuple[str, bytes]:
    """Sound that is made and encoded at a rate."""
    pairing, pcm = _channels(random, rate)
    if most_channels == 1 or random.random() < 0.15:
        pairing, pcm = f"mono of {pairing}", pcm[:, :1]
    # In steps that 16 bits have, and so that no encoder clips it.
    pcm = np.clip(np.rint(pcm * 32767), -32767, 32767) / 32767
    bitrates = MPEG_1_KBPS if rate >= 32_000 else LSF_KBPS if rate >= 16_000 else MPEG_2_5_KBPS
    # The lowest ones are the hardest, and calls are stored at low ones.
    kbps = random.choice((*bitrates[:6], *bitrates))
    encoder = random.choice(tuple(ENCODERS))
    return f"{pairing}, {rate} Hz, {kbps} kbit-s, {encoder}", ENCODERS[encoder](pcm, rate, kbps)


# Encoders


def _tagged(pcm: Pcm, rate: int, kbps: int) -> bytes:
    """As the LAME program writes it."""
    frames = list(mpeg.frames(lame(pcm, rate, kbps)))
    padding = len(frames) * (576 if rate < 32_000 else 1152) - 576 - len(pcm)
    return bits.with_tag(frames, 576, padding)


def _by_ffmpeg(pcm: Pcm, rate: int, kbps: int, **options: str) -> bytes:
    return by_ffmpeg(np.repeat(pcm, 3 - pcm.shape[1], axis=1), rate, kbps, **options)


ENCODERS: dict[str, Callable[[Pcm, int, int], bytes]] = {
    "LAME, untagged": lame,
    "LAME": _tagged,
    "libsndfile, VBR": lambda pcm, rate, _: by_soundfile(pcm, rate, "VARIABLE"),
    "libsndfile, ABR": lambda pcm, rate, _: by_soundfile(pcm, rate, "AVERAGE"),
    "FFmpeg": _by_ffmpeg,
    "FFmpeg, left-right": lambda *form: _by_ffmpeg(*form, joint_stereo="0"),
}


# Sound of one channel: [shape=(samples,)], full scale ±1


@cache
def _talk(rate: int) -> Pcm:
    return talk(rate, TALK_S)


def _speech(random: Random, rate: int, samples: int) -> Pcm:
    """One party of a call."""
    whole = _talk(rate)[:, random.randrange(2)]
    start = random.randrange(len(whole) - samples)
    return whole[start : start + samples] * random.choice((1, 1, 0.3, 0.05))


def _noise(random: Random, _rate: int, samples: int) -> Pcm:
    """Steady, or in bursts of a few ms to seconds."""
    numbers = np.random.default_rng(random.randrange(1 << 32))
    noise = numbers.standard_normal(samples) * random.choice((0.0001, 0.003, 0.05, 0.3))
    if random.random() < 0.5:
        step = random.choice((500, 4000, 16_000))
        noise *= np.where((np.arange(samples) + random.randrange(step)) // step % 2, 1, 0.02)
    if random.random() < 0.3:
        # Darker, as a room or a line is.
        noise = np.convolve(noise, np.full(8, 1 / 8), "same")
    return noise


def _music(random: Random, rate: int, samples: int) -> Pcm:
    """Chords of plucked strings, and a drum."""
    out = np.zeros(samples)
    numbers = np.random.default_rng(random.randrange(1 << 32))
    beat = round(rate * random.uniform(0.15, 0.6))
    for start in range(0, samples, beat):
        time = np.arange(min(3 * beat, samples - start)) / rate
        note = np.zeros(len(time))
        for step in random.sample((0, 3, 4, 7, 10, 12, 15, 16, 19), random.choice((1, 2, 3))):
            for overtone in range(1, 9):
                hertz = 110 * 2 ** (step / 12) * overtone
                if hertz < 0.45 * rate:
                    tone = np.sin(2 * np.pi * hertz * time + random.uniform(0, 6))
                    note += tone * np.exp(-time * (2 + overtone)) / overtone
        if random.random() < 0.5:
            note += 0.5 * numbers.standard_normal(len(time)) * np.exp(-time * 40)
        out[start : start + len(time)] += note
    return out * random.choice((0.02, 0.1, 0.2))


def _effects(random: Random, rate: int, samples: int) -> Pcm:
    """Short ones, silence between them: clicks, chirps, bells, dial tones."""
    out: Pcm = np.zeros(samples)
    at = random.randrange(rate // 4)
    while at < samples:
        seconds = random.choice((0.002, 0.03, 0.1, 0.4))
        time = np.arange(min(round(rate * seconds), samples - at)) / rate
        low, high = (random.uniform(200, 0.4 * rate) for _ in range(2))
        length = max(len(time) / rate, 1e-3)
        effect = np.sin(2 * np.pi * (low * time + (high - low) / 2 / length * time**2))
        if random.random() < 0.5:
            effect *= np.exp(-time * random.choice((5, 20, 100)))
        out[at : at + len(time)] += effect * random.choice((0.02, 0.2, 0.5))
        at += len(time) + random.randrange(rate // 50, rate)
    return out


def _tones(random: Random, rate: int, samples: int) -> Pcm:
    """Steady, near the beep's frequency or not, alone or beside noise."""
    time = np.arange(samples) / rate
    out = np.zeros(samples)
    for _ in range(random.choice((1, 1, 2))):
        hertz = random.choice((1000.0, 440.0, random.uniform(60, 0.45 * rate)))
        out += random.choice((0.001, 0.01, 0.1, 0.3)) * np.sin(2 * np.pi * hertz * time)
    if random.random() < 0.6:
        out += _noise(random, rate, samples)
    return out


def _nothing(_random: Random, _rate: int, samples: int) -> Pcm:
    """Digital silence."""
    return np.zeros(samples)


SOUNDS = (_speech, _speech, _noise, _noise, _music, _effects, _tones, _nothing)


def _channels(random: Random, rate: int) -> tuple[str, Pcm]:
    """What it is called, and [shape=(n, 2)] two channels: each its own, or akin."""
    samples = round(rate * random.uniform(0.3, LONGEST_S))
    kinds = random.choices(SOUNDS, k=2)
    one, other = (kind(random, rate, samples) for kind in kinds)
    names = [kind.__name__.strip("_") for kind in kinds]
    match random.randrange(6):
        case 0:
            return f"{names[0]} on both", np.stack((one, one), axis=1)
        case 1:
            late = random.randrange(1, rate // 20)
            echo = np.concatenate((np.zeros(late), one))[:samples] * random.choice((0.5, 0.1))
            return f"{names[0]} and its echo", np.stack((one, other + echo), axis=1)
        case 2:
            return f"{names[0]} inverted", np.stack((one, -one), axis=1)
        case _:
            return " beside ".join(names), np.stack((one, other), axis=1)
