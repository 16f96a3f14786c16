# SPDX-License-Identifier: Apache-2.0
"""One job: tried again where that may help, and nothing is raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import tenacity

import audioengine as ae
from audioengine.batch import work
from audioengine.batch.manifest import jobs_of
from audioengine.batch.manifest_job import Job
from audioengine.batch.outcome import How, JobOutcome
from tests.batch.helpers import job, manifest_of


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ae.StorageError("slow down", retryable=True), 3),
        (ae.StorageError("denied"), 1),
        (ae.InvalidRequestError.of("trim", 1, "must not be"), 1),
        (KeyError("a bug"), 1),
    ],
)
def test_only_what_may_pass_is_tried_again(
    error: Exception, attempts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def fail(*arguments: Any, **_: Any) -> None:
        seen.append(arguments)
        raise error

    monkeypatch.setattr(tenacity, "wait_random_exponential", lambda **_: tenacity.wait_none())
    (one,) = jobs_of(str(manifest_of(tmp_path, [job(tmp_path / "out.mp3")])))
    assert isinstance(one, Job)
    with patch.object(work, "store", fail):
        outcome = work.do(one, How(ae.StoreOptions(), retries=2))
    assert outcome.attempts == attempts == len(seen)
    assert outcome.report is None
    assert outcome.error is not None
    assert outcome.error["retryable"] == (attempts > 1)
    wanted = type(error).__name__ if isinstance(error, ae.AudioEngineError) else "InternalError"
    assert outcome.error["type"] == wanted


@pytest.mark.parametrize(("retryable", "attempts"), [(True, 3), (False, 1)])
def test_a_command_that_may_succeed_later_is_tried_again_and_its_last_event_counts(
    retryable: bool, attempts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Job] = []

    def fail(line: Job, _how: How) -> JobOutcome:
        seen.append(line)
        return JobOutcome(error={"retryable": retryable}, event={"try": len(seen)})

    monkeypatch.setattr(tenacity, "wait_random_exponential", lambda **_: tenacity.wait_none())
    (one,) = jobs_of(str(manifest_of(tmp_path, [{"method": "DELETERECORDING"}])))
    assert isinstance(one, Job)
    with patch.object(work, "do_command", fail):
        outcome = work.do(one, How(ae.StoreOptions(), retries=2))
    assert outcome.attempts == attempts == len(seen)
    assert outcome.event == {"try": attempts}
