# SPDX-License-Identifier: Apache-2.0
"""Turns the arguments of `merge`, `plan_merge` and `verify_merge` into placed parts and a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from audioengine.errors import LimitError
from audioengine.notices import Notice
from audioengine.operations.gathering import Member, output_format, placed_members
from audioengine.operations.options import MergeOptions
from audioengine.operations.recording import Recording
from audioengine.parts import TimedPart
from audioengine.plan.merge import MergePlan
from audioengine.plan.merge import make_merge_plan as make_plan
from audioengine.plan.windows import read_source_windows
from audioengine.times import Number, exact, ms_to_samples, plain


@dataclass(frozen=True)
class MergeMaterial:
    """Everything that rendering a merge needs."""

    members: Sequence[Member]
    plan: MergePlan

    @property
    def is_copy(self) -> bool:
        """Whether the output is a copy of the only recording."""
        if len(self.members) > 1:
            return False
        placed = self.members[0].placed
        is_whole = placed.edits.is_identity and not placed.zero
        return is_whole and bool(placed.index.frames) and self.plan.render == "smart"


def gather(
    there: Sequence[tuple[TimedPart, Recording]],
    options: MergeOptions,
    no_room: Notice | None = None,
) -> MergeMaterial:
    """Place open recordings, in order of start, and plan their merge.

    no_room: why nothing can be copied, as an earlier rendering found.

    Raises InvalidRequestError for wrong edits, and LimitError.
    """
    format = output_format([recording for _, recording in there])
    members = placed_members(there, format.rate_hz, options)
    _check_length(members, format.rate_hz, options.max_timeline_s)
    placed = [member.placed for member in members]
    windows = [
        partial(read_source_windows, member.recording.source, member.placed.index)
        for member in members
    ]
    plan = make_plan(
        placed, format, windows, align=options.align, render=options.render, no_room=no_room
    )
    return MergeMaterial(members, plan)


def _check_length(members: Sequence[Member], rate_hz: int, most_s: Number) -> None:
    last = max(members, key=lambda member: member.placed.audio.end)
    limit = exact(most_s, "max_timeline_s")
    if last.placed.audio.end > ms_to_samples(limit * 1000, rate_hz):
        hours = plain(last.placed.audio.end / (rate_hz * exact(3600, "")))
        raise LimitError(
            f"the timeline would last {hours} h, at most {plain(limit / 3600)} h are allowed: "
            f"{last.name} starts {plain(last.offset_ms / 3_600_000)} h after {members[0].name}. "
            "If the start times are right, raise max_timeline_s"
        )
