# SPDX-License-Identifier: Apache-2.0
"""What `store`, `plan_store` and `verify` make of their arguments: edits, and a plan of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from audioengine.choices import CallerChannel, Fallback, Render, SharedFrames
from audioengine.edits import (
    LAME_LATENESS,
    Beep,
    Edits,
    IfUntagged,
    Modification,
    effective_delay,
    modification_of,
    resolve,
)
from audioengine.notices import Notice
from audioengine.operations.choices import check_options
from audioengine.operations.recording import Recording, likely_delay
from audioengine.plan.stereo import CouplingReader
from audioengine.plan.store import StorePlan
from audioengine.plan.store import make_store_plan as make_plan
from audioengine.plan.windows import read_windows
from audioengine.times import Number


@dataclass(frozen=True, slots=True)
class StoreChoices:
    """How a store is to be done; everything but what to edit.

    Raises InvalidRequestError where a field has another word than it may have.
    """

    render: Render
    beep: Beep
    caller_channel: CallerChannel
    shared_frames: SharedFrames
    fallback: Fallback

    def __post_init__(self) -> None:
        choices = {
            "render": Render,
            "caller_channel": CallerChannel,
            "shared_frames": SharedFrames,
            "fallback": Fallback,
        }
        check_options(self, choices)


def resolved(
    recording: Recording,
    modification: Modification | None,
    choices: StoreChoices,
    start_time_ms: Number | None,
    encoder_delay: int | IfUntagged,
) -> Edits:
    """The request on the recording's clock.

    Raises InvalidRequestError.
    """
    index = recording.index
    modification = modification_of(modification)
    is_absolute = modification.absolute_times and modification.asks
    is_lost = is_absolute and not index.tells_delay
    edits = resolve(
        modification,
        rate_hz=index.format.rate_hz,
        samples=index.samples,
        tagged=index.tells_delay,
        start_time_ms=start_time_ms,
        encoder_delay=effective_delay(
            encoder_delay, tells_delay=index.tells_delay, is_absolute=is_absolute
        ),
        likely_delay=likely_delay(recording) if is_lost else LAME_LATENESS,
    )
    if edits.masks:
        choices.beep.check_rate(index.format.rate_hz)
    return edits


def is_copy(recording: Recording, edits: Edits) -> bool:
    """Whether edits leave a recording as it is; one that is no MP3 is encoded in any case."""
    return edits.is_identity and recording.sampled is None


def store_plan(
    recording: Recording, edits: Edits, choices: StoreChoices, found: Sequence[Notice] = ()
) -> StorePlan:
    """The plan of edits that change something.

    found: what rendering found in the way of copying frames.

    Raises UnsupportedAudioError where the source needs the full path and `fallback` refuses it.
    """
    index = recording.index
    return make_plan(
        index,
        edits,
        CouplingReader(recording.source, index),
        partial(read_windows, recording.source, index),
        render=choices.render,
        fallback=choices.fallback,
        caller_channel=choices.caller_channel,
        shared_frames=choices.shared_frames,
        found=found,
    )
