# SPDX-License-Identifier: Apache-2.0
"""The catalogue: kept in the temporary bucket, whatever storage that is in, and out of reach."""

from __future__ import annotations

import pickle
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.commands.events import RelatedRecording
from audioengine.execution.reply_id import Claims, make_token
from audioengine.service.recorder.catalogue import PREFIX, Catalogue, Entry
from tests.execution.service import (
    DOMAIN,
    KEPT,
    OTHER,
    RECORDING,
    TEMP,
    delete_command,
    run,
    store_command,
)
from tests.service.recorder import deployment

SEGMENT = ae.ConferenceSegment(1_728_890_680_444, 1_728_890_687_255, "sip:a", "stopped")
ENTRY = Entry(
    domain=DOMAIN,
    recording_id=RECORDING,
    start_time_ms=1_557_932_777_523,
    temp_bucket=TEMP,
    temp_key="190515-a.mp3",
    conference_segments=(SEGMENT,),
    related_recordings=(
        RelatedRecording(
            recording_id="r", start_time_ms=1, state="stopped", conference_segments=(SEGMENT,)
        ),
    ),
    told=1_700_000_000,
)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(ae.MemoryStorage(TEMP, KEPT), deployment.settings())


@given(
    st.builds(
        Entry,
        domain=st.text(st.characters(codec="utf-8"), min_size=1),
        recording_id=st.text(st.characters(codec="utf-8"), min_size=1),
        start_time_ms=st.none()
        | st.integers(10**11, 10**14)
        | st.decimals(10**11, 10**13, places=2),
        temp_bucket=st.just(TEMP),
        temp_key=st.text(st.characters(codec="utf-8"), min_size=1),
        told=st.integers(0, 10**10),
    )
)
def test_what_is_put_is_found(entry: Entry) -> None:
    catalogue = Catalogue(ae.MemoryStorage(TEMP), deployment.settings())
    assert catalogue.find(entry.domain, entry.recording_id) is None
    assert catalogue.put(entry) == entry
    assert catalogue.find(entry.domain, entry.recording_id) == entry


def test_all_of_an_entry_is_kept(catalogue: Catalogue) -> None:
    catalogue.put(ENTRY)
    assert catalogue.find(DOMAIN, RECORDING) == ENTRY
    known = ae.Known(DOMAIN, Decimal(1_557_932_777_523), TEMP, "190515-a.mp3")
    assert catalogue.resolve(DOMAIN, RECORDING) == known
    assert catalogue.resolve(DOMAIN, "another") is None
    assert pickle.loads(pickle.dumps(Catalogue(ae.S3Storage(), deployment.settings()))).resolve


def test_the_same_again_changes_nothing(catalogue: Catalogue) -> None:
    """Nor when it was told first."""
    catalogue.put(ENTRY)
    storage = catalogue.storage
    assert isinstance(storage, ae.MemoryStorage)
    storage.requests.clear()
    assert catalogue.put(replace(ENTRY, told=ENTRY.told + 5)) == ENTRY
    assert "publish" not in {door for door, _ in storage.requests}
    later = replace(ENTRY, related_recordings=())
    assert catalogue.put(replace(later, told=1)) == later
    assert catalogue.find(DOMAIN, RECORDING) == later


def test_each_domain_has_its_own_entries(catalogue: Catalogue) -> None:
    theirs = replace(ENTRY, domain=OTHER, temp_key="190515-theirs.mp3")
    assert catalogue.put(theirs) == theirs
    assert catalogue.find(DOMAIN, RECORDING) is None
    catalogue.put(ENTRY)
    assert catalogue.find(DOMAIN, RECORDING) == ENTRY
    assert catalogue.find(OTHER, RECORDING) == theirs


def test_a_single_tenant_has_one_entry_whatever_domain_is_named() -> None:
    settings = deployment.settings(single_tenant=True)
    catalogue = Catalogue(ae.MemoryStorage(TEMP, KEPT), settings)
    catalogue.put(ENTRY)
    assert catalogue.find(OTHER, RECORDING) == ENTRY
    assert len(list(catalogue.listed())) == 1


def test_it_is_kept_in_folders_too(tmp_path: Path) -> None:
    (tmp_path / TEMP).mkdir()
    catalogue = Catalogue(ae.FolderStorage(tmp_path), deployment.settings())
    entry = replace(ENTRY, recording_id="../../\x00/ü")
    catalogue.put(entry)
    assert catalogue.find(entry.domain, entry.recording_id) == entry
    assert len(list(catalogue.listed())) == 1
    assert [path.name for path in tmp_path.iterdir()] == [TEMP]


def test_no_command_can_name_it(catalogue: Catalogue) -> None:
    """As where its recording is, nor as where it goes, nor by its id."""
    settings = deployment.settings(domains={DOMAIN: {"buckets": [KEPT, TEMP]}})
    catalogue = Catalogue(catalogue.storage, settings)
    catalogue.put(ENTRY)
    (entry,) = catalogue.listed()
    storage = catalogue.storage
    assert isinstance(storage, ae.MemoryStorage)
    before = storage.get(TEMP, entry.key)
    stolen = Claims(
        domain=DOMAIN, recording_id=RECORDING, temp_bucket=TEMP, temp_key=entry.key, iat=1
    )
    to_catalogue = {"destinationBucket": TEMP, "fileName": entry.key}
    for command in (
        delete_command(replyId=make_token(stolen, settings)),
        store_command(replyId=make_token(stolen, settings)),
        store_command(**to_catalogue),
        store_command(**{**to_catalogue, "fileName": PREFIX + "new.json"}),
    ):
        outcome = run(command, storage, settings=settings)
        assert isinstance(outcome.error, ae.InvalidRequestError)
        assert "the engine's own" in str(outcome.error)
    assert storage.get(TEMP, entry.key) == before
    assert storage.keys(TEMP) == (entry.key,)


def test_what_is_no_entry_is_an_error(catalogue: Catalogue) -> None:
    catalogue.put(ENTRY)
    (entry,) = catalogue.listed()
    storage = catalogue.storage
    assert isinstance(storage, ae.MemoryStorage)
    for data in (b"", b"[]", b'{"domain": 3}', b"\xff", b"[" * 100_000):
        storage.put(TEMP, entry.key, data)
        with pytest.raises(ae.StorageError, match="no entry"):
            catalogue.find(DOMAIN, RECORDING)


def test_without_a_bucket_nothing_is_known() -> None:
    catalogue = Catalogue(ae.MemoryStorage(), ae.Settings())
    assert catalogue.resolve(DOMAIN, RECORDING) is None
    with pytest.raises(ae.InvalidRequestError, match="temp_bucket"):
        catalogue.put(ENTRY)
