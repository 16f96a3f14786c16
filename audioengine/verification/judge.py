# SPDX-License-Identifier: Apache-2.0
"""All checks of one output, in order."""

from __future__ import annotations

from dataclasses import replace

from audioengine.mp3.bytesource import ByteSource
from audioengine.report import Check
from audioengine.verification import container, copies, hearing, hearing_merges
from audioengine.verification.agreement import agreement, decoders_check
from audioengine.verification.case import Case
from audioengine.verification.decoder import Announced, UndecodableError, announced
from audioengine.verification.frames import compare
from audioengine.verification.remains import guilty_frames
from audioengine.verification.sound import listen
from audioengine.verification.windows import windows_check

_BLOCK_BYTES = 1 << 20


def judge(case: Case, workers: int) -> tuple[Check, ...]:
    """Check a store's output against its source.

    The sound is judged only where the output has the right length: without that, nothing is where
    it should be.
    """
    return _judged(case, workers, merged=False)


def judge_merge(case: Case, workers: int) -> tuple[Check, ...]:
    """Check a merge's output against its sources; likewise."""
    return _judged(case, workers, merged=True)


def _judged(case: Case, workers: int, *, merged: bool) -> tuple[Check, ...]:
    if case.output_index.format != case.format:
        ours, wanted = case.output_index.format, case.format
        message = (
            f"The output is {ours.version} at {ours.rate_hz} Hz with {ours.channels} channels, it "
            f"should be {wanted.version} at {wanted.rate_hz} Hz with {wanted.channels}."
        )
        return (Check("length", False, {}, message),)
    compared = compare(case)
    may = copies.allowed(case, compared)
    guilty = guilty_frames(case, copies.suspects(compared, may))
    heard = listen(case, compared, workers)
    try:
        announcement = announced(case.output)
    except UndecodableError:
        announcement = Announced(0, case.format.rate_hz, case.format.channels)
    length = container.length_check(case, announcement, heard.undecodable)
    agreed = agreement(case, compared)
    checks = [
        container.tag_check(case),
        container.metadata_check(case),
        length,
        container.clock_check(case, agreed.sources_end_off),
        copies.copied_check(compared, may),
        copies.other_party_check(case, compared, may),
        copies.removed_check(compared, may, guilty),
        copies.leftovers_check(case, compared),
        windows_check(case, compared),
        decoders_check(case, agreed),
    ]
    sounds = [
        hearing.beep_check(case, heard),
        hearing.edges_check(case, heard),
        hearing.voice_check(case, heard),
        hearing.kept_check(case, heard),
        hearing.hidden_check(case, heard),
    ]
    if merged:
        sounds += [
            hearing_merges.mixed_check(case, heard),
            hearing_merges.silenced_check(case, heard),
            hearing_merges.gaps_check(case, compared, heard),
        ]
    if not length.passed:
        unheard = "Not judged: the output has another length than asked for."
        sounds = [replace(check, passed=False, message=unheard) for check in sounds]
    return (*checks, *sounds)


def judge_copy(source: ByteSource, output: ByteSource) -> Check:
    """Whether an output is its source, byte for byte."""
    measured = {"source_bytes": source.size, "output_bytes": output.size}
    if source.size != output.size:
        message = f"The output has {output.size:,} bytes, its source {source.size:,}."
        return Check("copy", False, measured, message)
    for offset in range(0, source.size, _BLOCK_BYTES):
        ours, theirs = output.read(offset, _BLOCK_BYTES), source.read(offset, _BLOCK_BYTES)
        if ours != theirs:
            pairs = enumerate(zip(ours, theirs, strict=False))
            at = offset + next((i for i, (our, their) in pairs if our != their), 0)
            return Check(
                "copy", False, measured, f"The output differs from its source at byte {at}."
            )
    return Check("copy", True, measured, "The output is its source, byte for byte.")


def judge_unreadable(message: str) -> Check:
    """The verdict on an output that is no recording."""
    return Check("length", False, {}, f"The output can't be read as an MP3 recording: {message}")
