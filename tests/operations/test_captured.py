# SPDX-License-Identifier: Apache-2.0
"""A capture becomes a stereo recording, with what it says of its streams."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audioengine as ae
from audioengine.commands.meta import parse_meta
from tests.captures.made import EPOCH_NS, RATE, Datagram, Sender, decoded, noise, raw, rtp
from tests.cli.helpers import refusal, run, run_json
from tests.support import decode_miniaudio, decode_pyav, decode_soundfile

SECRET = b"\x07"  # a key, as RFC 4733 numbers it
CALLER = Sender(start_ns=EPOCH_NS + 250_000_000)
CALLEE = Sender(to_port=30_002, ssrc=0x9ABC_DEF0)


def speech(seconds: float, seed: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Codes that LAME keeps: noise that moves slowly."""
    steps = np.random.default_rng(seed).normal(0, 0.2, int(seconds * RATE))
    slow = np.clip(np.convolve(steps, np.ones(12) / 12, "same") * 32_767, -32_767, 32_767)
    table = np.rint(decoded(np.arange(256, dtype=np.uint8)) * 32_768)
    order = np.argsort(table)
    return np.asarray(order[np.searchsorted(table[order], slow).clip(0, 255)], np.uint8)


def call(keys: int = 0) -> bytes:
    packets = [*CALLER.send(speech(3, 1)), *CALLEE.send(speech(4, 2))]
    for number in range(keys):
        sent = rtp(101, 40 + number, 1_000, CALLER.ssrc, SECRET + b"\x0a\0\xa0")
        packets.append(Datagram(EPOCH_NS + 3_900_000_000 + number, CALLER.to_port, sent))
    return raw(sorted(packets, key=lambda one: one.arrival_ns))


def test_each_party_is_where_it_was_sent(tmp_path: Path) -> None:
    """Length and place to the sample, in three decoders; both ports' streams in the report."""
    target = tmp_path / "call.mp3"
    capture = ae.CaptureFile(call(), caller=30_000)
    report = ae.convert(capture, target, kbps=64)
    assert report.start_time_ms == EPOCH_NS / 1e6
    assert [(one.party, one.interval.samples) for one in report.sources] == [
        ("caller", (2_000, 26_000)),
        ("callee", (0, 32_000)),
    ]
    wanted = np.zeros((32_000, 2), np.float32)
    wanted[2_000:26_000, 0] = decoded(speech(3, 1))
    wanted[:, 1] = decoded(speech(4, 2))
    data = target.read_bytes()
    for sound in (
        decode_miniaudio(data) / np.float32(32_768),
        decode_soundfile(data),
        decode_pyav(data),
    ):
        assert sound.shape == wanted.shape
        for channel in (0, 1):
            error = sound[:, channel] - wanted[:, channel]
            snr_db = 10 * np.log10((wanted[:, channel] ** 2).mean() / (error**2).mean())
            assert snr_db > 12
    assert not report.warnings
    caller, callee = report.streams
    assert (caller.ssrc, caller.codec, caller.packets) == (CALLER.ssrc, "pcmu", 150)
    assert (callee.ssrc, callee.to_port) == (CALLEE.ssrc, 30_002)


def test_meta_is_what_commands_read(tmp_path: Path) -> None:
    again = replace(CALLER, ssrc=99, start_ns=EPOCH_NS + 5_000_000_000)
    packets = [*CALLER.send(noise(8_000)), *again.send(noise(8_000)), *CALLEE.send(noise(8_000))]
    data = raw(sorted(packets, key=lambda one: one.arrival_ns))
    report = ae.convert(ae.CaptureFile(data, caller=99), tmp_path / "call.mp3")
    assert report.meta is not None
    info = parse_meta(report.meta).recordings_parts_info
    start = EPOCH_NS // 1_000_000
    assert [(one.start, one.ssrc) for one in info.caller_streams] == [
        (start + 250, CALLER.ssrc),
        (start + 5_000, 99),
    ]
    assert [(one.start, one.ssrc) for one in info.callee_streams] == [(start, CALLEE.ssrc)]


def test_who_was_heard_first_is_the_caller_where_nobody_says(tmp_path: Path) -> None:
    report = ae.convert(ae.CaptureFile(call()), tmp_path / "call.mp3")
    assert [one.code for one in report.warnings] == ["caller_guessed"]
    assert report.streams[0].ssrc == CALLEE.ssrc


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        ({"caller": 5}, "is not in the capture: must be one of port 30000"),
        ({"caller": 30_000, "callee": CALLER.ssrc}, "is the caller's leg too"),
    ],
)
def test_legs_that_are_not_there_are_refused(
    tmp_path: Path, names: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ae.InvalidRequestError, match=rule):
        ae.convert(ae.CaptureFile(call(), **names), tmp_path / "call.mp3")
    assert not (tmp_path / "call.mp3").exists()


