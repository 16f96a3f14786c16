# SPDX-License-Identifier: Apache-2.0
"""The verbs `dtmf` and `labels`, and the options that take masks from files and tones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    assert DIGITS[:7] not in printed + json.dumps(report)
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


def both(out: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """The one mask of each party, in ms, as it was asked for."""
    return {mask["party"]: tuple(mask["asked"]["ms"]) for mask in out["masks"]}


def test_masks_of_a_file_of_labels(tmp_path: Path) -> None:
    masks, out, labels = (tmp_path / name for name in ("in.txt", "out.mp3", "out.TextGrid"))
    masks.write_text("1\t1.5\tcaller: card number\n00:00:02\t2.25\tcallee: PIN\n")
    options = ("--masks", masks, "--mask", "both=4-5")
    report = run_json("store", CALL, out, *options, "--labels-out", labels)
    assert both(report) == {"caller": (1000, 1500), "callee": (2000, 2250), "both": (4000, 5000)}
    assert [(one["format"], len(one["stretches"])) for one in report["findings"]] == [
        ("audacity", 2)
    ]
    written = {one.kind: one.party for one in ae.read_labels(labels)}
    assert written == {"card number": "caller", "PIN": "callee", "mask": None}
    assert run_json("verify", CALL, out, *options)["passed"]
    assert both(run_json("plan", CALL, *options)) == both(report)
    masks.write_text("1\t2\tagent: card\n")
    assert "line 1" in refusal("store", CALL, tmp_path / "no.mp3", "--masks", masks)["message"]
    assert not (tmp_path / "no.mp3").exists()


def test_a_file_of_labels_without_any_is_a_warning_or_a_failure(tmp_path: Path) -> None:
    masks = tmp_path / "in.csv"
    masks.write_text("party,from,to,label\n")
    planned = run_json("plan", CALL, "--masks", masks)
    assert [one["code"] for one in planned["warnings"]] == ["no_findings"]
    assert "require_match" in refusal("plan", CALL, "--masks", masks, "--require-match")["message"]


def test_masks_of_events(tmp_path: Path) -> None:
    events, start = tmp_path / "events.csv", 1_764_493_200_000
    events.write_text(f"time,event\n{start + 3000},suspend\n2025-11-30T09:00:04Z,resume\n")
    options = ("--events", events, "--start-time-ms", str(start), "--event-names", "suspend=pause")
    assert both(run_json("plan", CALL, *options)) == {"both": (1000, 4500)}
    removed = (*options, "--events-lead-ms", "500,250", "--paused-time", "removed")
    assert both(run_json("plan", CALL, *removed)) == {"both": (2500, 3250)}
    events.write_text(f"time,event\n{start + 3000},pause\n")
    planned = run_json("plan", CALL, *options)
    assert [one["code"] for one in planned["warnings"]] == ["event_without_end"]
    assert planned["masks"][0]["applied"]["ms"] == [1000, 6000]
    refused = refusal("store", CALL, tmp_path / "no.mp3", *options, "--refuse", "event_without_end")
    assert "event_without_end" in refused["message"]
    assert "--start-time-ms" in refusal("plan", CALL, "--events", events)["message"]
    assert "--events" in refusal("plan", CALL, "--paused-time", "removed")["message"]
    assert "suspend=pause" in refusal("plan", CALL, *options, "--event-names", "x")["message"]


@pytest.mark.parametrize(("kept", "other"), [("caller", "callee"), ("callee", "caller")])
def test_keep_silences_the_other_party_all_through(tmp_path: Path, kept: str, other: str) -> None:
    out = tmp_path / "out.mp3"
    report = run_json("store", CALL, out, "--keep", kept)
    (mask,) = report["masks"]
    assert mask["party"] == other
    assert mask["applied"]["samples"] == [0, report["source"]["samples"]]
    source, made = ae.decode(CALL), ae.decode(out)
    assert np.abs(getattr(made, other)).max() < 1e-4
    voice = getattr(source, kept)
    assert np.std(getattr(made, kept) - voice) < 0.05 * np.std(voice)
    assert run_json("verify", CALL, out, "--keep", kept)["passed"]
    with_beep = tmp_path / "beep.mp3"
    run_json("store", CALL, with_beep, "--keep", kept, "--fill", "beep")
    assert np.abs(getattr(ae.decode(with_beep), other)).max() > 0.05


def test_relative_masks_do_not_mix_with_absolute_times() -> None:
    start = 1_764_493_200_000
    absolute = (
        "--absolute",
        "--start-time-ms",
        str(start),
        "--mask",
        f"caller={start}-{start + 500}",
    )
    assert "--absolute" in refusal("plan", CALL, *absolute, "--keep", "caller")["message"]


def test_mask_dtmf_masks_keys_and_tells_what_it_cost(keyed_call: Path, tmp_path: Path) -> None:
    out, labels = tmp_path / "out.mp3", tmp_path / "labels.txt"
    report = run_json("store", keyed_call, out, "--mask-dtmf", "--labels-out", labels)
    assert [mask["party"] for mask in report["masks"]] == ["caller"]
    (heard,) = report["findings"]
    assert heard["format"] == "audio"
    assert heard["sha256"] == report["source"]["sha256"]
    assert heard["wall_seconds"] > 0
    assert [one.kind for one in ae.read_labels(labels)] == ["DTMF"]
    assert run_json("dtmf", out, "--min-keys", "1")["strings"] == []
    assert run_json("verify", keyed_call, out, "--mask-dtmf")["passed"]
    assert run_json("plan", keyed_call, "--mask-dtmf", "--min-keys", "14")["masks"] == []
    printed = (
        json.dumps(report) + labels.read_text() + run("plan", keyed_call, "--mask-dtmf").output
    )
    assert not any(DIGITS[at : at + 7] in printed for at in range(len(DIGITS) - 6))


def test_digits_are_in_no_record_log_or_error(keyed_call: Path, tmp_path: Path) -> None:
    """Nor in a journal; of scans that find them, and of one that is refused."""
    record = tmp_path / "record.jsonl"
    texts = []
    for more in ((), ("--refuse", "crosstalk"), ("--mask", "caller=900-901")):
        result = run(
            "store", keyed_call, tmp_path / "out.mp3", "--mask-dtmf", "--record", record, *more
        )
        texts += [result.stdout, result.stderr]
    jobs, journal = tmp_path / "jobs.jsonl", tmp_path / "jobs.journal"
    job = {"source": str(keyed_call), "destination": str(tmp_path / "of-batch.mp3")}
    jobs.write_text(json.dumps(job) + "\n")
    result = run("batch", jobs, "--mask-dtmf", "--journal", journal)
    assert not ae.find_dtmf(tmp_path / "of-batch.mp3", min_keys=1)
    texts += [result.stdout, result.stderr, journal.read_text(), record.read_text()]
    assert not any(DIGITS[at : at + 7] in text for text in texts for at in range(len(DIGITS) - 6))
