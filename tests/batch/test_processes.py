# SPDX-License-Identifier: Apache-2.0
"""Jobs in processes: those that die are replaced, and the one that kills them is found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import audioengine as ae
from audioengine.batch import processes, run
from audioengine.batch.job_outcome import How
from audioengine.batch.manifest import jobs_of
from audioengine.batch.manifest_job import Job
from audioengine.batch.processes import Processes
from tests.batch import helpers
from tests.batch.helpers import CALL, EDIT, FULL, TEMPORARY, entries, job, made, manifest_of


@pytest.mark.parametrize("several", [False, True])
def test_jobs_of_a_process_that_dies_are_done_again_and_one_that_kills_it_is_given_up(
    several: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beside it, even in it, are not blamed; nothing is left of what was half written."""
    monkeypatch.setattr(run, "_is_in_s3", lambda *_: several)
    monkeypatch.setattr(processes, "do_in_process", helpers.do_or_die)
    names = [helpers.ALWAYS, "a", "b", helpers.ONCE, "c"]
    lines = [job(tmp_path / f"{name}.mp3", CALL, modification=EDIT) for name in names]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    report = ae.run_batch(manifest, journal, options=FULL, concurrency=2)
    assert (report.jobs, report.done, report.failed) == (5, 4, 1)
    (failure,) = report.failures
    assert (failure.line, failure.type, failure.retryable) == (1, "WorkerDied", True)
    deaths = len((tmp_path / f"{helpers.ALWAYS}.mp3.died").read_text())
    # Once in company, where another may be to blame, if that was not what killed the process.
    company = deaths - processes._MOST_DEATHS
    assert company == 1 or (several and company == 0)
    assert Counter(entry["line"] for entry in entries(journal)) == dict.fromkeys(range(1, 6), 1)
    wanted = made(CALL, EDIT, render="full")
    for name in names[1:]:
        assert (tmp_path / f"{name}.mp3").read_bytes() == wanted
    assert not (tmp_path / f"{helpers.ALWAYS}.mp3").exists()
    left = [path.name for path in tmp_path.glob(TEMPORARY)]
    assert all(name.startswith(f".{helpers.ALWAYS}.mp3.") for name in left)


def test_one_more_is_in_hand_for_each_process_and_what_has_not_begun_can_be_given_up(
    tmp_path: Path,
) -> None:
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(20)]
    jobs = [one for one in jobs_of(str(manifest_of(tmp_path, lines))) if isinstance(one, Job)]
    does = Processes(How(FULL), 1)
    try:
        assert (does.room, does.busy) == (2, False)
        for one in jobs[:10]:  # more than there is room for is taken too
            does.submit(one)
        assert does.busy
        assert does.room < 0
        ended = list(does.ended())
        does.cancel()
        assert does.room == 0
        while does.busy:
            ended += does.ended()
    finally:
        does.close()
    assert 1 <= len(ended) < 10
    assert all(outcome.error is None for _, outcome in ended)
    outputs = {str(path) for path in tmp_path.glob("*.mp3")}
    assert outputs == {one.journal_fields()["destination"] for one, _ in ended}
