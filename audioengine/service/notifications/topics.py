# SPDX-License-Identifier: Apache-2.0
"""Where events and alarms go: topics of SNS, or a file and the terminal."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from datetime import datetime, timezone
from typing import TextIO

from audioengine.errors import StorageError
from audioengine.execution.temporary_objects import in_ascii
from audioengine.service.notifications.letter import Letter, Sender
from audioengine.service.queues.queue import MESSAGE_ID
from audioengine.storage.files import Failing

MAX_LETTER_BYTES = 256 * 1024
"""Of a topic's message, with names, types and values of its attributes."""

_MOST_ATTRIBUTES = 10
_MOST_VALUE_BYTES = 1024
_TYPE = "String"
_REGION = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):")
# Escapes in JSON may stand for half a pair, which no encoding has.
_SURROGATES = re.compile("[\ud800-\udfff]")
_MOST_GROUP_CHARACTERS = 128

# Two commands on a recording may have the same body, and so has a command that is sent again.
_OF_ONE_ANSWER = ("event", "commandDigest", MESSAGE_ID)


def topic_letter(topic: str, body: str, attributes: dict[str, str] | None = None) -> Letter:
    """Return a letter to a topic, with attributes as SNS takes them: not empty, short, in ASCII.

    What is longer than 1 KiB is left out.
    """
    kept: dict[str, str] = {}
    for name, value in (attributes or {}).items():
        text = in_ascii(value)
        if 0 < len(text) <= _MOST_VALUE_BYTES and len(kept) < _MOST_ATTRIBUTES:
            kept[name] = text
    return Letter(channel="topic", address=topic, body=body, attributes=kept)


def published(letter: Letter) -> dict[str, str]:
    """Return the attributes that a topic hears, in all of which repeats are the same."""
    return {name: value for name, value in letter.attributes.items() if name != MESSAGE_ID}


def size_of(letter: Letter) -> int:
    """Return the bytes of a letter as a topic counts them."""
    pairs = published(letter).items()
    attribute_bytes = sum(
        len(name.encode()) + len(value.encode()) + len(_TYPE) for name, value in pairs
    )
    return len(letter.body.encode()) + attribute_bytes


def repeat_id(letter: Letter) -> str:
    """Return the same text for what a topic need not hear twice, 64 characters of hexadecimal."""
    identity = [letter.attributes.get(name) for name in _OF_ONE_ANSWER]
    return hashlib.sha256(json.dumps([*identity, letter.body]).encode()).hexdigest()


class SnsTopics(Sender):
    """Publishes to topics by their ARN, each in its own region."""

    def __init__(self, *, endpoint_url: str | None = None) -> None:
        """endpoint_url: of what speaks like SNS; by default that of boto3's usual chain."""
        self._endpoint_url = endpoint_url

    def send(self, letter: Letter) -> None:
        """Publish; a FIFO topic gets the letters of a recording in order, and repeats once.

        A repeat is the same letter of the same command, brought by the same message of the queue:
        the answer to a command that was sent once more is heard once more.

        Raises StorageError, `retryable` where the same letter may go through later.
        """
        from audioengine.service.aws_clients import aws_client
        from audioengine.storage.s3_client import mapped

        region = _REGION.match(letter.address)
        attributes = {
            name: {"DataType": _TYPE, "StringValue": value}
            for name, value in published(letter).items()
        }
        order: dict[str, str] = {}
        if letter.address.endswith(".fifo"):
            group = letter.attributes.get("recordingId") or letter.attributes.get("domain") or "all"
            order = {
                "MessageGroupId": re.sub(r"[^\w.-]", "_", group)[:_MOST_GROUP_CHARACTERS],
                "MessageDeduplicationId": repeat_id(letter),
            }
        with mapped(f"can't publish to {letter.address!r}"):
            aws_client("sns", region and region[1], self._endpoint_url).publish(
                TopicArn=letter.address,
                Message=letter.body,
                MessageAttributes=attributes,
                **order,
            )


class LineTopics(Sender):
    """Keeps what is published as lines of JSON in a file, and prints it; for trying things out."""

    def __init__(self, path: str | os.PathLike[str], stream: TextIO | None = None) -> None:
        """path: of the file, which is made where it is not there; stream: what to print on."""
        self._path = os.fspath(path)
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, letter: Letter) -> None:
        """Append a line with time, topic, attributes and message; it is then on the disk.

        Raises StorageError.
        """
        values = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "topic": letter.address,
            "attributes": published(letter),
            "message": json.loads(letter.body),
        }
        line = json.dumps(values, ensure_ascii=False)
        if _SURROGATES.search(line):
            line = json.dumps(values)
        with self._lock, Failing("can't write topics to their file"):
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _write(fd, f"{line}\n".encode())
                os.fsync(fd)
            finally:
                os.close(fd)
            if self._stream is not None:
                print(line, file=self._stream, flush=True)


def _write(fd: int, data: bytes) -> None:
    """All in one piece, or not at all where the disk is full."""
    before = os.fstat(fd).st_size
    written = os.write(fd, data)
    if written < len(data):
        os.ftruncate(fd, before)
        raise StorageError("can't write topics: the disk is full", retryable=True)
