# SPDX-License-Identifier: Apache-2.0
"""Fuzzes the targets one after another: `python -m fuzzing [--seconds N] [TARGET …]`.

For each it tells executions a second and what was reached. A finding ends that target; its input
is kept in .fuzz/findings, and the exit code is 1. Inputs that reach something new stay in
.fuzz/corpus, where the next run begins.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzzing.targets import TARGETS

FOLDER = Path(".fuzz")
# Beyond its seconds: importing, reading the corpus, the last input.
_GRACE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target."""

    executions: int
    per_second: int
    edges: int
    features: int
    peak_mib: int
    found: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; 0 without a finding, 1 with one."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)} (all)")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.targets) - TARGETS.keys()
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    found = False
    for name in chosen.targets or TARGETS:
        outcome = _fuzz(name, chosen.seconds)
        found |= outcome.found
        words = (
            f"{outcome.executions:,} executions, {outcome.per_second:,} a second; "
            f"{outcome.edges:,} edges, {outcome.features:,} features{_lines(name, outcome)}; "
            f"at most {outcome.peak_mib} MiB"
        )
        print(f"{name}: {words}; {'FOUND SOMETHING' if outcome.found else 'nothing found'}")
    if found:
        print(f"inputs that broke something are in {FOLDER / 'findings'}", file=sys.stderr)
    return int(found)


def _fuzz(name: str, seconds: int) -> Outcome:
    corpus, findings = FOLDER / "corpus" / name, FOLDER / "findings" / name
    log = FOLDER / f"{name}.log"
    FOLDER.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "fuzzing.one", name, str(corpus), str(findings), str(seconds)]
    with log.open("wb") as output:
        limit = seconds + _GRACE_SECONDS
        done = subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, timeout=limit, check=False
        )
    text = log.read_text(errors="replace")
    if done.returncode:
        print(f"{name}: exit code {done.returncode}; the end of {log}:", file=sys.stderr)
        print("\n".join(text.splitlines()[-60:]), file=sys.stderr)
    edges = re.findall(r"cov: (\d+) ft: (\d+)", text)
    covered, features = edges[-1] if edges else (0, 0)
    return Outcome(
        executions=_stat(text, "number_of_executed_units"),
        per_second=_stat(text, "average_exec_per_sec"),
        edges=int(covered),
        features=int(features),
        peak_mib=_stat(text, "peak_rss_mb"),
        found=done.returncode != 0,
    )


def _stat(text: str, name: str) -> int:
    found = re.findall(rf"stat::{name}:\s+(\d+)", text)
    return int(found[-1]) if found else 0


def _lines(name: str, outcome: Outcome) -> str:
    """How much of its modules' lines the target's corpus reaches; nothing after a finding."""
    if outcome.found:
        return ""
    command = [sys.executable, "-m", "fuzzing.reached", name, str(FOLDER / "corpus" / name)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    reached, lines = map(int, done.stdout.split())
    return f", {reached} of {lines} lines ({100 * reached / lines:.0f} %)"


if __name__ == "__main__":
    sys.exit(main())
