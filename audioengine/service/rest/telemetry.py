# SPDX-License-Identifier: Apache-2.0
"""Telemetry of REST: metrics for Prometheus, and a line of log for each command."""

from __future__ import annotations

import asyncio
import logging
import traceback

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from audioengine.errors import AudioEngineError
from audioengine.service.rest.command_check import Judged

_LOG = logging.getLogger("audioengine.rest")


class RestMetrics:
    """The figures of one application."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "audioengine_rest_requests",
            "Requests with commands, by their answers",
            ("kind", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "audioengine_rest_seconds",
            "Time from a request's head to its answer",
            ("kind",),
            registry=self.registry,
        )

    def answered(self, kind: str, code: int, seconds: float) -> None:
        """Count a request; kind: the method of its path."""
        self._requests.labels(kind, code).inc()
        self._seconds.labels(kind).observe(seconds)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)


def taken(judged: Judged, domain: str, message_id: str) -> None:
    """Tell that a command is queued."""
    fields = {
        "recordingId": judged.recording_id,
        "domain": domain,
        "commandDigest": judged.digest,
        "kind": judged.command.method,
        "messageId": message_id,
        "warnings": [one.message for one in judged.notices],
    }
    _LOG.info("command queued", extra=fields)


def log_refusal(domain: str, kind: str, code: int) -> None:
    """Tell that a command was not taken; its token proves the domain."""
    _LOG.info("command refused", extra={"domain": domain, "kind": kind, "code": code})


def log_failure(error: BaseException, domain: str, kind: str) -> None:
    """Tell that a command could not be queued."""
    fields = {"domain": domain, "kind": kind, "error": type(error).__name__}
    if isinstance(error, (AudioEngineError, asyncio.TimeoutError)):
        _LOG.error("command not queued: %s", str(error) or "not in time", extra=fields)
        return
    # The message of a bug's exception may hold anything; where it was raised does not.
    where = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("internal error\n%s", where, extra=fields)
