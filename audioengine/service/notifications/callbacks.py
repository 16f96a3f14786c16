# SPDX-License-Identifier: Apache-2.0
"""Callbacks: events sent to tenants over HTTP, with exactly the reference's keys, in its order.

``POST <callback_url>/recordingStarted`` and the like. Of the implied ones, recordingStored and
recordingDeleted, the reference shows no body: it is the event's. So is that of recordingsMerged,
and where `callbacks.failures` is set of storeRecordingFailed, deleteRecordingFailed and
mergeRecordingsFailed, which are ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import tenacity

from audioengine import retries
from audioengine.errors import StorageError
from audioengine.execution.addresses import addresses_of
from audioengine.service.notifications.letter import Letter, Sender
from audioengine.service.notifications.webhook_client import post
from audioengine.settings import Settings

NEW_CALL = "newCall"
CALLBACK = "callback"
"""Attribute of a letter: which callback it is."""

_OF = ("event", "recordingId", "domain")
_TO = ("replyId", "commandQueue", "commandRegion")
_KEYS: Mapping[str, tuple[str, ...] | None] = {
    "recordingStarted": (*_OF, "metaData", *_TO),
    "recordingReady": (
        "recordingId",
        "meta",
        "sipRecCallId",
        "commandQueue",
        "domain",
        "replyId",
    ),
    "recordingCancelled": (*_OF, "metaData", *_TO),
    "recordingFailed": (*_OF, *_TO),
    "recordingStored": None,
    "recordingDeleted": None,
    "recordingsMerged": None,
    "storeRecordingFailed": None,
    "deleteRecordingFailed": None,
    "mergeRecordingsFailed": None,
}
_OF_FAILURES = frozenset({"storeRecordingFailed", "deleteRecordingFailed", "mergeRecordingsFailed"})
_BY_EVENT = {name.upper(): name for name in _KEYS}

# The tenant takes another secret for right, which somebody will mend.
_MENDED = (401, 403)


def callback_letter(
    event: Mapping[str, Any], domain: str | None, settings: Settings
) -> Letter | None:
    """Return the callback of an event, given as JSON values; None: the tenant gets none.

    Tenants without callback_url have no callback, nor, unless `callbacks.failures` is set, have
    events that say that a command failed.
    """
    name = _BY_EVENT.get(event["event"])
    if name is None or domain is None or callback_url(settings, domain, name) is None:
        return None
    if name in _OF_FAILURES and not settings.callbacks.failures:
        return None
    keys = _KEYS[name] or tuple(event)
    body = json.dumps({key: event[key] for key in keys if key in event})
    # Callbacks of a recording keep their order; those of others need not wait for them.
    of = str(event.get("recordingId") or event.get("fileName") or event.get("replyId", ""))
    lane = crc32(of.encode(errors="surrogatepass")) % settings.callbacks.concurrency
    attributes = {CALLBACK: name}
    return Letter(channel="callback", address=domain, body=body, attributes=attributes, lane=lane)


def callback_url(settings: Settings, domain: str, name: str) -> str | None:
    """Return where a domain is called back; None: nowhere."""
    url = addresses_of(domain, settings).callback_url
    return None if url is None else f"{url}/{name}"


class CallbackSender(Sender):
    """POSTs callbacks to what the settings name, and to nothing else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, letter: Letter) -> None:
        """Send it, some times where that may help.

        Raises StorageError: `retryable` where there is no answer, or one of 401, 403, 408, 425, 429
        or from 500 up. A redirect is an answer as good as 404.
        """
        tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._settings.callbacks.attempts),
            wait=retries.CALLBACK.wait,
            retry=tenacity.retry_if_exception(retries.is_retryable),
            reraise=True,
        )(self._send, letter)

    def _send(self, letter: Letter) -> None:
        domain, name = letter.address, letter.attributes.get(CALLBACK, "")
        doing = f"can't call back {domain!r} for {name}"
        url = callback_url(self._settings, domain, name) if name in _KEYS else None
        secret = None if url is None else self._settings.domains[domain].callback_secret
        if url is None or secret is None:
            raise StorageError(f"{doing}: the settings name no callback_url for it")
        options = self._settings.callbacks
        try:
            answer = post(
                url, letter.body, secret, timeout_s=options.timeout_s, ca_file=options.ca_file
            )
        except StorageError as error:
            raise StorageError(f"{doing}: {error}", retryable=error.retryable) from error
        answer.check(doing, _MENDED)
