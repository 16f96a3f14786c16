# SPDX-License-Identifier: Apache-2.0
"""One job: tried again where that may help, and nothing is raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import tenacity

import audioengine as ae
from audioengine.batch import run_job as work
from audioengine.batch.job_outcome import How, JobOutcome
from audioengine.batch.manifest import jobs_of
from audioengine.batch.manifest_job import Job
from tests.batch.helpers import MASK, job, manifest_of


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
        outcome = work.do_job(one, How(ae.StoreOptions(), retries=2))
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
        outcome = work.do_job(one, How(ae.StoreOptions(), retries=2))
    assert outcome.attempts == attempts == len(seen)
    assert outcome.event == {"try": attempts}


def test_a_job_is_verified_before_it_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is in its report; what does not pass is not there, and tells which checks."""
    line = job(tmp_path / "out.mp3", modification=MASK)
    (one,) = jobs_of(str(manifest_of(tmp_path, [line])))
    assert isinstance(one, Job)
    how = How(ae.StoreOptions(verify=True))
    with monkeypatch.context() as broken:
        broken.setattr("audioengine.pcm.tone.BeepTone.paint", lambda *_: None)
        error = work.do_job(one, how).error
    assert error is not None
    assert (error["type"], error["retryable"]) == ("VerificationError", False)
    assert "beep: " in error["message"]
    assert not (tmp_path / "out.mp3").exists()
    report = work.do_job(one, how).report
    assert report is not None
    assert report["verification"]["passed"] is True
    assert len(report["verification"]["checks"]) == 15
    plain = work.do_job(one, How(ae.StoreOptions())).report
    assert plain is not None
    assert plain["verification"] is None


@pytest.mark.parametrize("told_by", ["options", "settings"])
def test_a_batch_that_can_not_verify_does_not_begin(
    told_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says what to install."""
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    manifest = manifest_of(tmp_path, [job(tmp_path / "out.mp3", modification=MASK)])
    verified = ae.StoreOptions(verify=True)
    said: dict[str, Any] = {
        "options": {"options": verified},
        "settings": {"settings": ae.Settings(store=verified)},
    }
    with pytest.raises(ae.VerificationError, match=r"install audioengine\[verify\]"):
        ae.run_batch(manifest, tmp_path / "journal", **said[told_by])
    assert [path.name for path in tmp_path.iterdir()] == [manifest.name]


def test_commands_of_a_verified_batch_are_verified_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which settings do them."""
    seen: list[How] = []

    def keep(how: How, *_: object) -> None:
        seen.append(how)
        raise KeyboardInterrupt

    monkeypatch.setattr("audioengine.batch.run.Processes", keep)
    manifest = manifest_of(tmp_path, [job(tmp_path / "out.mp3")])
    for options in (ae.StoreOptions(), ae.StoreOptions(verify=True)):
        with pytest.raises(KeyboardInterrupt):
            ae.run_batch(manifest, tmp_path / "journal", options=options, settings=ae.Settings())
    assert [how.settings and how.settings.store.verify for how in seen] == [False, True]
