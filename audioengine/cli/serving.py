# SPDX-License-Identifier: Apache-2.0
"""The verb `serve`: commands over HTTP, onto the queue, until it is asked to stop."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click


@click.command(epilog="Example: audioengine serve --settings audioengine.toml --port 8080")
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The TOML file; default as in the verb settings.",
)
@click.option("--host", help="Address to listen at, in place of that of the settings.")
@click.option("--port", type=click.IntRange(0, 65535), help="Likewise; 0 is one that is free.")
def serve(path: Path | None, host: str | None, port: int | None) -> None:
    """Take commands in over HTTP and put them on the queue, until SIGTERM or Ctrl-C.

    Then no more are taken, and requests under way are answered. Takes audioengine[service].
    """
    from audioengine.service.logs import set_up_logs
    from audioengine.service.rest.app import make_app
    from audioengine.service.rest.serving import serve as run
    from audioengine.service.running import queue_of
    from audioengine.settings import load_settings

    settings = load_settings(path)
    given = {"host": host, "port": port}
    rest = settings.rest.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    set_up_logs()
    run(make_app(settings, queue_of(settings)), rest, partial(click.echo, err=True))
