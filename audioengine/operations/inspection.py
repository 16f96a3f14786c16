# SPDX-License-Identifier: Apache-2.0
"""`inspect` describes a recording."""

from __future__ import annotations

from audioengine.mp3.header import Mode
from audioengine.mp3.index import FrameIndex
from audioengine.operations.recording import Recording, open_recording
from audioengine.report import RecordingInfo
from audioengine.storage import S3Options, SourceLike
from audioengine.times import samples_to_ms

_MODES = {
    Mode.STEREO: "stereo",
    Mode.JOINT_STEREO: "joint stereo",
    Mode.DUAL_CHANNEL: "dual channel",
    Mode.SINGLE_CHANNEL: "mono",
}


def inspect(source: SourceLike, *, s3: S3Options | None = None) -> RecordingInfo:
    """Describe a recording by counting its frames; nothing is decoded.

    A file of sound that is no MP3 is described by its header.

    Raises StorageError, MalformedAudioError, UnsupportedAudioError, LimitError.
    """
    with open_recording(source, allow_truncated=True, s3=s3) as recording:
        index = recording.index
        if recording.sampled is not None:
            return _sampled_info(recording)
        format, tag = index.format, index.info_tag
        bitrates = bitrates_of(index)
        audio_bytes = sum(part.length for part in index.ranges(0, index.frames))
        encoder = tag.encoder.rstrip(b"\0 ").decode("latin-1") if tag and tag.encoder else None
        return RecordingInfo(
            kind=recording.kind or "an MP3 recording",
            bytes=recording.file.size,
            version=str(format.version),
            rate_hz=format.rate_hz,
            channels=format.channels,
            mode=_MODES[index.header.mode],
            samples=index.samples,
            duration_ms=samples_to_ms(index.samples, format.rate_hz),
            frames=index.frames,
            bitrate_kbps=round(audio_bytes * 8 * format.rate_hz / index.raw_samples / 1000, 3),
            bitrates=bitrates,
            constant_bitrate=len(bitrates) <= 1,
            free_format=index.free_format,
            protected=index.header.protected,
            tagged=index.tagged,
            encoder=encoder,
            encoder_delay=tag.encoder_delay if tag and index.tagged else None,
            padding=tag.padding if tag and index.tagged else None,
            tags=tuple(found.kind for found in index.tags),
            warnings=recording.warnings,
        )


def _sampled_info(recording: Recording) -> RecordingInfo:
    index = recording.index
    seconds = index.samples / index.format.rate_hz
    return RecordingInfo(
        kind=str(recording.kind),
        bytes=recording.file.size,
        version="",
        rate_hz=index.format.rate_hz,
        channels=index.format.channels,
        mode="mono" if index.format.channels == 1 else "stereo",
        samples=index.samples,
        duration_ms=samples_to_ms(index.samples, index.format.rate_hz),
        frames=0,
        bitrate_kbps=round(recording.file.size * 8 / seconds / 1000, 3),
        bitrates={},
        constant_bitrate=False,
        free_format=False,
        protected=False,
        tagged=False,
        encoder=None,
        encoder_delay=None,
        padding=None,
        tags=(),
        warnings=recording.warnings,
    )


def bitrates_of(index: FrameIndex) -> dict[int, int]:
    """Frames by bitrate in kbit/s; empty in free format."""
    counts = enumerate(index.bitrate_counts(0, index.frames).tolist())
    return {index.format.bitrates_kbps[i]: count for i, count in counts if count and i}
