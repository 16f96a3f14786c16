# SPDX-License-Identifier: Apache-2.0
"""Judging what was heard: the beep and nothing else, at the right place, the rest as it was.

Each threshold says what it was measured with. "Soak" is 3,988 outputs of `python -m soak
--verify-only`: fixtures, other encoders' files, streams that use all of the standard, and speech,
noise, music, effects and tones at all rates and bitrates. See docs/explanation/verification.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from audioengine.edits import Span
from audioengine.report import Check, Figure
from audioengine.verification.bands import lost_bands
from audioengine.verification.case import Case
from audioengine.verification.findings import Heard, HeardEdge, HeardKept, HeardMask
from audioengine.verification.waves import stands_out

# The contract's bounds.
_MAX_GAIN_DB = 0.5
"""Soak: 0.11 at most in 1,123 clear stretches of masks."""
_MAX_PHASE = 0.2
"""In rad. Soak: 0.013 at most in the same. A beep of 1010 Hz for one of 1000 passes it in 3 ms."""
_DB_OF_NOISE = 20 / math.log(10)
"""What is x times as loud as a tone moves the tone's level by up to x times this, and its phase by
up to x rad (to first order). Soak: 0.1 times that in 809 stretches that are short or noisy."""
_SURE_TONE_MS = 100
"""In less, a tone's level depends on its noise. At 1000 Hz there are 100 turns in it."""
_BLOCK_MS = 20
"""The shortest that has a level: at 8 kHz, a third of a frame."""

_EDGE_REST_DB = -12.0
"""Of the beep. Where it sets in, or a trim cuts it off, coding adds noise. Soak: -15.8 dB at most
in 333 stretches, and -19.3 in all others than that one."""
_SHORT_REST_DB = -6.0
"""In less than a block, where one peak counts. Soak: -21 dB at most in 125 stretches."""
_EDGE_BESIDE_DB = -6.0
"""Of what is heard beside the mask. Soak: -13 dB at most, but for noise at the lowest bitrates,
whose coding noise is as loud as it is: there the noise beside the mask is measured."""
_AMONG_OTHERS_DB = -3.0
"""The same, of others who are heard over the mask. Soak: -4.7 dB at most, with tones and effects of
several recordings at 16 kHz; a voice that is left is found by its waveform far below."""
_NOISE_BY_CHANCE_DB = 3.0
"""By how much 20 ms of coding noise may be louder than the loudest 20 ms of it nearby. A granule's
is spread over all of it, and is mostly narrow in band: in 20 ms of 500 Hz there are 20 independent
samples, which gives a deviation of 1.4 dB. At most 2.2 dB in generated streams whose sound is cut
off in a long window, 1.9 dB under masks in the soak."""

_CORE_REST_DB = -32.0
"""Of the beep, in frames that hold nothing else, where a granule of the channel has 240 bits or
more. Under 442 such masks with beeps of 200 to 3000 Hz and -3 to -40 dBFS, at 8 to 48 kHz and 8 to
64 kbit/s, -34.8 dB at most."""
_FEW_BITS = 240
_FEW_BITS_REST_DB = -15.0
"""Where a granule has fewer: noise of coding the beep itself. Under 161 such masks -17.2 dB at
most."""
_CORE_REST_DBFS = -70.0
"""Where silence is asked for. Soak: digital silence under all of 239 masks."""
_CORE_BESIDE_DB = -50.0
"""Of what is kept next to the mask, which the coding smears 57 dB below it at most."""

_SHALLOW = 1.25
"""Where no frame holds a mask alone, the source's coding has mixed what is kept into what is
masked, and the likeness to it may be that much larger: 2.02 times chance in noise at 8 kbit/s, 1.55
in 1,032 stretches of the soak. In frames that hold a mask alone, soak: 1.43 in 1,343."""
_MAX_ENVELOPE = 1.5
_LEAST_ENVELOPE = 0.35
_SURE_ENVELOPE = 3.0
"""Soak: where levels over time were more like the voice's than 1.5 times chance, their correlation
was 0.22 at most. Noise with a voice's levels, which the tests put there, is found."""
_ROUNDING_DBFS = -98.0
"""Rounding to 16 bits is -101 dBFS, and the loudest 20 ms of it a little louder."""
_CODING_NOISE_DB = -40.0
"""Of the beep: what LAME leaves beside it comes in bursts, as words do, below this level."""
_CODING_NOISE_DBFS = -82.0
"""The same where silence is asked for, or a beep below -42 dBFS."""

