# SPDX-License-Identifier: Apache-2.0
"""What an operation says of itself: frozen values with the same keys in Python and JSON.

Samples count on the recording's clock, as players play it; milliseconds are the same places for
people. All intervals are half-open.
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
        """The report as plain values; `recorded` only where there is a custody record."""
        values: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        if values.get("recorded", ()) is None:
            del values["recorded"]
        return values

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
        """The stretch that a span is, at a sampling rate."""
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
    """None: no trim was asked."""
    applied: IntervalReport


@dataclass(frozen=True, slots=True)
class MaskReport:
    """What became of one mask."""

    party: str
    channel: str
    """``left``, ``right``, ``both`` or ``mono``."""
    asked: IntervalReport
    applied: IntervalReport
    """With guard, clipped to the recording."""
    moved_frames: tuple[int, int]
    """Frames by which the re-made run's ends lie further out than the mask alone requires."""
    coherence: float | None
    """How much of one channel is on the other under the mask, 0 to 1; None where not measured."""
    shared_frames: int
    """Frames under the mask in which the other party was coded together with this one."""


@dataclass(frozen=True, slots=True)
class FramesReport:
    """How many frames came to be in which way."""

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
    """``mask``, ``trim``: depends on masked samples, on samples outside the trim; ``shared``: coded
    together with the other party's; ``window``: up to the next place where the window sequence
    stays legal; ``full``: everything is. In a merge also ``mixed``: several recordings are heard;
    ``off_grid``: the one heard can't be copied; ``switch``: who is heard changes."""
    frames: tuple[int, int]
    """Numbers of the source's frames; in a merge, of the output's."""
    interval: IntervalReport
    """What those frames decode to."""


@dataclass(frozen=True, slots=True)
class BitratesReport:
    """Bitrates of the output."""

    nominal_kbps: int | None
    """That of re-made frames; None where nothing was re-made."""
    frames: Mapping[int, int]
    """Frames by bitrate in kbit/s."""
    raised: int
    """Re-made frames that took a higher bitrate to fit."""
    lowered: int
    """Re-made frames coded at less than the source's quality to fit the highest bitrate."""


@dataclass(frozen=True, slots=True)
class RecordedReport:
    """What a custody record has become."""

    record: str
    """Path of the file."""
    count: int
    """Entries that it has."""
    head: str
    """SHA-256 of its last line: to be published, so that what is cut or rewritten later shows."""


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
    """The figures by which it was decided; units are in their names."""
    message: str
    """What was found, in a sentence."""


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """What was found of an output before it was published: it passed."""

    passed: bool
    checks: tuple[Check, ...]
    decoder: str
    """What decoded it; empty where nothing had to be decoded."""


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
    """``copy``, ``smart``, ``full``, or ``encoded``: the source is no MP3."""
    bitrates: BitratesReport
    seconds_reencoded: float
    """Seconds of audio in frames of which a channel was re-made."""
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
    """Frames of the output, but for silent ones that may have to stand in front."""
    copied: int
    """Frames that are copied for sure; up to three at each end of a run may be as well."""
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
    """A place on a merge's timeline, which begins with the earliest start."""

    samples: int
    """Of the output."""
    ms: float
    """As asked, before it was rounded to samples."""


@dataclass(frozen=True, slots=True)
class PartMaskReport:
    """What became of one mask of a recording that was merged."""

    party: str
    channel: str
    """``left``, ``right``, ``both`` or ``mono``."""
    asked: IntervalReport
    """On the recording's own clock."""
    applied: IntervalReport
    """On the recording's own clock, with guard, clipped to the recording."""
    timeline: IntervalReport
    coherence: float | None
    """How much of one channel is on the other under the mask, 0 to 1; None where not measured."""
    also_heard: tuple[str, ...]
    """Other recordings that are heard then, and may hold the same words."""


@dataclass(frozen=True, slots=True)
class PartReport:
    """One recording of a merge."""

    id: str
    start_time_ms: float
    offset: PlaceReport
    moved_samples: int
    """By how much it lies later than asked, with ``align="frame"``; earlier if negative."""
    source: FileReport | None
    """None in a plan, which hashes nothing."""
    interval: IntervalReport
    """Where on the timeline it has audio."""
    trim: TrimReport
    masks: tuple[PartMaskReport, ...]
    heard: tuple[IntervalReport, ...]
    """On the timeline."""
    silenced: tuple[IntervalReport, ...]
    """Where it left a conference to another recording, on the timeline."""
    copied_frames: int
    """Frames of the output that it has; up to three at each end of a run may be made anew."""
    resampled_from_hz: int | None
    not_copied: Notice | None
    """Why none of its frames could be copied, though it is heard."""
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
    """For how long, counted in blocks of 10 ms, the limiter turned the sum down; None in a plan."""
    limiter_db: float | None
    """By how much at most: 0 or less; None in a plan."""


@dataclass(frozen=True, slots=True)
class OmittedReport:
    """A recording that could not be taken into a merge."""

    id: str
    reason: str


