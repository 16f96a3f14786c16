# SPDX-License-Identifier: Apache-2.0
"""The tools that audioengine is measured against, each doing the same job in its fastest way."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import imageio_ffmpeg

from benchmarks.material import PARTIES, Call, Format

BEEP_HZ = 1000
BEEP_DBFS = -20
LAME_QUALITY = 5
"""What lameenc's default is: all encode alike."""
EPOCH_MS = 1_700_000_000_000
"""When timelines of merges start."""

Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Job:
    """What to keep of a recording and what to mask in it, in seconds of the recording."""

    keep: Stretch
    masks: Mapping[str, list[Stretch]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One recording of a merge."""

    call: Call
    start_ms: int
    """After the timeline's start, for ours and FFmpeg alike."""
    conference_ms: tuple[int, int] | None = None
    """When it held a conference, on the timeline."""
    silent: Stretch | None = None
    """What another recording has of that, in seconds of this one: the engineer worked it out."""


class Lone(TypedDict):
    """What a job in a process of its own cost (see lone.py)."""

    seconds: float
    imported_mib: float
    peak_mib: float


def run(*command: str) -> None:
    """Run one command quietly; its complaint is the error's message."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")


def lone(tool: str, call: Call, job: Job, target: Path) -> Lone:
    """Do a job with "audioengine" or "pydub" in a fresh process."""
    order = {
        "tool": tool,
        "source": str(call.path),
        "target": str(target),
        "rate": call.format.rate,
        "kbps": call.format.kbps,
        "job": asdict(job),
    }
    return _alone(order)


def lone_merge(pieces: Sequence[Piece], target: Path, align: str) -> Lone:
    """Merge with audioengine in a fresh process."""
    parts = [
        {
            "source": str(piece.call.path),
            "start_ms": piece.start_ms,
            "conference_ms": piece.conference_ms,
        }
        for piece in pieces
    ]
    return lone_parts(parts, target, align)


def lone_parts(parts: Sequence[Mapping[str, Any]], target: Path, align: str) -> Lone:
    """Merge with audioengine in a fresh process, parts as `benchmarks.lone` reads them."""
    order = {"tool": "audioengine merge", "target": str(target), "parts": parts, "align": align}
    return _alone(order)


def lone_convert(sources: Sequence[Path], target: Path) -> Lone:
    """Convert with audioengine in a fresh process: a file of both parties, or of either."""
    order = {
        "tool": "audioengine convert",
        "sources": [str(path) for path in sources],
        "target": str(target),
    }
    return _alone(order)


def lone_manifest(manifest: Path, lines: int) -> Lone:
    """Read a manifest with audioengine in a fresh process."""
    return _alone({"tool": "audioengine manifest", "source": str(manifest), "lines": lines})


def lone_batch(manifest: Path, jobs: int, processes: int) -> Lone:
    """Run a batch from a fresh process, which is the one that is measured."""
    order = {
        "tool": "audioengine batch",
        "source": str(manifest),
        "jobs": jobs,
        "processes": processes,
    }
    return _alone(order)


def lone_worker(values: dict[str, Any], folder: str | None, commands: int, warm: int) -> Lone:
    """Work off a queue in a fresh process; seconds from the event number `warm` to the last.

    values: settings. folder: where the embedded queue and the topics' lines are; None: SQS and SNS.
    """
    order = {
        "tool": "audioengine worker",
        "values": values,
        "folder": folder,
        "commands": commands,
        "warm": warm,
    }
    return _alone(order)


def _alone(order: dict[str, Any]) -> Lone:
    command = [sys.executable, "-m", "benchmarks.lone", json.dumps(order)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise RuntimeError(f"{order['tool']} failed: {done.stderr.strip()[-2000:]}")
    cost: Lone = json.loads(done.stdout)
    return cost


# --- FFmpeg ---


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """One FFmpeg with libmp3lame."""

    path: str
    version: str
    origin: str
    """ "PATH" or "wheel"."""

    def __str__(self) -> str:
        return f"ffmpeg {self.version} ({self.origin})"

    def _run(self, call: Call, target: Path, before: list[str], after: list[str]) -> None:
        run(
            self.path, "-v", "error", "-nostdin", "-y", *before, "-i", str(call.path), *after,
            "-f", "mp3", str(target),
        )  # fmt: skip

    def edit(self, call: Call, job: Job, target: Path) -> None:
        """Mask and trim. Edges of masks fall on decoded frames: less than what is asked."""
        self._run(call, target, [], ["-filter_complex", _filters(call, job), *_lame(call)])

    def copy_trim(self, call: Call, job: Job, target: Path) -> None:
        """Trim alone, without coding."""
        start, end = job.keep
        self._run(call, target, ["-ss", f"{start}", "-t", f"{end - start}"], ["-c", "copy"])

    def reencode(self, call: Call, target: Path) -> None:
        self._run(call, target, [], _lame(call))

    def join(self, caller: Path, callee: Path, form: Format, target: Path) -> None:
        """Two mono files as the channels of one."""
        run(
            self.path, "-v", "error", "-nostdin", "-y", "-i", str(caller), "-i", str(callee),
            "-filter_complex", "join=inputs=2:channel_layout=stereo", *_lame_of(form),
            "-f", "mp3", str(target),
        )  # fmt: skip

    def merge(self, pieces: Sequence[Piece], target: Path) -> None:
        """Mute what another has, delay, sum."""
        call = pieces[0].call
        inputs = [word for piece in pieces for word in ("-i", str(piece.call.path))]
        run(
            self.path, "-v", "error", "-nostdin", "-y", *inputs,
            "-filter_complex", _merging_filters(pieces),
            *_lame(call), "-ar", str(call.format.rate), "-f", "mp3", str(target),
        )  # fmt: skip


def _lame(call: Call) -> list[str]:
    return _lame_of(call.format)


def _lame_of(form: Format) -> list[str]:
    quality = str(LAME_QUALITY)
    return ["-c:a", "libmp3lame", "-b:a", f"{form.kbps}k", "-compression_level", quality]


def _filters(call: Call, job: Job) -> str:
    """Gates on the voice, and a sine through the opposite gates; twice as fast as `aeval`."""
    steps = ["[0:a]channelsplit=channel_layout=stereo[caller][callee]"]
    heard = []
    amplitude = 10 ** (BEEP_DBFS / 20) / 0.125  # FFmpeg's sine peaks at 1/8
    for party in PARTIES:
        masks = job.masks.get(party, [])
        heard.append(f"[{party}]")
        if not masks:
            continue
        inside = "+".join(f"between(t,{start},{end})" for start, end in masks)
        steps += [
            f"[{party}]volume=0:enable='{inside}'[{party}_gated]",
            (
                f"sine=frequency={BEEP_HZ}:sample_rate={call.format.rate}:duration={call.seconds},"
                f"volume={amplitude},volume=0:enable='not({inside})'[{party}_beep]"
            ),
            (
                f"[{party}_gated][{party}_beep]"
                f"amix=inputs=2:normalize=0:duration=first[{party}_masked]"
            ),
        ]
        heard[-1] = f"[{party}_masked]"
    start, end = job.keep
    steps.append(
        f"{''.join(heard)}join=inputs=2:channel_layout=stereo,"
        f"atrim=start={start}:end={end},asetpts=PTS-STARTPTS"
    )
    return ";".join(steps)


def _merging_filters(pieces: Sequence[Piece]) -> str:
    chains = []
    for number, piece in enumerate(pieces):
        steps = []
        if piece.silent:
            start, end = piece.silent
            steps.append(f"volume=0:enable='between(t,{start},{end})'")
        if piece.start_ms:
            steps.append(f"adelay={piece.start_ms}:all=1")
        chains.append(f"[{number}:a]{','.join(steps) or 'anull'}[piece{number}]")
    placed = "".join(f"[piece{number}]" for number in range(len(pieces)))
    mix = f"{placed}amix=inputs={len(pieces)}:normalize=0:duration=longest"
    return ";".join([*chains, mix])


@cache
def ffmpegs() -> tuple[Ffmpeg, ...]:
    """Every FFmpeg there is: on the PATH, in the wheel. Each file once."""
    found: dict[Path, Ffmpeg] = {}
    for origin, path in (("PATH", shutil.which("ffmpeg")), ("wheel", _wheel_ffmpeg())):
        if path and Path(path).resolve() not in found:
            text = subprocess.run([path, "-version"], capture_output=True, text=True, check=True)
            match = re.match(r"ffmpeg version n?(\d[\d.]*)", text.stdout)
            version = match[1] if match else "of unknown version"
            found[Path(path).resolve()] = Ffmpeg(path, version, origin)
    return tuple(found.values())


def _wheel_ffmpeg() -> str:
    # get_ffmpeg_exe() may answer with another one (IMAGEIO_FFMPEG_EXE): that is measured as well.
    return str(imageio_ffmpeg.get_ffmpeg_exe())


# --- SoX ---


@cache
def sox_version() -> str | None:
    """SoX's version if it is installed with MP3, else None."""
    if not shutil.which("sox"):
        return None
    text = subprocess.run(["sox", "--help"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"v(\d[\d.]*)", text)
    return match[1] if match and " mp3 " in text else None


def sox_edit(call: Call, job: Job, target: Path) -> None:
    """Mask and trim: each party is put together from pieces of the decoded file and beeps."""
    whole = target.with_suffix(".whole.wav")
    run("sox", str(call.path), str(whole))
    sides = []
    for channel, party in enumerate(PARTIES, start=1):
        pieces = []
        now, end = job.keep
        for mask_start, mask_end in [*job.masks.get(party, []), (end, end)]:
            pieces.append(f"|sox {whole} -p trim {now} {mask_start - now} remix {channel}")
            if mask_end > mask_start:
                pieces.append(
                    f"|sox -n -r {call.format.rate} -b 16 -c 1 -p"
                    f" synth {mask_end - mask_start} sine {BEEP_HZ} gain {BEEP_DBFS}"
                )
            now = mask_end
        side = target.with_suffix(f".{party}.wav")
        run("sox", *pieces, str(side))
        sides.append(side)
    rate_quality = f"{call.format.kbps}.{LAME_QUALITY}"
    run("sox", "-M", *map(str, sides), "-C", rate_quality, str(target))
    for path in (whole, *sides):
        path.unlink()


# --- pydub ---


def pydub_version() -> str | None:
    if not importlib.util.find_spec("pydub"):
        return None
    return importlib.metadata.version("pydub")


def pydub_edit(call: Call, job: Job, target: Path) -> Lone:
    """Mask and trim, in a process of its own for the memory's sake."""
    return lone("pydub", call, job, target)
