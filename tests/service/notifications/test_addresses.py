# SPDX-License-Identifier: Apache-2.0
"""Where all that is told of a tenant goes: as its token says, its settings, or the fallbacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.events import RecordingStarted
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.callbacks import callback_letter
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Letter, Sender
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.recorder.event_routing import event_notification
from audioengine.service.worker.queued_command import Deployment, QueuedCommand
from audioengine.service.worker.settlement import Settlement
from tests.execution.service import ALARMS, DOMAIN, EVENTS, KEPT, TEMP, token
from tests.service.site import Site, delete, store, temp_key

OWN = {"event_topic": "own-events", "alarm_topic": "own-alarms"}
HOOK = {
    "callback_url": "https://tenant.example.com/calls",
    "callback_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class Post(Sender):
    """Notes what is sent."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.letters.append(letter)


def tell(site: Site, command: dict[str, Any], tenant: dict[str, Any]) -> list[Letter]:
    """Carry a command out as the last time, and return all that is told of it."""
    values = site.values()
    values["domains"][DOMAIN] = {"buckets": [KEPT], **tenant}
    settings = ae.Settings(**values)
    post = Post()
    delivery = Delivery(
        {"topic": post, "callback": post},
        None,
        callback=lambda event, domain: callback_letter(event, domain, settings),
    )
    queue = EmbeddedQueue(site.queue_path, visibility_s=30, max_receives=1)
    deployment = Deployment(settings=settings)
    queue.send(json.dumps(command), group="1")
    (message,) = queue.receive(1, 0)
    outcome = deployment.execute(QueuedCommand.of(message))
    Settlement(queue, delivery, deployment, Metrics()).settle(message, outcome)
    queue.delete(message)
    return post.letters


def commands(reply_id: str) -> list[dict[str, Any]]:
    merging = {
        "method": "MERGERECORDINGS",
        "destinationBucket": KEPT,
        "toMerge": [{"recordingId": "a", "startTime": 1_547_114_000_000}],
    }
    made = [store("a"), {**store("a"), "destinationBucket": "no"}, merging]
    made += [{**merging, "destinationBucket": "no"}, delete("a")]
    # What was deleted is not there to be stored.
    made.append({**store("a"), "fileName": "gone.mp3"})
    return [{**one, "replyId": reply_id} for one in made]


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
@pytest.mark.parametrize("tenant", [{}, OWN, {**OWN, **HOOK}], ids=["none", "own", "hook"])
def test_events_alarms_and_callbacks_of_commands_go_to_their_tenant(
    named: bool, tenant: dict[str, Any], site: Site
) -> None:
    site.put("a")
    topics = (
        {"eventTopic": "named-events", "alarmTopic": "named-alarms"}
        if named
        else {"eventTopic": None, "alarmTopic": None}
    )
    reply_id = token(recordingId="a", tempBucket=TEMP, tempKey=temp_key("a"), **topics)
    own = tenant.get("event_topic", EVENTS), tenant.get("alarm_topic", ALARMS)
    events, alarms = ("named-events", "named-alarms") if named else own
    for number, command in enumerate(commands(reply_id)):
        is_failure = number in (1, 3, 5)
        letters = tell(site, command, tenant)
        wanted = [("topic", events)]
        if "callback_url" in tenant and not is_failure:
            wanted.append(("callback", DOMAIN))
        if is_failure:
            wanted.append(("topic", alarms))
        assert [(one.channel, one.address) for one in letters] == wanted, command["method"]


@pytest.mark.parametrize("tenant", [{}, OWN])
def test_events_of_the_recorder_go_to_the_same_places(tenant: dict[str, Any], site: Site) -> None:
    values = site.values()
    values["domains"][DOMAIN] = {"buckets": [KEPT], **tenant}
    event = RecordingStarted(domain=DOMAIN, recording_id="a", reply_id="token")
    told = event_notification(event, ae.Settings(**values))
    wanted = tenant.get("event_topic", EVENTS), tenant.get("alarm_topic", ALARMS)
    assert (told.event_topic, told.alarm_topic) == wanted


def test_what_a_token_does_not_prove_is_told_to_the_operator(site: Site) -> None:
    """Whatever a forged token names."""
    forged = token("a key that is long enough, and not the service's own", eventTopic="elsewhere")
    letters = tell(site, {**store("a"), "replyId": forged}, OWN)
    assert {one.address for one in letters} == {ALARMS}
