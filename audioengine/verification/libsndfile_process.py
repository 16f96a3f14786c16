# SPDX-License-Identifier: Apache-2.0
"""A program of its own: libsndfile (mpg123) plays the MP3 files that come in, from memory.

Run as ``python -I -S libsndfile_process.py LIBRARY``; it imports nothing but the standard library,
and starts in a few ms. In: the length of a file, 4 bytes, little-endian, and the file; over and
over. Out, for each: rate, channels, the frames that libsndfile announces (-1 where it refuses the
file) and those that it plays, as ``<iiqq``, and float32 samples. It ends with its input.
"""

from __future__ import annotations

import ctypes
import struct
import sys

LENGTH = struct.Struct("<I")
ANSWER = struct.Struct("<iiqq")
SAMPLE_BYTES = 4

_READ = 0x10
_AT_ONCE = 1 << 16
_SEEK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int, ctypes.c_void_p)
_MOVE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
_TELL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


class _Info(ctypes.Structure):
    _fields_ = (
        ("frames", ctypes.c_int64),
        ("samplerate", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("format", ctypes.c_int),
        ("sections", ctypes.c_int),
        ("seekable", ctypes.c_int),
    )


class _Doors(ctypes.Structure):
    """SF_VIRTUAL_IO."""

    _fields_ = (
        ("get_filelen", _TELL),
        ("seek", _SEEK),
        ("read", _MOVE),
        ("write", _MOVE),
        ("tell", _TELL),
    )


class _Memory:
    """A file that is bytes, as libsndfile asks for it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0
        self.doors = _Doors(
            _TELL(lambda _: len(self.data)),
            _SEEK(self._seek),
            _MOVE(self._read),
            _MOVE(lambda _pointer, _count, _user: 0),
            _TELL(lambda _: self.place),
        )

    def _seek(self, offset: int, whence: int, _user: int) -> int:
        self.place = max(0, (0, self.place, len(self.data))[whence] + offset)
        return self.place

    def _read(self, pointer: int, count: int, _user: int) -> int:
        part = self.data[self.place : self.place + count]
        ctypes.memmove(pointer, part, len(part))
        self.place += len(part)
        return len(part)


def _load(name: str) -> ctypes.CDLL:
    library = ctypes.CDLL(name)
    library.sf_open_virtual.restype = ctypes.c_void_p
    library.sf_open_virtual.argtypes = (
        ctypes.POINTER(_Doors),
        ctypes.c_int,
        ctypes.POINTER(_Info),
        ctypes.c_void_p,
    )
    library.sf_readf_float.restype = ctypes.c_int64
    library.sf_readf_float.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    library.sf_close.argtypes = (ctypes.c_void_p,)
    return library


def _played(library: ctypes.CDLL, data: bytes) -> tuple[_Info, list[bytes]]:
    memory, info = _Memory(data), _Info()
    file = library.sf_open_virtual(ctypes.byref(memory.doors), _READ, ctypes.byref(info), None)
    if not file:
        info.frames = -1
        return info, []
    width = SAMPLE_BYTES * info.channels
    buffer = ctypes.create_string_buffer(_AT_ONCE * width)
    parts = []
    while (count := library.sf_readf_float(file, buffer, _AT_ONCE)) > 0:
        parts.append(ctypes.string_at(buffer, count * width))
    library.sf_close(file)
    return info, parts


def main() -> None:
    """Play files until there are no more."""
    library = _load(sys.argv[1])
    files, out = sys.stdin.buffer, sys.stdout.buffer
    while len(head := files.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        info, parts = _played(library, files.read(length))
        samples = sum(map(len, parts)) // (SAMPLE_BYTES * max(1, info.channels))
        out.write(ANSWER.pack(info.samplerate, info.channels, info.frames, samples))
        out.writelines(parts)
        out.flush()


if __name__ == "__main__":
    main()
