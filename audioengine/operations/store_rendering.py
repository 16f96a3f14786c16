# SPDX-License-Identifier: Apache-2.0
"""Rendering a store by the way that it can go."""

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
    """A place for an output that nobody sees yet."""

    def write(self, data: bytes) -> object:
        """Append."""
        ...

    def rewrite_start(self, data: bytes) -> None:
        """Replace the first bytes, which were written before."""
        ...

    def restart(self) -> None:
        """Forget all that was written."""
        ...


def no_room(error: NoRoomError) -> Notice:
    """Why nothing is copied where what is re-made would not fit beside it."""
    return Notice("no_room", f"What is re-made has no room beside what is kept: {error}")


def render_store(
    recording: Recording,
    edits: Edits,
    options: StoreOptions,
    staging: Restartable,
    workers: int,
    progress: Progress | None = None,
) -> tuple[StorePlan, Rendered]:
    """Write what edits that change something make of a recording to an empty `staging`.

    Whether what is re-made has room beside what is kept shows only here: where it hasn't, all is
    re-made if `fallback` lets it.

    Raises UnsupportedAudioError where `fallback` does not, and StorageError.
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
    """Keeps nothing."""

    def write(self, data: bytes) -> None:
        """Do nothing."""

    def rewrite_start(self, data: bytes) -> None:
        """Do nothing."""

    def restart(self) -> None:
        """Do nothing."""


def plan_of_rendering(
    recording: Recording, edits: Edits, options: StoreOptions, workers: int
) -> StorePlan:
    """The plan that a store of these edits ends with: the rendering is done and thrown away."""
    plan, _ = render_store(recording, edits, options, Nowhere(), workers)
    return plan
