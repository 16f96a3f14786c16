# SPDX-License-Identifier: Apache-2.0
"""Signed requests to hosts that the settings name: tenants and the recorder.

Signatures are those of Standard Webhooks (standardwebhooks.com), so there are libraries in most
languages that check them: HMAC-SHA256 over ``<webhook-id>.<webhook-timestamp>.<body>``, in base64,
in ``webhook-signature`` as ``v1,…``. The id is the same each time that a body is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
from base64 import b64encode
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import httpx
from pydantic import SecretStr

from audioengine.errors import StorageError
from audioengine.service.outgoing import outgoing_loop
from audioengine.settings.recorder import secret_bytes
from audioengine.version import VERSION

_MOST_ANSWER_BYTES = 64 << 10
# What may be answered otherwise later, beside all that is the server's own fault.
_PASSING_STATUS = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host has answered."""

    status: int
    reason: str
    """The status in words, as the host has them."""
    body: bytes = field(repr=False)
    """Its beginning, at least."""

    @property
    def is_success(self) -> bool:
        """Whether the host has taken what was sent; where it points elsewhere, it has not."""
        return 200 <= self.status < 300

    def check(self, doing: str, also_passing: Collection[int] = ()) -> None:
        """Raise StorageError unless it is a success; `doing` says what could not be done."""
        if not self.is_success:
            passing = self.status >= 500 or self.status in {*_PASSING_STATUS, *also_passing}
            message = f"{doing}: {self.status} {self.reason}".rstrip()
            raise StorageError(message, retryable=passing)


def signed(
    secret: SecretStr, message_id: str, body: bytes, timestamp_s: int | None = None
) -> Mapping[str, str]:
    """Return the headers that sign a body, at this time, by default now."""
    timestamp = str(int(time.time()) if timestamp_s is None else timestamp_s)
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(secret_bytes(secret), content, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }


def post(
    url: str,
    body: str,
    secret: SecretStr,
    *,
    timeout_s: float,
    ca_file: Path | None = None,
) -> Answer:
    """POST JSON, signed, and return the answer, whatever it is; redirects are not followed.

    timeout_s: of all of it, from looking the name up to the end.
    ca_file: authorities that may vouch for the host; None: the usual ones.

    Raises StorageError, `retryable` where there was no answer.
    """
    return posting(url, body, secret, timeout_s=timeout_s, ca_file=ca_file).result()


def posting(
    url: str,
    body: str,
    secret: SecretStr,
    *,
    timeout_s: float,
    ca_file: Path | None = None,
) -> Future[Answer]:
    """Begin to `post`, and return at once; any thread or event loop may wait for the answer."""
    data = body.encode()
    message_id = hashlib.sha256(f"{url}\n".encode() + data).hexdigest()
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"audioengine/{VERSION}",
        **signed(secret, message_id, data),
    }
    asked = _posted_in_time(url, data, headers, _transport(ca_file), timeout_s)
    return asyncio.run_coroutine_threadsafe(asked, outgoing_loop())


async def _posted_in_time(
    url: str,
    data: bytes,
    headers: Mapping[str, str],
    transport: httpx.AsyncBaseTransport,
    timeout_s: float,
) -> Answer:
    doing = "can't reach the host"
    try:
        return await asyncio.wait_for(_posted(url, data, headers, transport), timeout_s)
    except (TimeoutError, asyncio.TimeoutError, httpx.TimeoutException):
        raise StorageError(f"{doing}: no answer in {timeout_s:g} s", retryable=True) from None
    except httpx.TransportError as error:
        raise StorageError(f"{doing}: {type(error).__name__}", retryable=True) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StorageError(f"{doing}: {type(error).__name__}") from None


async def _posted(
    url: str, data: bytes, headers: Mapping[str, str], transport: httpx.AsyncBaseTransport
) -> Answer:
    request = httpx.Request("POST", url, content=data, headers=dict(headers))
    response = await transport.handle_async_request(request)
    try:
        body = bytearray()
        async for block in response.aiter_raw():
            body += block
            if len(body) >= _MOST_ANSWER_BYTES:
                break
        return Answer(response.status_code, response.reason_phrase, bytes(body))
    finally:
        await response.aclose()


@lru_cache(maxsize=4)
def _transport(ca_file: Path | None) -> httpx.AsyncBaseTransport:
    """What reaches hosts in the loop of outgoing requests.

    No client: making one takes longer than a request, and one for all would keep cookies. Each
    request has a connection of its own, so none is lost to one that is just being closed.
    """
    # No proxies of the environment: they are hosts that the settings do not name.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=_trusted(ca_file), trust_env=False, limits=limits)


@lru_cache(maxsize=4)
def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Who may vouch for hosts; slow to load."""
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # also where it holds no certificates
        raise StorageError(f"can't read callbacks.ca_file: {error.strerror}") from error
