# SPDX-License-Identifier: Apache-2.0
"""Reports of operations: frozen values with the same keys in Python and JSON.

Samples count on the recording's clock, as players play it; milliseconds give the same positions
for people. All intervals are half-open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from audioengine.edits import FindingsFile, Span
from audioengine.notices import Notice
from audioengine.times import samples_to_ms


class Json:
    """Reports as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values; `recorded` only if a custody record was asked for."""
        values: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        if values.get("recorded", ()) is None:
            del values["recorded"]
        return values

    def _repr_html_(self) -> str:
        """The report as tables, for notebooks."""
        from audioengine.report_tables import report_html

        return report_html(self.to_dict())

    def to_json(self, indent: int | None = None) -> str:
        """The report as one JSON object."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class IntervalReport:
    """A stretch of the recording."""

    samples: tuple[int, int]
    ms: tuple[float, float]

    @classmethod
    def of(cls, span: Span, rate_hz: int) -> IntervalReport:
        """The stretch of a span at a sampling rate."""
        ms = (samples_to_ms(span.start, rate_hz), samples_to_ms(span.end, rate_hz))
        return cls((span.start, span.end), ms)


@dataclass(frozen=True, slots=True)
class FileReport:
    """A source or an output."""

    sha256: str
    bytes: int
    samples: int
    """Per channel, as players play them."""
    rate_hz: int
    channels: int
    tagged: bool
    """Whether an Info/Xing tag tells decoders what to trim."""
    encoder_delay: int | None
    """Raw field of the tag, in samples; None without one."""
    padding: int | None
    """Raw field of the tag, in samples; None without one."""


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What was kept."""

    asked: IntervalReport | None
    """None: no trim was asked for."""
    applied: IntervalReport


@dataclass(frozen=True, slots=True)
class MaskReport:
    """One mask as it was applied."""

    party: str
    channel: str
    """``left``, ``right``, ``both`` or ``mono``."""
    asked: IntervalReport
    applied: IntervalReport
    """With guard, clipped to the recording."""
    moved_frames: tuple[int, int]
    """Frames by which the re-made run's ends lie further out than the mask alone requires."""
    coherence: float | None
    """How much of one channel is on the other under the mask, 0 to 1; None: not measured."""
    shared_frames: int
    """Frames under the mask in which the other party was coded together with this one."""


@dataclass(frozen=True, slots=True)
class FramesReport:
    """The frames of the output, counted by how they were made."""

    verbatim: int
    """Every byte is the source's."""
    slot_rewritten: int
    """Audio is the source's; bytes that held removed frames' data are replaced."""
    spliced: int
    """One party's granules are the source's, bit for bit."""
    reencoded: int
    silent: int
    """No audio data."""


@dataclass(frozen=True, slots=True)
class RemadeReport:
    """Consecutive frames in which a channel is not the source's coded data."""

    channel: str
    """``left``, ``right`` or ``mono``."""
    reason: str
    """``mask``: depends on masked samples; ``trim``: depends on samples outside the trim;
    ``shared``: coded together with the other party's; ``window``: needed for a legal window
    sequence; ``full``: everything is re-made. In a merge also ``mixed``: several recordings are
    heard; ``off_grid``: the recording can't be copied; ``switch``: another recording begins."""
    frames: tuple[int, int]
    """Numbers of the source's frames; in a merge, of the output's."""
    interval: IntervalReport
    """What those frames decode to."""


@dataclass(frozen=True, slots=True)
class BitratesReport:
    """Bitrates of the output."""

    nominal_kbps: int | None
    """The bitrate of re-made frames; None if nothing was re-made."""
    frames: Mapping[int, int]
    """Frames by bitrate in kbit/s."""
    raised: int
    """Re-made frames that took a higher bitrate to fit."""
    lowered: int
    """Re-made frames coded at less than the source's quality to fit the highest bitrate."""


@dataclass(frozen=True, slots=True)
class RecordedReport:
    """The state of a custody record after its last entry."""

    record: str
    """Path of the file."""
    count: int
    """The number of its entries."""
    head: str
    """SHA-256 of its last line: publish it, so that later cuts and changes can be detected."""


