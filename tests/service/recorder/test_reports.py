# SPDX-License-Identifier: Apache-2.0
"""Reports of a recorder: what goes out of them, key for key, and what commands know after."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

import audioengine as ae
from audioengine.commands.events import parse_event
from audioengine.service.recorder.catalogue import Catalogue
from audioengine.service.recorder.reports import REPORTS, ReportDesk
from tests.commands.reference import ALARMS as ALARM_EXAMPLES
from tests.commands.reference import CALLBACKS, QUEUE_META, READY, REST_META, altered
from tests.commands.reference import EVENTS as EVENT_EXAMPLES
from tests.execution import service
from tests.execution.service import (
    ALARMS,
    DATA,
    DOMAIN,
    EVENTS,
    KEPT,
    OTHER,
    OTHERS,
    QUEUE,
    RECORDING,
    TEMP,
    TEMP_KEY,
    run,
    store_command,
)
from tests.service.recorder import deployment
from tests.service.recorder.deployment import META, START, Post, claims_of, report

HOOK = "https://tenant.example.com/calls"
LIVE = [one for one in EVENT_EXAMPLES if one["event"] in REPORTS]


class Deployment:
    """A desk, and what is behind it."""

    def __init__(self, **more: Any) -> None:
        self.settings = deployment.settings(more.pop("hook", HOOK), **more)
        self.storage = ae.MemoryStorage(TEMP, KEPT, OTHERS)
        self.catalogue = Catalogue(self.storage, self.settings)
        self.post = Post()
        self.desk = ReportDesk(self.settings, self.catalogue, self.post.delivery(self.settings))

    def sent(self, address: str) -> dict[str, Any]:
        (letter,) = self.post.to(address)
        value: dict[str, Any] = json.loads(letter.body)
        return value


def refused(data: object, kind: type[ae.AudioEngineError] = ae.InvalidRequestError) -> Any:
    made = Deployment()
    with pytest.raises(kind) as caught:
        made.desk.take(data)
    assert made.post.letters == []
    assert made.storage.keys(TEMP) == ()
    return caught.value


def paths(data: object) -> list[str]:
    return [problem.path for problem in refused(data).problems]


# What goes out


@pytest.mark.parametrize("example", LIVE, ids=lambda event: str(event["event"]))
def test_events_are_those_of_the_reference(example: dict[str, Any]) -> None:
    """Key for key, in its order, but for a token of our own."""
    made = Deployment()
    more: dict[str, Any] = {"tempKey": TEMP_KEY}
    if example["event"] == "RECORDINGREADY":
        more["sipRecCallId"] = 7
    elif example["event"] == "RECORDINGCANCELLED":
        more["metaData"] = "<xml>"
    made.desk.take({**more, **example, "replyId": None})
    sent = made.sent(EVENTS)
    wanted = {**example, "commandQueue": QUEUE, "replyId": sent["replyId"]}
    if example["event"] == "RECORDINGREADY":
        assert "sipRecCallId" not in sent
    assert json.dumps(sent) == json.dumps(wanted)
    parse_event(sent)
    (letter,) = made.post.to(EVENTS)
    assert letter.attributes == {
        "event": example["event"],
        "domain": DOMAIN,
        "recordingId": RECORDING,
    }


@pytest.mark.parametrize("related", ["absent", None, [], "one"])
@pytest.mark.parametrize("segments", ["absent", None, []])
def test_lists_stay_as_they_came(related: Any, segments: Any) -> None:
    """Empty, or not there; null is not there. In events, callbacks and the catalogue alike."""
    one = {"recordingId": "r", "startTime": START}
    lists = {"conferenceSegments": segments, "relatedRecordings": related}
    if related == "one":
        lists["relatedRecordings"] = [one if segments == "absent" else {**one, **lists}]
        lists["relatedRecordings"][0].pop("relatedRecordings", None)
    told = {name: value for name, value in lists.items() if value != "absent"}
    made = Deployment()
    made.desk.take({**report("RECORDINGREADY"), **told})
    sent = made.sent(EVENTS)
    wanted = {name: value for name, value in told.items() if value is not None}
    for inner in wanted.get("relatedRecordings", ()):
        if inner.get("conferenceSegments", 0) is None:
            del inner["conferenceSegments"]
    assert {name: sent[name] for name in lists if name in sent} == wanted
    entry = made.catalogue.find(DOMAIN, RECORDING)
    assert entry is not None
    assert {name: one for name, one in entry.to_dict().items() if name in lists} == wanted


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("key", ["recordingid", "encryptonKey", "vendor", "sipCallId"])
def test_what_no_event_passes_on_is_refused_by_name(name: str, key: str) -> None:
    """Not dropped; nor is its value shown."""
    with pytest.raises(ae.InvalidRequestError) as caught:
        Deployment().desk.take(report(name, **{key: "value-of-it"}))
    assert [problem.path for problem in caught.value.problems] == [key]
    assert "value-of-it" not in str(caught.value)


def test_nor_what_is_deeper_in_it() -> None:
    odd = {"startTime": START, "color": 1}
    related = {"recordingId": "r", "startTime": START, "size": 2, "conferenceSegments": [odd]}
    lists = {"conferenceSegments": [odd], "relatedRecordings": [related]}
    assert sorted(paths(report("RECORDINGREADY", **lists))) == [
        "conferenceSegments[0].color",
        "relatedRecordings[0].conferenceSegments[0].color",
        "relatedRecordings[0].size",
    ]
    assert paths(report("RECORDINGREADY", conferenceSegments=3))[:1] == ["conferenceSegments"]


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_are_those_of_the_reference(name: str) -> None:
    """The queue's URL, which the reference describes and does not show, is there too."""
    made = Deployment()
    example = {**CALLBACKS[name], "domain": DOMAIN}
    made.desk.take({**example, "event": name.upper(), "replyId": None, "tempKey": TEMP_KEY})
    (letter,) = made.post.to(DOMAIN)
    assert letter.attributes == {"callback": name}
    sent = made.sent(DOMAIN)
    assert claims_of(sent["replyId"])["recordingId"] == example["recordingId"]
    assert sent == {**example, "commandQueue": QUEUE, "replyId": sent["replyId"]}


