# SPDX-License-Identifier: Apache-2.0
"""A finished recording into temporary storage: what is kept with it, and who is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import audioengine as ae
from audioengine.cli import main
from audioengine.commands.events import parse_event
from audioengine.operations.recording_ids import made_ms
from audioengine.service.recorder.catalogue import Catalogue
from audioengine.service.recorder.ingest import ingest
from tests.captures.made import Sender, noise, raw
from tests.commands.reference import ALARMS as ALARM_EXAMPLES
from tests.commands.reference import QUEUE_META, READY
from tests.execution.service import (
    ALARMS,
    DATA,
    DOMAIN,
    EVENTS,
    KEPT,
    NAME,
    OTHER,
    RECORDING,
    TEMP,
    delete_command,
    run,
    store_command,
)
from tests.service.cloud import Cloud
from tests.service.recorder import deployment
from tests.service.recorder.deployment import META, SECRET, START, Post
from tests.service.recorder.servers import Host, answering
from tests.sources.material import tones, written
from tests.support import FIXTURES

FILE = str(FIXTURES / f"{NAME}.mp3")
KEY = f"190515-{RECORDING}.mp3"
TOLD = {"domain": DOMAIN, "meta": META, "recordingId": RECORDING}
SETTINGS = deployment.settings()


def ingested(storage: ae.Storage, post: Post, **more: Any) -> dict[str, Any]:
    """The event that went out."""
    ingest(
        FILE, {**TOLD, **more}, storage=storage, settings=SETTINGS, delivery=post.delivery(SETTINGS)
    )
    event: dict[str, Any] = json.loads(post.to(EVENTS)[-1].body)
    return event


def test_it_is_kept_with_what_execution_needs() -> None:
    storage = ae.MemoryStorage(TEMP, KEPT)
    post = Post()
    event = ingested(storage, post)
    assert storage.get(TEMP, KEY) == DATA
    assert storage.object(TEMP, KEY).found.metadata == {
        "domain": DOMAIN,
        "start-time-ms": str(START),
        "recording-id": RECORDING,
    }
    assert event["event"] == "RECORDINGREADY"
    assert event["meta"] == META
    parse_event(event)
    known = Catalogue(storage, SETTINGS).resolve(DOMAIN, RECORDING)
    assert known == ae.Known(DOMAIN, START, TEMP, KEY)


def test_what_is_ingested_can_be_stored_and_deleted() -> None:
    """By nothing but its event."""
    storage = ae.MemoryStorage(TEMP, KEPT)
    event = ingested(storage, Post())
    absolute = {
        "absoluteTimes": True,
        "mask": {"caller": [{"from": START + 1000, "to": START + 2000}]},
    }
    command = store_command(replyId=event["replyId"], modificationParams=absolute, fileName="a.mp3")
    assert run(command, storage, settings=SETTINGS).error is None
    assert ae.inspect(storage.get(KEPT, "a.mp3")).samples == ae.inspect(DATA).samples
    delete = delete_command(replyId=event["replyId"])
    assert run(delete, storage, settings=SETTINGS).error is None
    assert KEY not in storage.keys(TEMP)


def test_the_same_again_is_the_same() -> None:
    storage = ae.MemoryStorage(TEMP)
    post = Post()
    assert ingested(storage, post) == ingested(storage, post)
    assert len(storage.keys(TEMP)) == 2


def test_an_id_is_made_up() -> None:
    post = Post()
    storage = ae.MemoryStorage(TEMP)
    event = ingest(
        FILE,
        {"domain": DOMAIN, "meta": META},
        storage=storage,
        settings=SETTINGS,
        delivery=post.delivery(SETTINGS),
    ).event
    assert made_ms(event.recording_id) is not None
    assert f"190515-{event.recording_id}.mp3" in storage.keys(TEMP)


@pytest.mark.parametrize("door", ["find", "staging"])
def test_a_storage_that_fails_raises_its_alarm(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = (one for one in ALARM_EXAMPLES if one["type"] == "tempStorageError")
    storage = ae.MemoryStorage(TEMP)

    def broken(*_: object) -> None:
        raise ae.StorageError("SlowDown", retryable=True)

    monkeypatch.setattr(storage, door, broken)
    post = Post()
    with pytest.raises(ae.StorageError, match="SlowDown") as caught:
        ingested(storage, post, recordingId=example["recordingId"])
    assert caught.value.retryable
    (letter,) = post.letters
    assert letter.address == ALARMS
    told = json.loads(letter.body)
    assert told.pop("errorDetails") == "SlowDown"
    assert isinstance(told.pop("error"), str)
    assert told == example


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"meta": "{"}, "meta"),
        ({"domain": None}, "domain"),
        ({"tempKey": "/a"}, "tempKey"),
        ({"meta": '{"recordingsPartsInfo": {}}'}, "tempKey"),
    ],
)
def test_what_is_wrong_is_not_stored(more: dict[str, Any], path: str) -> None:
    storage = ae.MemoryStorage(TEMP)
    post = Post()
    with pytest.raises(ae.InvalidRequestError) as caught:
        ingested(storage, post, **more)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert storage.keys(TEMP) == ()
    assert post.letters == []


def test_another_domain_s_recording_is_not_replaced() -> None:
    storage = ae.MemoryStorage(TEMP)
    storage.put(TEMP, KEY, b"theirs", {"domain": OTHER})
    with pytest.raises(ae.NotAllowedError):
        ingested(storage, Post())
    assert storage.get(TEMP, KEY) == b"theirs"


def test_only_recordings_are_taken(tmp_path: Path) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("no recording")
    with pytest.raises(ae.MalformedAudioError):
        ingest(
            str(text),
            TOLD,
            storage=ae.MemoryStorage(TEMP),
            settings=SETTINGS,
            delivery=Post().delivery(SETTINGS),
        )


# The verb


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tenant: Host) -> Path:
    """A deployment in a folder."""
    (tmp_path / "buckets" / TEMP).mkdir(parents=True)
    (tmp_path / "audioengine.toml").write_text(
        f"""
        token_key = "a key of the tests that is long enough for HS256"
        domains."{DOMAIN}" = {{buckets = ["{KEPT}"], callback_url = "{tenant.url}",
            callback_secret = "{SECRET}"}}
        fallbacks.temp_bucket = "{TEMP}"
        storage.root = "buckets"
        callbacks = {{allow_http = true, attempts = 1}}
        """.replace(",\n            ", ", ")
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*args: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(main, ["ingest", FILE, *args, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_the_verb(folder: Path, tenant: Host) -> None:
    (folder / "meta.json").write_text(QUEUE_META)
    more = json.dumps({"relatedRecordings": READY["relatedRecordings"], "calledParty": "user123"})
    told = invoke("--meta", "@meta.json", "--recording-id", RECORDING, "--event", more)
    assert told["output"] == f"s3://{TEMP}/{KEY}"
    assert (folder / "buckets" / TEMP / KEY).read_bytes() == DATA
    event = told["event"]
    assert event["relatedRecordings"] == READY["relatedRecordings"]
    assert (event["meta"], event["calledParty"]) == (QUEUE_META, "user123")
    (asked,) = tenant.asked
    assert asked.path == "/recordingReady"
    assert asked.json["replyId"] == event["replyId"]
    result = CliRunner().invoke(main, ["ingest", FILE, "--meta", META])
    assert result.exit_code == 0
    assert event["recordingId"] not in result.output
    assert "replyId" in result.output


def test_failures_of_the_verb(folder: Path, tenant: Host) -> None:
    told = invoke("--meta", "{", exit_code=2)
    assert told["error"]["problems"][0]["path"] == "meta"
    assert invoke("--meta", "@gone.json", exit_code=2)["error"]["type"] == "UsageError"
    assert invoke("--meta", META, "--event", "3", exit_code=2)
    assert invoke("--meta", META, "--domain", OTHER, exit_code=1)
    tenant.always = answering(503)
    told = invoke("--meta", META, exit_code=1)
    assert told["error"]["retryable"]
    assert list((folder / "buckets" / TEMP).glob("*.mp3"))


def test_the_verb_reaches_a_topic(
    tmp_path: Path, cloud: Cloud, temp_bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With moto's S3, SNS and SQS in place of AWS."""
    topic = cloud.topic()
    (tmp_path / "audioengine.toml").write_text(
        f"""
        token_key = "a key of the tests that is long enough for HS256"
        domains."{DOMAIN}" = {{buckets = ["{KEPT}"]}}
        fallbacks = {{temp_bucket = "{TEMP}", event_topic = "{topic.arn}"}}
        """
    )
    monkeypatch.chdir(tmp_path)
    event = invoke("--meta", META)["event"]
    assert temp_bucket.head_object(Bucket=TEMP, Key=f"190515-{event['recordingId']}.mp3")
    ((message, attributes),) = topic.heard()
    assert message == event
    assert attributes["event"] == "RECORDINGREADY"