_LEAST_TRACE = 0.02
_NOISY_TRACE = 0.3
"""Of coding noise. Soak: 0.24 at most in 1,346 stretches."""
_TRACE_BESIDE = 0.05
"""Of the other party. Where the source codes both together with lines of -1 and 1, errors of coding
one resemble the other: 0.041 in noise at 8 kbit/s."""

_SURE_EDGE_DB = 3.0
"""Soak: 0.9 dB at most at 433 edges."""
_SURE_NOISY_EDGE_DB = 8.0
"""Soak: 3.9 dB at most at 1,840 edges. In noise coded at 8 kbit/s, at 780 edges that were right,
others were nearer by up to 1.2 dB, and once by 6.0 dB."""
_NOISY_EDGE_DB = 9.0
"""Of what is compared: louder noise than this can by itself shift an edge by 2.5 ms."""
_QUIET_EDGE_DBFS = -60.0
"""An error below it is not judged: it is coding noise, whatever fits better."""

LEAST_RESEMBLANCE = 0.5
"""Soak: 0.68 at least in 3,316 stretches, in noise at 8 kHz."""
SURE_LAG = 1.5
"""Soak: 1.34 at most in 140 stretches of noise and tones that seemed to be shifted."""
_MOST_OFF_KEPT = 0.15
"""Of a level, 1.4 dB, beside what coding noise takes. Soak: 0.127 at most too quiet and 0.065 too
loud in 3,316 stretches."""
_MOST_ADDED_DB = 2.0
"""A line that coding leaves out is off by 0 dB of itself. Of 628 outputs of a later soak, 0.4 dB at
most."""

_HIDDEN_BESIDE_DB = -12.0
"""Soak: -13.4 dB at most in 31 stretches above the other limits, of 13,503."""
_HIDDEN_RINGING_DB = -6.0
"""In less than a block, which is mostly the filters' ringing: -9 dB in noise at 8 kbit/s."""
_HIDDEN_DBFS = -55.0
"""Below it nothing is judged but its waveform: coding noise of calls is as loud."""
_MAX_HIDDEN_LIKENESS = 2.5
"""Soak: 2.45 at most in 21,858 stretches. What is hidden is the echo of what is next to it, and so
more alike than chance."""


class Placed(Protocol):
    """What was found somewhere."""

    @property
    def channel(self) -> int:
        """Of the output."""

    @property
    def span(self) -> Span:
        """Its samples of the output."""


