# SPDX-License-Identifier: Apache-2.0
"""What REST tells of itself: metrics for Prometheus, and one line of log a command."""

from __future__ import annotations

import logging
import traceback

from prometheus_client import Counter, Histogram

from audioengine.errors import AudioEngineError
from audioengine.service.rest.judging import Judged

REQUESTS = Counter(
    "audioengine_rest_requests_total", "Requests of commands answered.", ["method", "code"]
)
SECONDS = Histogram("audioengine_rest_seconds", "From a request's head to its answer.", ["method"])

_LOG = logging.getLogger("audioengine.rest")


def taken(judged: Judged, domain: str, message_id: str) -> None:
    """Tell that a command is queued."""
    told = {
        "recordingId": judged.recording_id,
        "domain": domain,
        "commandDigest": judged.digest,
        "method": judged.command.method,
        "messageId": message_id,
        "warnings": [one.message for one in judged.notices],
    }
    _LOG.info("command queued", extra=told)


def refused(domain: str, method: str, code: int) -> None:
    """Tell that a command of a domain, which its token proves, was not taken."""
    _LOG.info("command refused", extra={"domain": domain, "method": method, "code": code})


def failed(error: BaseException, domain: str, method: str) -> None:
    """Tell that a command could not be queued."""
    told = {"domain": domain, "method": method, "error": type(error).__name__}
    if isinstance(error, AudioEngineError):
        _LOG.error("command not queued: %s", error, extra=told)
        return
    # The message of a bug's exception may hold anything; where it was raised does not.
    where = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("internal error\n%s", where, extra=told)
