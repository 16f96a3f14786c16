# SPDX-License-Identifier: Apache-2.0
"""One job in a process of its own: `python -m benchmarks.lone ORDER`, ORDER as JSON.

Prints seconds (imports not counted) and peak resident memory after the imports and at the end.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import BEEP_DBFS, BEEP_HZ, EPOCH_MS, LAME_QUALITY, ffmpegs

STATUS = Path("/proc/self/status")


def peak_mib() -> float:
    """Peak resident memory of this process.

    Linux hands ru_maxrss down from the process that started this one, so a small child of a big
    parent looks big: its own peak is VmHWM.
    """
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        if "VmHWM" in fields:
            return int(fields["VmHWM"].split()[0]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)


def with_audioengine(order: dict[str, Any]) -> tuple[float, float]:
    import audioengine

    imported = peak_mib()
    job = order["job"]
    modification = audioengine.Modification(
        trim=audioengine.Interval(*job["keep"]),
        mask={
            party: [audioengine.Interval(*mask) for mask in masks]
            for party, masks in job["masks"].items()
        },
    )
    start = time.perf_counter()
    audioengine.store(order["source"], order["target"], modification)
    return time.perf_counter() - start, imported


def merge_with_audioengine(order: dict[str, Any]) -> tuple[float, float]:
    import audioengine

    imported = peak_mib()
    parts = [
        audioengine.MergePart(
            part["source"],
            EPOCH_MS + part["start_ms"],
            [audioengine.ConferenceSegment(*(EPOCH_MS + bound for bound in part["conference_ms"]))]
            if part["conference_ms"]
            else (),
        )
        for part in order["parts"]
    ]
    start = time.perf_counter()
    audioengine.merge(parts, order["target"], audioengine.MergeOptions(align=order["align"]))
    return time.perf_counter() - start, imported


def convert_with_audioengine(order: dict[str, Any]) -> tuple[float, float]:
    import audioengine

    imported = peak_mib()
    sources = order["sources"]
    source = sources[0] if len(sources) == 1 else audioengine.Legs(*sources)
    start = time.perf_counter()
    audioengine.convert(source, order["target"])
    return time.perf_counter() - start, imported


def read_manifest(order: dict[str, Any]) -> tuple[float, float]:
    """All that the process that hands jobs out does with a manifest."""
    from audioengine.batch.manifest import jobs_of

    imported = peak_mib()
    start = time.perf_counter()
    count = sum(1 for _ in jobs_of(order["source"]))
    seconds = time.perf_counter() - start
    assert count == order["lines"]
    return seconds, imported


def run_batch(order: dict[str, Any]) -> tuple[float, float]:
    """Hand out jobs, which other processes do."""
    import audioengine

    journal = f"{order['source']}.journal"
    imported = peak_mib()
    start = time.perf_counter()
    report = audioengine.run_batch(order["source"], journal, concurrency=order["processes"])
    seconds = time.perf_counter() - start
    assert report.done == order["jobs"]
    return seconds, imported


def work(order: dict[str, Any]) -> tuple[float, float]:
    """Carry out the commands of a queue, which other processes do; timed by their events."""
    import audioengine
    from audioengine.service.endpoints import queue_of
    from audioengine.service.notifications.letter import Letter, Sender
    from audioengine.service.notifications.topics import LineTopics, SnsTopics
    from audioengine.service.queues.embedded import EmbeddedQueue
    from audioengine.service.worker.assembly import worker_of

    imported = peak_mib()
    settings = audioengine.Settings(**order["values"])
    folder = None if order["folder"] is None else Path(order["folder"])
    topics: Sender = SnsTopics(endpoint_url=settings.worker.endpoint_url)
    if folder is not None:
        topics = LineTopics(folder / "topics.jsonl")
    times: list[float] = []

    class Timed(Sender):
        def send(self, letter: Letter) -> None:
            topics.send(letter)
            times.append(time.perf_counter())
            assert "FAILED" not in letter.body, letter.body

    queue = queue_of(settings) if folder is None else EmbeddedQueue(folder / "queue.db")
    with worker_of(settings, queue=queue, senders={"topic": Timed()}) as worker:
        thread = threading.Thread(target=worker.run)
        thread.start()
        while len(times) < order["commands"]:
            time.sleep(0.1)
        worker.stop()
        thread.join()
    times.sort()
    return times[-1] - times[order["warm"] - 1], imported


def with_pydub(order: dict[str, Any]) -> tuple[float, float]:
    """The usual recipe: cut, add a beep, go on, for each party on its own.

    FFmpeg decodes into memory, as in `AudioSegment.from_mp3`, which would look for an ffprobe too.
    """
    from pydub import AudioSegment
    from pydub.generators import Sine

    imported = peak_mib()
    start = time.perf_counter()
    AudioSegment.converter = ffmpegs()[0].path
    decode = [AudioSegment.converter, "-v", "error", "-i", order["source"], "-f", "s16le", "-"]
    pcm = subprocess.run(decode, capture_output=True, check=True).stdout
    rate = order["rate"]
    sound = AudioSegment(data=pcm, sample_width=2, frame_rate=rate, channels=2)
    parties = dict(zip(("caller", "callee"), sound.split_to_mono(), strict=True))
    for party, masks in order["job"]["masks"].items():
        for mask_start, mask_end in masks:
            first, last = round(mask_start * 1000), round(mask_end * 1000)
            sine = Sine(BEEP_HZ, sample_rate=rate, bit_depth=16)
            beep = sine.to_audio_segment(last - first, BEEP_DBFS)
            parties[party] = parties[party][:first] + beep + parties[party][last:]
    masked = AudioSegment.from_mono_audiosegments(*parties.values())
    keep = slice(*(round(bound * 1000) for bound in order["job"]["keep"]))
    quality = ["-compression_level", str(LAME_QUALITY)]
    masked[keep].export(
        order["target"], format="mp3", bitrate=f"{order['kbps']}k", parameters=quality
    )
    return time.perf_counter() - start, imported


def main() -> None:
    order = json.loads(sys.argv[1])
    tools = {
        "audioengine": with_audioengine,
        "audioengine merge": merge_with_audioengine,
        "audioengine convert": convert_with_audioengine,
        "audioengine manifest": read_manifest,
        "audioengine batch": run_batch,
        "audioengine worker": work,
        "pydub": with_pydub,
    }
    tool = tools[order["tool"]]
    seconds, imported = tool(order)
    print(json.dumps({"seconds": seconds, "imported_mib": imported, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
