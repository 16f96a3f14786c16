# SPDX-License-Identifier: Apache-2.0
"""What libmpg123 says of broken frames reaches nobody; what Python writes to stderr does."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest

from audioengine.pcm.quiet import _streams, is_writable
from fixtures import mpeg
from tests.support import fixture

pytestmark = pytest.mark.skipif(_streams() is None, reason="C's stderr can't be set here")

BY_LIBSNDFILE = """
import io, sys, soundfile
soundfile.read(io.BytesIO(sys.stdin.buffer.read()))
"""

BY_THREADS = """
import io, os, sys, threading
import audioengine as ae

data = sys.stdin.buffer.read()
wanted = ae.Modification(mask={"both": [ae.Interval(0.2, 0.4)]})
started = threading.Barrier(3)

def work():
    started.wait()
    for _ in range(15):
        ae.store(data, io.BytesIO(), wanted, workers=2)
        ae.decode(data, 0.1, 1)

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
started.wait()
lines = 0
while lines < 100 or any(thread.is_alive() for thread in threads):
    lines += 1
    if lines % 2:
        print(f"line {lines}", file=sys.stderr, flush=True)
    else:
        os.write(2, b"line %d\\n" % lines)
for thread in threads:
    thread.join()
print(lines)
"""

AFTER_A_FORK = """
import ctypes, os, sys, threading
from audioengine.pcm.quiet import quiet

library = ctypes.CDLL(None)
puts = lambda text: library.fputs(text, ctypes.c_void_p.in_dll(library, "stderr"))
with quiet():
    puts(b"hidden\\n")
    inside, done = threading.Event(), threading.Event()

    def hold():
        with quiet():
            inside.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
puts(b"hidden: a thread is inside\\n")
child = os.fork()
if not child:
    puts(b"shown by the child\\n")
    with quiet():
        puts(b"hidden in the child\\n")
    puts(b"shown by the child\\n")
    os._exit(0)
os.waitpid(child, 0)
done.set()
thread.join()
with quiet():
    child = os.fork()
    if not child:
        puts(b"shown by a child from inside\\n")
if not child:
    with quiet():
        puts(b"hidden in that child\\n")
    puts(b"shown by that child\\n")
    os._exit(0)
os.waitpid(child, 0)
puts(b"shown by the parent\\n")
"""


def loud() -> bytes:
    """A stream whose side information is possible and whose Huffman code is not."""
    return b"".join(
        frame.data[: frame.side_offset + frame.side_length].ljust(len(frame.data), b"\0")
        for frame in mpeg.sound(fixture("nores-16k"))[60:100]
    )


def run(*arguments: str, data: bytes = b"") -> tuple[list[str], str]:
    """The lines on stderr, and stdout, of Python with these arguments."""
    done = subprocess.run(
        [sys.executable, *arguments], input=data, capture_output=True, check=True, timeout=120
    )
    return done.stderr.decode().splitlines(), done.stdout.decode()


def test_libmpg123_would_be_heard() -> None:
    lines, _ = run("-c", BY_LIBSNDFILE, data=loud())
    assert lines
    assert all("libmpg123" in line for line in lines)


def test_nothing_but_what_python_writes_is_seen_while_threads_decode() -> None:
    lines, count = run("-c", BY_THREADS, data=loud())
    assert lines == [f"line {number}" for number in range(1, int(count) + 1)]


def test_a_forked_process_begins_anew() -> None:
    """Whoever was decoding in the parent is not there to set things back."""
    lines, _ = run("-c", AFTER_A_FORK)
    from_inside = ["shown by a child from inside", "shown by that child"]
    assert lines == ["shown by the child"] * 2 + from_inside + ["shown by the parent"]


def test_what_may_not_be_written_is_left_alone() -> None:
    """There are layers with glibc's names over libraries whose `stderr` is a constant."""
    library = ctypes.CDLL(None)
    code = ctypes.cast(library.fopen, ctypes.c_void_p).value
    assert code is not None
    assert not is_writable(code)
    assert not is_writable(0)
    buffer = ctypes.create_string_buffer(8)
    assert is_writable(ctypes.addressof(buffer))


def test_the_command_line_shows_nothing_of_it(tmp_path: Path) -> None:
    call, out = tmp_path / "call.mp3", tmp_path / "out.mp3"
    call.write_bytes(loud())
    arguments = ("store", str(call), str(out), "--mask", "both=0.2-0.4", "--json")
    lines, printed = run("-m", "audioengine", *arguments)
    assert lines == []
    assert json.loads(printed)["render"] == "smart"