def beep_check(case: Case, heard: Heard) -> Check:
    """Whether every mask holds the beep that was asked for, and nothing loud beside it.

    The tone's level is right within 0.5 dB, and its phase, and so its frequency, within 0.2 rad.

    Beside the tone, the loudest 20 ms of frames that hold the mask alone are 32 dB below the beep,
    or 15 dB where a granule has less than 240 bits. Where silence was asked for, they are below
    -70 dBFS. They may also be 50 dB below the audio next to the mask, which its coding smears.

    In frames that hold other audio too, the loudest 20 ms are 12 dB below the beep, or 6 dB below
    that audio (3 dB if others are heard over the mask), or at most 3 dB louder than the coding
    noise nearby. A stretch of less than 20 ms is 6 dB below the beep, or no louder than that audio.

    The first and last 10 ms of a mask are left to `mask_edges`.
    """
    level = float(case.beep.level_dbfs) if case.beep.fill == "beep" else None
    wrong = []
    for mask in heard.masks:
        short = mask.span.length < case.format.rate_hz * _SURE_TONE_MS // 1000
        block = mask.span.length >= case.format.rate_hz * _BLOCK_MS // 1000
        least = _CORE_REST_DBFS if level is None else max(_CORE_REST_DBFS, level + _CORE_REST_DB)
        core = max(least, mask.edge_limit_dbfs + _CORE_BESIDE_DB)
        if level is not None and mask.core_bits < _FEW_BITS:
            core = max(core, level + _FEW_BITS_REST_DB)
        below = _EDGE_BESIDE_DB if mask.alone else _AMONG_OTHERS_DB
        beside = mask.edge_limit_dbfs + (below if block else 0)
        noise = _EDGE_REST_DB if block else _SHORT_REST_DB
        noise_beside = mask.edge_noise_dbfs + _NOISE_BY_CHANCE_DB
        most = max(beside, noise_beside, least if level is None else level + noise)
        loud = max(beside, mask.edge_noise_dbfs)
        off = mask.tone_db is not None and not _in_tune(mask, loud, level, short=short)
        if off or mask.core_rest_dbfs > core or mask.edge_rest_dbfs > most:
            wrong.append(mask)
    measured: dict[str, Figure] = {
        "stretches": len(heard.masks),
        "wrong": len(wrong),
        "level_off_db": round(max((abs(m.tone_db or 0.0) for m in heard.masks), default=0.0), 3),
        "phase_off_rad": round(max((abs(m.phase) for m in heard.masks), default=0.0), 4),
        "beside_dbfs": round(max((m.core_rest_dbfs for m in heard.masks), default=-120.0), 1),
        "beside_at_edges_dbfs": round(
            max((m.edge_rest_dbfs for m in heard.masks), default=-120.0), 1
        ),
    }
    if wrong:
        return Check(
            "beep", False, measured, f"More or less than the beep is heard {places(case, wrong)}."
        )
    what = "the beep" if level is not None else "silence"
    return Check("beep", True, measured, f"Every mask holds {what} and nothing loud beside it.")


def _in_tune(mask: HeardMask, beside_dbfs: float, level: float | None, *, short: bool) -> bool:
    """Whether the tone is right, as far as noise shows it."""
    assert mask.tone_db is not None
    assert level is not None
    noisy = short or beside_dbfs > level or not mask.alone
    slack = 10 ** ((mask.edge_rest_dbfs - level) / 20) if noisy else 0.0
    gain = _MAX_GAIN_DB + _DB_OF_NOISE * slack
    return abs(mask.tone_db) <= gain and abs(mask.phase) <= _MAX_PHASE + slack


def edges_check(case: Case, heard: Heard) -> Check:
    """Whether masks begin and end where the request says, and the source is heard up to there.

    At each end, 15 ms to either side are compared with what should be heard. They are compared with
    what would be heard, too, if the end were 2.5 to 10 ms earlier or later (a mask of less than 15
    ms is moved as a whole; no end is looked for before the first or after the last sample that is
    heard), and if half of the voice or more were left under the beep's first or last 5, 10 or 15
    ms. None of these may fit better by 3 dB. Where the coding noise, 15 to 30 ms from the end in
    what is kept, is not 9 dB below what is compared, it is 8 dB.

    Where less than 15 ms are heard in all, nothing is judged.
    """
    wrong = [
        edge
        for edge in heard.edges
        if edge.error_dbfs > _QUIET_EDGE_DBFS and edge.error_dbfs - edge.shifted_dbfs > _sure(edge)
    ]
    under = [
        edge
        for edge in heard.edges
        if edge.error_dbfs > _QUIET_EDGE_DBFS
        and edge.error_dbfs - edge.voice_taken_dbfs > _sure(edge)
    ]
    measured: dict[str, Figure] = {
        "edges": len(heard.edges),
        "wrong": len(wrong),
        "worst_db": round(
            max((e.error_dbfs - e.shifted_dbfs for e in heard.edges), default=-120.0), 1
        ),
        "voice_under": len(under),
    }
    if wrong:
        measured["shift_ms"] = wrong[0].shift_ms
        message = (
            f"Masks end elsewhere than asked, by {wrong[0].shift_ms:g} ms {places(case, wrong)}."
        )
        return Check("mask_edges", False, measured, message)
    if under:
        message = f"The voice is still heard where a mask begins or ends {places(case, under)}."
        return Check("mask_edges", False, measured, message)
    return Check("mask_edges", True, measured, "Every mask begins and ends where it should.")


