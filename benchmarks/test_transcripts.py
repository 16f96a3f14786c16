# SPDX-License-Identifier: Apache-2.0
"""What it costs to be told by a transcript where to mask."""

from __future__ import annotations

import random
import time
from pathlib import Path
from statistics import median

import pytest

import audioengine as ae
from audioengine.edits import Party
from benchmarks.material import FORMATS, hour
from benchmarks.results import Contest, duration, record
from fixtures.transcripts import MARKED, MIXED, SPOKEN, Said, encoded, instead

READ_SUBJECT = "One hour's transcript, read: 9,000 words, 20 card numbers"
STORE_SUBJECT = "One hour: 20 masks, told by a transcript or given"
MAX_READ_S = 0.050
MAX_STORE_RATIO = 1.3
ROUNDS = 15
STORE_ROUNDS = 5
WORDS = 9_000
EXPORTS = {
    **{f"{name}, words alone": make for name, make in SPOKEN.items()},
    **{f"{name}, nobody told apart": make for name, make in MIXED.items()},
    **MARKED,
}


def conversation() -> tuple[Said, ...]:
    """An hour of two people: 150 words a minute from 1,500 different ones, 20 card numbers."""
    draw = random.Random(18)
    letters = "abcdefghilmnoprstuw"
    known = ["".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(1500)]
    words = []
    party: Party = "caller"
    for place in range(WORDS):
        if draw.random() < 1 / 12:
            party = "callee" if party == "caller" else "caller"
        is_card = place % 450 == 7
        text = "4012888888881881" if is_card else draw.choice(known)
        start = 400 * place
        kind = "CREDIT_DEBIT_NUMBER" if is_card else None
        words.append(Said(text, start, start + draw.randint(120, 390), party, kind))
    return tuple(words)


@pytest.mark.parametrize("name", EXPORTS)
def test_reading(name: str) -> None:
    with instead(conversation()):
        data = encoded(EXPORTS[name]())
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        findings = ae.read_transcript(data, agent="callee")
        seconds.append(time.perf_counter() - start)
    assert len(findings) >= 20
    what = f"{name}, {len(data) / 1e6:.1f} MB"
    took = median(seconds)
    wanted = f"≤ {MAX_READ_S * 1000:.0f} ms"
    record(READ_SUBJECT, what, "audioengine", duration(took), wanted, kept=took <= MAX_READ_S)


def test_store(tmp_path: Path) -> None:
    """Reading the transcript is all that is added."""
    with instead(conversation()):
        (tmp_path / "call.json").write_bytes(encoded(MARKED["amazon-transcribe"]()))
    told = ae.Modification(
        transcripts=(ae.TranscriptFile(str(tmp_path / "call.json")),),
        redact=("CREDIT_DEBIT_NUMBER",),
    )
    given = ae.read_transcript(tmp_path / "call.json").modification(["CREDIT_DEBIT_NUMBER"])
    contest = Contest(STORE_SUBJECT, "8 kHz / 32 kbit/s")
    contest.others["the same masks given"] = []
    call = str(hour(FORMATS["8k"]).path)
    for _ in range(STORE_ROUNDS):
        for asked, seconds in (
            (told, contest.ours),
            (ae.Modification(mask=given.mask), contest.others["the same masks given"]),
        ):
            start = time.perf_counter()
            report = ae.store(call, tmp_path / "out.mp3", asked)
            seconds.append(time.perf_counter() - start)
            assert len(report.masks) == 20
    contest.record({"the same masks given": 1 / MAX_STORE_RATIO})