Figure: TypeAlias = float | int | str


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and whether the output keeps it."""

    name: str
    """``copy``; or ``tag``, ``metadata``, ``length``, ``clock``, ``copied_frames``,
    ``other_party``, ``removed_audio``, ``leftovers``, ``windows``, ``decoders``, ``beep``,
    ``mask_edges``, ``voice_gone``, ``kept_sound``, ``hidden``; of a merge also ``mixed``,
    ``silenced``, ``gaps``."""
    passed: bool
    measured: Mapping[str, Figure]
    """The figures that decided it; units are in their names."""
    message: str
    """What was found, in a sentence."""


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """The verification of an output before it was published: it passed."""

    passed: bool
    checks: tuple[Check, ...]
    decoder: str
    """The decoder; empty if nothing had to be decoded."""


@dataclass(frozen=True)
class StoreReport(Json):
    """What `store` did."""

    source: FileReport
    output: FileReport
    trim: TrimReport
    masks: tuple[MaskReport, ...]
    frames: FramesReport
    remade: tuple[RemadeReport, ...]
    render: str
    """``copy``, ``smart``, ``full``, or ``encoded`` if the source is no MP3."""
    bitrates: BitratesReport
    seconds_reencoded: float
    """Seconds of audio in frames with a re-made channel."""
    fallbacks: tuple[Notice, ...]
    """Why the full path was taken."""
    warnings: tuple[Notice, ...]
    version: str
    wall_seconds: float
    recorded: RecordedReport | None = None
    """None where no custody record was asked for."""
    verification: VerdictReport | None = None
    """None: it was not asked for."""
    findings: tuple[FindingsFile, ...] = ()
    """The files that masks come from, and what was found there: no text."""


@dataclass(frozen=True)
class PlanReport(Json):
    """What `store` would do."""

    trim: TrimReport
    masks: tuple[MaskReport, ...]
    render: str
    frames: int
    """Frames of the output, without the silent lead-in that it may need."""
    copied: int
    """Frames that are certainly copied; up to three at each end of a run may be too."""
    remade: tuple[RemadeReport, ...]
    seconds_reencoded: float
    output_samples: int
    fallbacks: tuple[Notice, ...]
    warnings: tuple[Notice, ...]
    version: str
    findings: tuple[FindingsFile, ...] = ()
    """The files that masks come from, and what was found there: no text."""


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """A position on a merge's timeline, which begins with the earliest start."""

    samples: int
    """In the output."""
    ms: float
    """As asked, before rounding to samples."""


@dataclass(frozen=True, slots=True)
class PartMaskReport:
    """One mask of a merged recording, as it was applied."""

    party: str
    channel: str
    """``left``, ``right``, ``both`` or ``mono``."""
    asked: IntervalReport
    """On the recording's own clock."""
    applied: IntervalReport
    """On the recording's own clock, with guard, clipped to the recording."""
    timeline: IntervalReport
    coherence: float | None
    """How much of one channel is on the other under the mask, 0 to 1; None: not measured."""
    also_heard: tuple[str, ...]
    """Other recordings that are heard at the same time and may hold the same words."""


@dataclass(frozen=True, slots=True)
class PartReport:
    """One recording of a merge."""

    id: str
    start_time_ms: float
    offset: PlaceReport
    moved_samples: int
    """How much later than asked it lies, with ``align="frame"``; negative: earlier."""
    source: FileReport | None
    """None in a plan, which hashes nothing."""
    interval: IntervalReport
    """Where on the timeline it has audio."""
    trim: TrimReport
    masks: tuple[PartMaskReport, ...]
    heard: tuple[IntervalReport, ...]
    """On the timeline."""
    silenced: tuple[IntervalReport, ...]
    """Where a conference is heard from another recording instead, on the timeline."""
    copied_frames: int
    """Frames of the output copied from it; up to three at each end of a run may be re-made."""
    resampled_from_hz: int | None
    not_copied: Notice | None
    """Why none of its frames could be copied, if it is heard but none was."""
    findings: tuple[FindingsFile, ...] = ()
    """The files that masks come from, and what was found there: no text."""


@dataclass(frozen=True, slots=True)
class StretchReport:
    """A stretch of the timeline in which the same recordings are heard."""

    interval: IntervalReport
    heard: tuple[str, ...]
    silenced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MixedReport:
    """A stretch of the timeline in which several recordings are summed."""

    interval: IntervalReport
    heard: tuple[str, ...]
    limited_ms: float | None
    """How long the limiter reduced the sum, in blocks of 10 ms; None in a plan."""
    limiter_db: float | None
    """The limiter's lowest gain, 0 or less; None in a plan."""


