# SPDX-License-Identifier: Apache-2.0
"""The verbs `dtmf` and `labels`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import audioengine as ae
from fixtures.tones import keyed
from tests.cli.helpers import CALL, refusal, run, run_json

DIGITS = "4012888881881"


@pytest.fixture
def keyed_call(tmp_path: Path) -> Path:
    """A call of about 3 s, in which the caller keys DIGITS."""
    samples, _ = keyed(DIGITS, 8000, ms=60, pause_ms=(60, 60), seed=3)
    noise = 0.001 * np.random.default_rng(1).standard_normal(len(samples))
    path = tmp_path / "call.mp3"
    ae.encode(ae.Audio(samples, noise, 8000), path, workers=1)
    return path


def test_keys_are_listed_and_digits_only_where_they_are_asked_for(keyed_call: Path) -> None:
    report = run_json("dtmf", keyed_call)
    assert [(one["party"], one["keys"], one["digits"]) for one in report["strings"]] == [
        ("caller", len(DIGITS), None)
    ]
    printed = run("dtmf", keyed_call, "--caller-channel", "right").output
    assert "callee" in printed
    assert "13 keys" in printed
    assert "4012" not in printed + json.dumps(report)
    assert DIGITS in run("dtmf", keyed_call, "--show-digits").output
    assert run_json("dtmf", keyed_call, "--show-digits")["strings"][0]["digits"] == DIGITS
    assert run_json("dtmf", keyed_call, "--min-keys", "14")["strings"] == []


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".vtt", ".TextGrid", ".json"])
def test_masks_of_a_report_become_labels_and_masks_again(tmp_path: Path, suffix: str) -> None:
    asked = ("--mask", "caller=1-1.5", "--mask", "callee=2-2.25", "--mask", "both=3.0001-4")
    report, labels = tmp_path / "report.json", tmp_path / f"labels{suffix}"
    report.write_text(json.dumps(run_json("plan", CALL, *asked, "--guard-ms", "10,40")))
    assert run_json("labels", report, "-o", labels)["labels"] == 3
    found = ae.read_labels(labels)
    ends = sorted((one.party or "both", float(one.start), float(one.end or 0)) for one in found)
    right = [("both", 2.9901, 4.04), ("callee", 1.99, 2.29), ("caller", 0.99, 1.54)]
    for (party, start, end), (wanted, first, last) in zip(ends, right, strict=True):
        assert party == wanted
        assert first - 0.0011 <= start <= first
        assert last <= end <= last + 0.0011
    assert "3 labels" in run("labels", report, "-o", labels).output


def test_labels_of_a_merge_are_on_its_timeline(tmp_path: Path) -> None:
    report, labels = tmp_path / "report.json", tmp_path / "labels.csv"
    mask = {"party": "callee", "timeline": {"samples": [8000, 16000], "ms": [1000.0, 2000.0]}}
    report.write_text(json.dumps({"parts": [{"masks": [mask]}, {"masks": []}]}))
    run_json("labels", report, "-o", labels)
    assert labels.read_text() == "party,from,to,label\ncallee,1.000000,2.000000,mask\n"


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", '{"masks": [{}]}', '{"masks": [{"party": "x", "applied": {"ms": [1, 2]}}]}', "no"],
)
def test_what_is_no_report_makes_no_labels(tmp_path: Path, text: str) -> None:
    report, labels = tmp_path / "report.json", tmp_path / "labels.csv"
    report.write_text(text)
    assert "report" in str(refusal("labels", report, "-o", labels)["message"])
    assert not labels.exists()
    report.write_text('{"masks": []}')
    assert ".textgrid" in str(refusal("labels", report, "-o", tmp_path / "labels.srt")["message"])
