# SPDX-License-Identifier: Apache-2.0
"""`decode` returns the samples of any window of a recording; `encode` writes samples as an MP3."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from audioengine.choices import CallerChannel
from audioengine.edits import Interval, Modification, Span, resolve
from audioengine.errors import InvalidRequestError, Problem
from audioengine.operations.first_encode import encode_samples, kbps_problem, output_file
from audioengine.operations.outputs import open_output
from audioengine.operations.recording import open_recording
from audioengine.operations.workers import worker_count
from audioengine.plan.bitrate import usual_kbps
from audioengine.plan.encode import RATES_HZ, format_for
from audioengine.render.execute import Progress
from audioengine.report import BitratesReport, EncodeReport
from audioengine.sources.raw import RawFormat
from audioengine.storage import DestinationLike, S3Options, SourceLike
from audioengine.times import Number, exact, round_half_up, seconds_to_samples
from audioengine.version import VERSION

if TYPE_CHECKING:
    from pydub import AudioSegment

Samples = npt.NDArray[np.float32]

MAX_PEAK = 2.0
"""The highest peak of floats: 6 dB over full scale."""

_ANY_LENGTH_S = 10**9


@dataclass(frozen=True, eq=False, repr=False)
class Audio:
    """Samples of both parties.

    ``len(audio)`` counts the samples of each, ``audio[1.5:4]`` is a stretch in seconds, and
    ``numpy.asarray(audio)`` has shape (n, 2), caller first.

    Floats have full scale ±1. Integers are scaled by their type, as in WAV files: int16 by 32,768,
    int32 by 2^31, uint8, with silence at 128, by 128. Smaller integers in an int64 array, as NumPy
    makes them from lists and sums, are refused, because scaling would make them silent. Floats
    beyond ±2 are refused, because they are probably unscaled integers. MP3 overshoots its source's
    peak, mostly by up to 1.3 dB; `decode` does not clip.

    Raises InvalidRequestError if the arrays are not one-dimensional, equally long and real, or
    exceed full scale.
    """

    caller: npt.NDArray[Any]
    """[shape=(n,)] Full scale ±1."""
    callee: npt.NDArray[Any]
    """[shape=(n,)] Full scale ±1; the same array as `caller` if the recording is mono."""
    rate_hz: int

    def __post_init__(self) -> None:
        problems = []
        for name in ("caller", "callee"):
            values = np.asarray(getattr(self, name))
            if values.ndim != 1 or values.dtype.kind not in "fiu":
                given = f"{values.dtype} array of shape {values.shape}"
                problems.append(Problem(name, given, "must be a one-dimensional array of floats"))
            elif not np.isfinite(values).all():
                problems.append(Problem(name, "NaN or infinity", "must be finite samples"))
            elif _is_held_wide(values):
                rule = "must be integers of at most 32 bits, or floats: int64 would be silence"
                problems.append(Problem(name, f"{values.dtype} array", rule))
            elif (peak := _peak(values)) > MAX_PEAK:
                rule = f"must be within ±{MAX_PEAK:g}, full scale being ±1"
                problems.append(Problem(name, f"a peak of {peak:g}", rule))
            else:
                object.__setattr__(self, name, _scaled(values))
        if not problems and len(self.caller) != len(self.callee):
            rule = f"must have as many samples as caller, {len(self.caller)}"
            problems.append(Problem("callee", len(self.callee), rule))
        if problems:
            raise InvalidRequestError(problems)

    @classmethod
    def _decoded(cls, caller: Samples, callee: Samples, rate_hz: int) -> Audio:
        """Decoded samples, without the check of their peak."""
        audio = object.__new__(cls)
        for name, value in (("caller", caller), ("callee", callee), ("rate_hz", rate_hz)):
            object.__setattr__(audio, name, value)
        return audio

    def __len__(self) -> int:
        """Return the number of samples of each party."""
        return len(self.caller)

    @property
    def duration(self) -> float:
        """The duration in seconds."""
        return len(self) / self.rate_hz

    def __repr__(self) -> str:
        return f"<Audio of {self.duration:g} s: {len(self):,} samples at {self.rate_hz} Hz>"

    def _repr_html_(self) -> str:
        """Waveforms and a player, for notebooks."""
        from audioengine.operations.audio_player import player_html

        return player_html(self.caller, self.callee, self.rate_hz)

    def __getitem__(self, stretch: slice) -> Audio:
        """Return a stretch ``start:end`` in seconds; the samples are shared, not copied.

        Bounds are rounded to the nearest sample and clipped. Negative ones count from the end.

        Raises InvalidRequestError for an index or a step.
        """
        if not isinstance(stretch, slice) or stretch.step is not None:
            rule = "must be a stretch in seconds: audio[1.5:4]"
            raise InvalidRequestError.of("stretch", stretch, rule)
        samples = slice(*(self._sample_at(bound) for bound in (stretch.start, stretch.stop)))
        caller = self.caller[samples]
        callee = caller if self.callee is self.caller else self.callee[samples]
        return self._decoded(caller, callee, self.rate_hz)

    def _sample_at(self, bound: Number | None) -> int | None:
        if bound is None:
            return None
        position = seconds_to_samples(exact(bound, "stretch"), self.rate_hz)
        return max(0, round_half_up(position + len(self) if position < 0 else position))

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Return both parties as an array of shape (n, 2), always a copy."""
        if copy is False:
            raise ValueError("must be copied: the parties' samples do not lie side by side")
        return np.stack((self.caller, self.callee), axis=1).astype(dtype or np.float32, copy=False)

    def to_pydub(self) -> AudioSegment:
        """A 16-bit stereo AudioSegment of the samples; needs the extra ``audioengine[pydub]``."""
        from pydub import AudioSegment

        both = np.stack((self.caller, self.callee), axis=1)
        integers = np.clip(np.rint(both * 32_768), -32_768, 32_767).astype("<i2")
        return AudioSegment(integers.tobytes(), frame_rate=self.rate_hz, sample_width=2, channels=2)

    @classmethod
    def from_pydub(cls, segment: AudioSegment) -> Audio:
        """The samples of a mono or stereo AudioSegment of any width."""
        if segment.channels not in (1, 2):
            raise InvalidRequestError.of("segment.channels", segment.channels, "must be 1 or 2")
        scale = np.float32(1 / (1 << (8 * segment.sample_width - 1)))
        samples = np.array(segment.get_array_of_samples(), dtype=np.float32) * scale
        channels = samples.reshape(-1, segment.channels)
        return cls(
            np.ascontiguousarray(channels[:, 0]),
            np.ascontiguousarray(channels[:, -1]),
            segment.frame_rate,
        )


