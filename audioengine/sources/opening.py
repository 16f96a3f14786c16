# SPDX-License-Identifier: Apache-2.0
"""Opens a sound file of any supported kind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import soundfile

from audioengine.errors import LimitError, MalformedAudioError, UnsupportedAudioError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.scan import scan
from audioengine.notices import Notice
from audioengine.pcm.quiet import quiet
from audioengine.sources import ogg, pyav
from audioengine.sources.file import Patched, Slice
from audioengine.sources.kind import Kind, kind_of
from audioengine.sources.leg import Sound
from audioengine.sources.mp3 import Mp3Sound
from audioengine.sources.raw import LEAST_RATE_HZ, MOST_RATE_HZ, RawFormat
from audioengine.sources.sndfile import CutOffError, SndfileSound, open_sndfile

MOST_SECONDS = 86_400
"""The longest call, a day; a header may promise years."""

_COUNTED_AT_ONCE = 1 << 12

_UNKNOWN_SIZE = b"\xff\xff\xff\xff"
_SIZE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open."""

    sound: Sound
    kind: str
    """The kind of file, with an article: "a WAV file with 16-bit PCM"."""
    warnings: tuple[Notice, ...] = ()


def open_sound(
    source: ByteSource, raw: RawFormat | None = None, *, allow_truncated: bool = False
) -> Opened:
    """Open a sound file, by its bytes or, without a header, by `raw`.

    allow_truncated: accept a file that is shorter than its header promises.

    Raises MalformedAudioError, UnsupportedAudioError, LimitError and StorageError.
    """
    if raw is not None:
        return _headerless(source, raw)
    kind = kind_of(source)
    if kind is None or kind.holds_mp3:
        return _mp3(source, kind, allow_truncated=allow_truncated)
    return open_kind(source, kind, allow_truncated=allow_truncated)


def open_kind(source: ByteSource, kind: Kind, *, allow_truncated: bool = False) -> Opened:
    """Open a file of a kind that `kind_of` returned; raises what `open_sound` raises."""
    source, warnings = _whole(source, kind, allow_truncated=allow_truncated)
    if kind.is_ogg:
        warnings = _ogg(source, kind, allow_truncated=allow_truncated)
    sound: Sound
    try:
        with quiet(), open_sndfile(source, None) as file:
            found = SndfileSound(
                source, file.samplerate, file.channels, file.frames, file.subtype, None
            )
    except soundfile.LibsndfileError as error:
        sound = by_ffmpeg = _by_ffmpeg(source, kind, error)
        if by_ffmpeg.missing_s:
            warnings = _cut_off(by_ffmpeg, kind, allow_truncated=allow_truncated)
    else:
        sound = _exact(found, kind, allow_truncated=allow_truncated)
    return Opened(_checked(sound, str(kind)), str(kind), warnings)


def mp3_in(source: ByteSource, kind: Kind | None) -> ByteSource:
    """The bytes of MP3 frames: the whole file, or the data of a WAV file."""
    if kind is None or kind.riff is None:
        return source
    return Slice(source, kind.riff.data_offset, kind.riff.data_bytes)


def _mp3(source: ByteSource, kind: Kind | None, *, allow_truncated: bool) -> Opened:
    inside = mp3_in(source, kind)
    index = scan(inside)
    if index.missing_frames and not allow_truncated:
        promised = index.frames + index.missing_frames
        raise MalformedAudioError(
            f"the recording is cut off: its tag promises {promised} frames and {index.frames} are "
            "there; allow_truncated accepts it"
        )
    return Opened(Mp3Sound(inside, index), str(kind or "an MP3 recording"))


def _headerless(source: ByteSource, raw: RawFormat) -> Opened:
    length, rest = divmod(source.size, raw.frame_bytes)
    warnings: tuple[Notice, ...] = ()
    if rest:
        message = f"The last {rest} bytes are an incomplete sample; they are left out."
        warnings = (Notice("incomplete_last_sample", message),)
    sound = SndfileSound(source, raw.rate, raw.channels, length, raw.subtype, raw)
    return Opened(_checked(sound, str(raw)), str(raw), warnings)


