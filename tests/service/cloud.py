# SPDX-License-Identifier: Apache-2.0
"""An emulated account: queues, topics that somebody listens to, buckets, keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3

from audioengine.service.queues.sqs import SqsQueue


@dataclass
class Cloud:
    """An emulated account; what is made in it has names of its own."""

    url: str
    session: boto3.Session

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.url)

    def queue_url(
        self, *, fifo: bool = False, max_receives: int | None = None, visibility_s: int = 30
    ) -> str:
        """A new queue, with dead letters where it has most receives."""
        sqs = self.client("sqs")
        ending = ".fifo" if fifo else ""
        attributes = {"VisibilityTimeout": str(visibility_s)}
        if fifo:
            attributes["FifoQueue"] = "true"
        dead = dict(attributes)
        if max_receives is not None:
            url = sqs.create_queue(QueueName=f"dead-{uuid4()}{ending}", Attributes=dead)["QueueUrl"]
            asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            policy = {
                "deadLetterTargetArn": asked["Attributes"]["QueueArn"],
                "maxReceiveCount": max_receives,
            }
            attributes["RedrivePolicy"] = json.dumps(policy)
        name = f"commands-{uuid4()}{ending}"
        return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def queue(self, *, visibility_s: int = 30, **options: Any) -> SqsQueue:
        return SqsQueue(self.queue_url(**options), visibility_s=visibility_s)

    def topic(self, name: str | None = None) -> Topic:
        """A new topic, and a queue that gets what is published."""
        sns, sqs = self.client("sns"), self.client("sqs")
        arn = sns.create_topic(Name=name or f"topic-{uuid4()}")["TopicArn"]
        url = sqs.create_queue(QueueName=f"heard-{uuid4()}")["QueueUrl"]
        asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=asked["Attributes"]["QueueArn"])
        return Topic(arn, url, sqs)


@dataclass
class Topic:
    """A topic that somebody listens to."""

    arn: str
    queue_url: str
    sqs: Any

    def heard(self) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """What was published since the last time: messages, and their attributes."""
        heard: list[tuple[dict[str, Any], dict[str, str]]] = []
        while True:
            answer = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
            if not answer.get("Messages"):
                return heard
            for one in answer["Messages"]:
                note = json.loads(one["Body"])
                told = note.get("MessageAttributes", {})
                attributes = {name: value["Value"] for name, value in told.items()}
                heard.append((json.loads(note["Message"]), attributes))
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=one["ReceiptHandle"])
