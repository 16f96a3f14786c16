# SPDX-License-Identifier: Apache-2.0
"""Whatever a command holds, it ends with an outcome, and nothing but its own output is touched."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from tests.execution import service
from tests.execution.service import DATA, KEPT, TEMP, TEMP_KEY, delete_command, run, store_command

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../x", "a//b", "STORERECORDING", TEMP, KEPT, "\ud800", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from", "to", "caller", "trim", "mask", "x"]), inner)
    ),
    max_leaves=6,
)
KEYS = (
    "method",
    "destinationBucket",
    "destinationRegion",
    "encryptionKey",
    "fileName",
    "modificationParams",
    "recordingId",
    "replyId",
    "startTime",
    "toMerge",
    "other",
)
CHANGES = st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3)


@given(CHANGES, st.sampled_from(["sqs", "rest"]), st.booleans())
def test_any_change_of_a_command_has_an_outcome(
    change: dict[str, Any], dialect: Any, deletes: bool
) -> None:
    storage = service.storage()
    command = {**(delete_command() if deletes else store_command()), **change}
    outcome = run(command, storage, dialect=dialect)
    assert (outcome.error is None) is (outcome.result is not None)
    if outcome.error is not None:
        assert isinstance(outcome.error, ae.AudioEngineError)
        assert not str(outcome.error).startswith("internal error"), outcome.error.__cause__
        assert storage.keys(KEPT) == ()
    outcome.to_dict()
    if not deletes or outcome.error is not None:
        assert storage.get(TEMP, TEMP_KEY) == DATA


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_have_an_outcome(data: bytes | str) -> None:
    outcome = run(data, service.storage())
    assert outcome.event is None
    assert isinstance(outcome.error, ae.InvalidRequestError)
