# SPDX-License-Identifier: Apache-2.0
"""Collects what the benchmarks measure, and writes it as one table per subject."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import soundfile as sf

from audioengine.version import VERSION
from benchmarks.peers import ffmpegs, sox_version

RESULTS = Path(__file__).parent / "results.md"
HEAD = ("what", "tool", "median", "against audioengine", "wanted")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    subject: str
    what: str
    tool: str
    value: str
    ratio: str = ""
    wanted: str = ""


rows: list[Row] = []


class Contest:
    """Seconds of audioengine and of others at the same job, measured in turns."""

    def __init__(self, subject: str, what: str) -> None:
        self.subject = subject
        self.what = what
        self.ours: list[float] = []
        self.others: dict[str, list[float]] = {}

    def ratio(self, tool: str) -> float:
        """How many times our time the tool takes."""
        return median(self.others[tool]) / median(self.ours)

    def fastest(self, tools: Iterable[str]) -> str:
        return min(tools, key=self.ratio)

    def record(self, bounds: Mapping[str, float]) -> None:
        """Put rows into the table, then assert; `bounds` are least ratios by tool."""
        row = Row(self.subject, self.what, "audioengine", duration(median(self.ours)))
        rows.append(row)
        for tool, seconds in self.others.items():
            bound = bounds.get(tool)
            asked = "" if bound is None else f"≥ {bound:.3g}× {verdict(self.ratio(tool) >= bound)}"
            value = duration(median(seconds))
            rows.append(
                Row(self.subject, self.what, tool, value, f"{self.ratio(tool):.3g}×", asked)
            )
        short = {t: self.ratio(t) for t, bound in bounds.items() if self.ratio(t) < bound}
        assert not short, f"{self.subject}, {self.what}: {short}, wanted at least {bounds}"


def record(subject: str, what: str, tool: str, value: str, wanted: str, *, kept: bool) -> None:
    """Put one figure with its bound into the table, then assert."""
    rows.append(Row(subject, what, tool, value, wanted=f"{wanted} {verdict(kept)}"))
    assert kept, f"{subject}, {what}: {value}, wanted {wanted}"


def verdict(kept: bool) -> str:
    return "✓" if kept else "✗"


def duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def conditions() -> list[str]:
    """Where and with what this was measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "soundfile", "lameenc"))
    tools = [str(one) for one in ffmpegs()]
    if sox := sox_version():
        tools.append(f"SoX {sox}")
    libsndfile: str = sf.__libsndfile_version__
    return [
        f"audioengine {VERSION}, {packages}, libsndfile {libsndfile}",
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        f"{os.cpu_count()} CPUs ({processor()})",
        ", ".join(tools),
    ]


def processor() -> str:
    """The processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def tables() -> str:
    """All rows as Markdown."""
    lines = []
    for subject in dict.fromkeys(row.subject for row in rows):
        cells: list[tuple[str, ...]] = [HEAD]
        before = ""
        for row in (row for row in rows if row.subject == subject):
            what = "" if row.what == before else row.what
            cells.append((what, row.tool, row.value, row.ratio, row.wanted))
            before = row.what
        widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
        cells.insert(1, tuple("-" * width for width in widths))
        lines += [f"## {subject}", ""]
        lines += [
            "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
            for line in cells
        ]
        lines.append("")
    return "\n".join(lines)


def write() -> None:
    """Write results.md."""
    head = [
        "# Benchmark results",
        "",
        'Written by `make bench BENCH_ARGS="--write-results"`: medians, all measured in turns in',
        "one run. Times of audioengine include reading, writing, both SHA-256 and the tag's CRCs.",
        "",
        *(f"- {line}" for line in conditions()),
        "",
        "",
    ]
    RESULTS.write_text("\n".join(head) + tables())