@dataclass(frozen=True, slots=True)
class OmittedReport:
    """A recording that was left out of a merge."""

    id: str
    reason: str


@dataclass(frozen=True)
class _Merging(Json):
    """What the reports of a merge and of its plan share."""

    parts: tuple[PartReport, ...]
    """In order of start."""
    timeline: tuple[StretchReport, ...]
    """The recordings heard at each time, without a break from the first sample to the last."""
    gaps: tuple[IntervalReport, ...]
    """Where no recording is heard."""
    mixed: tuple[MixedReport, ...]
    grid_owner: str | None
    """The recording that sets the output's frame grid; None if none is copied."""
    align: str
    omitted: tuple[OmittedReport, ...]
    render: str
    """``copy``, ``smart``, ``full``, or ``encoded`` if no recording is an MP3."""
    remade: tuple[RemadeReport, ...]
    seconds_reencoded: float
    """Seconds of audio in frames with a re-made channel."""
    warnings: tuple[Notice, ...]
    version: str


@dataclass(frozen=True)
class MergePlanReport(_Merging):
    """What `merge` would do."""

    output_samples: int
    rate_hz: int
    channels: int
    frame_count: int
    """Frames of the output, without the silent lead-in that it may need."""
    copied: int
    """Frames that are certainly copied; up to three at each end of a run may be too."""
    nominal_kbps: int | None
    """Bitrate of re-made frames; None in a plain copy."""


@dataclass(frozen=True)
class MergeReport(_Merging):
    """What `merge` did."""

    output: FileReport
    frames: FramesReport
    bitrates: BitratesReport
    wall_seconds: float
    recorded: RecordedReport | None = None
    """None where no custody record was asked for."""
    verification: VerdictReport | None = None
    """None: it was not asked for."""


@dataclass(frozen=True, slots=True)
class FailedJobReport:
    """A job of a batch that failed."""

    line: int
    """Line of the manifest, from 1."""
    source: str | None
    destination: str | None
    """This and `source` are None if the line could not be read."""
    type: str
    message: str
    retryable: bool


@dataclass(frozen=True)
class BatchReport(Json):
    """What `run_batch` did."""

    jobs: int
    """Lines of the manifest that this run reached."""
    done: int
    failed: int
    skipped: int
    """Done by an earlier run of the same batch."""
    stopped: bool
    """Whether it ended early because too many jobs failed."""
    failures: tuple[FailedJobReport, ...]
    """The first thousand; the journal has all."""
    version: str
    wall_seconds: float
    recorded: RecordedReport | None = None
    """The custody record after this run's last entry; None if the run made none."""
    left_out: int = 0
    """Files in a folder, under a prefix or in a list that are no recordings; they make no jobs."""


@dataclass(frozen=True)
class BatchPlanReport(Json):
    """What a manifest asks for."""

    jobs: int
    """Valid lines."""
    kinds: Mapping[str, int]
    """Valid lines by the command's method; a line that is no command counts as ``store``."""
    masks: int
    trims: int
    copies: int
    """Jobs that edit nothing."""
    masked_seconds: float
    """The length of all masks as asked, without guards."""
    source_bytes: int
    """The size of sources if the manifest states it: a folder, a prefix, an inventory with Size."""
    unsized: int
    """Jobs whose source size the manifest does not state."""
    invalid: int
    failures: tuple[FailedJobReport, ...]
    """The first thousand invalid lines."""
    version: str
    left_out: int = 0
    """As in `BatchReport`."""


@dataclass(frozen=True)
class EncodeReport(Json):
    """What `encode` wrote."""

    output: FileReport
    bitrates: BitratesReport
    version: str
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class KeysReport:
    """A string of telephone keys (DTMF) that is heard."""

    party: str
    """``caller``, ``callee``, or ``both`` in a mono recording."""
    interval: IntervalReport
    """From the start of the first key to the end of the last; of an echo, to the echo's end."""
    keys: int
    """The number of keys."""
    echo: bool
    """Whether this is the echo of a string on the other party's channel."""
    digits: str | None = field(default=None, repr=False)
    """The keys, if they were asked for: a secret."""


