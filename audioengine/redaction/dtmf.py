# SPDX-License-Identifier: Apache-2.0
"""Keys of a telephone, heard in samples: two sines of ITU-T Q.23, of a row and of a column.

Blocks of one channel in, keys out, then strings of keys. A string is judged as a whole: keys that
are heard clearly, with alike levels, make it, and weaker ones beside them, half covered by a voice,
belong to it. The thresholds were chosen on 75 minutes of synthetic speech in 19 voices, three hours
of synthetic music, and keys under such speech after MP3 at 16 to 64 kbit/s. What they do is
measured in ``benchmarks/test_dtmf.py``.
"""

from __future__ import annotations

import cmath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import attrgetter
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Windows: TypeAlias = dict[str, npt.NDArray[Any]]
"""Arrays of one row a window, by what they say of it."""

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"
"""By row, then by column."""
PAUSE_S = 3
"""Up to which pause keys belong to one string."""

_HOP_S = 0.008
_WINDOW_S = 0.032
"""The longest that lies within a key of 40 ms, Q.24's least, wherever the hop puts it."""
_BAND_HZ = (640, 1740)
_TRIED = (-0.014, 0.0, 0.014)
"""Deviations at which a tone is looked for: 1.5 % between two of them cost it under 1 dB."""
_MAX_DEVIATION = 0.021
"""Receivers accept 1.5 % and refuse 3.5 % (Q.24); under a voice, 0.5 % are lost in measuring."""


@dataclass(frozen=True, slots=True)
class _Demands:
    """What a frame must have to be of a key."""

    of_band: float
    """The pair's share of the power between 640 and 1740 Hz."""
    of_all: float
    """Its share of all power."""
    above_db: float
    """By how much each tone is above the next best of its four."""
    twist_db: float
    """How far apart the levels of the pair may be; Q.24's administrations allow 4 to 8 dB."""


_CLEAR = _Demands(0.85, 0.5, 8, 9)
_WEAK = _Demands(0.5, 0.0, 3, 12)
_CLEAR_FRAMES = 2
_LEAST_POWER = 1e-6
"""Of the pair: -60 dB of full scale. Noise of telephone lines is below."""
_EDGE = 0.25
"""A tone that begins in the middle of a window has half its amplitude there."""
_NEAR = 4
"""Windows to either side in which a key is loudest: 32 ms, less than Q.24's least pause."""
_MADE_BY = 2
"""Clear keys that make a string of more; one is enough where strings of one are asked for."""
_ALONE = 0.82
"""Share of all power that one clear key of a string has: voices leave gaps, music plays on."""
_EDGE_FRAMES = 2
_INNER_FRAMES = 3
_STEADY_DB = 3.5
"""Within a key; notes fade, swell and tremble. A voice as loud as a key adds up to 2.4 dB."""
_ALIKE_DB = 2.5
_WEAK_ALIKE_DB = 4.0
"""How far levels of weak keys may be off: the voice that makes them weak adds to them."""
LONGEST_ECHO_S = 0.3
_LEAST_ECHO = 1e-8
_ECHO_SHARE = 0.4
"""Of rows times columns, the mean of all keys; what has nothing to do with them has about 1/16."""
_NO_KEYPAD = frozenset("ABCD")
"""Keys of the fourth column, which telephones lack: no string is made by them alone."""
_AT_ONCE = 1024
_SMALL_PRODUCT = 400_000
"""Rows times columns times what is summed."""
_LONGEST = 4096
"""Windows, half a minute: a steady tone is cut there rather than kept until it ends."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, as it is heard in one channel."""

    key: str = field(repr=False)
    """A secret: in no report, log or error."""
    start_s: float
    end_s: float
    row_db: float
    """Level of the row's tone, full scale of a sine being -3 dB."""
    column_db: float
    share: float
    """Of all power, in the window in which it is highest."""
    clear: bool
    """Whether it is a key whatever is beside it."""


@dataclass(frozen=True, slots=True)
class KeyString:
    """Keys without a pause of more than PAUSE_S between two."""

    keys: tuple[Key, ...]

    @property
    def start_s(self) -> float:
        """Where the first begins, in seconds."""
        return self.keys[0].start_s

    @property
    def end_s(self) -> float:
        """Where the last one to end does."""
        return max(key.end_s for key in self.keys)


