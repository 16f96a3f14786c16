# SPDX-License-Identifier: Apache-2.0
"""Commands that reach their queue by a topic, which wraps them unless it is told not to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.service.aws_lambda import _message
from audioengine.service.queues.queue import unwrapped
from tests.service.cloud import Cloud

COMMAND = json.dumps({"method": "DELETERECORDING", "recordingId": "4711"})
ENVELOPE = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
    "Message": COMMAND,
    "MessageAttributes": {
        "dialect": {"Type": "String", "Value": "rest"},
        "blob": {"Type": "Binary", "Value": 1},
    },
}


def test_what_a_topic_passes_on_is_unwrapped(cloud: Cloud) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    arn = sns.create_topic(Name="commands")["TopicArn"]
    url = cloud.queue_url()
    queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn["Attributes"]["QueueArn"])
    sns.publish(
        TopicArn=arn,
        Message=COMMAND,
        MessageAttributes={"dialect": {"DataType": "String", "StringValue": "rest"}},
    )
    from audioengine.service.queues.sqs import SqsQueue

    (message,) = SqsQueue(url).receive(10, 5)
    assert message.body == COMMAND
    assert message.attributes == {"dialect": "rest"}


def test_the_lambda_function_unwraps_too() -> None:
    record = {
        "messageId": "1",
        "receiptHandle": "r",
        "body": json.dumps(ENVELOPE),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1"},
    }
    message = _message(record)
    assert (message.body, dict(message.attributes)) == (COMMAND, {"dialect": "rest"})


@pytest.mark.parametrize(
    "body",
    [
        COMMAND,
        "no JSON",
        "[" * 100_000,
        json.dumps({**ENVELOPE, "Type": "SubscriptionConfirmation"}),
        json.dumps({**ENVELOPE, "Message": {}}),
        json.dumps({**ENVELOPE, "MessageAttributes": []}),
        json.dumps(ENVELOPE)[:-1] + ', "Message": "{}"}',
    ],
    ids=range(7),
)
def test_anything_else_stays_as_it_is(body: str) -> None:
    """Also what names a key twice: it is for those who read commands to refuse it."""
    assert unwrapped(body, {"a": "b"}) == (body, {"a": "b"})


@pytest.mark.parametrize("own", [{"dialect": "rest"}, {"method": "STORERECORDING"}])
def test_what_rest_has_judged_stays_as_it_is(own: dict[str, str]) -> None:
    """Else another command would be carried out than the one that was judged."""
    body = json.dumps({**ENVELOPE, "recordingId": "4711", "destinationBucket": "b"})
    assert unwrapped(body, own) == (body, own)


@given(st.text())
def test_whatever_is_in_it_comes_out(text: str) -> None:
    assert unwrapped(json.dumps({**ENVELOPE, "Message": text}), {})[0] == text
