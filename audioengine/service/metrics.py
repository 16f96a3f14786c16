# SPDX-License-Identifier: Apache-2.0
"""What the service counts, for Prometheus.

Importing this module imports prometheus_client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from audioengine.errors import StorageError

CommandOutcome: TypeAlias = Literal["done", "repeated", "failed", "retried"]
Stage: TypeAlias = Literal["queue", "turn", "execute", "deliver", "delete"]
"""From sent to received; waiting for its recordings; in the engine; events out; off the queue."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.registry = CollectorRegistry()
        self._commands = Counter(
            "audioengine_commands",
            "Commands that ended, and tries that are made again",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self._warnings = Counter(
            "audioengine_warnings",
            "Warnings about commands, by their code",
            ("code",),
            registry=self.registry,
        )
        self._audio = Counter(
            "audioengine_audio_seconds", "Seconds of audio in outputs", registry=self.registry
        )
        self._remade = Counter(
            "audioengine_remade_seconds", "Seconds of audio re-encoded", registry=self.registry
        )
        self._letters = Counter(
            "audioengine_letters",
            "Events, alarms and callbacks: sent, or waiting in the outbox",
            ("channel", "outcome"),
            registry=self.registry,
        )
        self._stages = Histogram(
            "audioengine_stage_seconds",
            "Time that commands spend, by stage",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._age = Gauge(
            "audioengine_queue_age_seconds",
            "Age of the command that was received last",
            registry=self.registry,
        )
        self._outbox = Gauge(
            "audioengine_outbox_depth", "Letters that wait in the outbox", registry=self.registry
        )
        self._held = Gauge("audioengine_commands_held", "Commands in hand", registry=self.registry)
        self._away = Gauge(
            "audioengine_commands_away",
            "Commands that were given back to the queue and keep their places",
            registry=self.registry,
        )

    def command(self, kind: str | None, outcome: CommandOutcome) -> None:
        """Count a command; kind: its method, None for what names none."""
        self._commands.labels(kind or "unknown", outcome).inc()

    def warned(self, code: str) -> None:
        """Count a warning about a command that was carried out."""
        self._warnings.labels(code).inc()

    def audio(self, seconds: float, remade_seconds: float) -> None:
        """Count what an output holds, and what of it was re-encoded."""
        self._audio.inc(seconds)
        self._remade.inc(remade_seconds)

    def letter(self, channel: str, outcome: Literal["sent", "waiting", "lost"]) -> None:
        """Count what leaves the service."""
        self._letters.labels(channel, outcome).inc()

    def received(self, sent_ms: int, now: float | None = None) -> None:
        """Note how old a command was when it came; now: in epoch seconds."""
        age = max(0.0, (time.time() if now is None else now) - sent_ms / 1000)
        self._age.set(age)
        self.took("queue", age)

    def took(self, stage: Stage, seconds: float) -> None:
        """Note the time of a stage."""
        self._stages.labels(stage).observe(seconds)

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Note the time that a block takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.took(stage, time.monotonic() - began)

    def watch(
        self,
        *,
        outbox: Callable[[], int] | None,
        held: Callable[[], int] | None = None,
        away: Callable[[], int] | None = None,
    ) -> None:
        """Say who knows the figures that are asked for when they are read."""
        if outbox is not None:
            self._outbox.set_function(lambda: _depth(outbox))
        if held is not None:
            self._held.set_function(held)
        if away is not None:
            self._away.set_function(away)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)


def _depth(outbox: Callable[[], int]) -> float:
    try:
        return outbox()
    except StorageError:
        return float("nan")
