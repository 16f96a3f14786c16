# SPDX-License-Identifier: Apache-2.0
"""A FIFO topic that forgets what it has heard after five minutes, as those of AWS do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Letter, Sender
from audioengine.service.notifications.topics import repeat_id
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.worker.queued_command import Deployment, QueuedCommand
from audioengine.service.worker.settlement import Settlement
from tests.service.site import Site, store

_REMEMBERED_S = 300


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class FifoTopic(Sender):
    """Hears each letter once in five minutes, by the id that SNS is given."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.heard: list[dict[str, Any]] = []
        self._until: dict[str, float] = {}

    def send(self, letter: Letter) -> None:
        one = repeat_id(letter)
        if self._until.get(one, -1.0) < self.now_s:
            self._until[one] = self.now_s + _REMEMBERED_S
            self.heard.append(json.loads(letter.body))


class Tenant:
    """Commands of one tenant, and what its topic hears."""

    def __init__(self, site: Site) -> None:
        self.queue = EmbeddedQueue(site.queue_path, visibility_s=0, max_receives=5)
        self.topic = FifoTopic()
        self.deployment = Deployment(settings=site.settings())
        delivery = Delivery({"topic": self.topic}, None)
        self.settlement = Settlement(self.queue, delivery, self.deployment, Metrics())

    def run(self, command: dict[str, Any], times: int = 1) -> None:
        """Send a command, which is handed out so many times."""
        self.queue.send(json.dumps(command), group="1")
        for _ in range(times):
            (message,) = self.queue.receive(1, 0)
            self.settlement.settle(message, self.deployment.execute(QueuedCommand.of(message)))
        self.queue.delete(message)


def test_two_commands_on_a_recording_are_two_events(site: Site) -> None:
    """Of one token and one name: their events are the same, letter for letter."""
    site.put("a")
    first = store("a", fileName="a.mp3")
    other = {**first, "modificationParams": {"mask": {"callee": [{"from": 1, "to": 2}]}}}
    tenant = Tenant(site)
    tenant.run(first)
    tenant.run(other)
    assert [event["event"] for event in tenant.topic.heard] == ["RECORDINGSTORED"] * 2
    assert tenant.topic.heard[0] == tenant.topic.heard[1]


def test_a_message_that_is_handed_out_again_is_one_event(site: Site) -> None:
    site.put("a")
    tenant = Tenant(site)
    tenant.run(store("a"), times=3)
    assert len(tenant.topic.heard) == 1


def test_a_command_that_is_sent_again_is_answered_again(site: Site) -> None:
    site.put("a")
    tenant = Tenant(site)
    command = store("a")
    tenant.run(command)
    tenant.run(command)
    assert len(tenant.topic.heard) == 2
    assert tenant.topic.heard[0] == tenant.topic.heard[1]
