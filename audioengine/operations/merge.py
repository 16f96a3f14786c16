# SPDX-License-Identifier: Apache-2.0
"""`merge`: several recordings on one clock; `plan_merge`: the same without doing it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace

from audioengine.choices import Align, CallerChannel, MaskScope, Missing, Render, SharedFrames
from audioengine.custody.record import Recorder
from audioengine.edits import Beep
from audioengine.errors import InvalidRequestError, LimitError, Problem
from audioengine.operations import merge_reporting as reporting
from audioengine.operations.choices import check_options
from audioengine.operations.coherence import MeasuredCoherence
from audioengine.operations.copying import copy_whole
from audioengine.operations.facts import facts_of
from audioengine.operations.gathering import (
    Member,
    Omitted,
    UndecodableError,
    check_not_all,
    named,
    opened,
    output_format,
    placed_members,
)
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.merge_rendering import render_merge
from audioengine.operations.options import DAY_S
from audioengine.operations.recording import Recording
from audioengine.operations.recording_custody import merge_entry, recorded, require_record
from audioengine.operations.workers import worker_count
from audioengine.parts import MergePart, TimedPart
from audioengine.plan.merge import MergePlan
from audioengine.plan.merge import plan_merge as make_plan
from audioengine.render.execute import Progress
from audioengine.render.workers import executor_of
from audioengine.report import MergePlanReport, MergeReport
from audioengine.storage import DestinationLike, S3Options, Staging, open_destination
from audioengine.times import Number, exact, ms_to_samples, plain


@dataclass(frozen=True, slots=True)
class _Options:
    """How a merge is to be done; everything but what to merge and how to read it."""

    align: Align
    render: Render
    missing: Missing
    mask_scope: MaskScope
    beep: Beep
    caller_channel: CallerChannel
    shared_frames: SharedFrames
    max_timeline_s: Number

    def __post_init__(self) -> None:
        choices = {
            "align": Align,
            "render": Render,
            "missing": Missing,
            "mask_scope": MaskScope,
            "caller_channel": CallerChannel,
            "shared_frames": SharedFrames,
        }
        check_options(self, choices)
        if exact(self.max_timeline_s, "max_timeline_s") <= 0:
            raise InvalidRequestError.of("max_timeline_s", self.max_timeline_s, "must be above 0")


def merge(
    parts: Sequence[MergePart],
    destination: DestinationLike,
    *,
    align: Align = "sample",
    render: Render = "smart",
    missing: Missing = "fail",
    mask_scope: MaskScope = "part",
    beep: Beep = Beep(),  # noqa: B008 - frozen
    caller_channel: CallerChannel = "left",
    shared_frames: SharedFrames = "keep",
    allow_truncated: bool = False,
    fail_on_crosstalk: bool = False,
    max_timeline_s: Number = DAY_S,
    record: Recorder | None = None,
    s3: S3Options | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> MergeReport:
    """Put several recordings onto one clock; what one of them alone says is copied.

    The timeline begins with the earliest start. At each instant all recordings are heard that
    have audio then, but of those that also list a conference segment there only the one that
    started first. Where several are heard, caller is added to caller and callee to callee; gaps
    are silent. The output appears at `destination` whole or not at all; it may be one of the
    sources. One recording alone that nothing changes is a copy, byte for byte.

    destination: a path, s3://bucket/key, a writable binary file object, or an object of a storage.
    align: "sample" puts every recording where its start says; "frame" moves those that overlap
        no other by less than a frame, so that they can be copied too.
    render: "smart", or "full" to re-encode everything.
    missing: "fail", or "omit" to leave out recordings that are not there or can't be decoded.
    mask_scope: "part", or "conference" to apply each mask to every recording that lists a
        conference segment there.
    caller_channel: "left", or "right" where the recorder has the parties the other way round.
    shared_frames: what becomes of the other party in frames coded as mid/side under a mask of
        one: "keep" re-encodes it, "mask_both" masks it too.
    allow_truncated: take recordings that their tags say are cut off.
    fail_on_crosstalk: raise where a masked voice seems to be on the other channel too.
    max_timeline_s: a longer timeline is refused, for it means a wrong start time.
    record: a CustodyRecord that gets an entry, once the output is published.
    s3: how places that begin with s3:// are reached and encrypted.
    workers: threads that decode and encode, default one a processor; no influence on the output.
    progress: called with frames done and frames in all.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, LimitError and
    StorageError, with `record` also VerificationError; there is no output then, but where an entry
    can't be written after all, as the message says.
    """
    started = time.perf_counter()
    options = _Options(
        align, render, missing, mask_scope, beep, caller_channel, shared_frames, max_timeline_s
    )
    workers = worker_count(workers)
    require_record(record)
    with opened(parts, missing=missing, allow_truncated=allow_truncated, s3=s3) as (there, omitted):
        gathered = _gather(there, options)
        with (
            closing(open_destination(destination, s3)) as staging,
            executor_of(min(workers, 2)) as beside,
        ):
            digests = {
                part.path: beside.submit(sha256_hex, recording.source) for part, recording in there
            }
            while not (done := _try(gathered, options, there, omitted, staging, workers, progress)):
                gathered = _gather(there, options)
            members = gathered.members
            if fail_on_crosstalk:
                _refuse_crosstalk(members, done.coherence)
            output_digest = sha256_hex(staging)
            source_digests = [digests[member.timed.path].result() for member in members]
            report = reporting.merge_report(
                done,
                members,
                omitted,
                options.align,
                source_digests,
                output_digest,
                staging.size,
                time.perf_counter() - started,
            )
            entry = {}
            if record is not None:
                request = {
                    **asdict(options),
                    "allow_truncated": allow_truncated,
                    "fail_on_crosstalk": fail_on_crosstalk,
                }
                timed = [member.timed for member in members]
                entry = merge_entry(record, report, timed, destination, staging, request, (), s3)
            for member in members:
                member.recording.source.check_unchanged()
            staging.publish(facts_of(source_digests))
    return report if record is None else replace(report, recorded=recorded(record, entry))


def plan_merge(
    parts: Sequence[MergePart],
    *,
    align: Align = "sample",
    render: Render = "smart",
    missing: Missing = "fail",
    mask_scope: MaskScope = "part",
    beep: Beep = Beep(),  # noqa: B008 - frozen
    caller_channel: CallerChannel = "left",
    shared_frames: SharedFrames = "keep",
    allow_truncated: bool = False,
    max_timeline_s: Number = DAY_S,
    s3: S3Options | None = None,
) -> MergePlanReport:
    """Say what `merge` would do with the same arguments, without decoding or writing anything.

    Raises what `merge` would raise before it renders.
    """
    options = _Options(
        align, render, missing, mask_scope, beep, caller_channel, shared_frames, max_timeline_s
    )
    with opened(parts, missing=missing, allow_truncated=allow_truncated, s3=s3) as (there, omitted):
        gathered = _gather(there, options)
        return reporting.plan_report(
            gathered.plan, gathered.members, omitted, align, is_copy=gathered.is_copy
        )


@dataclass(frozen=True)
class _Gathered:
    """All that rendering needs to know."""

    members: Sequence[Member]
    plan: MergePlan

    @property
    def is_copy(self) -> bool:
        """Whether the output is the one recording as it is."""
        if len(self.members) > 1:
            return False
        placed = self.members[0].placed
        return placed.edits.is_identity and not placed.zero and self.plan.render == "smart"


def _gather(there: Sequence[tuple[TimedPart, Recording]], options: _Options) -> _Gathered:
    format = output_format([recording for _, recording in there])
    members = placed_members(
        there,
        format.rate_hz,
        options.beep,
        mask_scope=options.mask_scope,
        caller_channel=options.caller_channel,
        shared_frames=options.shared_frames,
    )
    _check_length(members, format.rate_hz, options.max_timeline_s)
    placed = [member.placed for member in members]
    plan = make_plan(placed, format, align=options.align, render=options.render)
    return _Gathered(members, plan)


def _check_length(members: Sequence[Member], rate_hz: int, most_s: Number) -> None:
    last = max(members, key=lambda member: member.placed.audio.end)
    limit = exact(most_s, "max_timeline_s")
    if last.placed.audio.end > ms_to_samples(limit * 1000, rate_hz):
        hours = plain(last.placed.audio.end / (rate_hz * exact(3600, "")))
        raise LimitError(
            f"the timeline would last {hours} h, {plain(limit / 3600)} h are allowed: "
            f"{last.name} starts {plain(last.offset_ms / 3_600_000)} h after {members[0].name}. "
            "If the start times are right, raise max_timeline_s"
        )


def _try(
    gathered: _Gathered,
    options: _Options,
    there: list[tuple[TimedPart, Recording]],
    omitted: list[Omitted],
    staging: Staging,
    workers: int,
    progress: Progress | None,
) -> reporting.Merged | None:
    """Merge; None, with a recording moved to `omitted`, where that one can't be decoded."""
    sources = [member.recording.source for member in gathered.members]
    if gathered.is_copy:
        copy_whole(sources[0], staging)
        return reporting.Merged(gathered.plan, None, None, {})
    try:
        return render_merge(
            gathered.plan,
            sources,
            beep=options.beep,
            staging=staging,
            workers=workers,
            progress=progress,
        )
    except UndecodableError as undecodable:
        part, _ = there.pop(undecodable.number)
        if options.missing == "fail":
            raise named(undecodable.error, part.name) from undecodable
        omitted.append(Omitted(part.name, str(undecodable.error)))
        check_not_all(there, omitted)
        staging.restart()
        return None


def _refuse_crosstalk(
    members: Sequence[Member], coherence: Mapping[tuple[int, int], MeasuredCoherence]
) -> None:
    problems = []
    for (number, place), measured in coherence.items():
        member = members[number]
        mask = member.placed.masks[place]
        notice = measured.notice(mask)
        if notice is not None:
            applied = mask.mask.applied
            value = f"samples {applied.start} to {applied.end}"
            path = f"{member.timed.path}.modification.mask.{mask.mask.party}"
            problems.append(Problem(path, value, notice.message))
    if problems:
        raise InvalidRequestError(problems)