def _sure(edge: HeardEdge) -> float:
    """By how much another edge must be nearer, to be no chance of the coding."""
    noisy = edge.noise_dbfs > edge.error_dbfs - _NOISY_EDGE_DB
    return _SURE_NOISY_EDGE_DB if noisy else _SURE_EDGE_DB


def voice_check(case: Case, heard: Heard) -> Check:
    """Whether what is heard beside the beep has nothing of the voice that was masked.

    Its waveform: the largest correlation at lags up to 20 ms (a second in frames that hold the mask
    alone), all frequencies alike, is at most twice what sounds with nothing in common reach. It is
    2.5 times that where no frame holds the mask alone. Where others are heard too, what the voice
    reaches at longer lags counts as chance, up to twice as much.

    Its levels over time, in 8 bands, in frames that hold the mask alone and at least half a second
    of them: their correlation with the voice's is at most 0.35, or 1.5 times the largest with the
    voice at other times. Where all is 40 dB below the beep, it is coding noise, which comes in
    bursts as words do: there it may be 3 times what is usual at any time.

    On the channel of another party, where that is made anew: no more than 0.02 of the voice's
    level, and 0.3 of the level of coding noise, or 0.05 of the other party's level, at any lag up
    to 20 ms.
    """
    level = float(case.beep.level_dbfs) if case.beep.fill == "beep" else -120.0
    noise = max(_CODING_NOISE_DBFS, level + _CODING_NOISE_DB)
    waveforms = [
        mask
        for mask in heard.masks
        if stands_out(mask.likeness, mask.likeness_chance * (1 if mask.deep else _SHALLOW))
    ]
    envelopes = [
        mask
        for mask in heard.masks
        if mask.core_rest_dbfs > _ROUNDING_DBFS
        and mask.envelope > max(_LEAST_ENVELOPE, _MAX_ENVELOPE * mask.envelope_chance)
        and (mask.core_rest_dbfs > noise or mask.envelope > _SURE_ENVELOPE * mask.envelope_spread)
    ]
    elsewhere = [
        trace
        for trace in heard.traces
        if trace.share
        > max(_LEAST_TRACE + _NOISY_TRACE * trace.slack, _TRACE_BESIDE * trace.other_party)
    ]
    measured: dict[str, Figure] = {
        "stretches": len(heard.masks),
        "waveforms_found": len(waveforms),
        "envelopes_found": len(envelopes),
        "found_elsewhere": len(elsewhere),
        "waveform_correlation": round(max((m.likeness for m in heard.masks), default=0.0), 3),
        "envelope_correlation": round(max((m.envelope for m in heard.masks), default=0.0), 3),
    }
    if waveforms:
        message = f"The masked voice is heard {places(case, waveforms)}."
        return Check("voice_gone", False, measured, message)
    if elsewhere:
        message = f"The masked voice is heard in another's place {places(case, elsewhere)}."
        return Check("voice_gone", False, measured, message)
    if envelopes:
        message = f"Noise rises and falls as the masked voice did {places(case, envelopes)}."
        return Check("voice_gone", False, measured, message)
    return Check("voice_gone", True, measured, "Nothing of the masked voice is heard.")


def hidden_check(case: Case, heard: Heard) -> Check:
    """Whether the tag hides nothing: before the first sample and behind the last.

    The loudest 20 ms are 12 dB below what is played next to them, or below -55 dBFS, or at most
    3 dB louder than the coding noise there. Less than 20 ms are mostly the filters' ringing: 6 dB.
    Less than 10 ms are not judged.

    If they are less than 30 dB below what is played, they are not like any recording that has audio
    there, at any lag up to 20 ms.
    """
    least = case.format.rate_hz * _BLOCK_MS // 1000
    wrong = [
        part
        for part in heard.hidden
        if part.level_dbfs
        > max(
            part.limit_dbfs
            + (_HIDDEN_BESIDE_DB if part.span.length >= least else _HIDDEN_RINGING_DB),
            part.noise_dbfs + _NOISE_BY_CHANCE_DB,
            _HIDDEN_DBFS,
        )
        or part.likeness > _MAX_HIDDEN_LIKENESS * part.likeness_chance
    ]
    measured: dict[str, Figure] = {
        "stretches": len(heard.hidden),
        "wrong": len(wrong),
        "level_dbfs": round(max((part.level_dbfs for part in heard.hidden), default=-120.0), 1),
        "waveform_correlation": round(
            max((part.likeness for part in heard.hidden), default=0.0), 3
        ),
    }
    if wrong:
        message = f"There is sound in what players pass over {places(case, wrong)}."
        return Check("hidden", False, measured, message)
    return Check("hidden", True, measured, "Before the first sample and after the last is nothing.")


