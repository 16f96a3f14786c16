# SPDX-License-Identifier: Apache-2.0
"""Turns the arguments of `store`, `plan_store` and `verify` into edits and a plan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from audioengine.edits import (
    LAME_LATENESS,
    Edits,
    Modification,
    effective_delay,
    modification_of,
    resolve,
)
from audioengine.notices import Notice
from audioengine.operations.options import StoreOptions
from audioengine.operations.recording import Recording, likely_delay
from audioengine.plan.stereo import CouplingReader
from audioengine.plan.store import StorePlan
from audioengine.plan.store import make_store_plan as make_plan
from audioengine.plan.windows import read_source_windows
from audioengine.times import Number


def resolved(
    recording: Recording,
    modification: Modification | None,
    options: StoreOptions,
    start_time_ms: Number | None,
    workers: int | None = None,
) -> Edits:
    """Resolve the request on the recording's clock.

    workers: threads that look for telephone keys, if the options ask for it.

    Raises InvalidRequestError.
    """
    index = recording.index
    modification = options.completed(modification_of(modification))
    is_absolute = modification.absolute_times and modification.asks
    is_lost = is_absolute and not index.tells_delay
    edits = resolve(
        modification,
        rate_hz=index.format.rate_hz,
        samples=index.samples,
        tagged=index.tells_delay,
        start_time_ms=start_time_ms,
        encoder_delay=effective_delay(
            options.encoder_delay, tells_delay=index.tells_delay, is_absolute=is_absolute
        ),
        likely_delay=likely_delay(recording) if is_lost else LAME_LATENESS,
    )
    if options.mask_dtmf:
        # It imports NumPy, which a plan does not need otherwise.
        from audioengine.operations.tones import with_tones

        edits = with_tones(edits, recording, options, workers)
    if edits.masks:
        options.beep.check_rate(index.format.rate_hz)
    return edits


def is_copy(recording: Recording, edits: Edits) -> bool:
    """Whether edits leave an MP3 unchanged; other recordings are always encoded."""
    return edits.is_identity and recording.sampled is None


def store_plan(
    recording: Recording, edits: Edits, options: StoreOptions, found: Sequence[Notice] = ()
) -> StorePlan:
    """Plan edits that change something.

    found: why frames can't be copied, as an earlier rendering found.

    Raises UnsupportedAudioError if the source needs the full path and `fallback` refuses it.
    """
    index = recording.index
    return make_plan(
        index,
        edits,
        CouplingReader(recording.source, index),
        partial(read_source_windows, recording.source, index),
        render=options.render,
        fallback=options.fallback,
        caller_channel=options.caller_channel,
        shared_frames=options.shared_frames,
        found=found,
    )
