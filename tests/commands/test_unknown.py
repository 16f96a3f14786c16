# SPDX-License-Identifier: Apache-2.0
"""No key that somebody meant as an edit is passed over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.commands.requests import parse_command, parse_to_merge
from audioengine.commands.schema import json_schema
from audioengine.commands.unknown import EVENT_KEYS
from audioengine.errors import InvalidRequestError
from tests.commands.reference import COMMANDS, MERGE, READY, STORE
from tests.execution.service import MASK, settings, storage, store_command

KNOWN = sorted({*STORE, "startTime"})
MEANT = {
    "modificationparams": "modificationParams",
    "ModificationParams": "modificationParams",
    "modification_params": "modificationParams",
    "modification-params": "modificationParams",
    "modificationParam": "modificationParams",
    "modifcationParams": "modificationParams",
    "modificationParmas": "modificationParams",
    "modification": "modificationParams",
    "mask": "modificationParams",
    "masks": "modificationParams",
    "Mask": "modificationParams",
    "trim": "modificationParams",
    "absoluteTimes": "modificationParams",
    "destination_bucket": "destinationBucket",
    "filename": "fileName",
    "encrytpionKey": "encryptionKey",
}


def misspelt() -> st.SearchStrategy[str]:
    """A known key with up to two letters changed, or in another case, or as a plural."""

    def changed(name: str, edits: list[tuple[int, int, str]]) -> str:
        letters = list(name)
        for place, kind, letter in edits:
            at = place % (len(letters) + (kind == 0))
            letters[at : at + (kind > 0)] = [] if kind == 1 else [letter]
        return "".join(letters)

    letter = st.characters(codec="ascii", categories=["Ll", "Lu"])
    edits = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2), letter), max_size=2)
    typing = st.builds(changed, st.sampled_from(KNOWN), edits)
    spelling = st.sampled_from([*MEANT, *(f"{name}s" for name in KNOWN), *map(str.upper, KNOWN)])
    return (typing | spelling).filter(lambda name: name not in KNOWN and name not in EVENT_KEYS)


@given(misspelt(), st.sampled_from(["refuse", "ignore"]))
def test_a_misspelt_key_is_always_refused(name: str, unknown: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_command({**STORE, name: MASK}, unknown=unknown)
    assert [one.path for one in caught.value.problems] == [name]


@pytest.mark.parametrize("name", MEANT)
def test_the_nearest_known_name_is_told(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"did you mean {MEANT[name]}"):
        parse_command({**STORE, name: MASK})
    if MEANT[name] == "modificationParams":
        entries = [{**MERGE["toMerge"][0], name: MASK}]
        with pytest.raises(InvalidRequestError, match=rf"toMerge\[0\].{name}.*did you mean mod"):
            parse_command({**MERGE, "toMerge": entries}, unknown="ignore")
        with pytest.raises(InvalidRequestError, match=rf"toMerge\[0\].{name}.*did you mean mod"):
            parse_to_merge({**MERGE, "toMerge": entries})
        with pytest.raises(InvalidRequestError):
            parse_to_merge({**MERGE, name: MASK})


INSIDE = st.recursive(
    st.sampled_from([{"modificationParams": MASK}, {"Mask": MASK["mask"]}, {"trim": {"from": 1}}]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(
            st.sampled_from(["a", "recordingId", "ssrc"]), inner, min_size=1, max_size=2
        )
    ),
    max_leaves=3,
)


@given(st.sampled_from(["meta", "relatedRecordings", "colour"]), INSIDE)
def test_no_edit_is_ignored_with_what_it_is_in(name: str, inside: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_command({**STORE, name: inside}, unknown="ignore")
    assert all(one.path.startswith(name) for one in caught.value.problems)
    assert "would be ignored here" in caught.value.problems[0].rule
    entry = {**MERGE["toMerge"][0], name: inside}
    with pytest.raises(InvalidRequestError, match=rf"toMerge\[0\].{name}.*would be ignored here"):
        parse_command({**MERGE, "toMerge": [entry]}, unknown="ignore")


def test_what_asks_for_nothing_is_ignored_anywhere() -> None:
    empty: list[Any] = [
        {"modificationParams": None, "mask": [], "trim": {}, "absoluteTimes": False}
    ]
    parse_command({**STORE, "relatedRecordings": empty})
    circle: dict[str, Any] = {}
    circle["again"] = [circle]
    parse_command({**STORE, "meta": circle})


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("endtime", "did you mean endTime"),
        ("end_time", "did you mean endTime"),
        ("endTimes", "did you mean endTime"),
        ("mask", "did you mean modificationParams"),
        ("modificationParams", "did you mean modificationParams"),
    ],
)
def test_a_misspelt_key_of_a_segment_is_refused(key: str, hint: str) -> None:
    segment = {"startTime": 1728890680444, key: 1728890687255}
    entry = {**MERGE["toMerge"][0], "conferenceSegments": [segment]}
    for read in (parse_command, parse_to_merge):
        with pytest.raises(InvalidRequestError, match=rf"conferenceSegments\[0\].{key}.*{hint}"):
            read({**MERGE, "toMerge": [entry]})
    # What else recorders add is ignored.
    other = {**segment, "ssrc": 1}
    del other[key]
    parse_command({**MERGE, "toMerge": [{**entry, "conferenceSegments": [other]}]})


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: str(one["method"]))
def test_other_keys_are_refused_unless_that_is_set(command: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="colour = '<int>': is not a known key"):
        parse_command({**command, "colour": 1})
    _, (notice,) = parse_command({**command, "colour": 1}, unknown="ignore")
    assert notice.code == "unknown_key"


def test_what_events_carry_is_ignored() -> None:
    carried = {key: value for key, value in READY.items() if key not in STORE}
    assert parse_command({**STORE, **carried})[0] == parse_command(STORE)[0]
    related = [one | {"aor": "x"} for one in READY["relatedRecordings"]]
    parse_command({**MERGE, "toMerge": related, "event": "x", "meta": "y"})


def test_the_setting_decides_and_nothing_is_stored_unmasked() -> None:
    odd = store_command(colour="red")
    refused = ae.execute(odd, storage(), settings())
    assert refused.event is not None
    assert refused.event.to_dict()["event"] == "STORERECORDINGFAILED"
    assert "colour" in refused.event.to_dict()["reason"]
    assert ae.execute(odd, storage(), settings(unknown_keys="ignore")).error is None
    meant = store_command(modificationParams=None, modificationparams=MASK)
    for unknown in ("refuse", "ignore"):
        kept = storage()
        outcome = ae.execute(meant, kept, settings(unknown_keys=unknown))
        assert isinstance(outcome.error, InvalidRequestError)
        assert kept.keys("kept") == ()


@pytest.mark.parametrize("name", ["modificationparams", "event", "state", "colour", "startTime"])
def test_the_schema_says_the_same(name: str) -> None:
    names = json_schema("STORERECORDING")["propertyNames"]["enum"]
    try:
        parse_command({**STORE, name: None})
    except InvalidRequestError:
        assert name not in names
    else:
        assert name in names