def test_a_failed_recording_raises_its_alarm() -> None:
    made = Deployment()
    (example,) = (one for one in ALARM_EXAMPLES if one["type"] == "recordingFailed")
    told = {"recordingId": example["recordingId"], "reason": example["error"]}
    made.desk.take(report("RECORDINGFAILED", **told))
    assert json.dumps(made.sent(ALARMS)) == json.dumps(example)
    assert [letter.address for letter in made.post.letters] == [EVENTS, DOMAIN, ALARMS]


@pytest.mark.parametrize("name", REPORTS)
def test_other_reports_raise_none(name: str) -> None:
    made = Deployment()
    made.desk.take(report(name))
    assert bool(made.post.to(ALARMS)) is (name == "RECORDINGFAILED")


def test_a_tenant_has_its_own_topic_and_maybe_no_callbacks() -> None:
    made = Deployment()
    made.desk.take(report("RECORDINGSTARTED", domain=OTHER))
    (letter,) = made.post.letters
    assert letter.address == deployment.OTHER_EVENTS
    claims = claims_of(json.loads(letter.body)["replyId"])
    assert (claims["eventTopic"], claims["alarmTopic"]) == (deployment.OTHER_EVENTS, ALARMS)


def test_what_can_not_be_delivered_is_an_error_and_may_be_told_again() -> None:
    made = Deployment()
    made.post.error = ae.StorageError("the disk is full", retryable=True)
    for _ in range(2):
        with pytest.raises(ae.StorageError, match="the disk is full"):
            made.desk.take(report("RECORDINGREADY"))
    made.post.error = None
    made.desk.take(report("RECORDINGREADY"))
    assert len(made.post.letters) == 2


