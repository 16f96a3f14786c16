# SPDX-License-Identifier: Apache-2.0
"""Commands on their way to a recorder: over real HTTP, and by moto's SQS."""

from __future__ import annotations

import json
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.requests import CancelRecording, StopRecording
from audioengine.service.queues.sqs import SqsQueue
from audioengine.service.recorder.control import HttpControl, QueueControl, control_of
from tests.execution.service import DOMAIN, RECORDING, delete_command, run, storage
from tests.service.cloud import Cloud
from tests.service.recorder import deployment
from tests.service.recorder.deployment import SECRET
from tests.service.recorder.servers import Host, answering, reset, silent
from tests.service.recorder.test_callbacks import check_signature

STOP = StopRecording(recording_id=RECORDING, reply_id="t")
TOLD = {"recordingId": RECORDING, "domain": DOMAIN}


def settings(recorder: Host, **more: Any) -> ae.Settings:
    control = {"control_url": recorder.url + "/control", "control_secret": SECRET}
    return deployment.settings(recorder={**control, **more})


@pytest.mark.parametrize("method", ["STOPRECORDING", "CANCELRECORDING"])
def test_a_recorder_is_told_over_http(method: str, recorder: Host) -> None:
    """The whole way: from the command to the recorder."""
    control = control_of(settings(recorder))
    assert isinstance(control, HttpControl)
    outcome = run({**delete_command(), "method": method}, storage(), control=control)
    assert outcome.error is None
    (asked,) = recorder.asked
    assert (asked.method, asked.path) == ("POST", "/control")
    assert asked.json == {"method": method, **TOLD}
    check_signature(asked)


@pytest.mark.parametrize("method", ["STOPRECORDING", "CANCELRECORDING"])
def test_a_recorder_is_told_by_a_queue(method: str, cloud: Cloud) -> None:
    url = cloud.queue_url(fifo=True)
    control = control_of(deployment.settings(recorder={"control_queue": url}))
    assert isinstance(control, QueueControl)
    outcome = run({**delete_command(), "method": method}, storage(), control=control)
    assert outcome.error is None
    (message,) = SqsQueue(url).receive(10, 1)
    assert message.group == RECORDING
    assert message.attributes == {"method": method}
    assert json.loads(message.body) == {"method": method, **TOLD}


@pytest.mark.parametrize(
    ("status", "is_passing"), [(404, False), (409, False), (302, False), (503, True), (429, True)]
)
@pytest.mark.parametrize("method", ["STOPRECORDING", "CANCELRECORDING"])
def test_a_refusal_raises_the_command_s_alarm(
    method: str, status: int, *, is_passing: bool, recorder: Host, tenant: Host
) -> None:
    recorder.always = answering(status, location=tenant.url)
    control = HttpControl(settings(recorder))
    outcome = run({**delete_command(), "method": method}, storage(), control=control)
    assert outcome.retryable is is_passing
    assert outcome.event is None
    assert outcome.alarm is not None
    told = outcome.alarm.to_dict()
    assert list(told) == ["type", "event", "error"]
    assert told["type"] == f"{method[:-9].lower()}RecordingError"
    assert str(status) in told["error"]
    assert tenant.asked == []


@pytest.mark.parametrize("reply", [silent, reset])
def test_no_answer_may_pass(reply: Any, recorder: Host) -> None:
    recorder.always = reply
    with pytest.raises(ae.StorageError, match="STOPRECORDING") as caught:
        HttpControl(settings(recorder, control_timeout_s=0.3)).pass_on(STOP, DOMAIN)
    assert caught.value.retryable


def test_without_a_way_there_is_no_control() -> None:
    assert control_of(deployment.settings()) is None
    with pytest.raises(ae.StorageError, match="control_url"):
        HttpControl(deployment.settings()).pass_on(STOP, DOMAIN)
    cancel = CancelRecording(recording_id=RECORDING, reply_id="t")
    with pytest.raises(ae.StorageError, match="CANCELRECORDING"):
        HttpControl(deployment.settings()).pass_on(cancel, DOMAIN)