class Frames:
    """What windows of one channel hold: powers of the tones, of the band, of everything."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.hop = round(_HOP_S * rate_hz)
        self.window = 2 * round(_WINDOW_S * rate_hz / 2)
        time = (np.arange(self.window) - (self.window - 1) / 2) / rate_hz
        shape = 0.5 + 0.5 * np.cos(2 * np.pi * time * rate_hz / self.window)
        tones = np.outer(1 + np.array(_TRIED), ROWS_HZ + COLUMNS_HZ).ravel()
        step = rate_hz / self.window
        band = step * np.arange(round(_BAND_HZ[0] / step), round(_BAND_HZ[1] / step) + 1)
        # A sine's power, from both: of one tone, and as the sum over a band of such windows.
        scales = np.repeat(
            [np.sqrt(2) / shape.sum(), np.sqrt(2 / (self.window * (shape**2).sum()))],
            [len(tones), len(band)],
        )
        angles = 2 * np.pi * np.outer(time, np.concatenate((tones, band)))
        waves = shape[:, None] * scales
        self._in_band: Floats = np.repeat([0, 1], [len(tones), len(band)]).astype(np.float32)
        # Cosines are even about the middle and sines odd: half the products do.
        half = self.window // 2
        self._even: Floats = (waves * np.cos(angles)).astype(np.float32)[:half]
        self._odd: Floats = (waves * -np.sin(angles)).astype(np.float32)[:half]
        self._all: Floats = (shape**2 / (shape**2).sum()).astype(np.float32)
        # BLAS takes threads of its own for larger products, and waits for them in a loop.
        self._rows = max(1, _SMALL_PRODUCT // self._even.size)

    @property
    def hop_s(self) -> float:
        """From window to window, in seconds."""
        return self.hop / self.rate_hz

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Samples that the windows of these numbers need; the middle of window k is at k hops."""
        begin = first * self.hop - self.window // 2
        return begin, begin + (last - 1 - first) * self.hop + self.window

    def count(self, samples: int) -> int:
        """How many windows have their middle in a recording of so many samples."""
        return -(-samples // self.hop)

    def of(self, pcm: Floats) -> Windows:
        """pcm: [shape=(n,)] full scale ±1; as many windows as lie in it."""
        windows = np.lib.stride_tricks.sliding_window_view(pcm, self.window)[:: self.hop]
        squares = np.lib.stride_tricks.sliding_window_view(pcm * pcm, self.window)[:: self.hop]
        size = max(1, _AT_ONCE // self._rows) * self._rows
        parts = [
            self._part(windows[at : at + size], squares[at : at + size])
            for at in range(0, len(windows), size)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _part(self, windows: Floats, squares: Floats) -> Windows:
        before = windows[:, : self.window // 2]
        behind = windows[:, : self.window // 2 - 1 : -1]
        real = self._times(before + behind, self._even)
        imaginary = self._times(before - behind, self._odd)
        nominal = slice(8 * (len(_TRIED) // 2), 8 * (len(_TRIED) // 2 + 1))
        wave = real[:, nominal] + 1j * imaginary[:, nominal]
        real *= real
        imaginary *= imaginary
        real += imaginary
        tried = [real[:, 8 * each : 8 * each + 8] for each in range(len(_TRIED))]
        return {
            "power": reduce(np.maximum, tried),
            # By einsum, as BLAS would take threads and sums over so few are slow.
            "band": np.einsum("ij,j->i", real, self._in_band),
            "all": np.einsum("ij,j->i", squares, self._all),
            "wave": wave,
        }

    def _times(self, windows: Floats, waves: Floats) -> Floats:
        """A product of matrices, some rows at a time."""
        whole = len(windows) // self._rows * self._rows
        stacked = windows[:whole].reshape(-1, self._rows, windows.shape[1]) @ waves
        rest = windows[whole:] @ waves
        return np.concatenate((stacked.reshape(-1, waves.shape[1]), rest))


class ToneScan:
    """Finds keys in windows of one channel that come in blocks; their size makes no difference."""

    def __init__(self, hop_s: float) -> None:
        self._hop_s = hop_s
        self._held: Windows = {}
        self._first = 0
        self._done = 0
        self._clear_until = -float(PAUSE_S)
        self._waiting: list[Key] = []
        self._keys: list[Key] = []

    def add(self, windows: Windows) -> None:
        """Take the windows that follow, as `Frames` gives them."""
        held = self._held
        self._held = {
            name: np.concatenate((held[name], part)) if held else part
            for name, part in windows.items()
        }
        self._emit(at_end=False)

    def finish(self) -> tuple[Key, ...]:
        """Return the keys: the clear ones, and what may be some within PAUSE_S of them."""
        if self._held:
            self._emit(at_end=True)
        return tuple(sorted(self._keys, key=attrgetter("start_s")))

    def _emit(self, *, at_end: bool) -> None:
        """Judge the held windows as far as what comes can't change them, and let go of these."""
        label, clear = _labels(self._held)
        stop = len(label)
        if not at_end:
            stop = max(self._done, stop - 2 * _NEAR)
            free = np.flatnonzero(label[self._done : stop] < 0)
            if len(free):
                stop = self._done + int(free[-1]) + 1
            elif stop - self._done < _LONGEST:
                return
        label[: self._done] = -1
        label[stop:] = -1
        for key in _runs(self._held, label, clear, self._first, self._hop_s):
            self._take(key)
        kept = max(0, stop - 2 * _NEAR)
        self._held = {name: part[kept:] for name, part in self._held.items()}
        self._first += kept
        self._done = stop - kept

    def _take(self, key: Key) -> None:
        """Keep a key that is clear, or near one that is; others wait for one that follows."""
        if key.clear:
            self._keys += [one for one in self._waiting if key.start_s - one.end_s <= PAUSE_S]
            self._waiting = []
            self._clear_until = key.end_s
        elif key.start_s - self._clear_until > PAUSE_S:
            self._waiting.append(key)
            return
        self._keys.append(key)


def _labels(
    held: Windows,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each window the key that may be there, or -1; and whether it is clear."""
    power = held["power"]
    rows, columns = power[:, :4], power[:, 4:]
    row, column = rows.argmax(axis=1), columns.argmax(axis=1)
    ordered_rows, ordered_columns = np.sort(rows, axis=1), np.sort(columns, axis=1)
    row_power, column_power = ordered_rows[:, 3], ordered_columns[:, 3]
    pair = row_power + column_power
    above = np.minimum(
        row_power / (ordered_rows[:, 2] + 1e-12), column_power / (ordered_columns[:, 2] + 1e-12)
    )
    low, high = np.minimum(row_power, column_power), np.maximum(row_power, column_power)
    # Of the same two tones: a voice beside a key may be louder than it.
    loudest = _loudest(power, _NEAR)
    every = np.arange(len(power))
    audible = (pair > _LEAST_POWER) & (
        pair >= _EDGE * (loudest[every, row] + loudest[every, column + 4])
    )

    def meets(demands: _Demands) -> npt.NDArray[np.bool_]:
        met: npt.NDArray[np.bool_] = (
            (pair > demands.of_band * held["band"])
            & (pair > demands.of_all * held["all"])
            & (above > 10 ** (demands.above_db / 10))
            & (high < low * 10 ** (demands.twist_db / 10))
        )
        return met

    label = np.where(audible & meets(_WEAK), row * 4 + column, -1)
    return label, meets(_CLEAR)


def _loudest(power: Floats, near: int) -> Floats:
    """The highest power of each tone in windows up to `near` before and behind."""
    padded = np.pad(power, ((near, near), (0, 0)))
    highest: Floats = padded[: len(power)].copy()
    for shift in range(1, 2 * near + 1):
        np.maximum(highest, padded[shift : shift + len(power)], out=highest)
    return highest


def _runs(
    held: Windows,
    label: npt.NDArray[np.int64],
    clear: npt.NDArray[np.bool_],
    first: int,
    hop_s: float,
) -> Iterable[Key]:
    """The keys that windows with the same label in a row are."""
    edges = np.flatnonzero(np.diff(label, prepend=-1, append=-1))
    begins, ends = edges[:-1], edges[1:]
    heard = label[begins] >= 0
    for begin, end in zip(begins[heard].tolist(), ends[heard].tolist(), strict=True):
        row, column = divmod(int(label[begin]), 4)
        tones = (row, column + 4)
        if max(abs(_deviation(held["wave"], begin, end, tone, hop_s)) for tone in tones) > (
            _MAX_DEVIATION
        ):
            continue
        power = held["power"][begin:end, tones]
        levels = 10 * np.log10(power[power.sum(axis=1).argmax()])
        yield Key(
            KEYS[label[begin]],
            max(0.0, (first + begin - 0.5) * hop_s),
            (first + end - 0.5) * hop_s,
            float(levels[0]),
            float(levels[1]),
            float((power.sum(axis=1) / (held["all"][begin:end] + 1e-12)).max()),
            int(clear[begin:end].sum()) >= _CLEAR_FRAMES and _is_steady(power),
        )


def _is_steady(power: Floats) -> bool:
    """Whether both tones keep their levels from the first window to the last but the edges'."""
    inner = power[_EDGE_FRAMES:-_EDGE_FRAMES]
    if len(inner) < _INNER_FRAMES:
        return True
    return bool((inner.max(axis=0) <= inner.min(axis=0) * 10 ** (_STEADY_DB / 10)).all())


def _deviation(
    wave: npt.NDArray[np.complexfloating], begin: int, end: int, tone: int, hop_s: float
) -> float:
    """How far a tone's frequency is off, as a share of it, by its phase from window to window."""
    hertz = (ROWS_HZ + COLUMNS_HZ)[tone]
    run = wave[max(0, begin - 1) : end + 1, tone]
    turn = complex(np.vdot(run[:-1], run[1:])) * cmath.exp(-2j * np.pi * hertz * hop_s)
    return cmath.phase(turn) / (2 * np.pi * hop_s * hertz)


def keys_of(pcm: Floats, rate_hz: int) -> tuple[Key, ...]:
    """pcm: [shape=(n,)] one channel as a whole, full scale ±1."""
    frames = Frames(rate_hz)
    begin, end = frames.span(0, frames.count(len(pcm)))
    scan = ToneScan(frames.hop_s)
    scan.add(frames.of(np.pad(pcm, (-begin, max(0, end - len(pcm))))))
    return scan.finish()


def strings(keys: Sequence[Key], min_keys: int = 3) -> tuple[KeyString, ...]:
    """The strings of at least so many keys, in the order of their starts."""
    groups: list[list[Key]] = []
    for key in keys:
        if not key.clear:
            continue
        for group in reversed(groups):
            if key.start_s - group[-1].end_s <= PAUSE_S and _alike(key, group, _ALIKE_DB):
                group.append(key)
                break
        else:
            groups.append([key])
    found = []
    for group in groups:
        begin, end = group[0].start_s - PAUSE_S, group[-1].end_s + PAUSE_S
        near = [
            key
            for key in keys
            if not key.clear
            and begin <= key.end_s
            and key.start_s <= end
            and _alike(key, group, _WEAK_ALIKE_DB)
        ]
        string = KeyString(tuple(sorted([*group, *near], key=lambda key: key.start_s)))
        telephone = sum(key.key not in _NO_KEYPAD for key in group)
        is_alone = max(key.share for key in group) >= _ALONE
        if is_alone and len(string.keys) >= min_keys and telephone >= min(_MADE_BY, min_keys):
            found.append(string)
    return tuple(sorted(found, key=lambda string: string.start_s))


def _alike(key: Key, group: Sequence[Key], within_db: float) -> bool:
    """Whether a key is as loud as those of a group are."""
    return (
        abs(key.row_db - median(one.row_db for one in group)) <= within_db
        and abs(key.column_db - median(one.column_db for one in group)) <= within_db
    )


def echo_lags(string: KeyString, pcm: Floats, rate_hz: int) -> tuple[float, float] | None:
    """By how many seconds, from and to, another channel repeats a string; None: it does not.

    As keys last, an echo fits at several lags.

    pcm: [shape=(n,)] that channel from the string's start to LONGEST_ECHO_S after its end.
    """
    frames = Frames(rate_hz)
    if len(pcm) < frames.window:
        return None
    power = frames.of(np.pad(pcm, frames.window // 2))["power"]
    middles = [(key.start_s + key.end_s) / 2 - string.start_s for key in string.keys]
    places = np.array([round(middle / frames.hop_s) for middle in middles])
    rows, columns = np.divmod(np.array([KEYS.index(key.key) for key in string.keys]), 4)
    mean = []
    for hops in range(round(LONGEST_ECHO_S / frames.hop_s) + 1):
        heard = power[np.minimum(places + hops, len(power) - 1)]
        every = np.arange(len(heard))
        row, column = heard[every, rows], heard[every, columns + 4]
        shares = row * column / (heard[:, :4].sum(axis=1) * heard[:, 4:].sum(axis=1) + 1e-24)
        mean.append(float(np.where(row + column > _LEAST_ECHO, shares, 0).mean()))
    best = max(mean)
    if best <= _ECHO_SHARE:
        return None
    fits = [hops * frames.hop_s for hops, share in enumerate(mean) if share >= 0.9 * best]
    return fits[0], fits[-1]
