# SPDX-License-Identifier: Apache-2.0
"""The checks of the demo's merge fail where its output is broken."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from audioengine.cli.demo_merge import check_merge, conference_parts, played
from tests.support import FIXTURES, decode_miniaudio, fixture

Pcm = npt.NDArray[Any]
START, END = 25_288, 79_776  # of the conference, in samples


@pytest.fixture(scope="module")
def merged() -> tuple[list[Pcm], Pcm, ae.MergeReport]:
    """Sources and output as miniaudio plays them."""
    parts = conference_parts(FIXTURES / "conference.json")
    output = BytesIO()
    report = ae.merge(parts, output)
    sources = [decode_miniaudio(Path(str(part.source)).read_bytes()) for part in parts]
    return sources, decode_miniaudio(output.getvalue()), report


def failed(merged: tuple[list[Pcm], Pcm, ae.MergeReport], output: Pcm) -> list[int]:
    """The numbers of the checks that fail."""
    sources, _, report = merged
    checks = check_merge(sources, output, report)
    return [number for number, check in enumerate(checks) if not check.passed]


def test_what_is_played_is_what_a_decoder_of_files_plays() -> None:
    for name in ("conference-a-8k", "mpeg1-44k-128k", "mono-8k", "untagged-16k", "one-frame"):
        data = fixture(name)
        np.testing.assert_array_equal(played(data), decode_miniaudio(data))


def test_a_good_merge_passes(merged: tuple[list[Pcm], Pcm, ae.MergeReport]) -> None:
    sources, output, report = merged
    checks = check_merge(sources, output, report)
    assert [check.name.split(",")[0] for check in checks] == [
        "length",
        "0 to 3.161 s",
        "3.161 to 9.972 s",
        "9.972 to 11.5 s",
        "11.5 to 15.972 s",
    ]
    assert failed(merged, output) == []


def test_a_conference_heard_twice_fails(merged: tuple[list[Pcm], Pcm, ae.MergeReport]) -> None:
    sources, output, _ = merged
    twice = output.copy()
    twice[START:END] += sources[1]
    assert failed(merged, twice) == [2]


def test_a_sample_too_many_or_too_few_fails(
    merged: tuple[list[Pcm], Pcm, ae.MergeReport],
) -> None:
    _, output, _ = merged
    assert failed(merged, output[1:]) == [0]
    assert failed(merged, np.concatenate((output, output[:1]))) == [0]
    late = np.concatenate((output[:1], output[:-1]))
    assert failed(merged, late) == [1, 2, 3, 4]


def test_a_recording_left_out_or_swapped_fails(
    merged: tuple[list[Pcm], Pcm, ae.MergeReport],
) -> None:
    _, output, _ = merged
    silent = output.copy()
    silent[92_000:] = 0
    assert failed(merged, silent) == [4]
    assert failed(merged, output[:, ::-1]) == [1, 2, 3, 4]


def test_a_changed_sample_of_what_is_copied_fails(
    merged: tuple[list[Pcm], Pcm, ae.MergeReport],
) -> None:
    _, output, _ = merged
    changed = output.copy()
    changed[(START + END) // 2, 1] += 1
    assert failed(merged, changed) == [2]
