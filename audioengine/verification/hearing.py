# SPDX-License-Identifier: Apache-2.0
"""Judging what was heard: the beep and nothing else, at the right place, the rest as it was."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from audioengine.plan.grid import flags_of
from audioengine.report import Check, Figure
from audioengine.verification.bands import LostBand, lost_bands
from audioengine.verification.case import Case
from audioengine.verification.findings import (
    Heard,
    HeardEdge,
    HeardGap,
    HeardHidden,
    HeardKept,
    HeardMask,
    HeardShare,
    HeardSum,
    HeardTrace,
    HeardUnasked,
)
from audioengine.verification.frames import Compared
from audioengine.verification.waves import stands_out

_MAX_GAIN_DB = 0.5
_MAX_PHASE = 0.2
_SURE_TONE_MS = 100
_BLOCK_MS = 20
_EDGE_REST_DB = -15.0  # of the beep: what coding adds where it sets in is below
_SHORT_REST_DB = -6.0  # in less than a block
_EDGE_BESIDE_DB = -6.0  # of what is heard beside the mask: its coding noise is below
_AMONG_OTHERS_DB = -3.0
_CORE_REST_DB = -32.0
_CORE_REST_DBFS = -70.0
_CORE_BESIDE_DB = -50.0
_FEW_BITS = 240
_FEW_BITS_REST_DB = -15.0
_NOISE_BY_CHANCE_DB = 3.0

_SHALLOW = 1.25
_MAX_ENVELOPE = 1.5
_LEAST_ENVELOPE = 0.35
_SURE_ENVELOPE = 3.0
_ROUNDING_DBFS = -98.0
_CODING_NOISE_DB = -40.0  # of the beep; that of LAME is below
_CODING_NOISE_DBFS = -82.0

_LEAST_TRACE = 0.02
_NOISY_TRACE = 0.3
_TRACE_BESIDE = 0.05

_SURE_EDGE_DB = 3.0
_SURE_NOISY_EDGE_DB = 8.0
_NOISY_EDGE_DB = 9.0
_QUIET_EDGE_DBFS = -60.0

_LEAST_RESEMBLANCE = 0.5
_SURE_LAG = 1.5

_MOST_OFF = 0.16  # of a level: 1.5 dB
_MOST_OFF_LOUD = 0.08
_MOST_OFF_SHARE = 0.08
_MOST_OFF_KEPT = 0.15
_NOISY = 0.5
_MOST_UNASKED = 0.16
_NOISY_UNASKED = 0.5
_GAP_BESIDE_DB = -6.0
_GAP_BESIDE_DBFS = -60.0

_HIDDEN_BESIDE_DB = -12.0
_HIDDEN_RINGING_DB = -6.0
_HIDDEN_DBFS = -55.0
_MAX_HIDDEN_LIKENESS = 2.5

_Found = TypeVar(
    "_Found",
    HeardMask,
    HeardEdge,
    HeardKept,
    HeardSum | HeardShare,
    HeardUnasked,
    HeardGap,
    HeardHidden,
    HeardTrace,
    LostBand,
)


def beep_check(case: Case, heard: Heard) -> Check:
    """Whether every mask holds the beep that was asked for, and nothing loud beside it.

    Of the tone: level within 0.5 dB, and phase, and with it frequency, within 0.2 rad. Beside it,
    the loudest 20 ms are 32 dB below the beep (under -70 dBFS for silence; or 50 dB below what is
    kept next to it, of which the coding may leave 57 dB less) in frames that hold the mask alone;
    where unmasked audio is in the same frames, 15 dB below the beep or 6 dB below that audio (in
    less than 20 ms, 6 dB below the beep or no louder than that audio), or no louder than the noise
    of the coding there, which at 8 kbit/s is as loud as what is coded. 10 ms at the ends of a mask
    are left to `mask_edges`.
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
            "beep", False, measured, f"More or less than the beep is heard {_at(case, wrong)}."
        )
    what = "the beep" if level is not None else "silence"
    return Check("beep", True, measured, f"Every mask holds {what} and nothing loud beside it.")


