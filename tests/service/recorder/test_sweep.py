# SPDX-License-Identifier: Apache-2.0
"""The sweep: what is too old goes, with an alarm, and nothing else does."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner

import audioengine as ae
from audioengine.cli import main
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Channel, Sender
from audioengine.service.notifications.outbox import Outbox
from audioengine.service.recorder.catalogue import Catalogue
from audioengine.service.recorder.reports import ReportDesk
from audioengine.service.recorder.sweep import SweepReport, sweep
from audioengine.storage.buckets import Location
from tests.commands.reference import ALARMS as ALARM_EXAMPLES
from tests.execution.service import ALARMS, DOMAIN, KEPT, OTHER, RECORDING, TEMP
from tests.service.recorder import deployment
from tests.service.recorder.deployment import Post, report

DAY_S = 24 * 3600
NOW_MS = int(time.time() * 1000)
OLD_MS = NOW_MS - 8 * DAY_S * 1000
KEY = f"190515-{RECORDING}.mp3"


def settings(**more: Any) -> ae.Settings:
    recorder = {"expires_after_s": 7 * DAY_S, **more.pop("recorder", {})}
    return deployment.settings(recorder=recorder, **more)


def storage(*, versioned: bool = False) -> ae.MemoryStorage:
    """Old recordings, new ones, and things that are neither."""
    made = ae.MemoryStorage(TEMP, "temp-west", KEPT, versioned=versioned)
    made.put(TEMP, KEY, b"old", {"domain": DOMAIN}, OLD_MS)
    made.put(TEMP, "new.mp3", b"new", {"domain": DOMAIN}, NOW_MS)
    made.put(TEMP, "old.txt", b"old", None, OLD_MS)
    made.put(TEMP, ".audioengine/old.mp3", b"old", None, OLD_MS)
    made.put(KEPT, "old.mp3", b"old", {"domain": DOMAIN}, OLD_MS)
    return made


def swept(
    made: ae.Storage, wanted: ae.Settings, post: Post | None = None, **options: bool
) -> SweepReport:
    """As the verb does it."""
    senders: dict[Channel, Sender] = {"topic": post or Post()}
    with TemporaryDirectory() as folder, closing(Outbox(Path(folder, "outbox.db"))) as outbox:
        done = sweep(made, wanted, Delivery(senders, outbox), **options)
        outbox.flush(senders)
    return done


LEFT = (".audioengine/old.mp3", "new.mp3", "old.txt")


@pytest.mark.parametrize("versioned", [True, False])
def test_what_is_too_old_goes(*, versioned: bool) -> None:
    made = storage(versioned=versioned)
    if versioned:
        made.put(TEMP, KEY, b"older still", {"domain": DOMAIN}, OLD_MS)
    post = Post()
    done = swept(made, settings(), post)
    assert made.keys(TEMP) == LEFT
    assert made.versions(Location(TEMP, KEY)) == ()
    assert made.keys(KEPT) == ("old.mp3",)
    (expired,) = done.deleted
    assert (expired.recording_id, expired.domain) == (RECORDING, DOMAIN)
    assert done.failures == ()
    again = swept(made, settings(), post)
    assert again.deleted == ()
    assert len(post.letters) == 1


def test_the_alarm_is_that_of_the_reference() -> None:
    (example,) = (one for one in ALARM_EXAMPLES if one["type"] == "tempRecordingDeleted")
    made = ae.MemoryStorage(TEMP)
    name = f"190515-{example['recordingId']}.mp3"
    made.put(TEMP, name, b"old", {"domain": DOMAIN}, OLD_MS)
    post = Post()
    swept(made, settings(), post)
    (letter,) = post.letters
    assert letter.address == ALARMS
    told = json.loads(letter.body)
    modified = datetime.fromisoformat(told.pop("modifiedDate").replace("Z", "+00:00"))
    assert abs(modified.timestamp() * 1000 - OLD_MS) < 1
    error = f"Recording id {example['recordingId']} expired."
    assert told == {**example, "error": error}


@pytest.mark.parametrize(
    ("key", "metadata", "recording_id", "domain"),
    [
        ("190515-a-b.mp3", {}, "a-b", None),
        ("deep/er/190515-a.mp3", {"domain": DOMAIN}, "a", DOMAIN),
        ("call.mp3", {"recording-id": "%C3%BC"}, "ü", None),
        ("call.mp3", {"domain": "%C3%BC.example.com"}, "call", "ü.example.com"),
    ],
)
def test_whose_it_was(
    key: str, metadata: dict[str, str], recording_id: str, domain: str | None
) -> None:
    made = ae.MemoryStorage(TEMP)
    made.put(TEMP, key, b"old", metadata, OLD_MS)
    (expired,) = swept(made, settings()).deleted
    assert (expired.recording_id, expired.domain) == (recording_id, domain)


def test_a_dry_run_deletes_nothing_and_tells_nobody() -> None:
    made = storage()
    post = Post()
    done = swept(made, settings(), post, dry_run=True)
    assert [expired.place for expired in done.deleted] == [f"s3://{TEMP}/{KEY}"]
    assert made.keys(TEMP) == tuple(sorted((*LEFT, KEY)))
    assert post.letters == []


def test_entries_of_the_catalogue_go_with_their_recordings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And stay as long as these do."""
    made = ae.MemoryStorage(TEMP)
    wanted = settings()
    desk = ReportDesk.of(wanted, made, Post().delivery(wanted))
    monkeypatch.setattr("time.time_ns", lambda: OLD_MS * 1_000_000)
    made.put(TEMP, "kept.mp3", b"data", None, NOW_MS)
    desk.take(report("RECORDINGREADY", recordingId="kept", tempKey="kept.mp3"))
    desk.take(report("RECORDINGREADY", recordingId="gone", tempKey="gone.mp3"))
    monkeypatch.undo()
    desk.take(report("RECORDINGREADY", recordingId="young", tempKey="young.mp3"))
    catalogue = Catalogue(made, wanted)
    assert swept(made, wanted, dry_run=True).entries == 1
    assert catalogue.find(DOMAIN, "gone") is not None
    assert swept(made, wanted).entries == 1
    assert catalogue.find(DOMAIN, "gone") is None
    assert catalogue.find(DOMAIN, "kept") is not None
    assert catalogue.find(DOMAIN, "young") is not None


