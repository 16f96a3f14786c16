# SPDX-License-Identifier: Apache-2.0
"""One round: what it draws from, and what it leaves if it fails."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import audioengine as ae
from tests.operations.successions import illegal_in, window_tracks


class Refused(Exception):  # noqa: N818 - no error: the request allows it
    """What was asked for is refused, as the request says."""


class Alarm(AssertionError):  # noqa: N818 - it may be false
    """`verify` refuses an output: it is broken, or the check that failed is wrong."""

    def __init__(self, failures: Sequence[ae.Check]) -> None:
        self.checks = tuple(check.name for check in failures)
        lines = (f"{check.name}: {check.message} {check.measured}" for check in failures)
        super().__init__("\n".join(lines))


@dataclass
class Round:
    """All that a round does follows from `seed` and `number`."""

    seed: str
    number: int
    windows_only: bool = False
    """Judge of outputs nothing but how their windows follow one another."""
    verify_only: bool = False
    """Judge outputs by `verify` alone, neither by a model of merges nor by their windows apart."""
    story: list[str] = field(default_factory=list)
    """What was asked for, in order."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Sources and outputs."""
    passed: int = 0
    """Outputs that were judged and are as promised."""
    successions: int = 0
    """Windows in outputs that follow another as they may."""

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed}/{self.number}")

    def say(self, what: str) -> None:
        """Remember what is asked for."""
        self.story.append(what)

    def keep(self, name: str, data: bytes) -> None:
        """Remember a file."""
        self.files[name] = data

    def count_successions(self, data: bytes) -> None:
        """Judge how the windows of an output follow one another; no source has an illegal one."""
        if self.verify_only:
            return
        tracks = window_tracks(data)
        illegal = illegal_in(tracks)
        assert not illegal, illegal[:10]
        self.successions += sum(len(track) - 1 for track in tracks)

    def judge(self, verdict: ae.Verification | ae.MergeVerification) -> None:
        """Raise an alarm where a check failed."""
        if verdict.failures:
            raise Alarm(verdict.failures)

    def leave(self, folder: Path, trouble: str) -> Path:
        """Write all of it, and why it failed, for whoever looks into it."""
        place = folder / f"{self.seed}-{self.number}"
        place.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (place / name).write_bytes(data)
        (place / "what.txt").write_text("\n\n".join((*self.story, trouble)))
        return place
