# SPDX-License-Identifier: Apache-2.0
"""The command line: one verb an operation.

Importing this package imports click and nothing heavy: a verb imports what it needs when it runs.
"""

from __future__ import annotations

import click

from audioengine.cli.batch_verb import batch
from audioengine.cli.convert_verb import convert
from audioengine.cli.demo import demo
from audioengine.cli.merge_verb import merge
from audioengine.cli.program import Program
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