def test_what_is_replaced_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made = storage()
    listed = list(made.objects(TEMP))
    monkeypatch.setattr(made, "objects", lambda *_: iter(listed))
    made.put(TEMP, KEY, b"another")
    done = swept(made, settings())
    assert done.deleted == ()
    assert made.get(TEMP, KEY) == b"another"


def test_one_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = storage()
    made.put(TEMP, "190515-b.mp3", b"old", {"domain": OTHER}, OLD_MS)
    delete = made.delete

    def picky(location: Location, versions: Any = None) -> None:
        if location.key == KEY:
            raise ae.StorageError("AccessDenied")
        delete(location, versions)

    monkeypatch.setattr(made, "delete", picky)
    done = swept(made, settings())
    assert [expired.recording_id for expired in done.deleted] == ["b"]
    assert done.failures == (f"s3://{TEMP}/{KEY}: AccessDenied",)


def test_the_alarm_is_kept_before_the_recording_goes(tmp_path: Path) -> None:
    """Whatever happens then: a topic that is down, a store that fails, a process that dies."""
    path = tmp_path / "outbox.db"
    post = Post(error=ae.StorageError("no topic", retryable=True))
    with closing(Outbox(path)) as outbox:
        delivery = Delivery({"topic": post}, outbox)
        kept: list[int] = []

        class Watched(ae.MemoryStorage):
            fault: BaseException | None = None

            def delete(self, location: Location, versions: Any = None, **judged: Any) -> None:
                kept.append(outbox.depth())
                if self.fault is not None:
                    raise self.fault
                super().delete(location, versions, **judged)

        made = Watched(TEMP)
        made.put(TEMP, KEY, b"old", {"domain": DOMAIN}, OLD_MS)
        made.fault = ae.StorageError("AccessDenied")
        assert sweep(made, settings(), delivery).failures
        assert (kept, outbox.depth()) == ([1], 0)
        made.fault = KeyboardInterrupt()
        with patch.object(outbox, "withdraw"), pytest.raises(KeyboardInterrupt):  # as if it died
            sweep(made, settings(), delivery)
        made.fault = None
        assert outbox.depth() == 1
        assert outbox.flush({"topic": post}) == 0
        done = sweep(made, settings(), delivery)
        assert ([expired.recording_id for expired in done.deleted], done.failures) == (
            [RECORDING],
            (),
        )
        assert outbox.flush({"topic": post}) == 0
    post.error = None
    with closing(Outbox(path, clock=lambda: time.monotonic() + 60)) as outbox:
        assert outbox.flush({"topic": post}) == 2  # of the one that died too
    assert {json.loads(letter.body)["recordingId"] for letter in post.letters} == {RECORDING}