def _whole(
    source: ByteSource, kind: Kind, *, allow_truncated: bool
) -> tuple[ByteSource, tuple[Notice, ...]]:
    """The file, with its header corrected if it is wrong and that is allowed."""
    riff = kind.riff
    if riff is None or not (riff.missing_bytes or riff.is_unfinished):
        return source, ()
    if riff.is_unfinished:
        found = "its header was never completed, probably because the recorder was killed"
    else:
        found = f"its header promises {riff.missing_bytes:,} bytes more than the file has"
    if not allow_truncated:
        raise MalformedAudioError(
            f"this is {kind} that is cut off: {found}; allow_truncated accepts it",
            source.size,
        )
    message = f"The recording is cut off: {found}."
    # libsndfile then reads on to the end of the file.
    patched = Patched(source, riff.data_offset - _SIZE_BYTES, _UNKNOWN_SIZE)
    return patched, (Notice("truncated", message),)


def _ogg(source: ByteSource, kind: Kind, *, allow_truncated: bool) -> tuple[Notice, ...]:
    pages = ogg.read_pages(source)
    if pages.streams > 1:
        raise UnsupportedAudioError(
            f"this is {kind} with several streams, and which one is meant is unknown: extract one "
            "first"
        )
    if pages.missing_bytes and not allow_truncated:
        raise MalformedAudioError(
            f"this is {kind} that is cut off inside its last page; allow_truncated takes it as it "
            "is",
            source.size,
        )
    if pages.missing_bytes or not pages.is_ended:
        message = "The recording may be cut off: its last page is not marked as the end."
        return (Notice("truncated", message),)
    return ()


def _by_ffmpeg(source: ByteSource, kind: Kind, error: Exception) -> pyav.AvSound:
    if not pyav.is_there():
        raise UnsupportedAudioError(
            f"this is {kind}, which can't be read without the extra av: "
            f"pip install 'audioengine[av]' (libsndfile: {error})"
        )
    return pyav.open_av(source, str(kind), MOST_SECONDS)


def _cut_off(sound: pyav.AvSound, kind: Kind, *, allow_truncated: bool) -> tuple[Notice, ...]:
    found = f"its header promises {sound.missing_s:.1f} s more than the file has"
    if not allow_truncated:
        raise MalformedAudioError(
            f"this is {kind} that is cut off: {found}; allow_truncated accepts it"
        )
    return (Notice("truncated", f"The recording is cut off: {found}."),)


def _exact(sound: SndfileSound, kind: Kind, *, allow_truncated: bool) -> SndfileSound:
    """The sound with its real length, if libsndfile can't know it."""
    riff = kind.riff
    if riff is not None and riff.samples:
        # The last block may be padded: the header states the sound's length.
        filled_up = sound.length - riff.samples
        if 0 < filled_up < riff.block_samples:
            sound = replace(sound, length=riff.samples)
    if allow_truncated and riff is None and sound.length <= MOST_SECONDS * sound.rate:
        sound = replace(sound, length=_counted(sound))
    return sound


def _counted(sound: SndfileSound) -> int:
    """The number of samples that can be read."""
    count = 0
    with suppress(CutOffError):
        for block in sound.blocks(_COUNTED_AT_ONCE):
            count += len(block)
    return count


def _checked(sound: Sound, kind: str) -> Sound:
    """The sound, if it can be a call's."""
    if sound.channels not in (1, 2):
        raise UnsupportedAudioError(
            f"this is {kind} of {sound.channels} channels; a call has one or two"
        )
    if not LEAST_RATE_HZ <= sound.rate <= MOST_RATE_HZ:
        raise UnsupportedAudioError(
            f"this is {kind} at {sound.rate:,} Hz; rates from {LEAST_RATE_HZ:,} to "
            f"{MOST_RATE_HZ:,} Hz are supported"
        )
    if not sound.length:
        raise MalformedAudioError(f"this is {kind} without samples")
    if sound.length > MOST_SECONDS * sound.rate:
        hours = sound.length / sound.rate / 3600
        raise LimitError(f"this is {kind} that promises {hours:,.0f} h of sound; 24 h are allowed")
    return sound
