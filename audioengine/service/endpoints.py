# SPDX-License-Identifier: Apache-2.0
"""The queues and topics that settings name: those of AWS, or files in a local folder."""

from __future__ import annotations

import re
from pathlib import Path

from audioengine.errors import InvalidRequestError
from audioengine.service.notifications.letter import Sender
from audioengine.service.notifications.topics import LineTopics, SnsTopics
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import CommandQueue
from audioengine.service.queues.sqs import SqsQueue
from audioengine.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_MOST_RECEIVES = 5


def queue_of(settings: Settings) -> CommandQueue:
    """Return the command queue that settings name.

    Raises InvalidRequestError where they name none, StorageError where its file can't be used.
    """
    url = settings.worker.queue_url or settings.fallbacks.command_queue
    if url is None:
        rule = "must be given, or fallbacks.command_queue: the URL of a queue in SQS"
        raise InvalidRequestError.of("worker.queue_url", None, rule)
    return queue_at(url, settings)


def queue_at(url: str, settings: Settings) -> CommandQueue:
    """Return the queue of SQS at a URL, or that of this name where queues are files.

    Raises InvalidRequestError for a name that is none, StorageError where the file can't be used.
    """
    table = settings.worker
    if table.embedded is None:
        return SqsQueue(
            url,
            region=table.region,
            endpoint_url=table.endpoint_url,
            visibility_s=table.visibility_s,
        )
    if not _NAME.fullmatch(url):
        rule = "must be a name of letters, digits, dots, hyphens: with worker.embedded it is a file"
        raise InvalidRequestError.of("queue", url, rule)
    return EmbeddedQueue(
        table.embedded / f"{url}.db",
        visibility_s=table.visibility_s,
        max_receives=table.max_receives or _MOST_RECEIVES,
    )


def topics_file(folder: Path) -> Path:
    """Return where topics are kept as lines of JSON, in the folder of `worker.embedded`."""
    return folder / "topics.jsonl"


def topic_sender(settings: Settings) -> Sender:
    """Return what sends to topics: those of SNS, or lines in a file."""
    table = settings.worker
    if table.embedded is None:
        return SnsTopics(endpoint_url=table.endpoint_url)
    return LineTopics(topics_file(table.embedded))
