# SPDX-License-Identifier: Apache-2.0
"""Objects that are sent to S3 in parts: all of them, and then the object appears, or none.

boto3's own transfers can't say under which condition an object may appear, so each request is made
here.
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
"""What a part is known by: its number, ETag and, where the store gives it, its checksum."""


def send_in_parts(
    reached: Any,
    location: Location,
    options: S3Options,
    made: Mapping[str, Any],
    parts: Iterable[_Part],
    send: Callable[[Mapping[str, Any], _Part], Mapping[str, Any]],
) -> None:
    """Let an object appear, under the condition of its options, once all its parts are there.

    reached: the client. made: what the object is made with. parts: in order; few are held at once.
    send: sends one of them, given the arguments that say which one it is; what the store answers.

    Raises what boto3 raises; what was sent is then given up.
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
        # The store keeps the parts until they are given up; what failed is what counts.
        with suppress(Exception):
            reached.abort_multipart_upload(**this)
        raise


def _all_sent(sent: Callable[[int, _Part], Sent], parts: Iterable[_Part]) -> list[Sent]:
    """Send parts, some at once; those that have begun have ended when it returns or raises."""
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