def kept_check(case: Case, heard: Heard) -> Check:
    """Whether kept audio that is coded anew is the source's, at its place.

    Judged are stretches of 60 ms or more in which the source is above -45 dBFS. Their correlation
    with the source is 0.5 at least. Their level is the source's within 1.4 dB, beside what coding
    leaves out: at a correlation of r, r squared of the level is left. No shift up to 20 ms fits
    better by half.

    In no 50 ms, of quiet audio too, more than -50 dBFS is heard beside the source that is also
    louder than all that is near. In none that holds more than -40 dBFS from 100 to 2000 Hz is less
    heard than -30 dB of that. In no 60 ms, what is heard beside it at a frequency is 2 dB louder
    than it is about there: see `hear_added`. No band is lost: see `lost_bands`.
    """
    lost, largest = lost_bands(heard.bands, case.format.rate_hz)
    added = [found for found in heard.added if found.excess_db > _MOST_ADDED_DB]
    wrong = [
        kept
        for kept in heard.kept
        if kept.resemblance < LEAST_RESEMBLANCE
        or not _is_at_its_level(kept)
        or (kept.confidence > SURE_LAG and kept.lag)
    ]
    measured: dict[str, Figure] = {
        "stretches": len(heard.kept),
        "wrong": len(wrong),
        "least_resemblance": round(min((k.resemblance for k in heard.kept), default=1.0), 3),
        "least_gain": round(min((k.gain for k in heard.kept), default=1.0), 3),
        "largest_gain": round(max((k.gain for k in heard.kept), default=1.0), 3),
        "added": len(added),
        "largest_excess_db": round(max((a.excess_db for a in heard.added), default=-120.0), 1),
        "bands_lost": len(lost),
        "largest_band_loss_db": round(largest, 1),
    }
    if added and not wrong:
        where, first_added = places(case, added), added[0]
        message = (
            f"More is heard than there was {where}: at {first_added.hz:,.0f} Hz, "
            f"{first_added.level_dbfs:.1f} dBFS."
        )
        return Check("kept_sound", False, measured, message)
    if lost and not wrong:
        first = min(lost, key=lambda band: band.hz)
        message = (
            f"What is coded anew is duller than it was {places(case, [first])}: from "
            f"{first.hz:,.0f} Hz, {first.lost_db:.1f} dB are missing."
        )
        return Check("kept_sound", False, measured, message)
    if wrong:
        late = [kept.lag for kept in wrong if kept.confidence > SURE_LAG and kept.lag]
        message = f"What is heard is not what was said, or not then, {places(case, wrong)}."
        if late:
            measured["late_samples"] = late[0]
        return Check("kept_sound", False, measured, message)
    message = f"In {len(heard.kept):,} stretches coded anew the source is heard, at its place."
    return Check("kept_sound", True, measured, message)


def _is_at_its_level(kept: HeardKept) -> bool:
    """Whether kept audio is as loud as it was; what coding lacks or adds shows in both figures."""
    least, most = kept.resemblance**2, 2 - kept.resemblance
    return least - _MOST_OFF_KEPT <= kept.gain <= most + _MOST_OFF_KEPT


def places(case: Case, found: Sequence[Placed]) -> str:
    """Where the first of the findings is, in seconds of the output."""
    first = found[0]
    where = f"at {first.span.start / case.format.rate_hz:.3f} s, channel {first.channel}"
    return where if len(found) == 1 else f"{where}, and at {len(found) - 1:,} more places"
