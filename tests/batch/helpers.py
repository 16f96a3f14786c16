# SPDX-License-Identifier: Apache-2.0
"""Manifests, journals, and jobs that kill the process that works on them.

Worker processes import this module, so it imports little.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from audioengine.batch import work
from audioengine.batch.manifest_job import Job
from audioengine.batch.work import Outcome
from audioengine.operations.options import StoreOptions
from audioengine.storage import S3Options, open_destination

FIXTURES = Path(__file__).parents[2] / "fixtures"
SHORT = FIXTURES / "mpeg25-8k-32k.mp3"
MASK = {"mask": {"caller": [{"from": 1, "to": 2}]}}
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


def do_or_die(job: Job, options: StoreOptions, s3: S3Options | None, retries: int) -> Outcome:
    """Do a job, unless its destination says that the process dies in the middle of it."""
    destination = job.told()["destination"]
    mark = Path(f"{destination}.died")
    if ALWAYS in destination or (ONCE in destination and not mark.exists()):
        with mark.open("a") as file:
            file.write("x")
        open_destination(destination).write(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    return work.do(job, options, s3, retries)
