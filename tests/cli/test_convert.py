# SPDX-License-Identifier: Apache-2.0
"""The verb `convert`."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import audioengine as ae
from audioengine.cli import main
from audioengine.times import epoch_ms
from tests.sources.material import tones, written


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["convert", *map(str, args)])


@pytest.fixture
def leg(tmp_path: Path) -> Path:
    path = tmp_path / "a@b.wav"
    path.write_bytes(written(tones(8000, 8000, 1), 8000, "WAV", "PCM_16"))
    return path


def test_a_file(leg: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"
    result = run(leg, target, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["output"]["samples"]) == (0, 8000)
    assert report["sources"][0]["kind"] == "a WAV file with 16-bit PCM"
    text = run(leg, target, "--kbps", 32)
    assert text.exit_code == 0
    assert "edited as samples, and encoded once" in text.stdout
    assert "at 32 kbit/s" in text.stdout


@pytest.mark.parametrize(
    ("start", "later"),
    [
        ("1732953600000", "1732953600250.5"),
        ("2024-11-30T08:00:00Z", "2024-11-30T09:00:00.2505+01:00"),
    ],
)
def test_legs_with_starts(start: str, later: str, leg: Path, tmp_path: Path) -> None:
    args = ["--caller", f"{leg}@{start}", "--callee", f"{leg}@{later}", tmp_path / "out.mp3"]
    report = json.loads(run(*args, "--json").stdout)
    assert [one["interval"]["samples"][0] for one in report["sources"]] == [0, 2004]
    assert report["start_time_ms"] == 1_732_953_600_000
    text = run(*args).stdout
    assert "2024-11-30T08:00:00.000+00:00" in text
    assert "callee: no file from 0 to 0.251 s" in text


def test_legs_with_an_end(leg: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"
    start, end = "2024-11-30T08:00:00Z", "2024-11-30T08:00:{:02}Z"
    assert run("--caller", f"{leg}@{start}/{end.format(1)}", target).exit_code == 0
    result = run("--caller", f"{leg}@{start}/{end.format(9)}", target)
    assert result.exit_code == 2
    assert "lacks 8 s" in result.stderr


def test_headerless_legs(tmp_path: Path) -> None:
    raw = tmp_path / "r.ulaw"
    raw.write_bytes(written(tones(8000, 900, 1), 8000, "RAW", "ULAW"))
    args = ["--caller", raw, "--callee", raw, tmp_path / "out.mp3", "--json"]
    report = json.loads(run(*args, "--raw", "ulaw:8000:1").stdout)
    assert [one["kind"] for one in report["sources"]] == ["headerless ulaw"] * 2
    assert run(*args).exit_code == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["{leg}"], "SRC and DST must be given"),
        (["--caller", "{leg}", "{leg}", "x.mp3"], "DST alone must be given"),
        (["--caller", "{leg}@2024-11-30T08:00:00", "x.mp3"], "ISO 8601 with its zone"),
        (["--caller", "{leg}@2024-02-31T08:00:00Z", "x.mp3"], "ISO 8601 with its zone"),
        (["{leg}", "x.flac"], "the output is an MP3"),
    ],
    ids=range(5),
)
def test_what_is_wrong_is_said(args: list[str], message: str, leg: Path) -> None:
    result = run(*(one.format(leg=leg) for one in args))
    assert result.exit_code == 2
    assert message in result.stderr


def test_times_stay_exact() -> None:
    assert epoch_ms("1732953600000.123456789", "x") == Decimal("1732953600000.123456789")
    assert epoch_ms("2024-11-30 08:00:00.123456789-00:30", "x") == Decimal(
        "1732955400123.456789000"
    )
    with pytest.raises(ae.InvalidRequestError, match="x = 'now'"):
        epoch_ms("now", "x")
