# SPDX-License-Identifier: Apache-2.0
"""STOPRECORDING and CANCELRECORDING on their way to the recorder: over HTTP, or by a queue.

What it gets is ``{"method", "recordingId", "domain"}``. What comes of it, it reports.
"""

from __future__ import annotations

import json

from audioengine.commands.requests import CancelRecording, StopRecording
from audioengine.errors import StorageError
from audioengine.execution.context import Control
from audioengine.service.endpoints import queue_at
from audioengine.service.notifications.webhook_client import post
from audioengine.service.queues.queue import METHOD, CommandQueue
from audioengine.settings import Settings


class HttpControl(Control):
    """POSTs them to `recorder.control_url`, signed as callbacks are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        """POST a command.

        Raises StorageError, `retryable` where the recorder gives no answer or one of 408, 425, 429
        or from 500 up; any other but a success is a refusal.
        """
        recorder = self._settings.recorder
        doing = f"can't pass {command.method} on to the recorder"
        if recorder.control_url is None or recorder.control_secret is None:
            raise StorageError(f"{doing}: recorder.control_url must be set")
        try:
            answer = post(
                recorder.control_url,
                _json(command, domain),
                recorder.control_secret,
                timeout_s=recorder.control_timeout_s,
                ca_file=self._settings.callbacks.ca_file,
            )
        except StorageError as error:
            raise StorageError(f"{doing}: {error}", retryable=error.retryable) from error
        answer.check(doing)


class QueueControl(Control):
    """Puts them on a queue that the recorder reads."""

    def __init__(self, queue: CommandQueue) -> None:
        self._queue = queue

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        """Queue a command, behind those about the same recording.

        Raises StorageError.
        """
        attributes = {METHOD: command.method}
        self._queue.send(_json(command, domain), group=command.recording_id, attributes=attributes)


def control_of(settings: Settings) -> Control | None:
    """Return what reaches the recorder; None where settings name no way to it."""
    recorder = settings.recorder
    if recorder.control_url is not None:
        return HttpControl(settings)
    if recorder.control_queue is not None:
        return QueueControl(queue_at(recorder.control_queue, settings))
    return None


def _json(command: StopRecording | CancelRecording, domain: str) -> str:
    values = {"method": command.method, "recordingId": command.recording_id, "domain": domain}
    return json.dumps(values)
