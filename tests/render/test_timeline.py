# SPDX-License-Identifier: Apache-2.0
"""The sum of recordings: turned down as the sum needs it, whoever comes into it and leaves it."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Span
from audioengine.mp3.header import StreamFormat, Version
from audioengine.pcm.limit import CEILING, Limiter
from audioengine.plan.conference import Hearing, Presence, who_is_heard
from audioengine.render.timeline import TimelinePcm
from tests.strategies import examples

Samples = npt.NDArray[np.float32]

RATE = 8000
FORMAT = StreamFormat(Version.MPEG_2_5, 2, 1)
END = 6000
REACH = Limiter(RATE).reach


def mixed(*spans: tuple[int, int], level: float = 0.3, loud: tuple[int, ...] = ()) -> TimelinePcm:
    """Recordings of noise, each there for a time; the loud samples are loud in all of them."""
    assert FORMAT.rate_hz == RATE
    parts, reads = [], []
    for number, (start, end) in enumerate(spans):
        noise = np.random.default_rng(number).uniform(-level, level, (end - start, 1))
        pcm: Samples = noise.astype(np.float32)
        for at in loud:
            if start <= at < end:
                pcm[at - start] = 0.7

        def read(first: int, last: int, pcm: Samples = pcm) -> Samples:
            samples: Samples = pcm[first:last].copy()
            return samples

        index = SimpleNamespace(start=0, format=FORMAT)
        parts.append(
            SimpleNamespace(resampled=False, offset=start, zero=0, index=index, masked=((),))
        )
        reads.append(read)
    stretches = who_is_heard([Presence(Span(*span)) for span in spans], Span(0, END))
    plan = SimpleNamespace(
        parts=parts,
        stretches=stretches,
        hearing=Hearing.of(stretches, len(parts)),
        format=FORMAT,
        origin=0,
    )
    return TimelinePcm(cast(Any, plan), reads, lambda _: cast(Any, None))


def read(pcm: TimelinePcm, first: int = 0, last: int = END) -> Samples:
    (samples,) = pcm([Span(first, last)])
    return samples[:, 0]


def full(pcm: TimelinePcm) -> Samples:
    """The same without the limiter."""
    added: Samples = pcm._added(Span(0, END))[:, 0]
    return added


CHAIN = ((0, 3000), (1000, 4000), (2000, 5000))
"""Who is mixed changes at 2000 and 3000; one alone is heard to 1000 and from 4000."""


@pytest.mark.parametrize("at", [2000, 1999, 2003, 3000, 2990])
def test_the_gain_goes_on_through_a_change_of_who_is_mixed(at: int) -> None:
    pcm = mixed(*CHAIN, loud=(at,))
    out, whole = read(pcm), full(pcm)
    assert abs(whole[at]) > CEILING
    near = np.arange(at - REACH // 2, at + REACH // 2)
    gain = out[near] / whole[near]
    assert np.abs(out).max() <= CEILING * (1 + 2.0**-22)
    assert (gain < 1).all()
    # No step: a sample that is clipped alone has neighbours at full level.
    assert np.abs(np.diff(gain)).max() < 0.03


def test_what_one_alone_says_stays_as_it_is() -> None:
    pcm = mixed(*CHAIN, loud=(1000, 1001, 3999, 3998))
    out, whole = read(pcm), full(pcm)
    np.testing.assert_array_equal(out[:1000], whole[:1000])
    np.testing.assert_array_equal(out[4000:], whole[4000:])
    assert np.abs(out).max() <= CEILING * (1 + 2.0**-22)


def test_beside_silence_there_is_nothing_to_go_back_to() -> None:
    """Both begin and end at once: what is too loud just there is turned down with what is near."""
    pcm = mixed((1000, 3000), (1000, 3000), loud=(1000, 2999))
    out, whole = read(pcm), full(pcm)
    gain = Limiter(RATE).gain(whole[1000:3000], 1 << 60, 1 << 60)
    assert gain is not None
    # Smoothly: what is beside the loud sample is turned down too, without a way back to 1.
    assert max(gain[1], gain[-2]) < 0.9
    np.testing.assert_array_equal(out[1000:3000], whole[1000:3000] * gain)
    assert not out[:1000].any()
    assert not out[3000:].any()


@given(
    spans=st.lists(
        st.tuples(st.integers(0, END - 1), st.integers(1, END)).map(
            lambda pair: (pair[0], min(END, pair[0] + pair[1]))
        ),
        min_size=1,
        max_size=4,
    ),
    loud=st.lists(st.integers(0, END - 1), max_size=5),
    windows=st.lists(st.integers(0, END), min_size=1, max_size=4),
)
@examples(60)
def test_any_window_is_that_of_the_whole_and_none_is_too_loud(
    spans: list[tuple[int, int]], loud: list[int], windows: list[int]
) -> None:
    pcm = mixed(*sorted(spans), level=0.6, loud=tuple(loud))
    out, whole = read(pcm), full(pcm)
    bounds = sorted({0, END, *windows})
    pieces = [read(pcm, *pair) for pair in pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate(pieces), out)
    heard = np.zeros(END, dtype=int)
    for start, end in spans:
        heard[start:end] += 1
    assert (np.abs(out[heard > 1]) <= CEILING * (1 + 2.0**-22)).all()
    np.testing.assert_array_equal(out[heard == 1], whole[heard == 1])