# The token


def test_the_token_says_what_the_contract_says() -> None:
    made = Deployment()
    made.desk.take(report("RECORDINGREADY"))
    claims = dict(claims_of(made.sent(EVENTS)["replyId"]))
    assert isinstance(claims.pop("iat"), int)
    assert claims == {
        "domain": DOMAIN,
        "recordingId": RECORDING,
        "commandQueue": QUEUE,
        "eventTopic": EVENTS,
        "alarmTopic": ALARMS,
        "tempBucket": TEMP,
        "tempKey": TEMP_KEY,
    }
    made.desk.take(report("RECORDINGSTARTED", recordingId="r"))
    assert (
        not {"tempBucket", "tempKey"}
        & claims_of(json.loads(made.post.letters[-1].body)["replyId"]).keys()
    )


def test_a_report_that_comes_again_says_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Deployment()
    made.desk.take(report("RECORDINGREADY"))
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.5)
    made.desk.take(report("RECORDINGREADY"))
    first, again = made.post.to(EVENTS)
    assert first == again
    assert len(made.storage.keys(TEMP)) == 1


# What commands know after


def test_commands_find_the_recording_and_its_zero() -> None:
    """By the event's own token, and by one that says little."""
    made = Deployment()
    made.storage.put(TEMP, "somewhere/else.mp3", DATA)
    made.desk.take(report("RECORDINGREADY", tempKey="somewhere/else.mp3"))
    absolute = {"absoluteTimes": True, "trim": {"from": START + 1000, "to": START + 2000}}
    short = service.token(tempKey=None, tempBucket=None)
    for number, reply_id in enumerate((made.sent(EVENTS)["replyId"], short)):
        command = store_command(
            replyId=reply_id, modificationParams=absolute, fileName=f"{number}.mp3"
        )
        outcome = run(
            command, made.storage, settings=made.settings, resolver=made.catalogue.resolve
        )
        assert outcome.error is None
        assert made.storage.object(KEPT, f"{number}.mp3").found.metadata["start-time-ms"] == str(
            START + 1000
        )
    assert made.storage.get(KEPT, "0.mp3") == made.storage.get(KEPT, "1.mp3")


def test_merges_find_the_other_recordings_and_whose_they_are() -> None:
    made = Deployment()
    others = {"second": (DOMAIN, "no-such-date.mp3"), "foreign": (OTHER, "theirs.mp3")}
    made.storage.put(TEMP, TEMP_KEY, DATA)
    made.desk.take(report("RECORDINGREADY"))
    for name, (domain, key) in others.items():
        made.storage.put(TEMP, key, DATA)  # no metadata says whose it is
        made.desk.take(report("RECORDINGREADY", recordingId=name, domain=domain, tempKey=key))

    def merge(*names: str) -> ae.Outcome:
        command = {
            "method": "MERGERECORDINGS",
            "destinationBucket": KEPT,
            "fileName": "merged.mp3",
            "toMerge": [
                {"recordingId": name, "startTime": START + 1000 * number}
                for number, name in enumerate(names)
            ],
            "replyId": json.loads(made.post.to(EVENTS)[0].body)["replyId"],
        }
        return run(command, made.storage, settings=made.settings, resolver=made.catalogue.resolve)

    assert merge(RECORDING, "second").error is None
    assert "merged.mp3" in made.storage.keys(KEPT)
    assert isinstance(merge(RECORDING, "foreign").error, ae.NotAllowedError)


def test_the_catalogue_has_what_the_event_has() -> None:
    made = Deployment()
    made.desk.take({**READY, "tempKey": TEMP_KEY})
    entry = made.catalogue.find(DOMAIN, RECORDING)
    event, _ = parse_event(READY)
    assert entry is not None
    assert entry.start_time_ms == START
    assert entry.conference_segments == event.conference_segments  # type: ignore[union-attr]
    assert entry.related_recordings == event.related_recordings  # type: ignore[union-attr]
    assert (entry.temp_bucket, entry.temp_key) == (TEMP, TEMP_KEY)


