# SPDX-License-Identifier: Apache-2.0
"""What reports hold: files, intervals, masks, frames, checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from audioengine.edits import FindingsFile, Span
from audioengine.notices import Notice
from audioengine.times import samples_to_ms


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
