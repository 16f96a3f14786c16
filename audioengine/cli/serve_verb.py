# SPDX-License-Identifier: Apache-2.0
"""The verb `serve`: commands over HTTP, onto the queue, until it is asked to stop."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audioengine.cli.extras import takes_service

if TYPE_CHECKING:
    from audioengine.service.embedded import Place
    from audioengine.settings import RestSettings, Settings


@click.command(epilog="Example: audioengine serve --settings audioengine.toml --port 8080")
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The TOML file; default as in the verb settings.",
)
@click.option(
    "--embedded",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The whole service in one, with all that it keeps in this folder, which is made.",
)
@click.option("--host", help="Address to listen at, in place of that of the settings.")
@click.option("--port", type=click.IntRange(0, 65535), help="Likewise; 0 is one that is free.")
@takes_service
def serve(path: Path | None, folder: Path | None, host: str | None, port: int | None) -> None:
    """Take commands in over HTTP and put them on the queue, until SIGTERM or Ctrl-C.

    Then no more are taken, and requests under way are answered; --embedded drains its worker too.
    Takes audioengine[service].
    """
    given = {"host": host, "port": port}
    if folder is None:
        _serve(path, given)
    elif path is None:
        _serve_embedded(folder, given)
    else:
        raise click.UsageError("--settings can't be given with --embedded: its folder has them.")


def _serve(path: Path | None, given: dict[str, str | int | None]) -> None:
    from audioengine.service.endpoints import queue_of
    from audioengine.service.logs import set_up_logs
    from audioengine.service.metrics import Metrics
    from audioengine.service.recorder.openapi import recorder_part
    from audioengine.service.recorder.wiring import routes_served, senders_of
    from audioengine.service.rest.app import make_app
    from audioengine.service.rest.serving import serve as run
    from audioengine.service.rest.serving import server_of
    from audioengine.settings import load_settings

    settings = load_settings(path)
    rest = _rest(settings, given)
    set_up_logs(settings.worker.log_level)
    metrics = Metrics()
    with routes_served(settings, senders_of(settings), metrics) as routes:
        described, figures = (recorder_part(), [metrics.text]) if routes else (None, [])
        app = make_app(settings, queue_of(settings), routes, described, metrics=figures)
        run(server_of(app, rest), rest, partial(click.echo, err=True))


def _serve_embedded(folder: Path, given: dict[str, str | int | None]) -> None:
    from audioengine.service.embedded import prepare, serve_embedded
    from audioengine.service.logs import set_up_logs

    place = prepare(folder)
    set_up_logs(place.settings.worker.log_level)
    serve_embedded(
        place,
        _rest(place.settings, given),
        ready=lambda url: click.echo(_told(place, url), err=True),
        show=click.echo,
    )


def _rest(settings: Settings, given: dict[str, str | int | None]) -> RestSettings:
    named = {name: value for name, value in given.items() if value is not None}
    return settings.rest.model_copy(update=named)


def _told(place: Place, url: str) -> str:
    return "\n".join(
        (
            url,
            f"Tenant    {place.domain}",
            f"Token     {place.token}",
            f"Settings  {click.format_filename(place.settings_file)}",
            f"Outputs   {click.format_filename(place.outputs)}",
            f"Events and alarms, also in {click.format_filename(place.topics)}:",
        )
    )
