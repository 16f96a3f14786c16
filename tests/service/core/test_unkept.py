# SPDX-License-Identifier: Apache-2.0
"""Notes of recordings that were not kept: every worker sees them, and they go with their reason."""

from __future__ import annotations

import pytest

import audioengine as ae
from audioengine.service.unkept import PREFIX, Recordings, Unkept
from tests.execution.service import DOMAIN, OTHER, TEMP


def named(*ids: str, domain: str = DOMAIN, bucket: str | None = TEMP) -> Recordings:
    return Recordings(domain, bucket, ids)


@pytest.fixture
def storage() -> ae.MemoryStorage:
    return ae.MemoryStorage(TEMP)


def test_a_note_is_seen_by_all_and_counts_for_its_domain_and_recording(
    storage: ae.MemoryStorage,
) -> None:
    Unkept(storage).note(named("a", "b/../\ud800"), "m1")
    another = Unkept(storage)
    for recording in ("a", "b/../\ud800"):
        assert another.failed_ms(named("c", recording)) > 1_700_000_000_000
    assert another.failed_ms(named("c")) == another.failed_ms(named("a", domain=OTHER)) == 0
    assert all(one.key.startswith(PREFIX) for one in storage.objects(TEMP))


def test_what_was_kept_after_all_is_forgotten_and_no_other_failure_is(
    storage: ae.MemoryStorage,
) -> None:
    """Several commands may be in hand for the last time at once."""
    notes = Unkept(storage)
    for message in ("m1", "m2"):
        notes.note(named("a"), message)
    notes.note(named("a"), "m1")
    notes.forget(named("a"), "m1")
    assert notes.failed_ms(named("a")) > 0
    Unkept(storage).forget(named("a"), "m2")
    assert Unkept(storage).failed_ms(named("a")) == 0
    assert list(storage.objects(TEMP)) == []


def test_what_the_bucket_does_not_take_is_noted_in_the_process() -> None:
    notes = Unkept(ae.MemoryStorage())
    notes.note(named("a"), "m1")
    with pytest.raises(ae.StorageError):  # what is not known is not 0
        notes.failed_ms(named("a"))
    nowhere = named("a", bucket=None)
    notes.note(nowhere, "m1")
    assert notes.failed_ms(nowhere) > 0
    notes.forget(nowhere, "m1")
    assert notes.failed_ms(nowhere) == 0
