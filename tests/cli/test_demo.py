# SPDX-License-Identifier: Apache-2.0
"""The demo passes, and its checks fail where an output is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from audioengine.cli.decoders import Miniaudio, PyAV, decoder_for
from audioengine.cli.demo_checks import Check, check_output
from tests.cli.helpers import refusal, run, run_json
from tests.support import FIXTURES, decode_miniaudio, decode_pyav

Pcm = npt.NDArray[Any]

# The package has a command of the same name.
demo_module = import_module("audioengine.cli.demo")

DEMO_CALL = FIXTURES / "demo-call.mp3"
RATE = 16_000
EDIT = ae.Modification(
    trim=ae.Interval(10, 32),
    mask={"caller": [ae.Interval(19.28, 24.838)], "callee": [ae.Interval(28.125, 29.124)]},
)
CHECKS = {
    "exact length",
    "outside the edits, both parties are the source",
    "while the caller is masked, the callee is the source",
    "while the callee is masked, the caller is the source",
    *(f"caller, 19.28 to 24.838 s: {what}" for what in ("beep", "nothing else", "voice gone")),
    *(f"callee, 28.125 to 29.124 s: {what}" for what in ("beep", "nothing else", "voice gone")),
}


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pcm, Pcm, ae.StoreReport]:
    """Source and output as miniaudio plays them."""
    output = tmp_path_factory.mktemp("demo") / "out.mp3"
    report = ae.store(DEMO_CALL, output, EDIT)
    source, made = (decode_miniaudio(path.read_bytes()) for path in (DEMO_CALL, output))
    return source, made, report


def failed(edited: tuple[Pcm, Pcm, ae.StoreReport], output: Pcm) -> set[str]:
    source, _, report = edited
    return names(check for check in judge(source, output, report) if not check.passed)


def judge(source: Pcm, output: Pcm, report: ae.StoreReport) -> list[Check]:
    return check_output(source, output, EDIT, ae.Beep(), report)


def names(checks: Any) -> set[str]:
    return {check.what for check in checks}


def test_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it did, verifies it, and keeps the result where one looks for it."""
    monkeypatch.chdir(tmp_path)
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for said in (
        "card number, '4012 8888 8888 1881'",
        "Kept      4 to 38 s, 544,000 samples",
        "copied, every byte the source's",
        "a decoder that isn't ours:",
        "ok      exact length: 544,000 samples, 544,000 are right",
        "3.161 to 9.972 s: conference-a-8k (conference; silenced: conference-b-8k)",
        "ok      exact length: 127,776 samples, 127,776 are right",
        "VERIFIED: 19 of 19 checks passed.",
        "demo-output/demo-call-masked.mp3 and demo-output/conference-merged.mp3",
    ):
        assert said in result.stdout
    assert "FAILED" not in result.stdout
    made = sorted(path.name for path in Path("demo-output").iterdir())
    assert made == ["conference-merged.mp3", "demo-call-masked.mp3"]


def test_the_demo_for_machines(tmp_path: Path) -> None:
    """One object: the report, each check with its figure, the verdict."""
    printed = run_json("demo", "--keep", tmp_path / "a" / "b")
    assert printed["passed"] is True
    for verb, name, copied, checks in (
        ("store", "demo-call-masked", 500, 14),
        ("merge", "conference-merged", 130, 5),
    ):
        shown = printed[verb]
        assert shown["output"] == str(tmp_path / "a" / "b" / f"{name}.mp3")
        assert shown["report"]["frames"]["verbatim"] > copied
        assert len(shown["checks"]) == checks
        assert all(check["passed"] and check["measured"] for check in shown["checks"])


@pytest.mark.parametrize("decoder", ["miniaudio", "av"])
def test_either_decoder_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    """Where miniaudio is not installed PyAV verifies."""
    monkeypatch.setattr("audioengine.cli.decoders.find_spec", lambda name: name == decoder or None)
    printed = run_json("demo", "--keep", tmp_path)
    assert printed["passed"] is True
    assert (
        printed["store"]["decoder"].lower().startswith({"miniaudio": "mini", "av": "pyav"}[decoder])
    )


def test_without_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called verified that was not; the message says what to install."""
    monkeypatch.setattr("audioengine.cli.decoders.find_spec", lambda _: None)
    error = refusal("demo", "--keep", tmp_path, exit_code=1)
    assert error["type"] == "VerificationError"
    assert "install miniaudio or av" in error["message"]


def test_without_fixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package has no recordings: the message says what to do."""
    monkeypatch.setattr(demo_module, "_FIXTURES", tmp_path / "fixtures")
    error = refusal("demo", "--keep", tmp_path / "kept")
    assert "fixtures/demo-call.mp3" in error["message"]
    assert "--source FILE" in error["message"]
    assert not list(tmp_path.iterdir())


def test_on_a_recording_of_ones_own(tmp_path: Path) -> None:
    """Any stereo recording that is long enough will do."""
    own = tmp_path / "own.mp3"
    ae.store(DEMO_CALL, own, ae.Modification(trim=ae.Interval(15, 35)))
    result = run("demo", "--source", own, "--keep", tmp_path)
    assert result.exit_code == 0, result.output
    assert "VERIFIED: 10 of 10 checks passed." in result.stdout
    short = FIXTURES / "mpeg1-44k-128k.mp3"
    assert "6 s" in refusal("demo", "--source", short, "--keep", tmp_path)["message"]
    refusal("demo", "--source", tmp_path / "nowhere.mp3", "--keep", tmp_path, exit_code=1)


