# SPDX-License-Identifier: Apache-2.0
"""The command line: one verb an operation.

Importing this package imports click and nothing heavy: a verb is imported when it is asked for,
and imports what it needs when it runs.
"""

from __future__ import annotations

import click

from audioengine.cli.batch_verb import batch
from audioengine.cli.convert_verb import convert
from audioengine.cli.demo import demo
from audioengine.cli.merge_verb import merge
from audioengine.cli.program import Program, Verb
from audioengine.cli.redaction_verbs import dtmf, labels
from audioengine.cli.review_verbs import peaks
from audioengine.cli.schema import schema
from audioengine.cli.serve_verb import serve
from audioengine.cli.settings import settings
from audioengine.cli.temporary import ingest, sweep
from audioengine.cli.verbs import inspect, plan, store
from audioengine.cli.verify_record_verb import verify_record
from audioengine.cli.verify_verbs import verify, verify_merge
from audioengine.cli.worker_verb import worker
from audioengine.version import VERSION

__all__ = ["main"]


@click.group(cls=Program, context_settings={"max_content_width": 100})
@click.version_option(VERSION, prog_name="audioengine")
def main() -> None:
    """Trim, mask and merge stereo MP3 call recordings, re-encoding only the frames that change.

    Exit codes: 0 done, 1 failed, 2 wrong usage or invalid request, 3 some jobs of a batch failed,
    130 interrupted. After anything but 0 and 3 there is no output.
    """


_VERBS = (
    store,
    merge,
    convert,
    batch,
    plan,
    verify,
    verify_merge,
    verify_record,
    inspect,
    peaks,
    labels,
    dtmf,
    ingest,
    sweep,
    settings,
    schema,
    worker,
    serve,
    demo,
)
for _verb in _VERBS:
    main.add_command(_verb)
main.verbs = {
    "store": Verb("verbs", "Trim and mask the recording SRC into DST, which may be the same file."),
    "merge": Verb("merge_verb", "Put recordings of one conversation onto one clock, in DST."),
    "convert": Verb(
        "convert_verb",
        "Make the recording DST of what a recorder leaves: an MP3, exact on its clock.",
    ),
    "batch": Verb(
        "batch_verb",
        "Do all jobs of MANIFEST: JSON Lines with source, destination and modification.",
    ),
    "plan": Verb("verbs", "Say what `store` would do with SRC."),
    "verify": Verb(
        "verify_verbs",
        "Judge whether OUT is what `store` promises to make of SRC with the same options.",
    ),
    "verify-merge": Verb(
        "verify_verbs", "Judge whether OUT is what `merge` promises to make with the same options."
    ),
    "verify-record": Verb(
        "verify_record_verb", "Judge the custody record RECORD, and the files that it names."
    ),
    "inspect": Verb("verbs", "Describe the recording SRC by its frames."),
    "peaks": Verb(
        "review_verbs", "Write the waveform of the recording SRC, as audiowaveform writes it."
    ),
    "ingest": Verb(
        "temporary",
        "Put the finished recording FILE into temporary storage, and tell that it is ready.",
    ),
    "sweep": Verb(
        "temporary", "Delete temporary recordings that are older than recorder.expires_after_s."
    ),
    "settings": Verb("settings", "Print the settings in effect, secrets as ***."),
    "schema": Verb("schema", "Print the JSON Schema of the command, event or alarm NAME."),
    "worker": Verb(
        "worker_verb", "Carry out commands of the queue, and tell of them, until SIGTERM or Ctrl-C."
    ),
    "serve": Verb(
        "serve_verb",
        "Take commands in over HTTP and put them on the queue, until SIGTERM or Ctrl-C.",
    ),
    "demo": Verb(
        "demo", "Edit a recorded call, merge three, and verify both with a decoder that isn't ours."
    ),
}
