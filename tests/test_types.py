# SPDX-License-Identifier: Apache-2.0
"""Wrong types in Python: a sentence each; NumPy's numbers are numbers."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.commands.requests import MergeEntry, MergeRecordings, StoreRecording
from audioengine.errors import InvalidRequestError
from audioengine.times import exact
from tests.execution import service
from tests.support import fixture

SOURCE = fixture("mono-8k")
WIRE: dict[str, Any] = {"mask": {"caller": [{"from": 1, "to": 2}]}}
EPOCH = 1_728_890_677_000
WRONG: Any = (WIRE, "text", 5, ae.Interval(1, 2), [ae.Interval(1, 2)])


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_what_is_no_modification_is_refused_with_a_sentence(wrong: Any) -> None:
    calls: list[Any] = [
        lambda: ae.store(SOURCE, BytesIO(), wrong),
        lambda: ae.plan_store(SOURCE, wrong),
        lambda: ae.verify(SOURCE, SOURCE, wrong),
        lambda: ae.merge([ae.MergePart(SOURCE, EPOCH, modification=wrong)], BytesIO()),
        lambda: ae.plan_merge([ae.MergePart(SOURCE, EPOCH, modification=wrong)]),
    ]
    for call in calls:
        with pytest.raises(InvalidRequestError, match="must be a Modification or None") as caught:
            call()
        is_wire = isinstance(wrong, (dict, str))
        assert ("Modification.from_params" in str(caught.value)) is is_wire


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_commands_and_batches_take_no_other_modification(wrong: Any) -> None:
    told: dict[str, Any] = {"reply_id": service.token(), "destination_bucket": service.KEPT}
    entry = MergeEntry(recording_id=service.RECORDING, start_time_ms=EPOCH, modification=wrong)
    for command in (
        StoreRecording(recording_id=service.RECORDING, modification=wrong, **told),
        MergeRecordings(to_merge=(entry,), **told),
    ):
        outcome = ae.execute(command, service.storage(), service.settings())
        assert isinstance(outcome.error, InvalidRequestError)
        assert "modificationParams = " in str(outcome.error)
        assert "must be a Modification or None" in str(outcome.error)
    with pytest.raises(InvalidRequestError, match="must be a Modification or None"):
        ae.ForAll("out/", wrong)


def test_other_arguments_of_wrong_types_are_refused_too() -> None:
    dictionary: Any = {"guard_ms": 40}
    words: Any = "*.wav"
    segment: Any = ae.ConferenceSegment(EPOCH)
    place: Any = Path("out")
    segments = r"parts\[0\].conference_segments"
    calls: list[tuple[str, Any]] = [
        ("include", lambda: ae.ForAll("out/", include=words)),
        ("to", lambda: ae.ForAll(place)),
        ("options", lambda: ae.run_batch("jobs.jsonl", "journal", options=dictionary)),
        ("options", lambda: ae.plan_batch("jobs.jsonl", options=dictionary)),
        (
            "allow_truncated",
            lambda: ae.store(SOURCE, BytesIO(), options=ae.StoreOptions(allow_truncated=words)),
        ),
        (segments, lambda: ae.plan_merge([ae.MergePart(SOURCE, EPOCH, segment)])),
        (segments, lambda: ae.plan_merge([ae.MergePart(SOURCE, EPOCH, dictionary)])),
    ]
    for path, call in calls:
        with pytest.raises(InvalidRequestError, match=f"^{path} = .* must (be|have)"):
            call()


def test_what_is_no_command_is_refused_with_a_sentence() -> None:
    wrong: Any = [service.store_command()]
    outcome = ae.execute(wrong, service.storage(), service.settings())
    assert str(outcome.error).startswith("command = '<list>': must be a command")


def test_one_interval_stands_for_a_list_of_it() -> None:
    one: Any = ae.Interval(1, 2)
    assert ae.Modification(mask={"caller": one}) == ae.Modification(mask={"caller": [one]})


@pytest.mark.parametrize(
    "mask", [5, [ae.Interval(1, 2)], "caller", {"caller": 5}, {"caller": "all"}, WIRE["mask"], WIRE]
)
def test_a_mask_of_another_shape_is_refused_with_a_sentence(mask: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"mask.* must be|is not one of"):
        ae.Modification(mask=mask)


@given(
    st.floats(-(2.0**14), 2.0**14, width=16), st.sampled_from([np.float16, np.float32, np.float64])
)
def test_floats_of_numpy_are_their_own_shortest_decimals(value: float, kind: Any) -> None:
    number = kind(value)
    assert exact(number, "x") == Fraction(str(number))


@given(st.integers(-128, 127), st.sampled_from([np.int8, np.int16, np.int32, np.int64]))
def test_integers_of_numpy_are_integers(value: int, kind: Any) -> None:
    assert exact(kind(value), "x") == value


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.longdouble])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_not_finite_is_refused(kind: Any, value: str) -> None:
    with pytest.raises(InvalidRequestError, match="must be finite"):
        exact(kind(value), "x")


def test_numbers_of_numpy_everywhere() -> None:
    numbers: Any = {0.5: np.float32(0.5), 1: np.int16(1), 1.5: np.float32(1.5)}
    edit = ae.Modification(
        trim=ae.Interval(numbers[0.5], None),
        mask={"caller": [ae.Interval(numbers[1], numbers[1.5])]},
        guard_ms=(numbers[0.5], numbers[1]),
        clip_tolerance_s=numbers[1.5],
    )
    tone: list[Any] = [np.float32(440), np.int16(-12), np.int64(1), np.int64(1105), np.int64(EPOCH)]
    report = ae.store(
        SOURCE, BytesIO(), edit, ae.StoreOptions(beep=ae.Beep(*tone[:2])), workers=tone[2]
    )
    rate = report.source.rate_hz
    assert report.trim.applied.samples[0] == rate // 2
    assert report.masks[0].asked.samples == (rate, rate * 3 // 2)
    audio = ae.decode(SOURCE, numbers[0.5], numbers[1])
    assert len(audio.caller) == rate // 2
    part = ae.MergePart(fixture("untagged-8k"), tone[4], encoder_delay=tone[3])
    merged = ae.plan_merge([part], ae.MergeOptions(max_timeline_s=numbers[1.5] * np.float32(1000)))
    assert merged.parts[0].start_time_ms == EPOCH
