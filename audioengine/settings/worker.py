# SPDX-License-Identifier: Apache-2.0
"""The table `worker`: which queue, how many at once, how long, and where letters wait."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from audioengine.commands.wire import OptionalText
from audioengine.settings.table import Table, web_url

LONGEST_VISIBILITY_S = 12 * 3600
"""SQS keeps a message from others for no longer, however often that is extended."""


class WorkerSettings(Table):
    """How commands are taken from their queue."""

    queue_url: Annotated[OptionalText, Field(min_length=1)] = None
    """Of SQS. None: that of `fallbacks.command_queue`."""
    region: Annotated[OptionalText, Field(min_length=1)] = None
    """Of the queue. None: as boto3 finds it."""
    endpoint_url: Annotated[str | None, AfterValidator(web_url("endpoint_url"))] = None
    """Of what speaks like SQS and SNS."""
    embedded: Path | None = None
    """Folder where queues and topics are files, for one machine. None: they are those of AWS."""
    processes: Annotated[int, Field(ge=1)] | None = None
    """None: one a processor, and two where recordings are in S3."""
    visibility_s: Annotated[int, Field(ge=1, le=LONGEST_VISIBILITY_S // 2)] = 60
    """How long a dead worker's commands are kept from others; extended while they are in work."""
    longest_s: Annotated[int, Field(ge=1, le=LONGEST_VISIBILITY_S // 2)] = 3600
    """How long a try at a command may take."""
    wait_s: Annotated[int, Field(ge=0, le=20)] = 10
    """Of a long poll."""
    max_receives: Annotated[int, Field(ge=1)] | None = None
    """How often a command is tried, at most as the queue's redrive policy says.

    None: as often as that, else 10 times.
    """
    settle_dead_letters: bool = True
    """Whether commands that a killed worker left to the dead letters are reported and deleted."""
    backoff_s: Annotated[int, Field(ge=0, le=900)] = 5
    """Before a second try; each further one doubles it, up to 15 minutes."""
    drain_s: Annotated[int, Field(ge=0)] = 25
    """How long running commands may go on after SIGTERM, before they are given back."""
    outbox: Path = Path("audioengine-outbox.db")
    """A file on a disk that lasts."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where Prometheus finds the figures, under /metrics. None: nowhere."""
    metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
