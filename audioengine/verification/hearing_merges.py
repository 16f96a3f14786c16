# SPDX-License-Identifier: Apache-2.0
"""Judging what was heard of a merge: everybody who should be, nobody else, and silence in gaps.

"Soak" is what it is in `audioengine.verification.hearing`, with 239 merges among its outputs.
"""

from __future__ import annotations

import numpy as np

from audioengine.plan.grid import flags_of
from audioengine.report import Check, Figure
from audioengine.verification.case import Case
from audioengine.verification.findings import Heard, HeardGap, HeardShare, HeardSum
from audioengine.verification.frames import Compared
from audioengine.verification.hearing import LEAST_RESEMBLANCE, SURE_LAG, places
from audioengine.verification.waves import stands_out

_MOST_OFF = 0.16
"""Of a sum's level: 1.5 dB. Soak: 0.037 at most in 610 stretches."""
_MOST_OFF_LOUD = 0.08
"""The same where a sum is turned down. Soak: 0.013 at most in 239 blocks of 100 ms."""
_MOST_OFF_SHARE = 0.08
"""Of one recording's level in a sum: 0.7 dB. Soak: none of 1,048 shares was further off than this
and 0.07 of what noise, and what the recordings have in common, leave open."""
_NOISY = 0.5
_MOST_UNASKED = 0.16
"""Of the level of a recording that should not be heard. Soak: none in 487 was above it."""
_NOISY_UNASKED = 0.5
_GAP_BESIDE_DB = -6.0
"""Soak: -22 dB at most in 27 stretches above -60 dBFS, of 947."""
_GAP_BESIDE_DBFS = -60.0
"""Beside a voice, coding noise in a gap may be as loud; further away there is digital silence."""


def mixed_check(case: Case, heard: Heard) -> Check:
    """Whether several recordings are heard at once as they should be, each at its own level.

    The sum: its correlation with what it should be is 0.5 at least, and its level is right within
    1.5 dB, beside what coding leaves out (see `kept_check`). Where the sum is too loud, blocks of
    100 ms are turned down by no more than the loudest sample within 12 ms takes, and by no less
    than their own samples take, within 0.7 dB.

    Each recording: its level in the sum is right within 0.7 dB, beside what noise and what the
    recordings have in common leave open. No shift up to 20 ms fits better by half.
    """
    wrong: list[HeardSum | HeardShare] = [
        total
        for total in heard.sums
        if total.resemblance < LEAST_RESEMBLANCE
        or not total.resemblance**2 * total.least - _off(total)
        <= total.gain
        <= total.most + _off(total)
    ]
    off = [
        voice
        for voice in heard.shares
        if abs(voice.share - 1) > _MOST_OFF_SHARE + _NOISY * voice.slack
    ]
    late = [voice for voice in heard.shares if voice.confidence > SURE_LAG and voice.lag]
    wrong += off + late
    judged = [voice for voice in heard.shares if voice.slack < 1]
    measured: dict[str, Figure] = {
        "stretches": len(heard.sums),
        "wrong": len(wrong),
        "least_resemblance": round(min((s.resemblance for s in heard.sums), default=1.0), 3),
        "least_share": round(min((voice.share for voice in judged), default=1.0), 3),
        "largest_share": round(max((voice.share for voice in judged), default=1.0), 3),
    }
    if late:
        measured["late_samples"] = late[0].lag
    if wrong:
        message = f"Not everybody is heard as they should be {places(case, wrong)}."
        if off:
            message += f" Recording {off[0].part + 1} is heard at {off[0].share:.2f} of its level."
        return Check("mixed", False, measured, message)
    message = f"In {len(heard.sums):,} stretches all are heard at once, at their levels and places."
    return Check("mixed", True, measured, message)


def _off(found: HeardSum) -> float:
    return _MOST_OFF if found.least == 1 else _MOST_OFF_LOUD


def silenced_check(case: Case, heard: Heard) -> Check:
    """Whether recordings that leave a conference to another, or are cut off, are not heard.

    Judged is what is no copy of another recording's frames. At most 0.16 of their level is heard,
    beside what noise leaves open, and their waveform is not found at any lag up to 20 ms beside
    those that should be heard. Not judged where those say the same.
    """
    wrong = [
        voice
        for voice in heard.unasked
        if abs(voice.share) > _MOST_UNASKED + _NOISY_UNASKED * voice.slack
        or stands_out(voice.likeness, voice.likeness_chance)
    ]
    judged = [voice for voice in heard.unasked if voice.slack < 1]
    measured: dict[str, Figure] = {
        "stretches": len(heard.unasked),
        "wrong": len(wrong),
        "largest_share": round(max((abs(voice.share) for voice in judged), default=0.0), 3),
        "waveform_correlation": round(max((u.likeness for u in heard.unasked), default=0.0), 3),
    }
    if wrong:
        message = f"Recording {wrong[0].part + 1} is heard and should not be {places(case, wrong)}."
        return Check("silenced", False, measured, message)
    return Check("silenced", True, measured, "Nobody is heard who should not be.")


def gaps_check(case: Case, compared: Compared, heard: Heard) -> Check:
    """Whether gaps are digital silence.

    Their frames have no main data, and every sample is 0 that is not near a voice. In the frames
    of a voice, and up to four further, the loudest 20 ms are 6 dB below it, or below -60 dBFS. The
    10 ms beside a voice are left out.
    """
    noisy = flags_of(case.plan.silences, compared.frames) & ~compared.empty
    wrong = [
        gap
        for gap in heard.gaps
        if gap.level_dbfs > max(gap.limit_dbfs + _GAP_BESIDE_DB, _least_in_gaps(gap))
    ]
    measured: dict[str, Figure] = {
        "silent_frames": int(flags_of(case.plan.silences, compared.frames).sum()),
        "not_silent_frames": int(noisy.sum()),
        "stretches": len(heard.gaps),
        "wrong": len(wrong),
    }
    if noisy.any():
        number = int(np.flatnonzero(noisy)[0]) + compared.frames.first
        message = f"Frame {number} should be silent and is not."
        return Check("gaps", False, measured, message)
    if wrong:
        return Check("gaps", False, measured, f"A gap is not silent {places(case, wrong)}.")
    return Check("gaps", True, measured, "Where nobody is heard, there is silence.")


def _least_in_gaps(gap: HeardGap) -> float:
    return -120.0 if gap.limit_dbfs <= -120 else _GAP_BESIDE_DBFS