@dataclass(frozen=True)
class DtmfReport(Json):
    """The strings of telephone keys (DTMF) in a recording."""

    strings: tuple[KeysReport, ...]
    """In order of start."""
    samples: int
    """Samples of the recording; all were decoded."""
    rate_hz: int
    warnings: tuple[Notice, ...]
    version: str
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class LegReport:
    """A file that was converted."""

    party: str
    """``caller``, ``callee``, or ``both``."""
    kind: str
    """What it is: ``a WAV file with 16-bit PCM``."""
    sha256: str
    bytes: int
    samples: int
    """Per channel, at its own rate."""
    rate_hz: int
    channels: int
    start_time_ms: float | None
    """Epoch time of its first sample; None: not known."""
    interval: IntervalReport
    """Where in the output it is."""


@dataclass(frozen=True, slots=True)
class PartyReport:
    """One party in the output."""

    party: str
    """``caller``, ``callee``, or ``both`` in a mono recording."""
    channel: str
    """``left``, ``right`` or ``mono``."""
    level_dbfs: float | None
    """RMS of its files, relative to a full-scale square wave; None: digital silence."""
    peak_dbfs: float | None
    clipped_samples: int
    """Samples at full scale: the recorder may have clipped them."""
    silence: tuple[IntervalReport, ...]
    """Where it has no file and the output is silent."""


@dataclass(frozen=True, slots=True)
class StreamPartReport:
    """A stretch of a stream on one unbroken clock."""

    start_time_ms: float
    """Epoch time of its first sample."""
    interval: IntervalReport
    """Its position in the output."""
    drift_ppm: float
    """How much slower the sender's clock ran than the capture's; 0.0 if shorter than 5 s."""
    resampled: bool
    """Whether the drift was corrected: it is, from 20 ppm and 5 ms in all."""
    silent_ms: float
    """Silence within it where no packet brought samples: loss, pauses, holds, keys."""
    lost: int
    """Packets missing between its first and its last."""
    repeated: int
    late: int
    """Packets that arrived out of order; they are put in their place."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One RTP stream in a capture."""

    party: str
    ssrc: int
    from_port: int
    to_port: int
    codec: str
    packets: int
    events: int
    """Packets that report pressed keys; their contents were not decoded."""
    comfort_noise: int
    parts: tuple[StreamPartReport, ...]


@dataclass(frozen=True)
class ConvertReport(Json):
    """What `convert` wrote."""

    sources: tuple[LegReport, ...]
    output: FileReport
    start_time_ms: float | None
    """Epoch time of the output's first sample, the earliest start; None: not known."""
    parties: tuple[PartyReport, ...]
    overlap: tuple[IntervalReport, ...]
    """Where both parties have files."""
    render: str
    """``encoded``."""
    bitrates: BitratesReport
    warnings: tuple[Notice, ...]
    version: str
    wall_seconds: float
    streams: tuple[StreamReport, ...] = ()
    """The streams of a capture, by party and start."""
    meta: str | None = None
    """For a capture: when each part of a stream began, as `meta` of RECORDINGREADY has it."""


@dataclass(frozen=True)
class RecordingInfo(Json):
    """A recording described by its frames, or by its header if it is no MP3."""

    kind: str
    """The kind of file: ``an MP3 recording``, ``a WAV file with 16-bit PCM``."""
    bytes: int
    version: str
    """``MPEG-1``, ``MPEG-2`` or ``MPEG-2.5``, always Layer III; empty if it is no MP3."""
    rate_hz: int
    channels: int
    mode: str
    samples: int
    """Per channel, as players play them."""
    duration_ms: float
    frames: int
    bitrate_kbps: float
    """Mean over the audio frames, or over the file if it is no MP3."""
    bitrates: Mapping[int, int]
    """Frames by bitrate in kbit/s; empty in free format."""
    constant_bitrate: bool
    free_format: bool
    protected: bool
    """Whether frames carry a CRC."""
    tagged: bool
    """Whether an Info/Xing tag tells decoders what to trim."""
    encoder: str | None
    encoder_delay: int | None
    padding: int | None
    tags: tuple[str, ...]
    """Metadata around the frames: ``id3v1``, ``id3v2``, ``ape``, ``lyrics3``."""
    warnings: tuple[Notice, ...]