@dataclass(frozen=True)
class _Merging(Json):
    """What a merge and its plan both say."""

    parts: tuple[PartReport, ...]
    """In order of start."""
    timeline: tuple[StretchReport, ...]
    """Who is heard when, without a break from the first sample to the last."""
    gaps: tuple[IntervalReport, ...]
    """Where nobody is."""
    mixed: tuple[MixedReport, ...]
    grid_owner: str | None
    """The recording whose frames the output's fall on; None where none is copied."""
    align: str
    omitted: tuple[OmittedReport, ...]
    render: str
    """``copy``, ``smart``, ``full``, or ``encoded``: no recording is an MP3."""
    remade: tuple[RemadeReport, ...]
    seconds_reencoded: float
    """Seconds of audio in frames of which a channel is made anew."""
    warnings: tuple[Notice, ...]
    version: str


@dataclass(frozen=True)
class MergePlanReport(_Merging):
    """What `merge` would do."""

    output_samples: int
    rate_hz: int
    channels: int
    frame_count: int
    """Frames of the output, but for silent ones that may have to stand in front."""
    copied: int
    """Frames that are copied for sure; up to three at each end of a run may be as well."""
    nominal_kbps: int | None
    """Bitrate of what is made; None in a plain copy."""


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
    """Of the manifest, from 1."""
    source: str | None
    destination: str | None
    """Both None where the line could not be read."""
    type: str
    message: str
    retryable: bool


@dataclass(frozen=True)
class BatchReport(Json):
    """What `run_batch` did."""

    jobs: int
    """Lines of the manifest that were come to."""
    done: int
    failed: int
    skipped: int
    """Done by an earlier run of the same batch."""
    stopped: bool
    """Whether it ended early, because too many jobs failed."""
    failures: tuple[FailedJobReport, ...]
    """The first thousand; the journal has all."""
    version: str
    wall_seconds: float
    recorded: RecordedReport | None = None
    """After the last entry of this run; None where it made none."""
    left_out: int = 0
    """Names in a folder, under a prefix or in a list that are no recordings; no jobs."""


@dataclass(frozen=True)
class BatchPlanReport(Json):
    """What a manifest asks for."""

    jobs: int
    """Lines that can be done."""
    kinds: Mapping[str, int]
    """Of these, how many there are by the command's method; what is no command is ``store``."""
    masks: int
    trims: int
    copies: int
    """Jobs that edit nothing."""
    masked_seconds: float
    """Of all masks as they are asked for, without guards."""
    source_bytes: int
    """Of sources whose size the manifest tells: a folder, a prefix, an inventory with Size."""
    unsized: int
    """Jobs whose sources' size it does not tell."""
    invalid: int
    failures: tuple[FailedJobReport, ...]
    """The first thousand lines that can't be done."""
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
    """A string of keys of a telephone that is heard."""

    party: str
    """``caller``, ``callee``, or ``both`` in a mono recording."""
    interval: IntervalReport
    """From the first key's start to the last one's end; of an echo, to where that ends."""
    keys: int
    """How many there are."""
    echo: bool
    """Whether it is heard on the other party's channel, and this is its echo."""
    digits: str | None = field(default=None, repr=False)
    """The keys, where they were asked for: a secret."""


@dataclass(frozen=True)
class DtmfReport(Json):
    """The strings of keys (DTMF) that are heard in a recording."""

    strings: tuple[KeysReport, ...]
    """By their starts."""
    samples: int
    """Of the recording: all of it was decoded."""
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
    """What there is of a party in the output."""

    party: str
    """``caller``, ``callee``, or ``both`` in a mono recording."""
    channel: str
    """``left``, ``right`` or ``mono``."""
    level_dbfs: float | None
    """RMS over all that its files hold, of a full-scale square wave; None: digital silence."""
    peak_dbfs: float | None
    clipped_samples: int
    """Samples at full scale: the recorder may have cut them off."""
    silence: tuple[IntervalReport, ...]
    """Where it has no file, and the output is silent."""


@dataclass(frozen=True, slots=True)
class StreamPartReport:
    """A stretch of a stream on one unbroken clock."""

    start_time_ms: float
    """Epoch time of its first sample."""
    interval: IntervalReport
    """Where in the output it is."""
    drift_ppm: float
    """How much slower the sender's clock ran than the capture's; 0.0 in less than 5 s."""
    resampled: bool
    """Whether the drift was taken out: from 20 ppm and 5 ms in all."""
    silent_ms: float
    """Within it, where no packet brought samples: loss, pauses, holds, keys."""
    lost: int
    """Packets that are missing between its first and its last."""
    repeated: int
    late: int
    """Packets that came after a later one; they are at their place all the same."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What one sender sent, found in a capture."""

    party: str
    ssrc: int
    from_port: int
    to_port: int
    codec: str
    packets: int
    events: int
    """Packets of keys that were pressed. What they hold was not decoded."""
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
    """Of a capture, by party and start."""
    meta: str | None = None
    """Of a capture: the `meta` that RECORDINGREADY carries, when each part of a stream began."""


@dataclass(frozen=True)
class RecordingInfo(Json):
    """What a recording is, by its frames; one that is no MP3 has none, by its header."""

    kind: str
    """What file it is: ``an MP3 recording``, ``a WAV file with 16-bit PCM``."""
    bytes: int
    version: str
    """``MPEG-1``, ``MPEG-2`` or ``MPEG-2.5``, always Layer III; empty where it is no MP3."""
    rate_hz: int
    channels: int
    mode: str
    samples: int
    """Per channel, as players play them."""
    duration_ms: float
    frames: int
    bitrate_kbps: float
    """Mean over the audio frames; of the file where it is no MP3."""
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
