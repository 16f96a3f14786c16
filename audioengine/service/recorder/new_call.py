# SPDX-License-Identifier: Apache-2.0
"""newCall: a tenant is asked whether a call is to be recorded, while the call waits."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from audioengine.commands.alarms import ApiRequestAlarm
from audioengine.commands.events import SipCallId
from audioengine.commands.wire import OptionalText, Text, Wire
from audioengine.errors import InvalidRequestError, StorageError
from audioengine.execution.outcome import Notification
from audioengine.json_input import parse_json
from audioengine.service.logs import log
from audioengine.service.notifications.callbacks import NEW_CALL, callback_url
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.webhook_client import Answer, posting
from audioengine.service.recorder.event_routing import alarm_notification
from audioengine.settings import Settings

_ALARM_EVERY_S = 60
_FAILED = "Error calling newCall API"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall(Wire):
    """A call that is about to be recorded."""

    domain: Text
    recording_id: Text
    meta_data: OptionalText = None
    """SIPREC's metadata document."""
    sip_rec_call_id: SipCallId = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call is to be recorded."""

    record: bool
    alarm: Notification | None = None
    """apiRequestError, where the tenant gave no answer; the call must not wait for it too."""


class NewCalls:
    """Asks tenants, each no more often at once than the settings say; for one event loop."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask nothing yet; clock: in seconds."""
        self._settings = settings
        self._clock = clock
        self._asking: Counter[str] = Counter()
        self._alarm_at: dict[str, float] = {}

    async def decide(self, call: NewCall) -> Decision:
        """Return whether a call is to be recorded: as its tenant says, within the settings' time.

        Where there is nobody to ask, no answer that can be understood, or the tenant is being asked
        very often already, `callbacks.new_call_default`; but for the first, there is an alarm to
        tell, of the last one a minute. It is asked once: the call waits.
        """
        url = callback_url(self._settings, call.domain, NEW_CALL)
        options = self._settings.callbacks
        if url is None:
            return Decision(options.new_call_default)
        if self._asking[call.domain] >= options.new_call_concurrency:
            return Decision(options.new_call_default, self._too_many(call, url))
        self._asking[call.domain] += 1
        answer: Answer | None = None
        try:
            answer = await self._answer(call, url)
            return Decision(_said(answer))
        except StorageError as error:
            alarm = _alarm(call, url, str(error), answer)
            return Decision(options.new_call_default, alarm_notification(alarm, self._settings))
        finally:
            self._asking[call.domain] -= 1

    async def _answer(self, call: NewCall, url: str) -> Answer:
        options, tenant = self._settings.callbacks, self._settings.domains[call.domain]
        assert tenant.callback_secret is not None  # settings see to it
        question = {name: one for name, one in call.to_dict().items() if name != "domain"}
        asked = posting(
            url,
            json.dumps(question),
            tenant.callback_secret,
            timeout_s=options.new_call_timeout_s,
            ca_file=options.ca_file,
        )
        return await asyncio.wrap_future(asked)

    def _too_many(self, call: NewCall, url: str) -> Notification | None:
        most, now = self._settings.callbacks.new_call_concurrency, self._clock()
        log().warning("tenant is asked too often at once", domain=call.domain, most=most)
        if now - self._alarm_at.get(call.domain, float("-inf")) < _ALARM_EVERY_S:
            return None
        self._alarm_at[call.domain] = now
        alarm = _alarm(call, url, f"{most} questions wait for an answer already", None)
        return alarm_notification(alarm, self._settings)


def raise_alarm(notification: Notification, delivery: Delivery) -> None:
    """Send the alarm of a decision; a lost one is logged."""
    try:
        delivery.deliver(notification, command=None)
    except StorageError as failure:
        alarm = notification.alarm
        log().error("alarm is lost", alarm=alarm and alarm.to_dict(), error=str(failure))


def _said(answer: Answer) -> bool:
    """Whether an answer says that the call is to be recorded. Raises StorageError."""
    if not answer.is_success:
        raise StorageError(_FAILED)
    try:
        said = parse_json(answer.body, "answer")
    except InvalidRequestError:
        said = None
    record = said.get("recordCall") if isinstance(said, dict) else None
    if not isinstance(record, bool):
        raise StorageError(f'{_FAILED}: the answer must be {{"recordCall": true}} or false')
    return record


def _alarm(call: NewCall, url: str, error: str, answer: Answer | None) -> ApiRequestAlarm:
    return ApiRequestAlarm(
        domain=call.domain,
        recording_id=call.recording_id,
        error=error if error.startswith(_FAILED) else f"{_FAILED}: {error}",
        method="POST",
        request_uri=url,
        status_code=None if answer is None else answer.status,
        status_message=None if answer is None else answer.reason,
    )
