# SPDX-License-Identifier: Apache-2.0
"""Fuzzes one target under atheris: `python -m fuzzing.one TARGET CORPUS FINDINGS SECONDS`.

libFuzzer's own words go to stderr, and its exit code is this one's. What it keeps of inputs goes to
CORPUS, an input that is a finding to FINDINGS.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["audioengine"]):
    from fuzzing.draw import REQUEST_BYTES
    from fuzzing.seeds import dictionary, seeds
    from fuzzing.targets import TARGETS, Run, Target, expect

MEMORY_MIB = 1024
"""What a process may take, the fuzzer's own share included."""

# libFuzzer's own clock goes on while other processes have the processor: it only ends what hangs.
_WAIT_FOR = 20


def main(arguments: list[str]) -> None:
    """Fuzz, until the seconds are over or something is found."""
    name, corpus, findings, seconds = arguments
    target = TARGETS[name]
    for folder in (corpus, findings):
        Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        begun = Path(scratch, "seeds")
        begun.mkdir()
        for number, seed in enumerate(seeds(name)):
            (begun / str(number)).write_bytes(seed)
        words = Path(scratch, "words")
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in dictionary()))
        options = [
            f"-max_len={target.most_bytes}",
            f"-max_total_time={seconds}",
            f"-timeout={_WAIT_FOR * target.seconds}",
            f"-rss_limit_mb={MEMORY_MIB}",
            f"-artifact_prefix={findings}/",
            "-print_final_stats=1",
            *([] if target.sound else [f"-dict={words}"]),
        ]
        mutator = {"custom_mutator": _Mutator(target)} if target.sound else {}
        atheris.Setup([name, *options, corpus, str(begun)], _limited(target), **mutator)
        atheris.Fuzz()


def _limited(target: Target) -> Run:
    """The target; it is a finding, too, where an input takes too long."""

    def run(data: bytes) -> None:
        begun = time.process_time()
        target.run(data)
        took = time.process_time() - begun
        expect(took <= target.seconds, f"{took:.1f} s of a processor for {len(data)} bytes")

    return run


class _Mutator:
    """Changes frames' headers and side information as often as anything else."""

    def __init__(self, target: Target) -> None:
        self._head = REQUEST_BYTES if target.request else 0

    def __call__(self, data: bytes, most: int, seed: int) -> bytes:
        """One more input like `data`."""
        chance = Random(seed)
        syncs = self._syncs(data) if chance.random() < 0.5 else []
        if not syncs:
            mutated: bytes = atheris.Mutate(data, most)
            return mutated
        out = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            at = chance.choice(syncs) + min(int(chance.expovariate(1 / 12)), 40)
            if at < len(out):
                out[at] = chance.choice((0, 0xFF, out[at] ^ 1 << chance.randrange(8)))
        return bytes(out)

    def _syncs(self, data: bytes) -> list[int]:
        """Where frames may begin."""
        out = []
        at = data.find(b"\xff", self._head)
        while 0 <= at < len(data) - 1:
            if data[at + 1] & 0xE6 == 0xE2:
                out.append(at)
            at = data.find(b"\xff", at + 1)
        return out


def _escaped(word: str) -> str:
    return "".join(char if char.isalnum() else f"\\x{ord(char):02x}" for char in word)


if __name__ == "__main__":
    main(sys.argv[1:])