def _peak(values: npt.NDArray[Any]) -> float:
    """The highest magnitude of floats; integers can't exceed full scale."""
    if values.dtype.kind != "f" or not values.size:
        return 0.0
    return float(max(values.max(), -values.min()))


def _is_held_wide(values: npt.NDArray[Any]) -> bool:
    """Whether an int64 array holds smaller integers, as NumPy makes them from lists and sums."""
    if values.dtype.kind == "f" or values.dtype.itemsize < 8 or not values.any():
        return False
    return bool(values.max() < 1 << 32 and values.min() >= -(1 << 32))


def _scaled(values: npt.NDArray[Any]) -> Samples:
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    full = float(2 ** (8 * values.dtype.itemsize - 1))
    zero = full if values.dtype.kind == "u" else 0.0
    return ((values.astype(np.float64) - zero) / full).astype(np.float32)


def decode(
    source: SourceLike,
    start: Number | None = None,
    end: Number | None = None,
    *,
    caller_channel: CallerChannel = "left",
    allow_truncated: bool = False,
    raw: RawFormat | str | None = None,
    s3: S3Options | None = None,
) -> Audio:
    """Decode the samples from `start` to `end`, in seconds on the recording's clock.

    Any window is sample-exact, and nothing outside it is decoded but a few frames before it. Bounds
    are rounded to the nearest sample and clipped to the recording.

    raw: what a source without a header holds: ``ulaw:8000:2``.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, StorageError.
    """
    if caller_channel not in ("left", "right"):
        raise InvalidRequestError.of("caller_channel", caller_channel, "must be left or right")
    with open_recording(source, allow_truncated=allow_truncated, s3=s3, raw=raw) as recording:
        index = recording.index
        window = Interval(start, end, origin="window")
        whole = start is None and end is None
        asked = Modification(None if whole else window, clip_tolerance_s=_ANY_LENGTH_S)
        span = resolve(asked, rate_hz=index.format.rate_hz, samples=index.samples).trim
        first = index.start
        (pcm,) = recording.read_pcm([Span(first + span.start, first + span.end)])
        left, right = np.ascontiguousarray(pcm[:, 0]), np.ascontiguousarray(pcm[:, -1])
        if index.format.channels == 1:
            right = left
        if caller_channel == "right":
            left, right = right, left
        return Audio._decoded(left, right, index.format.rate_hz)  # noqa: SLF001 - ours


def encode(
    audio: Audio,
    destination: DestinationLike,
    bitrate_kbps: int | None = None,
    *,
    s3: S3Options | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> EncodeReport:
    """Write samples as a tagged stereo MP3 that decodes to the same number of samples.

    bitrate_kbps: a bitrate that MP3 has at this sampling rate; by default the one that call
        recorders use (32, 48 or 128).

    Raises InvalidRequestError, StorageError, and UnsupportedAudioError if players would take the
    end of the output for a tag. Nothing is published then.
    """
    started = time.perf_counter()
    workers = worker_count(workers)
    problems = []
    format = format_for(audio.rate_hz, 2)
    if format is None:
        rule = f"must be one of {', '.join(map(str, RATES_HZ))} Hz"
        raise InvalidRequestError.of("audio.rate_hz", audio.rate_hz, rule)
    if not len(audio.caller):
        problems.append(Problem("audio", "no samples", "must have at least one sample"))
    kbps = usual_kbps(format) if bitrate_kbps is None else bitrate_kbps
    wrong = kbps_problem(kbps, format, "bitrate_kbps")
    problems += [wrong] if wrong else []
    if problems:
        raise InvalidRequestError(problems)
    both = np.stack((audio.caller, audio.callee), axis=1)

    def samples(span: Span) -> Samples:
        out = np.zeros((span.length, 2), dtype=np.float32)
        low, high = max(span.start, 0), min(span.end, len(both))
        if low < high:
            out[low - span.start : high - span.start] = both[low:high]
        return out

    with closing(open_output(destination, s3)) as staging:
        rendered = encode_samples(
            lambda spans: [samples(span) for span in spans],
            len(both),
            format,
            kbps,
            staging,
            workers,
            progress,
        )
        output = output_file(staging, len(both), format, rendered)
        staging.publish()
    bitrates = BitratesReport(kbps, rendered.bitrates, rendered.raised, rendered.lowered)
    return EncodeReport(output, bitrates, VERSION, time.perf_counter() - started)