def _in_tune(mask: HeardMask, beside_dbfs: float, level: float | None, *, short: bool) -> bool:
    """Whether the tone is right, as far as noise lets one say."""
    assert mask.tone_db is not None
    assert level is not None
    noisy = short or beside_dbfs > level or not mask.alone
    slack = 10 ** ((mask.edge_rest_dbfs - level) / 20) if noisy else 0.0
    gain = _MAX_GAIN_DB + 8.7 * slack
    return abs(mask.tone_db) <= gain and abs(mask.phase) <= _MAX_PHASE + slack


def edges_check(case: Case, heard: Heard) -> Check:
    """Whether masks begin and end where the request says, and the source is heard up to there.

    At each end, what is heard 15 ms to either side is compared with what should be, and with what
    would be were that end earlier or later by 2.5 to 10 ms (a mask of less than 15 ms as a whole).
    Where there are less than 15 ms in all, nothing is judged.
    None of those may be nearer by 3 dB, nor that with half of the voice or more under the
    beep's first or last 5, 10 or 15 ms; by 8 dB where the noise of the coding, 15 to 30 ms from the
    edge in what is kept, is not 9 dB below what is compared. In noise coded at 8 kbit/s, at 780
    edges that were right, others were nearer by up to 1.2 dB, and once by 6.0 dB.
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
        message = f"Masks end elsewhere than asked, by {wrong[0].shift_ms:g} ms {_at(case, wrong)}."
        return Check("mask_edges", False, measured, message)
    if under:
        message = f"The voice is still heard where a mask begins or ends {_at(case, under)}."
        return Check("mask_edges", False, measured, message)
    return Check("mask_edges", True, measured, "Every mask begins and ends where it should.")


def _sure(edge: HeardEdge) -> float:
    """By how much another edge must be nearer, to be no chance of the coding."""
    noisy = edge.noise_dbfs > edge.error_dbfs - _NOISY_EDGE_DB
    return _SURE_NOISY_EDGE_DB if noisy else _SURE_EDGE_DB


def voice_check(case: Case, heard: Heard) -> Check:
    """Whether what is heard beside the beep has nothing of the voice that was there.

    Its waveform: the largest correlation at lags up to 20 ms (a second in frames that hold the mask
    alone), all frequencies alike, is at most twice what sounds with nothing in common reach (2.5
    times where no frame holds the mask alone: there the source's coding has mixed what is kept into
    what is masked; in noise at 8 kbit/s that reached 2.02 times). Where others are heard too, what
    the voice reaches at lags beyond those counts as chance, up to twice as much: two calls of one
    speaker at once gave 2.7 times, and 2.5 there. Its levels in 8 bands over time
    (in such frames, half a second at least): their correlation is at most 0.35, or 1.5 times the
    largest with the same voice at other times; where all is 40 dB below the beep, as coding noise
    is, which may come in bursts as words do, at most 3 times what is usual at any time. What is as
    quiet as the rounding of 16 bits has no levels.

    Nor is it heard on the channel of another party, where that is made anew: at no lag up to 20 ms
    more than 0.02 of its level, and 0.3 of that of coding noise.
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
        message = f"The masked voice is heard {_at(case, waveforms)}."
        return Check("voice_gone", False, measured, message)
    if elsewhere:
        message = f"The masked voice is heard in another's place {_at(case, elsewhere)}."
        return Check("voice_gone", False, measured, message)
    if envelopes:
        message = f"Noise rises and falls as the masked voice did {_at(case, envelopes)}."
        return Check("voice_gone", False, measured, message)
    return Check("voice_gone", True, measured, "Nothing of the masked voice is heard.")


