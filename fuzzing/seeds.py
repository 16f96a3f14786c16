# SPDX-License-Identifier: Apache-2.0
"""What fuzzing begins with: the first frames of every fixture, all findings, whole commands."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import fixtures
from fixtures import hostile
from fuzzing import calls, masks, recorders, service
from fuzzing.draw import REQUEST_BYTES
from fuzzing.targets import TARGETS
from fuzzing.transcripts import transcript_seeds

_FOLDER = Path(fixtures.__file__).parent
_REQUESTS = 3


def findings() -> dict[str, bytes]:
    """The recordings that once broke something, by name."""
    return {path.stem: path.read_bytes() for path in sorted(_FOLDER.glob("hostile/*.mp3"))}


def seeds(name: str) -> list[bytes]:
    """The seeds of a target, none longer than its inputs may be."""
    target = TARGETS[name]
    if name == "labels_and_events":
        return masks.seeds()
    if name == "containers":
        return recorders.seeds()
    if name == "captures":
        return calls.seeds()
    if name == "transcripts":
        return transcript_seeds()
    if not target.sound:
        return _commands()
    starts = [path.read_bytes()[: target.most_bytes // 2] for path in _recordings()]
    sounds = [*starts, *(path.read_bytes()[-target.most_bytes // 4 :] for path in _recordings())]
    sounds += findings().values()
    if not target.request:
        return [sound[: target.most_bytes] for sound in sounds]
    chance = Random(1)
    return [
        (chance.randbytes(REQUEST_BYTES) + sound)[: target.most_bytes]
        for sound in sounds
        for _ in range(_REQUESTS)
    ]


def _recordings() -> list[Path]:
    return sorted(_FOLDER.glob("*.mp3"))


def _commands() -> list[bytes]:
    mask = {"caller": [{"from": 0.1, "to": 0.5}], "callee": [], "both": [{"from": 1, "to": 2.5}]}
    times = {"absoluteTimes": True, "trim": {"from": 1_547_114_000_100, "to": 1_547_114_001_000}}
    segments = [{"startTime": 1_547_114_000_500, "endTime": 1_547_114_001_500}]
    entry = {"recordingId": "a", "startTime": 1_547_114_000_000, "conferenceSegments": segments}
    given: list[dict[str, object]] = [
        {},
        {"modificationParams": {"mask": mask}},
        {"modificationParams": times, "startTime": 1_547_114_000_000},
        {"modificationParams": {"trim": {"from": 1e-3}}, "encryptionKey": "key", "dialect": "rest"},
        {"toMerge": [entry, {**entry, "recordingId": "b", "modificationParams": {"mask": mask}}]},
        {"fileName": "a/b.mp3", "destinationRegion": "eu-west-1", "encryptionKey": None},
        {"recordingId": "b", "replyId": "x.y.z", "method": "STOPRECORDING"},
    ]
    texts = [json.dumps(one).encode() for one in (*given, *service.templates())]
    texts += hostile.COMMANDS.values()
    return [bytes((mode,)) + text for text in texts for mode in range(len(service.templates()) + 1)]


def dictionary() -> list[str]:
    """Words that commands are made of."""
    words = {"absoluteTimes", "caller", "callee", "both", "from", "to", "startTime", "endTime"}
    for command in service.templates():
        words |= command.keys()
    values = ["1e999", "1e-999", "-1", "null", "true", "[]", "{}", "\\ud800", "\\u0000", "1" * 30]
    return sorted(f'"{word}"' for word in words) + values
