# SPDX-License-Identifier: Apache-2.0
"""The verb `worker`: commands from the queue, until it is asked to stop."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from audioengine.cli.extras import takes_service
from audioengine.cli.options import json_option


@click.command(epilog="Example: audioengine worker --settings audioengine.toml")
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The TOML file; default as in the verb settings.",
)
@json_option
@takes_service
def worker(path: Path | None, as_json: bool) -> None:  # noqa: ARG001 - it logs JSON anyway
    """Carry out commands of the queue, and tell of them, until SIGTERM or Ctrl-C.

    Then no more are taken, and those that run come to their end. Logs go to stderr, as JSON.
    """
    from audioengine.service.logs import set_up_logs
    from audioengine.service.recorder.wiring import senders_of, whole_worker
    from audioengine.settings import load_settings

    settings = load_settings(path)
    set_up_logs(settings.worker.log_level)
    with whole_worker(settings, senders_of(settings)) as runs:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runs.stop())
        runs.run()
