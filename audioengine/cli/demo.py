# SPDX-License-Identifier: Apache-2.0
"""The verb `demo`: whole jobs on recordings of the fixtures, verified by another decoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import audioengine
from audioengine.cli.options import json_option
from audioengine.edits import Interval, Modification
from audioengine.errors import StorageError
from audioengine.operations.options import StoreOptions
from audioengine.parts import MergePart

if TYPE_CHECKING:
    from audioengine.report import Check, MergeReport, StoreReport

_FIXTURES = Path(audioengine.__file__).parent.parent / "fixtures"
_SHORTEST_MS = 6000  # shorter masks can't tell speech from chance


@dataclass(frozen=True, slots=True)
class _Job:
    """What the demo does."""

    source: Path
    modification: Modification
    words: Sequence[str]
    """What it does, for people."""


@click.command()
@click.option(
    "--keep",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-output"),
    show_default=True,
    metavar="DIR",
    help="Where the result is kept.",
)
@click.option(
    "--source",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A stereo recording of your own; masks are then laid anywhere.",
)
@json_option
def demo(folder: Path, source: Path | None, as_json: bool) -> None:
    """Edit a recorded call, merge three, and verify both with a decoder that isn't ours."""
    job = _job_on(source) if source else _job_on_fixture()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"can't make folder {str(folder)!r}: {error.strerror}") from error
    shown = {"store": _edit(job, folder)}
    if source is None:
        shown["merge"] = _merge(folder)
    checks = [check for one in shown.values() for check in one.checks]
    passed = all(check.passed for check in checks)
    if as_json:
        answers = {verb: one.to_dict() for verb, one in shown.items()}
        click.echo(json.dumps({**answers, "passed": passed}))
    else:
        click.echo("\n\n".join(one.text for one in shown.values()))
        verdict = "VERIFIED" if passed else "NOT VERIFIED"
        count = sum(check.passed for check in checks)
        click.echo(f"\n{verdict}: {count} of {len(checks)} checks passed.")
        places = " and ".join(click.format_filename(one.output) for one in shown.values())
        click.echo(f"Listen to the result: {places}.")
    if not passed:
        raise click.exceptions.Exit(1)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One job, done and checked."""

    words: str
    """What was done, and the report, for people."""
    output: Path
    report: StoreReport | MergeReport
    decoder: str
    checks: Sequence[Check]

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "output": str(self.output),
            "report": self.report.to_dict(),
            "decoder": self.decoder,
            "checks": [asdict(check) for check in self.checks],
        }

    @property
    def text(self) -> str:
        """For people."""
        from audioengine.report.lines import check_lines

        lines = [self.words, "", f"Checked with {self.decoder}, a decoder that isn't ours:"]
        return "\n".join((*lines, *(f"  {line}" for line in check_lines(self.checks))))


def _edit(job: _Job, folder: Path) -> _Shown:
    from audioengine.operations.store import store
    from audioengine.operations.verification import verify

    output = folder / f"{job.source.stem}-masked.mp3"
    # Were everything re-encoded, there would be nothing to show.
    report = store(job.source, output, job.modification, StoreOptions(fallback="refuse"))
    words = "\n".join((*job.words, "", report.text(str(job.source), str(output))))
    verdict = verify(job.source, output, job.modification, StoreOptions(fallback="refuse"))
    return _Shown(words, output, report, verdict.decoder, verdict.checks)


def _merge(folder: Path) -> _Shown:
    from audioengine.operations.merge import merge
    from audioengine.operations.merge_verification import verify_merge

    parts = _conference_parts(_FIXTURES / "conference.json")
    output = folder / "conference-merged.mp3"
    report = merge(parts, output)
    words = "Three recordings of one conversation, with a conference in the middle, become one.\n\n"
    words += report.text(str(output))
    verdict = verify_merge(parts, output)
    return _Shown(words, output, report, verdict.decoder, verdict.checks)


def _conference_parts(command: Path) -> list[MergePart]:
    """The recordings that a command of the fixtures merges; they lie beside it."""
    from audioengine.commands.requests import parse_to_merge

    entries, _ = parse_to_merge(json.loads(command.read_text(), parse_float=Decimal))
    return [
        MergePart(
            command.parent / f"{entry.recording_id}.mp3",
            entry.start_time_ms,
            entry.conference_segments,
            recording_id=entry.recording_id,
        )
        for entry in entries
    ]


def _job_on_fixture() -> _Job:
    source, secrets = _FIXTURES / "demo-call.mp3", _FIXTURES / "demo.json"
    if not (source.is_file() and secrets.is_file()):
        raise click.UsageError(
            "The demo's recording, fixtures/demo-call.mp3, comes with the source code and not with "
            "the installed package. Run the demo from a checkout, or give --source FILE."
        )
    masks: dict[str, list[Interval]] = {"caller": [], "callee": []}
    words = ["A call of 42 s. Kept are 4 to 38 s of it; masked are:"]
    for name, secret in json.loads(secrets.read_text(), parse_float=Decimal).items():
        masks[secret["party"]].append(Interval(secret["start_s"], secret["end_s"]))
        spoken = f"{name.replace('_', ' ')}, {secret['text']!r}"
        words.append(f"  {secret['party']}  {secret['start_s']} to {secret['end_s']} s  {spoken}")
    # A word smears past its edges when it is coded: the guard takes that away too.
    modification = Modification(Interval(4, 38), masks, guard_ms=(10, 40))
    return _Job(source, modification, words)


def _job_on(source: Path) -> _Job:
    from audioengine.operations.inspection import inspect

    info = inspect(source)
    if info.channels != 2 or info.duration_ms < _SHORTEST_MS:
        raise click.UsageError(f"The demo needs a stereo recording of {_SHORTEST_MS // 1000} s.")

    def at(percent: int) -> Decimal:
        return round(Decimal(info.samples) * percent / 100 / info.rate_hz, 3)

    masks = {"caller": [Interval(at(40), at(50))], "callee": [Interval(at(70), at(75))]}
    words = [f"A call of {at(100)} s, {click.format_filename(source)}. The middle nine tenths are "]
    words[0] += "kept; a tenth of the caller and a twentieth of the callee are masked."
    return _Job(source, Modification(Interval(at(5), at(95)), masks), words)