def hidden_check(case: Case, heard: Heard) -> Check:
    """Whether there is nothing in what the tag hides: before the first sample, after the last.

    The loudest 20 ms are 12 dB below what is played next to it (or -55 dBFS), or hardly louder than
    the noise of the coding there; less than 20 ms, which is mostly the filters' ringing, 6 dB. At 8
    kbit/s, noise of coding is 6 to 10 dB below noise that it codes, and the ringing -9 dB. If they
    are less than 30 dB below what is played, a recording that has audio there is not found in it,
    at any lag up to 20 ms. Less than 10 ms are not judged.
    """
    least = case.format.rate_hz * _BLOCK_MS // 1000
    wrong = [
        one
        for one in heard.hidden
        if one.level_dbfs
        > max(
            one.limit_dbfs
            + (_HIDDEN_BESIDE_DB if one.span.length >= least else _HIDDEN_RINGING_DB),
            one.noise_dbfs + _NOISE_BY_CHANCE_DB,
            _HIDDEN_DBFS,
        )
        or one.likeness > _MAX_HIDDEN_LIKENESS * one.likeness_chance
    ]
    measured: dict[str, Figure] = {
        "stretches": len(heard.hidden),
        "wrong": len(wrong),
        "level_dbfs": round(max((one.level_dbfs for one in heard.hidden), default=-120.0), 1),
        "waveform_correlation": round(max((one.likeness for one in heard.hidden), default=0.0), 3),
    }
    if wrong:
        message = f"There is sound in what players pass over {_at(case, wrong)}."
        return Check("hidden", False, measured, message)
    return Check("hidden", True, measured, "Before the first sample and after the last is nothing.")


def kept_check(case: Case, heard: Heard) -> Check:
    """Whether kept audio that is coded anew is the source's, at its place.

    Judged in stretches of 60 ms or more in which the source is above -45 dBFS: correlation with the
    source is 0.5 at least, its level is the source's within 1.4 dB (and what coding noise takes),
    and no shift up to 20 ms fits clearly better (by half). In no 50 ms, of quiet audio too, more is
    beside it than -50 dBFS and what is loudest nearby. No band of it is lost: see `lost_bands`.
    """
    lost, largest = lost_bands(heard.bands, case.format.rate_hz)
    wrong = [
        kept
        for kept in heard.kept
        if kept.resemblance < _LEAST_RESEMBLANCE
        or not kept.resemblance**2 - _MOST_OFF_KEPT
        <= kept.gain
        <= _MOST_OFF_KEPT + 2 - kept.resemblance
        or (kept.confidence > _SURE_LAG and abs(kept.lag) > 0)
    ]
    measured: dict[str, Figure] = {
        "stretches": len(heard.kept),
        "wrong": len(wrong),
        "least_resemblance": round(min((k.resemblance for k in heard.kept), default=1.0), 3),
        "least_gain": round(min((k.gain for k in heard.kept), default=1.0), 3),
        "largest_gain": round(max((k.gain for k in heard.kept), default=1.0), 3),
        "bands_lost": len(lost),
        "largest_band_loss_db": round(largest, 1),
    }
    if lost and not wrong:
        first = min(lost, key=lambda one: one.hz)
        message = (
            f"What is coded anew is duller than it was {_at(case, [first])}: from {first.hz:,.0f} "
            f"Hz, {first.lost_db:.1f} dB are missing."
        )
        return Check("kept_sound", False, measured, message)
    if wrong:
        late = [kept.lag for kept in wrong if kept.confidence > _SURE_LAG and kept.lag]
        message = f"What is heard is not what was said, or not then, {_at(case, wrong)}."
        if late:
            measured["late_samples"] = late[0]
        return Check("kept_sound", False, measured, message)
    message = f"In {len(heard.kept):,} stretches coded anew the source is heard, at its place."
    return Check("kept_sound", True, measured, message)


