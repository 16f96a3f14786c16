# SPDX-License-Identifier: Apache-2.0
"""Music to measure with: chords, melodies and drums of synthetic instruments, a piece a minute.

Some instruments are nearly sines, and play two notes at a time: as near to keys of a telephone as
music gets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.float32]
Note = Callable[[float, float, float], Pcm]
"""From a MIDI number, seconds and an amplitude."""

LEVEL = 0.1
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))


def _instrument(random: np.random.Generator, rate: int, tuning: float) -> Note:
    overtones = int(random.integers(1, 12))
    rolloff = random.uniform(0.3, 1.0)
    odd_alone = random.random() < 0.3
    plucked = random.random() < 0.5
    decay_s = random.uniform(0.1, 2)
    vibrato = random.choice([0, 0, random.uniform(0.001, 0.008)])
    attack_s = random.uniform(0.002, 0.05)

    def note(midi: float, seconds: float, amplitude: float) -> Pcm:
        time = np.arange(int((seconds + 0.15) * rate)) / rate
        hertz = 440 * 2 ** ((midi - 69) / 12) * tuning
        sway = vibrato / (2 * np.pi * 5.5) * np.sin(2 * np.pi * 5.5 * time)
        phase = 2 * np.pi * hertz * (time + sway)
        sound = np.zeros(len(time))
        for number in range(1, overtones + 1):
            if (odd_alone and number % 2 == 0) or hertz * number > 0.46 * rate:
                continue
            fading = np.exp(-time * number / (2 * decay_s)) if plucked else 1
            sound += (
                rolloff ** (number - 1) * np.sin(number * phase + random.uniform(0, 6.28)) * fading
            )
        release = np.clip((seconds + 0.15 - time) / 0.1, 0, 1)
        return (amplitude * sound * np.minimum(1, time / attack_s) * release).astype(np.float32)

    return note


def music(seconds: int, rate: int, seed: int = 3) -> Pcm:
    """[shape=(n,)] Pieces of 15 to 40 s, each of its own tempo, key, tuning and instruments."""
    random = np.random.default_rng(seed)
    out = np.zeros((seconds + 8) * rate, dtype=np.float32)

    def add(sound: Pcm, at_s: float) -> None:
        first = int(at_s * rate)
        sound = sound[: max(0, len(out) - first)]
        out[first : first + len(sound)] += sound

    now = 0.0
    while now < seconds:
        beat = 60 / random.uniform(60, 180)
        scale, root = _SCALES[random.integers(2)], int(random.integers(36, 60))
        tuning = 2 ** random.uniform(-0.03, 0.03)
        band = [_instrument(random, rate, tuning) for _ in range(random.integers(1, 5))]
        ends = now + random.uniform(15, 40)
        while now < ends:
            degree, bar = int(random.integers(7)), beat * random.choice([2, 4])
            chord = [
                root + 12 * ((degree + step) // 7) + scale[(degree + step) % 7]
                for step in (0, 2, 4, 6)[: random.integers(3, 5)]
            ]
            for number, note in enumerate(band):
                octave = 12 * int(random.integers(4))
                sustained = number == 0 and random.random() < 0.5
                step = bar if sustained else beat / random.choice([1, 2, 4, 4])
                for place in range(round(bar / step)):
                    few = random.choice(chord, size=random.integers(1, 3), replace=False)
                    for midi in chord if step > beat else few:
                        length, loud = step * random.uniform(0.5, 1), random.uniform(0.3, 1)
                        add(note(midi + octave, length, loud), now + place * step)
            if random.random() < 0.6:
                for half in range(round(2 * bar / beat)):
                    count = int(0.08 * rate)
                    drum = random.standard_normal(count) * np.exp(-np.arange(count) / (0.02 * rate))
                    add((drum * random.uniform(0.2, 1)).astype(np.float32), now + half * beat / 2)
            now += bar
    out = out[: seconds * rate]
    return np.asarray(out * np.float32(LEVEL / np.sqrt(np.mean(out**2))))