def test_a_folder_that_cant_be_made(tmp_path: Path) -> None:
    """A file in its place is an error of storage."""
    (tmp_path / "file").write_bytes(b"")
    error = refusal("demo", "--keep", tmp_path / "file" / "folder", exit_code=1)
    assert error["type"] == "StorageError"


def test_a_failed_check_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the verdict says so."""

    def judged(*_: object) -> list[Check]:
        return [Check("one", "1", passed=True), Check("two", "2", passed=False)]

    monkeypatch.setattr("audioengine.cli.demo_checks.check_output", judged)
    result = run("demo", "--keep", tmp_path)
    assert result.exit_code == 1
    assert "  FAILED  two: 2" in result.stdout
    assert "NOT VERIFIED: 6 of 7 checks passed." in result.stdout
    result = run("demo", "--keep", tmp_path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False


def test_a_good_output_passes(edited: tuple[Pcm, Pcm, ae.StoreReport]) -> None:
    """Every check is made, and none fails."""
    source, output, report = edited
    checks = judge(source, output, report)
    assert names(checks) == CHECKS
    assert failed(edited, output) == set()


def test_decoders_agree(edited: tuple[Pcm, Pcm, ae.StoreReport]) -> None:
    """The demo's decoders are those of the tests; one that plays something else is not asked."""
    data = DEMO_CALL.read_bytes()
    np.testing.assert_array_equal(Miniaudio().decode(data), edited[0])
    np.testing.assert_array_equal(PyAV().decode(data), decode_pyav(data))
    with_crc = (FIXTURES / "crc-16k.mp3").read_bytes()  # minimp3 plays a tag frame with a CRC
    decoder, pcm = decoder_for(with_crc, 96_000)
    assert isinstance(decoder, PyAV)
    assert len(pcm) == 96_000
    with pytest.raises(ae.VerificationError, match="won't play"):
        decoder_for(with_crc, 95_999)


def shifted(_: Pcm, output: Pcm) -> Pcm:
    return np.roll(output, 1, axis=0)


def cut_short(_: Pcm, output: Pcm) -> Pcm:
    return output[:-1]


def unmasked(source: Pcm, _: Pcm) -> Pcm:
    return source[10 * RATE : 32 * RATE]


def wrong_channel(_: Pcm, output: Pcm) -> Pcm:
    return np.ascontiguousarray(output[:, ::-1])


def one_sample_off(_: Pcm, output: Pcm) -> Pcm:
    broken: Pcm = output.copy()
    broken[5 * RATE, 1] += 1
    return broken


def voice_under_the_beep(source: Pcm, output: Pcm) -> Pcm:
    broken: Pcm = output.copy()
    masked = slice(round(9.28 * RATE), round(14.838 * RATE))
    broken[masked, 0] += unmasked(source, output)[masked, 0] // 100
    return broken


def mask_too_short(source: Pcm, output: Pcm) -> Pcm:
    broken: Pcm = output.copy()
    end = slice(round(14.3 * RATE), round(14.9 * RATE))
    broken[end, 0] = unmasked(source, output)[end, 0]
    return broken


def louder_beep(_: Pcm, output: Pcm) -> Pcm:
    broken: Pcm = output.copy()
    masked = slice(round(18.125 * RATE), round(19.124 * RATE))
    broken[masked, 1] = np.rint(broken[masked, 1] * 1.08).astype(np.int16)
    return broken


def lower_beep(_: Pcm, output: Pcm) -> Pcm:
    broken: Pcm = output.copy()
    tone = 3277 * np.sin(2 * np.pi * 990 / RATE * np.arange(RATE))
    broken[18 * RATE : 19 * RATE, 1] = np.rint(tone).astype(np.int16)
    return broken


OUTSIDE = "outside the edits, both parties are the source"
CALLEE_KEPT = "while the caller is masked, the callee is the source"
CALLER_KEPT = "while the callee is masked, the caller is the source"
CALLER, CALLEE = "caller, 19.28 to 24.838 s: ", "callee, 28.125 to 29.124 s: "
MASKED = {name for name in CHECKS if name.startswith((CALLER, CALLEE))}


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (cut_short, {"exact length"}),
        (shifted, {OUTSIDE, CALLEE_KEPT, CALLER_KEPT}),
        (unmasked, MASKED),
        (wrong_channel, {OUTSIDE, CALLEE_KEPT, CALLER_KEPT, CALLER + "beep", CALLEE + "beep"}),
        (one_sample_off, {OUTSIDE}),
        (voice_under_the_beep, {CALLER + "voice gone"}),
        (mask_too_short, {CALLER + "nothing else"}),
        (louder_beep, {CALLEE + "beep"}),
        (lower_beep, {CALLEE + "beep"}),
    ],
)
def test_a_broken_output_fails(
    edited: tuple[Pcm, Pcm, ae.StoreReport],
    broken: Callable[[Pcm, Pcm], Pcm],
    expected: set[str],
) -> None:
    """Each kind of damage is found by the check that is there for it."""
    source, output, _ = edited
    assert failed(edited, broken(source, output)) >= expected
