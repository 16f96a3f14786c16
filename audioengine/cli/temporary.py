# SPDX-License-Identifier: Apache-2.0
"""The verbs `ingest` and `sweep`: recordings into temporary storage, and old ones out of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audioengine.cli.convert_verb import leg_options, read_legs, read_timed
from audioengine.cli.extras import takes_service
from audioengine.cli.options import json_option, read_json, text_of

if TYPE_CHECKING:
    from audioengine.service.notifications.delivery import Delivery
    from audioengine.service.recorder.ingest import Ingested
    from audioengine.service.recorder.sweep import SweepReport
    from audioengine.settings import Settings

_SOME_FAILED = 3

_settings_option = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The TOML file; default as in the verb settings.",
)


def _read_meta(_ctx: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    return None if text is None else text_of(text)[0]


@click.command(
    epilog="Example: audioengine ingest --caller r.wav@1732953600000 --callee t.wav@1732953602500"
)
@click.argument("source", metavar="[FILE[@START]]", required=False)
@leg_options
@click.option(
    "--meta",
    callback=_read_meta,
    metavar="JSON|@FILE",
    help="recordingsPartsInfo: when the streams began, as in RECORDINGREADY; by default from the "
    "starts given.",
)
@click.option("--domain", metavar="NAME", help="The tenant; may be left out if there is only one.")
@click.option("--recording-id", metavar="ID", help="Default: a new version-1 UUID.")
@click.option(
    "--event",
    callback=read_json,
    metavar="JSON|@FILE",
    help="More of RECORDINGREADY: calledParty, conferenceSegments, relatedRecordings and so on.",
)
@_settings_option
@json_option
@takes_service
def ingest(
    source: str | None,
    caller: str | None,
    callee: str | None,
    raw: str | None,
    pcap: str | None,
    payload_types: tuple[str, ...],
    meta: str | None,
    domain: str | None,
    recording_id: str | None,
    event: object,
    settings_file: Path | None,
    as_json: bool,
) -> None:
    """Put the finished recording FILE into temporary storage, and tell that it is ready.

    What is no MP3 is converted first, as by convert, and so are the files or the capture that
    --caller, --callee and --pcap name. START is epoch milliseconds or ISO 8601; where nothing tells
    it, the recording is taken to have ended when its file was last written.

    It is kept with its domain and start, and goes into the catalogue; RECORDINGREADY goes to the
    topic and the tenant that the settings name. The same with the same ID may be done again.
    """
    from audioengine.execution.execute import storage_of
    from audioengine.service.recorder.ingest import ingest as run
    from audioengine.settings import load_settings

    if event is not None and not isinstance(event, Mapping):
        raise click.UsageError("--event must be a JSON object.")
    legs = read_legs(caller, callee, raw, pcap, payload_types)
    if (source is None) == (legs is None):
        given = "not both" if legs is not None else "one of them"
        raise click.UsageError(f"FILE, or --caller, --callee or --pcap must be given, {given}.")
    name, start_time_ms = (None, None) if source is None else read_timed(source)
    settings = load_settings(settings_file)
    told: dict[str, Any] = {**(event or {})}
    if meta is not None:
        told["meta"] = meta
    if recording_id is not None:
        told["recordingId"] = recording_id
    if (tenant := domain or _only_domain(settings)) is not None:
        told["domain"] = tenant
    done = run(
        legs or str(name),
        told,
        storage=storage_of(settings),
        settings=settings,
        delivery=_delivery(settings),
        start_time_ms=start_time_ms,
        raw=raw if legs is None else None,
    )
    click.echo(done.to_json() if as_json else _ingested(done))


@click.command(epilog="Example: audioengine sweep --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what is too old.")
@_settings_option
@json_option
@takes_service
def sweep(dry_run: bool, settings_file: Path | None, as_json: bool) -> None:
    """Delete temporary recordings that are older than recorder.expires_after_s.

    All versions of each, with the alarm tempRecordingDeleted, which waits in worker.outbox while it
    can't be sent. Exit code 3: some could not be deleted.
    """
    from audioengine.execution.execute import storage_of
    from audioengine.service.notifications.delivery import Delivery
    from audioengine.service.notifications.outbox import Outbox
    from audioengine.service.recorder.sweep import sweep as run
    from audioengine.service.recorder.wiring import senders_of
    from audioengine.settings import load_settings

    settings = load_settings(settings_file)
    storage, senders = storage_of(settings), senders_of(settings)
    if dry_run:
        report = run(storage, settings, _delivery(settings), dry_run=True)
    else:
        with closing(Outbox(settings.worker.outbox)) as outbox:
            report = run(storage, settings, Delivery(senders, outbox))
            outbox.flush(senders)
    click.echo(report.to_json() if as_json else _swept(report))
    if report.failures:
        raise click.exceptions.Exit(_SOME_FAILED)


def _delivery(settings: Settings) -> Delivery:
    """What tells at once, and keeps nothing: whatever fails is done again by the same verb."""
    from audioengine.service.notifications.delivery import Delivery
    from audioengine.service.recorder.wiring import callbacks_of, senders_of

    return Delivery(senders_of(settings), None, callback=callbacks_of(settings))


def _only_domain(settings: Settings) -> str | None:
    return next(iter(settings.domains)) if len(settings.domains) == 1 else None


def _ingested(done: Ingested) -> str:
    event = done.event
    return "\n".join(
        (
            f"Stored    {done.location}",
            *(
                ["Start     approximate: from the time at which the file was last written"]
                if done.approximate
                else []
            ),
            f"Recording {event.recording_id} of {event.domain}",
            f"replyId   {event.reply_id}",
        )
    )


def _swept(report: SweepReport) -> str:
    done = "would be deleted" if report.dry_run else "deleted"
    lines = [
        f"{one.place}: of {one.domain or 'nobody'}, written {one.modified}, {done}"
        for one in report.deleted
    ]
    lines += [f"{failure}, NOT {done}" for failure in report.failures]
    entries = f"entries of the catalogue: {report.entries:,}"
    lines.append(f"Swept     recordings: {len(report.deleted):,}, {entries}")
    return "\n".join(lines)