def test_where_a_recording_is_may_be_left_to_its_start() -> None:
    for told, start in (
        ({"meta": META}, START),
        ({"meta": QUEUE_META}, START),
        ({"meta": REST_META}, 1_680_093_356_094),
        ({"meta": None, "startTime": START}, START),
        ({"meta": META, "startTime": START - 5000}, START),
    ):
        made = Deployment()
        made.desk.take(report("RECORDINGREADY", tempKey=None, **told))
        entry = made.catalogue.find(DOMAIN, RECORDING)
        assert entry is not None
        assert entry.start_time_ms == start
        day = "190515" if start == START else "230329"
        assert entry.temp_key == f"{day}-{RECORDING}.mp3"


def test_other_buckets_must_be_named_by_settings() -> None:
    made = Deployment(recorder={"temp_buckets": ["temp-west"]})
    made.desk.take(report("RECORDINGREADY", tempBucket="temp-west"))
    known = made.catalogue.resolve(DOMAIN, RECORDING)
    assert known is not None
    assert known.bucket == "temp-west"
    assert paths(report("RECORDINGREADY", tempBucket=KEPT)) == ["tempBucket"]


# What is refused


def test_every_wrong_field_is_named() -> None:
    wrong = report("RECORDINGREADY", recordingId=3, tempKey=5, startTime="x", meta="{", domain=None)
    assert {*paths(wrong)} == {"recordingId", "tempKey", "startTime"}
    assert {*paths(report("RECORDINGREADY", domain=None, meta="{"))} == {"domain", "meta"}
    assert paths(report("RECORDINGREADY", startTime=5)) == ["startTime"]
    assert paths(report("RECORDINGREADY", tempKey="../a")) == ["tempKey"]
    assert paths(report("RECORDINGREADY", tempKey=".audioengine/a")) == ["tempKey"]
    assert paths(report("RECORDINGREADY", tempKey=None, meta=None)) == ["tempKey"]


@pytest.mark.parametrize("event", ["RECORDINGSTORED", "recordingReady", "", None, 3, ["a"]])
def test_only_recorders_events_can_be_reported(event: object) -> None:
    assert paths({**report("RECORDINGSTARTED"), "event": event}) == ["event"]


def test_what_is_no_object_is_refused() -> None:
    nothing: list[object] = [None, [], "text", 3]
    for data in nothing:
        assert paths(data) == ["report"]


def test_domains_that_nobody_knows_are_refused() -> None:
    error = refused(report("RECORDINGREADY", domain="sip.example.net"), ae.NotAllowedError)
    assert "not known" in str(error)
    single = Deployment(single_tenant=True, fallbacks={"domain": "sip.example.net"})
    single.desk.take(report("RECORDINGREADY", domain=None))
    entry = single.catalogue.find("sip.example.net", RECORDING)
    assert entry is not None
    assert entry.domain == "sip.example.net"


def test_a_recorder_of_one_domain_speaks_of_no_other() -> None:
    made = Deployment()
    made.storage.put(TEMP, TEMP_KEY, DATA, {"domain": DOMAIN})
    made.desk.take(report("RECORDINGREADY"), only_domain=DOMAIN)
    with pytest.raises(ae.NotAllowedError):
        made.desk.take(report("RECORDINGREADY"), only_domain=OTHER)
    with pytest.raises(ae.NotAllowedError, match="another domain"):
        made.desk.take(report("RECORDINGREADY", domain=OTHER))
    assert len(made.post.to(EVENTS)) == 1