def mixed_check(case: Case, heard: Heard) -> Check:
    """Whether several recordings are heard at once as they should be: each at its own level.

    The sum: correlation with what it should be is 0.5 at least, and its level within 1.5 dB; where
    it is too loud, in blocks of 100 ms, it is turned down by no more than the loudest sample within
    12 ms takes, and no less than its own samples do (within 0.08). Each recording in it, as far as
    noise and what they have in common let one say: its level within 0.7 dB, and no shift up to 20
    ms is clearly likelier (by half).
    """
    wrong: list[HeardSum | HeardShare] = [
        one
        for one in heard.sums
        if one.resemblance < _LEAST_RESEMBLANCE
        or not one.resemblance**2 * one.least - _off(one) <= one.gain <= one.most + _off(one)
    ]
    off = [one for one in heard.shares if abs(one.share - 1) > _MOST_OFF_SHARE + _NOISY * one.slack]
    late = [one for one in heard.shares if one.confidence > _SURE_LAG and one.lag]
    wrong += off + late
    judged = [one for one in heard.shares if one.slack < 1]
    measured: dict[str, Figure] = {
        "stretches": len(heard.sums),
        "wrong": len(wrong),
        "least_resemblance": round(min((s.resemblance for s in heard.sums), default=1.0), 3),
        "least_share": round(min((one.share for one in judged), default=1.0), 3),
        "largest_share": round(max((one.share for one in judged), default=1.0), 3),
    }
    if late:
        measured["late_samples"] = late[0].lag
    if wrong:
        message = f"Not everybody is heard as they should be {_at(case, wrong)}."
        if off:
            message += f" Recording {off[0].part + 1} is heard at {off[0].share:.2f} of its level."
        return Check("mixed", False, measured, message)
    message = f"In {len(heard.sums):,} stretches all are heard at once, at their levels and places."
    return Check("mixed", True, measured, message)


def _off(found: HeardSum) -> float:
    return _MOST_OFF if found.least == 1 else _MOST_OFF_LOUD


def silenced_check(case: Case, heard: Heard) -> Check:
    """Whether recordings that leave the word to another, or are cut off, are not heard.

    Where their frames are not somebody else's copied ones: of their level at most 0.16, as far as
    noise lets one say, and their waveform is at no lag up to 20 ms in what is heard beside those
    that should be. Not where those say the same.
    """
    wrong = [
        one
        for one in heard.unasked
        if abs(one.share) > _MOST_UNASKED + _NOISY_UNASKED * one.slack
        or stands_out(one.likeness, one.likeness_chance)
    ]
    judged = [one for one in heard.unasked if one.slack < 1]
    measured: dict[str, Figure] = {
        "stretches": len(heard.unasked),
        "wrong": len(wrong),
        "largest_share": round(max((abs(one.share) for one in judged), default=0.0), 3),
        "waveform_correlation": round(max((u.likeness for u in heard.unasked), default=0.0), 3),
    }
    if wrong:
        message = f"Recording {wrong[0].part + 1} is heard and should not be {_at(case, wrong)}."
        return Check("silenced", False, measured, message)
    return Check("silenced", True, measured, "Nobody is heard who should not be.")


def gaps_check(case: Case, compared: Compared, heard: Heard) -> Check:
    """Whether gaps are digital silence.

    Their frames have no main data, and every sample is 0 that is not near a voice: in the same
    frames as one, or up to four from there, the loudest 20 ms are 6 dB below it (or -60 dBFS); 10
    ms beside it are left out.
    """
    noisy = flags_of(case.plan.silences, compared.frames) & ~compared.empty
    wrong = [
        one
        for one in heard.gaps
        if one.level_dbfs > max(one.limit_dbfs + _GAP_BESIDE_DB, _least_in_gaps(one))
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
        return Check("gaps", False, measured, f"A gap is not silent {_at(case, wrong)}.")
    return Check("gaps", True, measured, "Where nobody is heard, there is silence.")


def _least_in_gaps(gap: HeardGap) -> float:
    return -120.0 if gap.limit_dbfs <= -120 else _GAP_BESIDE_DBFS


def _at(case: Case, found: list[_Found]) -> str:
    """Where the first of the findings is, in seconds of the output."""
    first = found[0]
    where = f"at {first.span.start / case.format.rate_hz:.3f} s, channel {first.channel}"
    return where if len(found) == 1 else f"{where}, and at {len(found) - 1:,} more places"