# what is no MP3


def wav(path: Path, channels: int, seconds: float = 1) -> Path:
    path.write_bytes(written(tones(8000, round(8000 * seconds), channels), 8000, "WAV", "PCM_16"))
    return path


def streams(event: Any) -> dict[str, list[float]]:
    info = json.loads(event["meta"])["recordingsPartsInfo"]
    return {party: [one["start"] for one in info[party]] for party in info}


@pytest.mark.usefixtures("tenant")
def test_legs_are_converted_and_tell_their_starts(folder: Path) -> None:
    files = [wav(folder / name, 1) for name in ("r.wav", "t.wav")]
    legs = [f"{file}@{start}" for file, start in zip(files, (START, START + 0.5), strict=True)]
    result = CliRunner().invoke(
        main, ["ingest", "--caller", legs[0], "--callee", legs[1], "--json"]
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert not told["approximate"]
    assert streams(told["event"]) == {"callerStreams": [START], "calleeStreams": [START + 0.5]}
    (made,) = (folder / "buckets" / TEMP).glob("*.mp3")
    info = ae.inspect(made)
    assert (info.samples, info.channels, info.tagged) == (8004, 2, True)
    kept = json.loads(made.with_name(f"{made.name}.meta.json").read_text())
    assert kept["metadata"]["start-time-ms"] == str(START)


@pytest.mark.usefixtures("tenant")
def test_a_file_of_both_parties_with_its_start(folder: Path) -> None:
    file = wav(folder / "call.wav", 2)
    result = CliRunner().invoke(main, ["ingest", f"{file}@{START}", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert streams(told["event"]) == {"callerStreams": [START], "calleeStreams": [START]}
    assert not told["approximate"]


@pytest.mark.usefixtures("tenant")
@pytest.mark.parametrize("kind", ["wav", "mp3", "legs"])
def test_starts_from_file_times_are_called_approximate(kind: str, folder: Path) -> None:
    file = folder / f"call.{kind}"
    file.write_bytes(DATA)
    if kind != "mp3":
        wav(file, 1 + (kind == "wav"))
    length_ms = ae.inspect(file).duration_ms
    os.utime(file, (0, (START + length_ms) / 1000))
    args = ["--caller", str(file), "--callee", str(file)] if kind == "legs" else [str(file)]
    result = CliRunner().invoke(main, ["ingest", *args, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["approximate"]
    begun = streams(told["event"])
    assert begun["callerStreams"] == begun["calleeStreams"] == [pytest.approx(START, abs=2)]
    text = CliRunner().invoke(main, ["ingest", *args])
    assert "approximate" in text.stdout


@pytest.mark.usefixtures("tenant")
def test_meta_counts_more_than_files(folder: Path) -> None:
    file = wav(folder / "call.wav", 2)
    result = CliRunner().invoke(main, ["ingest", str(file), "--meta", META, "--json"])
    told = json.loads(result.stdout)
    assert (told["event"]["meta"], told["approximate"]) == (META, False)


@pytest.mark.parametrize("args", [[], [FILE, "--caller", FILE]])
def test_one_kind_of_source_must_be_given(args: list[str]) -> None:
    result = CliRunner().invoke(main, ["ingest", *args, "--meta", META])
    assert result.exit_code == 2
    assert "must be given" in result.output


@pytest.mark.usefixtures("tenant")
def test_a_capture_tells_its_streams(folder: Path) -> None:
    caller = Sender(start_ns=START * 1_000_000 + 250_000_000)
    callee = Sender(30_002, 0x9ABC_DEF0, START * 1_000_000)
    packets = [*caller.send(noise(1_600)), *callee.send(noise(3_200))]
    file = folder / "call.pcap"
    file.write_bytes(raw(sorted(packets, key=lambda one: one.arrival_ns)))
    result = CliRunner().invoke(
        main, ["ingest", "--pcap", str(file), "--caller", "30000", "--json"]
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert streams(told["event"]) == {"callerStreams": [START + 250], "calleeStreams": [START]}
    assert not told["approximate"]
    (made,) = (folder / "buckets" / TEMP).glob("*.mp3")
    assert (ae.inspect(made).samples, ae.inspect(made).channels) == (3_600, 2)
    kept = json.loads(made.with_name(f"{made.name}.meta.json").read_text())
    assert kept["metadata"]["start-time-ms"] == str(START)
