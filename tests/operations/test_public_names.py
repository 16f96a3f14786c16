# SPDX-License-Identifier: Apache-2.0
"""What `import audioengine as ae` offers, and what it costs."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from typing import Any, get_type_hints

import pytest

import audioengine as ae
from tests.operations.helpers import Cut, recording, store
from tests.support import FIXTURES

NAMES = {
    "Audio",
    "AudioEngineError",
    "BatchPlanReport",
    "BatchReport",
    "Beep",
    "CaptureFile",
    "Check",
    "ConferenceSegment",
    "ConvertReport",
    "CustodyRecord",
    "EncodeReport",
    "EntryVerdict",
    "Finding",
    "Findings",
    "FolderStorage",
    "ForAll",
    "IfUntagged",
    "Interval",
    "InvalidRequestError",
    "Known",
    "LegFile",
    "Legs",
    "LimitError",
    "MalformedAudioError",
    "MemoryStorage",
    "MergeOptions",
    "MergePart",
    "MergePlanReport",
    "MergeReport",
    "MergeVerification",
    "Modification",
    "NoRecordingError",
    "NotAllowedError",
    "Notice",
    "ObjectPlace",
    "Origin",
    "Outcome",
    "Peaks",
    "PlanReport",
    "Problem",
    "RecordFinding",
    "RecordVerification",
    "RecordingInfo",
    "ReviewPage",
    "S3Options",
    "S3Storage",
    "Settings",
    "Storage",
    "StorageError",
    "StoreOptions",
    "StoreReport",
    "TranscriptFile",
    "TranscriptOptions",
    "UnsupportedAudioError",
    "Verification",
    "VerificationError",
    "__version__",
    "convert",
    "decode",
    "encode",
    "execute",
    "find_dtmf",
    "inspect",
    "load_settings",
    "merge",
    "peaks",
    "merge_command",
    "plan_batch",
    "plan_merge",
    "plan_store",
    "read_transcript",
    "read_events",
    "read_labels",
    "review",
    "run_batch",
    "store",
    "verify",
    "verify_record",
    "verify_merge",
}
ERRORS: dict[str, type[Exception]] = {
    "InvalidRequestError": ValueError,
    "MalformedAudioError": ValueError,
    "UnsupportedAudioError": ValueError,
    "LimitError": ValueError,
    "NotAllowedError": PermissionError,
    "NoRecordingError": PermissionError,
    "StorageError": OSError,
    "VerificationError": RuntimeError,
}


def test_the_names_are_these() -> None:
    assert set(ae.__all__) == NAMES
    assert set(dir(ae)) >= NAMES
    for name in NAMES:
        assert getattr(ae, name) is not None


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="no attribute 'merge_all'"):
        ae.merge_all  # noqa: B018


def test_everything_public_is_documented_and_typed() -> None:
    for name in NAMES - {"__version__"}:
        value = getattr(ae, name)
        assert inspect.getdoc(value), name
        assert value.__module__.startswith("audioengine."), name
        if inspect.isfunction(value):
            hints = get_type_hints(value)
            assert set(inspect.signature(value).parameters) | {"return"} == set(hints), name


def test_the_signatures_are_these() -> None:
    """Positional where there is one order to think of, by name otherwise."""
    wanted = {
        "store": ["source", "destination", "modification", "options"],
        "plan_store": ["source", "modification", "options"],
        "decode": ["source", "start", "end"],
        "encode": ["audio", "destination", "bitrate_kbps"],
        "inspect": ["source"],
    }
    for name, positional in wanted.items():
        parameters = inspect.signature(getattr(ae, name)).parameters.values()
        named = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert named == positional
        for parameter in parameters:
            required = parameter.default is inspect.Parameter.empty
            assert required == (parameter.name in {"source", "destination", "audio"})


@pytest.mark.parametrize("name", ["store", "merge"])
def test_help_names_every_argument(name: str) -> None:
    said = inspect.getdoc(getattr(ae, name)) or ""
    for argument in inspect.signature(getattr(ae, name)).parameters:
        assert f"\n{argument}: " in said


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_of_the_one_root_and_a_builtin(name: str) -> None:
    kind = getattr(ae, name)
    assert issubclass(kind, ae.AudioEngineError)
    assert issubclass(kind, ERRORS[name])
    assert kind.retryable is False


def test_errors_and_reports_survive_pickling() -> None:
    """Workers of a pool hand them back."""
    result = store(recording("mpeg25-8k-32k"), Cut(caller=((8000, 9000),)))
    assert pickle.loads(pickle.dumps(result.report)) == result.report
    attempts: list[tuple[Any, Any]] = [
        (b"", None),
        (b"no recording at all", None),
        (recording("mpeg25-8k-32k").data, ae.Modification(trim=ae.Interval(9, 10))),
        ("/no/such/file.mp3", None),
    ]
    for source, modification in attempts:
        with pytest.raises(ae.AudioEngineError) as caught:
            ae.plan_store(source, modification)
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value)
        assert str(again) == str(caught.value)
        assert again.retryable == caught.value.retryable


def test_requests_are_values() -> None:
    """They compare by what they say, can be pickled, and can't be changed."""
    one = ae.Modification(trim=ae.Interval(1, 2), mask={"caller": [ae.Interval(1, 1.5)]})
    other = ae.Modification(trim=ae.Interval(1, 2), mask={"caller": (ae.Interval(1, 1.5),)})
    assert one == other
    assert pickle.loads(pickle.dumps(one)) == one
    assert ae.Beep() == ae.Beep(1000, -20, "beep")
    with pytest.raises(AttributeError):
        one.trim = None  # type: ignore[misc]


@pytest.mark.parametrize(
    "given",
    [
        {"trim": (1, 2)},
        {"absolute_times": "yes"},
        {"relative_unit": "min"},
        {"mask": {"agent": [ae.Interval(1, 2)]}},
        {"mask": {"caller": [(1, 2)]}},
    ],
)
def test_requests_of_another_form_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ae.InvalidRequestError):
        ae.Modification(**given)


PROBE = """
import sys
before = set(sys.modules)
import audioengine as ae
heavy = {"numpy", "soundfile", "lameenc", "pydantic", "click", "pydub", "scipy", "audioengine.cli"}
print(sorted(heavy & (set(sys.modules) - before)))
ae.store
print(sorted({"pydantic", "click", "pydub", "scipy"} & set(sys.modules)))
"""


def test_importing_is_cheap() -> None:
    """Nothing heavy is loaded before it is used; no extra is ever needed by `store`."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=FIXTURES.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["[]", "[]"]


QUIET = """
import audioengine as ae
ae.inspect("fixtures/junk-in-middle.mp3")
ae.plan_store("fixtures/naive-concat.mp3")
"""


def test_nothing_is_printed_or_logged_on_the_way() -> None:
    """Warnings are values in the report."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET],
        cwd=FIXTURES.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
