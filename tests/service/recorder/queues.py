# SPDX-License-Identifier: Apache-2.0
"""A queue of moto's, over HTTP, with no more than these tests need."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import boto3

from audioengine.service.messages import CommandQueue, Message


class MotoQueue(CommandQueue):
    """A FIFO queue."""

    def __init__(self, client: Any, name: str, max_receives: int | None = None) -> None:
        made = client.create_queue(
            QueueName=f"{name}.fifo",
            Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "false"},
        )
        self.url: str = made["QueueUrl"]
        self._client = client
        self._max_receives = max_receives
        self._sent = 0

    def send(self, body: str, *, group: str, attributes: Mapping[str, str] | None = None) -> str:
        self._sent += 1
        told = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in (attributes or {}).items()
        }
        answer = self._client.send_message(
            QueueUrl=self.url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=str(self._sent),
            MessageAttributes=told,
        )
        return str(answer["MessageId"])

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        answer = self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=int(wait_s),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [
            Message(
                message_id=one["MessageId"],
                body=one["Body"],
                receipt=one["ReceiptHandle"],
                receives=int(one["Attributes"]["ApproximateReceiveCount"]),
                sent_ms=int(one["Attributes"]["SentTimestamp"]),
                group=one["Attributes"]["MessageGroupId"],
                attributes={
                    name: value["StringValue"]
                    for name, value in one.get("MessageAttributes", {}).items()
                },
            )
            for one in answer.get("Messages", ())
        ]

    def extend(self, message: Message, seconds: int) -> None:
        self._client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def release(self, message: Message, seconds: int = 0) -> None:
        self.extend(message, seconds)

    def delete(self, message: Message) -> None:
        self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    @property
    def max_receives(self) -> int | None:
        return self._max_receives

    def depth(self) -> int:
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        told = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))
        return sum(int(told["Attributes"][name]) for name in names)


def subscribed(sqs: Any, session_client: Any) -> tuple[str, Callable[[], dict[str, Any]]]:
    """A topic of moto's, and what waits for the next message of it."""
    name = f"topic-{uuid4()}"
    sns = boto3.client(
        "sns",
        endpoint_url=session_client.meta.endpoint_url,
        region_name="eu-west-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )
    topic: str = sns.create_topic(Name=name)["TopicArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    names = ["QueueArn"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def received() -> dict[str, Any]:
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        told: dict[str, Any] = json.loads(message["Body"])
        return told

    return topic, received