def test_a_folder_is_swept_to_its_end(tmp_path: Path) -> None:
    """What is deleted was listed with its metadata, which goes with it."""
    made = ae.FolderStorage(tmp_path)
    (tmp_path / TEMP).mkdir()
    for name in ("a", "b", "deep/c"):
        location = Location(TEMP, f"{name}.mp3")
        with closing(made.staging(location, ae.S3Options(metadata={"domain": DOMAIN}))) as staging:
            staging.write(b"old")
            staging.publish()
        os.utime(tmp_path / TEMP / f"{name}.mp3", (OLD_MS / 1000, OLD_MS / 1000))
    done = swept(made, settings())
    assert ([expired.recording_id for expired in done.deleted], done.failures) == (
        ["a", "b", "c"],
        (),
    )
    assert [path for path in (tmp_path / TEMP).rglob("*") if path.is_file()] == []


def test_other_buckets_are_swept_too() -> None:
    made = storage()
    made.put("temp-west", "a.mp3", b"old", {"domain": DOMAIN}, OLD_MS)
    done = swept(made, settings(recorder={"temp_buckets": ["temp-west"]}))
    assert len(done.deleted) == 2


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"recorder": {"expires_after_s": None}}, "recorder.expires_after_s"),
        ({"fallbacks": {"temp_bucket": None}}, "fallbacks.temp_bucket"),
        ({"recorder": {"temp_buckets": [KEPT]}}, "temp_bucket"),
    ],
)
def test_without_an_age_or_a_bucket_of_its_own_it_does_nothing(
    more: dict[str, Any], path: str
) -> None:
    made = storage()
    with pytest.raises(ae.InvalidRequestError) as caught:
        swept(made, settings(**more))
    assert [problem.path for problem in caught.value.problems] == [path]
    assert KEY in made.keys(TEMP)


def test_every_version_in_s3_goes(temp_bucket: Any) -> None:
    temp_bucket.put_bucket_versioning(Bucket=TEMP, VersioningConfiguration={"Status": "Enabled"})
    for data in (b"one", b"two"):
        temp_bucket.put_object(Bucket=TEMP, Key=KEY, Body=data, Metadata={"domain": DOMAIN})
    temp_bucket.put_object(Bucket=TEMP, Key="old.txt", Body=b"")
    post = Post()
    assert swept(ae.S3Storage(), settings(), post).deleted == ()
    time.sleep(1.1)  # S3's dates are whole seconds
    done = swept(ae.S3Storage(), settings(recorder={"expires_after_s": 0.001}), post)
    assert [expired.recording_id for expired in done.deleted] == [RECORDING]
    left = temp_bucket.list_object_versions(Bucket=TEMP)
    assert [one["Key"] for one in left["Versions"]] == ["old.txt"]
    assert "DeleteMarkers" not in left


def test_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = tmp_path / "buckets" / TEMP
    bucket.mkdir(parents=True)
    for name in (KEY, "new.mp3"):
        (bucket / name).write_bytes(b"data")
    os.utime(bucket / KEY, (OLD_MS / 1000, OLD_MS / 1000))
    (tmp_path / "audioengine.toml").write_text(
        f"""
        fallbacks.temp_bucket = "{TEMP}"
        storage.root = "buckets"
        recorder.expires_after_s = {DAY_S}
        """
    )
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(main, ["sweep", *args])
        assert result.exit_code == exit_code, result.output
        return result.stdout

    dry = json.loads(invoke("--dry-run", "--json"))
    assert [expired["recording_id"] for expired in dry["deleted"]] == [RECORDING]
    assert (bucket / KEY).exists()
    assert "recordings: 1," in invoke()
    assert not (bucket / KEY).exists()
    assert (bucket / "new.mp3").exists()
    (bucket / ".audioengine" / "catalogue").mkdir(parents=True)
    entry = bucket / ".audioengine" / "catalogue" / "broken.json"
    entry.write_text("{")
    os.utime(entry, (OLD_MS / 1000, OLD_MS / 1000))
    assert "NOT deleted" in invoke(exit_code=3)
