# SPDX-License-Identifier: Apache-2.0
"""Sends objects to S3 in parts; an object appears only when all its parts are sent.

boto3's own transfers can't make an object appear under a condition, so this module makes each
request itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from audioengine.storage.buckets import Location
from audioengine.storage.options import S3Options

_AT_ONCE = 4

_Part = TypeVar("_Part")
Sent = Mapping[str, Any]
"""The identity of a part: its number, its ETag and, if the store returns it, its checksum."""


def send_in_parts(
    reached: Any,
    location: Location,
    options: S3Options,
    made: Mapping[str, Any],
    parts: Iterable[_Part],
    send: Callable[[Mapping[str, Any], _Part], Mapping[str, Any]],
) -> None:
    """Send an object in parts, and make it appear under the condition of its options.

    reached: the client. made: the arguments of the object. parts: in order; few are held at once.
    send: sends a part, given the arguments that identify it, and returns the store's answer.

    Raises what boto3 raises; the sent parts are then discarded.
    """
    place = {"Bucket": location.bucket, "Key": location.key, **options.request_arguments}
    upload = reached.create_multipart_upload(**place, ChecksumAlgorithm="SHA256", **made)
    this = {**place, "UploadId": upload["UploadId"]}

    def sent(number: int, part: _Part) -> Sent:
        numbered = {**this, "PartNumber": number, **options.customer_key_arguments}
        answer = send(numbered, part)
        confirmed = {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}
        return {"PartNumber": number, **confirmed}

    try:
        done = _all_sent(sent, parts)
        reached.complete_multipart_upload(
            **this,
            MultipartUpload={"Parts": done},
            **options.customer_key_arguments,
            **options.condition_arguments,
        )
    except BaseException:
        # The store keeps the parts until the upload is aborted; the first error is raised.
        with suppress(Exception):
            reached.abort_multipart_upload(**this)
        raise


def _all_sent(sent: Callable[[int, _Part], Sent], parts: Iterable[_Part]) -> list[Sent]:
    """Send parts, some in parallel; all started parts have ended when this returns or raises."""
    done: list[Sent] = []
    waiting: deque[Future[Sent]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for number, part in enumerate(parts, 1):
                if len(waiting) == _AT_ONCE:
                    done.append(waiting.popleft().result())
                waiting.append(pool.submit(sent, number, part))
            done += [one.result() for one in waiting]
        except BaseException:
            for one in waiting:
                one.cancel()
            raise
    return done
