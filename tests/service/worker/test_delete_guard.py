# SPDX-License-Identifier: Apache-2.0
"""Notes of recordings that were not kept: every worker sees them, and they go with their reason."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

import audioengine as ae
from audioengine.service.worker import delete_guard as unkept
from audioengine.service.worker.delete_guard import PREFIX, DeleteGuard, Failures, OwnedRecordings
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import Location
from tests.execution.service import DOMAIN, OTHER, TEMP

NOTHING = Failures()


def named(*ids: str, domain: str = DOMAIN, bucket: str | None = TEMP) -> OwnedRecordings:
    return OwnedRecordings(domain, bucket, ids)


def known_ms(notes: DeleteGuard, *ids: str, **more: Any) -> int:
    return notes.failures(named(*ids, **more)).known_ms


class Counted(ae.MemoryStorage):
    """Counts what is asked of it."""

    asked = 0

    def staging(self, location: Location, options: ae.S3Options | None = None) -> Staging:
        self.asked += 1
        return super().staging(location, options)

    def source(self, location: Location, options: ae.S3Options | None = None) -> Source:
        self.asked += 1
        return super().source(location, options)

    def delete(
        self, location: Location, versions: Sequence[str] | None = None, **judged: Any
    ) -> None:
        self.asked += 1
        super().delete(location, versions, **judged)


@pytest.fixture
def storage() -> Counted:
    return Counted(TEMP)


def test_a_note_is_seen_by_all_and_counts_for_its_domain_and_recording(storage: Counted) -> None:
    DeleteGuard(storage).note(named("a", "b/../\ud800"), "m1", 7)
    DeleteGuard(storage).note(named("d"), "m2", 9)
    another = DeleteGuard(storage)
    for recording in ("a", "b/../\ud800"):
        assert another.failures(named("c", recording)) == Failures(7)
    assert another.failures(named("a", "d")) == Failures(9)
    assert another.failures(named("c")) == another.failures(named("a", domain=OTHER)) == NOTHING
    assert all(one.key.startswith(PREFIX) for one in storage.objects(TEMP))


@pytest.mark.parametrize("ids", [("a",), ("a", "b")])
def test_what_was_kept_after_all_is_forgotten_and_no_other_failure_is(
    storage: Counted, ids: Sequence[str]
) -> None:
    """Several commands may be in hand for the last time at once."""
    notes = DeleteGuard(storage)
    for message in ("m1", "m2"):
        notes.note(named(*ids), message, 5, is_pending=True)
    notes.note(named(*ids), "m1", 6)
    assert notes.failures(named("a")) == Failures(6, is_pending=True)
    notes.forget(named(*ids), "m1")
    assert DeleteGuard(storage).failures(named("a")) == Failures(5, is_pending=True)
    DeleteGuard(storage).forget(named(*ids), "m2")
    assert DeleteGuard(storage).failures(named("a")) == NOTHING
    assert list(storage.objects(TEMP)) == []


def test_what_the_bucket_does_not_take_is_noted_in_the_process() -> None:
    notes = DeleteGuard(ae.MemoryStorage())
    notes.note(named("a"), "m1", 7)
    with pytest.raises(ae.StorageError):  # what is not known is not nothing
        notes.failures(named("a"))
    nowhere = named("a", bucket=None)
    notes.note(nowhere, "m1", 8)
    assert notes.failures(nowhere) == Failures(8)
    notes.forget(nowhere, "m1")
    assert notes.failures(nowhere) == NOTHING


def test_a_command_has_one_note_however_many_recordings_it_names(storage: Counted) -> None:
    notes, ids = DeleteGuard(storage), [f"r{number}" for number in range(1000)]
    for time_ms in range(5):  # at each of its tries
        notes.note(named(*ids), "m1", time_ms, is_pending=time_ms < 4)
    assert len(list(storage.objects(TEMP))) == 1
    assert storage.asked <= 2 * 5
    reader = DeleteGuard(storage)
    for number in range(0, 1000, 50):
        assert reader.failures(named(f"r{number}")) == Failures(4)
    assert storage.asked <= 2 * 5 + 1  # read once
    assert reader.failures(named("r1000")) == NOTHING
    notes.note(named(), "m2", 9)
    assert len(list(storage.objects(TEMP))) == 1


def test_of_very_many_one_note_for_all_is_left(
    storage: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then more deletes are refused than need be, and none that must be."""
    monkeypatch.setattr(unkept, "_MOST_SEVERAL", 10)
    notes = DeleteGuard(storage)
    notes.note(named("x", "y", domain=OTHER), "m", 1)
    for number in range(50):
        notes.note(named(f"a{number}", f"b{number}"), f"m{number}", 100 + number)
        assert len(list(storage.objects(TEMP))) <= 12
        for earlier in range(0, number + 1, 7):
            assert known_ms(DeleteGuard(storage), f"a{earlier}") >= 100 + earlier
    assert known_ms(DeleteGuard(storage), "another") < 150
    assert known_ms(DeleteGuard(storage), "another", domain=OTHER) == 0


def test_notes_that_no_message_can_be_older_than_are_deleted(
    storage: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = DeleteGuard(storage)
    notes.note(named("a"), "m1", 7)
    notes.note(named("b", "c"), "m2", 7)
    storage.put(TEMP, "190110-a.mp3", b"data", None, 1000)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 15 * 86_400)
    notes.note(named("d"), "m3", 7)
    assert notes.expire([]) == 0
    for storage_time in (2, 16):  # whose clock it is matters little
        monkeypatch.setattr(time, "time", lambda days=storage_time: now + days * 86_400 + 1)
        gone = DeleteGuard(storage).expire([TEMP])
        assert gone == (0 if storage_time == 2 else 3)
    assert [one.key for one in storage.objects(TEMP)] == ["190110-a.mp3"]
