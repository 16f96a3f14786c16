# SPDX-License-Identifier: Apache-2.0
"""Renders a store, by copying frames or by re-making everything."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from audioengine.edits import Edits
from audioengine.notices import Notice
from audioengine.operations.options import StoreOptions
from audioengine.operations.recording import Recording
from audioengine.operations.store_request import store_plan
from audioengine.pcm.tone import BeepTone
from audioengine.plan.store import StorePlan
from audioengine.render.execute import Progress, Rendered, render_plan
from audioengine.render.stream import RecordingStream
from audioengine.render.weave import NoRoomError


class Restartable(Protocol):
    """An output that is not published yet."""

    def write(self, data: bytes) -> object:
        """Append."""
        ...

    def rewrite_start(self, data: bytes) -> None:
        """Replace the first bytes, which are already written."""
        ...

    def restart(self) -> None:
        """Discard everything written."""
        ...


def no_room(error: NoRoomError) -> Notice:
    """The notice that nothing is copied, because re-made frames do not fit beside copied ones."""
    return Notice("no_room", f"Re-made frames do not fit beside copied ones: {error}")


def render_store(
    recording: Recording,
    edits: Edits,
    options: StoreOptions,
    staging: Restartable,
    workers: int,
    progress: Progress | None = None,
) -> tuple[StorePlan, Rendered]:
    """Write an edited recording to an empty `staging`; `edits` must change something.

    Whether re-made frames have room beside copied ones shows only here. If not, everything is
    re-made, if `fallback` allows it.

    Raises UnsupportedAudioError if `fallback` does not, and StorageError.
    """
    index = recording.index
    plan = store_plan(recording, edits, options)
    render = partial(
        render_plan,
        RecordingStream(recording.source, index),
        tone=BeepTone(options.beep, index.format.rate_hz),
        staging=staging,
        read_pcm=recording.read_pcm,
        workers=workers,
        progress=progress,
    )
    try:
        return plan, render(plan=plan)
    except NoRoomError as error:
        if plan.render == "full":
            raise
        plan = store_plan(recording, edits, options, [no_room(error)])
        staging.restart()
        return plan, render(plan=plan)


class Nowhere:
    """An output that discards everything."""

    def write(self, data: bytes) -> None:
        """Do nothing."""

    def rewrite_start(self, data: bytes) -> None:
        """Do nothing."""

    def restart(self) -> None:
        """Do nothing."""


def plan_of_rendering(
    recording: Recording, edits: Edits, options: StoreOptions, workers: int
) -> StorePlan:
    """The final plan of a store of these edits, found by a rendering that is thrown away."""
    plan, _ = render_store(recording, edits, options, Nowhere(), workers)
    return plan