def test_of_three_legs_two_must_be_named(tmp_path: Path) -> None:
    third = replace(CALLER, to_port=30_004, ssrc=3)
    data = raw([*CALLER.send(noise(8_000)), *CALLEE.send(noise(8_000)), *third.send(noise(8_000))])
    with pytest.raises(ae.InvalidRequestError, match="the capture has 3 legs"):
        ae.convert(ae.CaptureFile(data), tmp_path / "call.mp3")
    report = ae.convert(ae.CaptureFile(data, 30_000, 30_004), tmp_path / "call.mp3")
    assert [one.to_port for one in report.streams] == [30_000, 30_004]


def test_types_that_nobody_named_and_lost_packets_are_warned_of(tmp_path: Path) -> None:
    packets = CALLER.send(noise(16_000))
    del packets[20:23]
    other = replace(CALLEE, payload_type=111).send(noise(8_000))
    report = ae.convert(ae.CaptureFile(raw([*packets, *other])[:-9]), tmp_path / "call.mp3")
    codes = {one.code for one in report.warnings}
    assert codes == {"caller_guessed", "packets_lost", "payload_types_unknown", "capture_cut_off"}
    (part,) = report.streams[0].parts
    assert (part.lost, part.silent_ms) == (3, 60.0)


def test_times_that_no_clock_gives_are_warned_of(tmp_path: Path) -> None:
    sent = [replace(one, arrival_ns=EPOCH_NS) for one in CALLER.send(noise(6 * RATE))]
    report = ae.convert(ae.CaptureFile(raw(sent)), tmp_path / "call.mp3")
    assert report.output.samples == 6 * RATE
    assert "capture_times_wrong" in {one.code for one in report.warnings}


def test_a_capture_without_sound_names_what_is_missing(tmp_path: Path) -> None:
    data = raw(replace(CALLER, payload_type=111).send(noise(8_000)))
    with pytest.raises(
        ae.UnsupportedAudioError, match=r"payload_types must name the types \[111\]"
    ):
        ae.convert(ae.CaptureFile(data), tmp_path / "call.mp3")


def test_keys_are_counted_and_never_told(tmp_path: Path) -> None:
    """Nor is anything of them in the recording: two captures with other keys make one file."""
    outputs = []
    for key in (SECRET, b"\x01"):
        source = tmp_path / "call.pcap"
        source.write_bytes(call(keys=7).replace(SECRET + b"\x0a\0\xa0", key + b"\x0a\0\xa0"))
        output = tmp_path / "call.mp3"
        report = run_json(
            "convert", "--pcap", source, "--payload-type", "101=telephone-event", output
        )
        assert report["streams"][1]["events"] == 7
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]


def test_the_verb(tmp_path: Path) -> None:
    source, output = tmp_path / "call.pcap", tmp_path / "call.mp3"
    source.write_bytes(call())
    shown = run("convert", "--pcap", source, "--caller", hex(CALLER.ssrc), output)
    assert shown.exit_code == 0, shown.output
    assert f"caller: SSRC {CALLER.ssrc}, 150 packets of pcmu to port 30000" in shown.output
    assert json.loads(run_json("convert", "--pcap", source, output)["meta"])
    for args in (("--caller", "somebody"), ("--payload-type", "opus")):
        assert "must be" in refusal("convert", "--pcap", source, *args, output)["message"]


def test_other_codecs_are_those_of_ffmpeg(tmp_path: Path) -> None:
    """G.722 on a clock of 8 kHz plays at 16 kHz."""
    av = pytest.importorskip("av")
    context = av.CodecContext.create("g722", "w")
    context.sample_rate, context.layout, context.format = 16_000, "mono", "s16"
    time = np.arange(2 * 16_000) / 16_000
    pcm = np.rint(8_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
    frame.sample_rate = 16_000
    codes = np.frombuffer(b"".join(map(bytes, [*context.encode(frame), *context.encode()])), "u1")
    sender = replace(CALLER, payload_type=9)
    report = ae.convert(ae.CaptureFile(raw(sender.send(codes))), tmp_path / "call.mp3", kbps=64)
    sound = decode_miniaudio((tmp_path / "call.mp3").read_bytes()) / 32_768
    assert report.output.rate_hz == 16_000
    assert len(sound) == len(codes) // 160 * 320
    middle = sound[8_000:24_000, 0]
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() == 440
    assert np.sqrt((middle**2).mean()) == pytest.approx(8_000 / 32_768 / np.sqrt(2), rel=0.03)