@pytest.mark.parametrize("theirs_first", [True, False])
def test_another_domain_s_report_of_the_same_id_changes_nothing(theirs_first: bool) -> None:
    """With an object of its own, a recorder may call it what it likes; its token opens that."""
    made = Deployment()
    made.storage.put(TEMP, TEMP_KEY, DATA, {"domain": DOMAIN})
    made.storage.put(TEMP, "190515-theirs.mp3", DATA, {"domain": OTHER})
    mine = report("RECORDINGREADY"), DOMAIN
    theirs = report("RECORDINGREADY", domain=OTHER, tempKey="190515-theirs.mp3"), OTHER
    events = {}
    for told, domain in (theirs, mine) if theirs_first else (mine, theirs):
        events[domain] = made.desk.take(told, only_domain=domain)
    stored = run(
        store_command(replyId=events[DOMAIN].reply_id),
        made.storage,
        settings=made.settings,
        resolver=made.catalogue.resolve,
    )
    assert stored.error is None
    claims = claims_of(events[OTHER].reply_id)
    assert (claims["domain"], claims["tempKey"]) == (OTHER, "190515-theirs.mp3")
    run(
        service.delete_command(replyId=events[OTHER].reply_id),
        made.storage,
        settings=made.settings,
        resolver=made.catalogue.resolve,
    )
    assert made.storage.get(TEMP, TEMP_KEY) == DATA


@pytest.mark.parametrize("only_domain", [None, DOMAIN])
def test_a_report_must_be_of_the_recording_that_its_object_names(only_domain: str | None) -> None:
    made = Deployment()
    made.storage.put(TEMP, TEMP_KEY, DATA, {"domain": DOMAIN, "recording-id": "another"})
    with pytest.raises(ae.NotAllowedError, match="another recording"):
        made.desk.take(report("RECORDINGREADY"), only_domain=only_domain)
    assert made.post.letters == []
    made.storage.put(TEMP, TEMP_KEY, DATA, {"domain": DOMAIN, "recording-id": RECORDING})
    made.desk.take(report("RECORDINGREADY"), only_domain=only_domain)


def test_who_speaks_of_one_domain_can_not_tell_another_s_object_from_none() -> None:
    reasons = set()
    for metadata in (None, {}, {"domain": OTHER}):
        made = Deployment()
        if metadata is not None:
            made.storage.put(TEMP, TEMP_KEY, DATA, metadata)
        with pytest.raises(ae.NotAllowedError) as caught:
            made.desk.take(report("RECORDINGREADY"), only_domain=DOMAIN)
        reasons.add(str(caught.value))
    assert len(reasons) == 1


def test_a_recording_that_is_another_domain_s_can_not_be_reported() -> None:
    """Else its token would let commands have it."""
    made = Deployment()
    made.storage.put(TEMP, TEMP_KEY, DATA, {"domain": OTHER})
    with pytest.raises(ae.NotAllowedError, match="another domain"):
        made.desk.take(report("RECORDINGREADY"))
    assert made.post.letters == []
    made.storage.put(TEMP, TEMP_KEY, DATA, {"domain": DOMAIN})
    made.desk.take(report("RECORDINGREADY"))


@pytest.mark.parametrize("metadata", [None, {}, {"domain": OTHER}])
def test_a_recorder_of_one_domain_can_not_vouch_for_a_recording(
    metadata: dict[str, str] | None,
) -> None:
    """Of whomever it is: the object must say that it is of the domain."""
    made = Deployment()
    if metadata is not None:
        made.storage.put(TEMP, "190515-theirs.mp3", DATA, metadata)
    mine = report("RECORDINGREADY", recordingId="mine", tempKey="190515-theirs.mp3")
    with pytest.raises(ae.NotAllowedError):
        made.desk.take(mine, only_domain=DOMAIN)
    assert made.post.letters == []
    assert made.catalogue.find(DOMAIN, "mine") is None
    made.desk.take(report("RECORDINGSTARTED"), only_domain=DOMAIN)


@given(altered([*LIVE, {**READY, "tempKey": TEMP_KEY, "startTime": START}]))
def test_whatever_comes_is_taken_or_refused(data: dict[str, Any]) -> None:
    made = Deployment()
    try:
        made.desk.take(data)
    except (ae.InvalidRequestError, ae.NotAllowedError):
        assert made.post.letters == []
    else:
        assert made.post.letters
