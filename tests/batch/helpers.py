# SPDX-License-Identifier: Apache-2.0
"""Manifests, journals, and jobs that kill the process that works on them.

Worker processes import this module, so it imports little.
"""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import audioengine as ae
from audioengine.batch import run_job as work
from audioengine.batch.cluster import _Sealed
from audioengine.batch.job_outcome import How, JobOutcome
from audioengine.batch.manifest_job import Job
from audioengine.storage import open_destination

FIXTURES = Path(__file__).parents[2] / "fixtures"
SHORT = FIXTURES / "mpeg25-8k-32k.mp3"
CALL = FIXTURES / "mpeg2-16k-48k.mp3"
"""6 s of a call."""
MASK = {"mask": {"caller": [{"from": 1, "to": 2}]}}
EDIT = {**MASK, "trim": {"from": 0.5, "to": 4}}
FULL = ae.StoreOptions(render="full")
STORE = {
    "method": "STORERECORDING",
    "recordingId": "4711",
    "replyId": "x.y.z",
    "destinationBucket": "kept",
    "destinationRegion": "us-west-2",
    "fileName": "a.mp3",
}
"""A command."""
TEMPORARY = ".*.audioengine-part"
ALWAYS = "always"
"""Part of the name of a destination that no process survives."""
ONCE = "once"
"""Part of the name of a destination that the first process does not survive."""


def job(destination: Path | str, source: Path | str = SHORT, **more: Any) -> dict[str, Any]:
    """A line of a manifest."""
    return {"source": str(source), "destination": str(destination), **more}


def manifest_of(folder: Path, lines: Iterable[dict[str, Any] | str]) -> Path:
    """A manifest of such lines; text is taken as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path = folder / "jobs.jsonl"
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def entries(journal: Path) -> list[dict[str, Any]]:
    """What a journal says of jobs, each line whole."""
    head, *rest = (json.loads(line) for line in journal.read_text().split("\n") if line)
    assert head["journal"] == 1
    return rest


def made(source: Path, params: Any, **options: Any) -> bytes:
    """What `store` makes of a recording."""
    out = io.BytesIO()
    ae.store(source, out, ae.Modification.from_params(params), ae.StoreOptions(**options))
    return out.getvalue()


def do_or_die(job: Job, how: How) -> JobOutcome:
    """Do a job, unless its destination says that the process dies in the middle of it."""
    destination = job.journal_fields()["destination"]
    mark = Path(f"{destination}.died")
    if ALWAYS in destination or (ONCE in destination and not mark.exists()):
        with mark.open("a") as file:
            file.write("x")
        open_destination(destination).write(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    return work.do_job(job, how)


def do_sealed_or_die(sealed: _Sealed) -> JobOutcome:
    """Do the same on a worker of a cluster."""
    return do_or_die(sealed.job, sealed.how)


def tell_event(job: Job, _how: How) -> JobOutcome:
    """End a job as a command ends; its destination says whether it fails."""
    if "failing" in job.journal_fields()["destination"]:
        error = {"type": "StorageError", "message": "no", "retryable": False}
        return JobOutcome(error=error, alarm={"event": "storeRecordingError"})
    return JobOutcome(report={}, event={"event": "RECORDINGSTORED"})


def tell_environment(_job: Job, _how: How) -> JobOutcome:
    """Do nothing but tell of a variable."""
    return JobOutcome(report={"told": os.environ.get("AUDIOENGINE_TOLD")})
