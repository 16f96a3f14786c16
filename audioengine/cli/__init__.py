# SPDX-License-Identifier: Apache-2.0
"""The command line: one verb an operation.

Importing this package imports click and nothing heavy: a verb is imported when it is asked for,
and imports what it needs when it runs.
"""

from __future__ import annotations

import click

from audioengine.cli.program import Program, Verb
from audioengine.version import VERSION

__all__ = ["main"]


@click.group(cls=Program, context_settings={"max_content_width": 100})
@click.version_option(VERSION, prog_name="audioengine")
def main() -> None:
    """Trim, mask and merge stereo MP3 call recordings, re-encoding only the frames that change.

    Exit codes: 0 done, 1 failed, 2 wrong usage or invalid request, 3 some jobs of a batch failed,
    130 interrupted. After anything but 0 and 3 there is no output.
    """


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
    "review": Verb(
        "review_verbs",
        "Make a page that shows what `store` makes of SRC, and plays it before and after.",
    ),
    "labels": Verb(
        "redaction_verbs",
        "Write the masks of REPORT as a label track, to look at what was masked.",
    ),
    "dtmf": Verb(
        "redaction_verbs",
        "List where keys of a telephone (DTMF) are heard in the recording SRC.",
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
