# SPDX-License-Identifier: Apache-2.0
"""A second decoder, for what minimp3 forgives: mpg123, as libsndfile has it, in a process apart.

minimp3 gives both halves of an overlap the later granule's window, so that an illegal succession of
windows hardly sounds; others give each its own, as the standard has it. It also decodes a file from
its first frame, where mpg123 begins four frames before the first sample that is played: main data
that lies further back is lost there. FFmpeg plays illegal successions as mpg123 does, but has the
first frames whole; so it is mpg123 that hears more.

The process shares no state with the libsndfile that rendering may have loaded, dies alone on what
is hostile, and what mpg123 prints stays in it. It is started when first asked, and plays one file
at a time: what the output's file begins with, or a stretch of frames behind a tag that has
libsndfile play all of them.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audioengine.errors import VerificationError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.crc import tag_crc
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.info_tag import DECODER_DELAY, OWN_ENCODER, build_info_tag
from audioengine.mp3.main_data import look_back, read_frames
from audioengine.verification import libsndfile_process
from audioengine.verification.decoder import UndecodableError

_FULL_SCALE = 32768
_FAR_FRAMES = 16  # of 576 samples or more; padding is below 4,096
_MORE_FRAMES = 2
"""Behind a CRC, mpg123 finds less in the first frames' slots than there is: by one frame."""


@dataclass(frozen=True)
class Played:
    """What the second decoder makes of a file."""

    samples: int
    """How many it announces, by the file's tag."""
    rate_hz: int
    pcm: npt.NDArray[np.float64]
    """[shape=(n, channels)] What it plays, ±1."""


class SecondDecoder:
    """The process, from when it is first asked until `close`; of one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def play(self, data: bytes) -> Played:
        """Play a file.

        Raises UndecodableError where libsndfile refuses it, and VerificationError where there is
        no libsndfile.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(libsndfile_process.LENGTH.pack(len(data)) + data)
            process.stdin.flush()
        answer = libsndfile_process.ANSWER
        head = process.stdout.read(answer.size)
        if len(head) < answer.size:
            # It is gone; the next file is played by another.
            self.close()
            raise UndecodableError("libsndfile fails at it")
        rate_hz, channels, announced, samples = answer.unpack(head)
        sound = process.stdout.read(libsndfile_process.SAMPLE_BYTES * channels * samples)
        if announced < 0:
            raise UndecodableError("libsndfile refuses it")
        pcm = np.frombuffer(sound, dtype=np.float32).reshape(-1, channels)
        # As integers of 16 bits would have it, which minimp3 gives.
        limited = np.clip(pcm.astype(np.float64), -1, 1 - 1 / _FULL_SCALE)
        return Played(announced, rate_hz, limited)

    def frames(
        self, source: ByteSource, index: FrameIndex, first: int, last: int
    ) -> npt.NDArray[np.float64]:
        """[shape=(n, channels)] What the frames from `first` to before `last` play, all there.

        Raises UndecodableError where they do not decode to their samples.
        """
        start, data = _stretch(source, index, first, last)
        return self._from_frames(index, data, last - start, DECODER_DELAY)[
            (first - start) * index.format.samples_per_frame :
        ]

    def end(
        self, source: ByteSource, index: FrameIndex, first: int, promised: int, padding: int
    ) -> npt.NDArray[np.float64]:
        """[shape=(n, channels)] What is played from frame `first` to the end of a file.

        promised: how many frames the file's tag promises, 0 if it does not say; padding: its
        tag's.
        """
        start, data = _stretch(source, index, first, index.frames)
        # A tag that does not say trims nothing; nor does one whose end is far away.
        left = promised - start if promised else 2 * (index.frames - start) + _FAR_FRAMES
        pcm = self._from_frames(index, data, left, padding)
        return pcm[(first - start) * index.format.samples_per_frame :]

    def _from_frames(
        self, index: FrameIndex, data: bytes, frames: int, padding: int
    ) -> npt.NDArray[np.float64]:
        """What frames play from their first sample on; the 529 that any tag hides are silent."""
        played = self.play(_tagged(index, data, frames, padding))
        format = index.format
        if (played.rate_hz, played.pcm.shape[1]) != (format.rate_hz, format.channels):
            raise UndecodableError(
                f"it plays as {played.pcm.shape[1]} channels at {played.rate_hz} Hz"
            )
        return np.concatenate((np.zeros((DECODER_DELAY, format.channels)), played.pcm))

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            library = _library()
            if library is None:
                raise VerificationError(
                    "nothing is verified: that takes libsndfile, which comes with soundfile; "
                    "install soundfile again, or the system's libsndfile"
                )
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", libsndfile_process.__file__, library],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


@cache
def _library() -> str | None:
    """Where libsndfile is: in soundfile's wheel, or in the system."""
    spec = find_spec("_soundfile_data")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in sorted(Path(folder).glob("libsndfile*")):
            return str(path)
    return find_library("sndfile")


def _tagged(index: FrameIndex, data: bytes, frames: int, padding: int) -> bytes:
    """Frames behind a tag that promises `frames` of them, hides 529 samples, and has a padding."""
    tag = build_info_tag(
        index.header,
        constant_bitrate=False,
        lowest_kbps=0,
        frames=frames,
        audio_bytes=len(data),
        audio_crc=tag_crc(b""),
        frame_offsets=[0] * 100,
        encoder=OWN_ENCODER,
        encoder_delay=0,
        padding=padding,
    )
    return tag + data


def _stretch(source: ByteSource, index: FrameIndex, first: int, last: int) -> tuple[int, bytes]:
    """Frames with those before them that they depend on, and the number of the first of these.

    Frames whose main data is lost are silenced, as rendering has them.
    """
    start = look_back(index, max(0, first - index.format.warm_up_frames - _MORE_FRAMES))
    if not index.lost_between(start, last):
        return start, index.read_frames(source, start, last)
    parts, free = [], 0
    for frame in read_frames(source, index, start, last):
        begin = frame.side_info.main_data_begin
        if frame.number in index.lost:
            begin = min(free, index.format.max_main_data_begin)
            parts.append(frame.silenced(begin))
            free = begin + frame.slot_bytes
        else:
            parts.append(frame.data)
            free = max(0, begin + frame.slot_bytes - len(frame.adu))
    return start, b"".join(parts)
