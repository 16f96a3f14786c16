# SPDX-License-Identifier: Apache-2.0
"""A command queue in SQS, standard or FIFO."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

from audioengine.errors import StorageError
from audioengine.service.queues.queue import CommandQueue, Message, unwrapped

_SOURCE = "DeadLetterQueueSourceArn"
_SYSTEM_ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp", "MessageGroupId", _SOURCE]
# How long an answer's time is good for, and by how much the clocks of hosts may differ in speed.
_TOLD_S = 60
_DRIFT = 0.001
_GROUP = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}", re.ASCII)


class SqsQueue(CommandQueue):
    """A queue by its URL.

    A standard queue hands messages out in about the order of their arrival, now and then one twice;
    a FIFO queue those of a group in order.
    """

    def __init__(
        self,
        url: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        visibility_s: int = 60,
        source: str | None = None,
    ) -> None:
        """Ask nothing yet.

        region: by default that of boto3's usual chain.
        visibility_s: how long a message that was handed out is kept from others.
        source: of dead letters, the ARN of the queue whose letters alone are handed out.
        """
        self._url = url
        self._where = (region, endpoint_url)
        self._visibility_s = visibility_s
        self._source = source
        self._doing = f"queue {url!r}"
        self._ahead: tuple[float, float] | None = None
        """By how much SQS's clock was ahead of the monotonic one, at most, and when, on that."""

    @property
    def is_fifo(self) -> bool:
        """Whether messages of a group are handed out in order."""
        return self._url.endswith(".fifo")

    def send(self, body: str, *, group: str, attributes: Mapping[str, str] | None = None) -> str:
        """Queue a message durably, and return its id. Raises StorageError."""
        typed: dict[str, Any] = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in (attributes or {}).items()
        }
        order: dict[str, str] = {}
        if self.is_fifo:
            order = {"MessageGroupId": _group(group), "MessageDeduplicationId": str(uuid4())}
        answer = self._call("send_message", MessageBody=body, MessageAttributes=typed, **order)
        return str(answer["MessageId"])

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        """Return up to `limit` messages (1 to 10), as soon as there is one; none after `wait_s`.

        SQS counts whole seconds, at most 20. Raises StorageError.
        """
        from audioengine.service.aws_clients import LONGEST_WAIT_S

        answer = self._call(
            "receive_message",
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=min(math.ceil(wait_s), LONGEST_WAIT_S),
            VisibilityTimeout=self._visibility_s,
            MessageSystemAttributeNames=_SYSTEM_ATTRIBUTES,
            MessageAttributeNames=["All"],
        )
        received = answer.get("Messages", ())
        strange = [one for one in received if not self._is_ours(one["Attributes"].get(_SOURCE))]
        for one in strange:
            self.release(self._message(one))
        return [self._message(one) for one in received if one not in strange]

    def extend(self, message: Message, seconds: int) -> None:
        """Keep a message from others for so long from now. Raises StorageError."""
        self._call(
            "change_message_visibility", ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def release(self, message: Message, seconds: int = 0) -> None:
        """Hand a message out again, after so long. Raises StorageError."""
        self.extend(message, seconds)

    def delete(self, message: Message) -> None:
        """Take a message out of the queue for good. Raises StorageError."""
        self._call("delete_message", ReceiptHandle=message.receipt)

    @property
    def max_receives(self) -> int | None:
        """How often a message is handed out before it goes to the dead letters; None: for ever.

        As the queue's redrive policy says, which is asked for once. Raises StorageError.
        """
        return None if self._redrive is None else self._redrive[0]

    @property
    def dead_arn(self) -> str | None:
        """The ARN of the queue where messages are after their last time; None: there is none.

        Raises StorageError.
        """
        return None if self._redrive is None else self._redrive[1]

    def dead_letters(self) -> SqsQueue | None:
        """Return the queue where messages are after their last time; None: there is none.

        Raises StorageError.
        """
        if self.dead_arn is None:
            return None
        region, endpoint_url = self._where
        return SqsQueue(
            # It is always of the same region and account.
            f"{self._url.rpartition('/')[0]}/{self.dead_arn.rpartition(':')[2]}",
            region=region,
            endpoint_url=endpoint_url,
            visibility_s=self._visibility_s,
            source=self._facts.get("QueueArn"),
        )

    @cached_property
    def _redrive(self) -> tuple[int, str] | None:
        """After how often being handed out, and where to; None: never."""
        policy = self._facts.get("RedrivePolicy")
        try:
            if policy is None:
                return None
            redrive = json.loads(policy)
            return int(redrive["maxReceiveCount"]), str(redrive["deadLetterTargetArn"])
        except (ValueError, KeyError, TypeError):
            raise StorageError(f"{self._doing}: its redrive policy can't be read") from None

    @cached_property
    def _facts(self) -> dict[str, str]:
        return self._attributes("RedrivePolicy", "QueueArn")

    def _is_ours(self, source: str | None) -> bool:
        # What a person has put there has no source.
        return self._source is None or source in (None, self._source)

    def now_ms(self) -> int:
        """Return the time of SQS, at most a second late, and never early. Raises StorageError.

        The headers of its answers have it in whole seconds; the more answers, the closer it is.
        """
        if self._ahead is None or time.monotonic() - self._ahead[1] > _TOLD_S:
            # Where it can't be asked, an older answer will do: clocks drift slowly.
            with suppress(StorageError) if self._ahead else nullcontext():
                self._attributes("QueueArn")
        if self._ahead is None:
            raise StorageError(f"{self._doing}: its answers have no date")
        now = time.monotonic()
        return math.ceil((now + _ahead(self._ahead, now)) * 1000)

    def depth(self) -> int:
        """Return about how many messages wait, those in work included. Raises StorageError."""
        counts = self._attributes(
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        return sum(map(int, counts.values()))

    def _message(self, received: Mapping[str, Any]) -> Message:
        system = received["Attributes"]
        own = {
            name: value["StringValue"]
            for name, value in received.get("MessageAttributes", {}).items()
            if "StringValue" in value
        }
        body, attributes = unwrapped(received["Body"], own)
        return Message(
            message_id=received["MessageId"],
            body=body,
            receipt=received["ReceiptHandle"],
            receives=int(system["ApproximateReceiveCount"]),
            sent_ms=int(system["SentTimestamp"]),
            # Groups of a standard queue are about fairness, not about order.
            group=system.get("MessageGroupId") if self.is_fifo else None,
            attributes=attributes,
        )

    def _attributes(self, *names: str) -> dict[str, str]:
        answer = self._call("get_queue_attributes", AttributeNames=names)
        return dict(answer.get("Attributes", {}))

    def _call(self, operation: str, **arguments: Any) -> Any:
        from audioengine.service.aws_clients import aws_client
        from audioengine.storage.s3_client import mapped

        with mapped(self._doing):
            asked = getattr(aws_client("sqs", *self._where), operation)
            began = time.monotonic()
            answer = asked(QueueUrl=self._url, **arguments)
        if operation != "receive_message":  # which may have waited long
            self._note_time(answer, began)
        return answer

    def _note_time(self, answer: Mapping[str, Any], asked: float) -> None:
        date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        with suppress(TypeError, ValueError):  # there is none, or one that can't be read
            # The answer is dated after the request, in the course of this second.
            ahead = int(parsedate_to_datetime(date).timestamp()) + 1 - asked
            if self._ahead is None or ahead < _ahead(self._ahead, asked):
                self._ahead = ahead, asked


def _ahead(known: tuple[float, float], now: float) -> float:
    """By how many seconds SQS's clock is ahead of the monotonic one, at most."""
    ahead, asked = known
    return ahead + (now - asked) * _DRIFT


def _group(name: str) -> str:
    """A name as SQS takes it; others by their digest."""
    return (
        name
        if _GROUP.fullmatch(name)
        else hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    )
