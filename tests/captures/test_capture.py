# SPDX-License-Identifier: Apache-2.0
"""Captures of a known truth: every sample at its place, whatever the network did."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.captures import capture_file
from audioengine.captures.capture import read_capture
from audioengine.captures.payloads import CODECS
from audioengine.storage.objects import BytesSource
from tests.captures.made import (
    EPOCH_NS,
    RATE,
    Datagram,
    Sender,
    decoded,
    ethernet,
    ipv4,
    ipv6,
    jittered,
    legs,
    noise,
    pcap,
    pcapng,
    played,
    raw,
    rtp,
)

MS = 1_000_000
CALLER, CALLEE = Sender(), Sender(to_port=30_002, ssrc=0x9ABC_DEF0, start_ns=EPOCH_NS + 1_234 * MS)


def merged(*streams: list[Datagram]) -> list[Datagram]:
    return sorted((one for stream in streams for one in stream), key=lambda one: one.arrival_ns)


def hum(seconds: float) -> npt.NDArray[np.uint8]:
    """Codes of µ-law of noise below 1 kHz, which shows where every sample lies."""
    import av

    white = np.random.default_rng(5).normal(0, 0.3, int(seconds * RATE))
    slow = np.clip(np.convolve(white, np.ones(8) / 8, "same"), -1, 1)
    context: Any = av.CodecContext.create("pcm_mulaw", "w")
    context.sample_rate, context.layout, context.format = RATE, "mono", "s16"
    pcm = np.rint(slow * 32_767).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(pcm, "s16", "mono")
    frame.sample_rate = RATE
    packets = context.encode(frame)
    return np.frombuffer(b"".join(map(bytes, packets)), np.uint8)


def lag_ms(wanted: npt.NDArray[np.float32], got: npt.NDArray[np.float32]) -> float:
    """How much later `got` is, to a hundredth of a sample, by the phase of their spectra."""
    size = min(len(wanted), len(got))
    one, two = np.fft.rfft(wanted[:size]), np.fft.rfft(got[:size])
    cross = two * one.conj()
    upsampled = np.fft.irfft(cross, 64 * size)
    place = int(upsampled.argmax())
    place -= len(upsampled) if place > len(upsampled) // 2 else 0
    return place / 64 / RATE * 1000


@pytest.mark.parametrize("payload_type", [0, 8])
def test_samples_are_those_that_were_sent(payload_type: int) -> None:
    """Two legs, each at its place; the laws of G.711 as FFmpeg has them."""
    caller, callee = noise(8_000), noise(6_400, seed=1)
    one = replace(CALLER, payload_type=payload_type).send(caller)
    two = replace(CALLEE, payload_type=payload_type).send(callee)
    first, second = legs(raw(merged(one, two)))
    assert (first.port, second.port) == (30_000, 30_002)
    assert first.start_ns == EPOCH_NS
    assert second.start_ns == EPOCH_NS + 1_234 * MS
    assert (played(first) == decoded(caller, payload_type)).all()
    assert (played(second) == decoded(callee, payload_type)).all()
    assert first.streams[0].ssrc == CALLER.ssrc


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_of_any_byte_order_and_unit(order: str, nanoseconds: bool) -> None:
    packets = CALLER.send(noise(1_600))
    frames = [(packet.arrival_ns, ipv4(packet)) for packet in packets]
    (leg,) = legs(pcap(frames, order=order, nanoseconds=nanoseconds))
    assert leg.start_ns == EPOCH_NS
    assert (played(leg) == decoded(noise(1_600))).all()


def links() -> list[tuple[int, list[bytes]]]:
    packets = CALLER.send(noise(1_600))
    ip = [ipv4(packet) for packet in packets]
    ip6 = [ipv6(packet) for packet in packets]
    hop = bytes([17, 0, 1, 4, 0, 0, 0, 0])
    cooked = b"\0\0\0\1\0\6" + b"\2" * 6 + b"\0\0" + b"\x08\0"
    cooked_2 = b"\x08\0\0\0\0\0\0\1\0\1\0\6" + b"\2" * 8
    return [
        (1, [ethernet(data) for data in ip]),
        (1, [ethernet(data, 7) for data in ip]),
        (1, [ethernet(data, 7, 9) for data in ip6]),
        (101, ip6),
        (101, [ipv6(packet, hop) for packet in packets]),
        (113, [cooked + data for data in ip]),
        (276, [cooked_2 + data for data in ip]),
        (0, [b"\2\0\0\0" + data for data in ip]),
    ]


@pytest.mark.parametrize(("link", "frames"), links())
def test_link_layers(link: int, frames: list[bytes]) -> None:
    timed = [(EPOCH_NS + number * 20 * MS, data) for number, data in enumerate(frames)]
    for data in (pcap(timed, link), pcapng([(0, *one) for one in timed], [(link, 6)])):
        (leg,) = legs(data)
        assert leg.start_ns == EPOCH_NS
        assert (played(leg) == decoded(noise(1_600))).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_several_interfaces(order: str) -> None:
    """Of other link types and units; each packet counts once, also if two interfaces saw it."""
    one, two = CALLER.send(noise(1_600)), CALLEE.send(noise(1_600, seed=1))
    frames = [(0, packet.arrival_ns, ethernet(ipv4(packet), 5)) for packet in one]
    frames += [(1, packet.arrival_ns, ipv4(packet)) for packet in two]
    frames += [(1, packet.arrival_ns + 1000, ipv4(packet)) for packet in one]
    frames.sort(key=lambda frame: frame[1])
    first, second = legs(pcapng(frames, [(1, 9), (101, 3)], order=order))
    assert (played(first) == decoded(noise(1_600))).all()
    assert (played(second) == decoded(noise(1_600, seed=1))).all()
    assert first.parts[0].stretch.repeated == len(one)


@settings(max_examples=20)
@given(st.integers(0, 1 << 32))
def test_the_network_moves_no_sample(seed: int) -> None:
    """Jitter to 60 ms, much reordered, 3 % lost, 3 % twice, counters that wrap on the way."""
    rng = np.random.default_rng(seed)
    codes = noise(8_000 * 12, seed=seed % 1000)
    sender = replace(
        CALLER,
        sequence=65_536 - int(rng.integers(1, 400)),
        timestamp=(1 << 32) - int(rng.integers(1, 64_000)),
    )
    sent = sender.send(codes)
    came = jittered(sent, rng, lost=0.03, repeated=0.03)
    (leg,) = legs(raw(came))
    kept = {packet.payload for packet in came}
    lost = [number for number, packet in enumerate(sent) if packet.payload not in kept]
    wanted = decoded(codes).reshape(-1, 160).copy()
    wanted[lost] = 0
    first, last = (next(n for n in ns if n not in lost) for ns in (range(600), range(599, -1, -1)))
    assert (played(leg) == wanted[first : last + 1].reshape(-1)).all()
    assert abs(leg.start_ns - EPOCH_NS - first * 20 * MS) < MS
    (part,) = leg.parts
    assert part.stretch.lost == len([n for n in lost if first < n < last])
    assert part.stretch.repeated == len(came) - len(kept)


@pytest.mark.parametrize("drift_ppm", [80.0, -60.0, 21.0])
def test_drift_is_found_and_taken_out(drift_ppm: float) -> None:
    """±80 ppm within 1 ppm over more than 40 s, and lag ≤ 0.25 ms all along."""
    seconds = 300 if abs(drift_ppm) < 30 else 90
    codes = hum(seconds)
    sent = replace(CALLER, drift_ppm=drift_ppm).send(codes)
    (leg,) = legs(raw(jittered(sent, np.random.default_rng(1), most_ms=24)))
    (part,) = leg.parts
    assert part.stretch.clock.drift_ppm == pytest.approx(drift_ppm, abs=1)
    assert abs(leg.start_ns - EPOCH_NS) < MS
    wanted = seconds * RATE * (1 + drift_ppm / 1e6)
    assert leg.length == pytest.approx(wanted, abs=3)
    sound, true = played(leg), decoded(codes)
    for begin in (1, seconds // 2, seconds - 3):
        there = round(begin * RATE)
        behind = begin * drift_ppm / 1e3  # of the capture's clock against the sender's, in ms
        got = lag_ms(true[there:][: 2 * RATE], sound[there:][: 2 * RATE])
        assert abs(got - behind) < 0.25


def test_drift_is_found_within_forty_seconds() -> None:
    """Although it is not yet as much as jitter gives, and stays."""
    sent = replace(CALLER, drift_ppm=80.0).send(noise(RATE * 40))
    (leg,) = legs(raw(jittered(sent, np.random.default_rng(1), most_ms=24)))
    clock = leg.parts[0].stretch.clock
    assert clock.drift_ppm == pytest.approx(80, abs=1)
    assert not clock.resampled


def test_little_drift_is_left() -> None:
    """What jitter could have made takes no resampling: samples stay what was sent."""
    codes = noise(RATE * 20)
    (leg,) = legs(raw(replace(CALLER, drift_ppm=15).send(codes)))
    clock = leg.parts[0].stretch.clock
    assert clock.drift_ppm == pytest.approx(15, abs=1)
    assert not clock.resampled
    assert (played(leg) == decoded(codes)).all()


@pytest.mark.parametrize("speed", [0, 0.001, 0.5, 2])
def test_times_that_no_clock_gives_move_no_sample(speed: float) -> None:
    """As captures have them that were written anew, all of one time for instance."""
    codes = noise(RATE * 6)
    sent = CALLER.send(codes)
    times = [EPOCH_NS + round((one.arrival_ns - EPOCH_NS) * speed) for one in sent]
    frames = [replace(one, arrival_ns=at) for one, at in zip(sent, times, strict=True)]
    (leg,) = legs(raw(frames))
    first = leg.parts[0]
    assert first.stretch.clock.contradicts
    assert not first.stretch.clock.resampled
    size = first.length
    assert size > 5.9 * RATE
    assert (played(leg)[:size] == decoded(codes)[:size]).all()


def test_pauses_are_digital_silence() -> None:
    """DTX and holds: timestamps go on, and nothing is lost."""
    codes = noise(RATE * 4)
    sent = CALLER.send(codes)
    spoken = [
        replace(
            packet,
            payload=rtp(
                0,
                1_000 + place,
                160_000 + number * 160,
                CALLER.ssrc,
                codes[number * 160 :][:160].tobytes(),
            ),
        )
        for place, (number, packet) in enumerate(
            (number, packet) for number, packet in enumerate(sent) if not 50 <= number < 150
        )
    ]
    (leg,) = legs(raw(spoken))
    (part,) = leg.parts
    wanted = decoded(codes).copy()
    wanted[8_000:24_000] = 0
    assert (played(leg) == wanted).all()
    assert part.stretch.lost == 0
    assert part.stretch.samples - part.stretch.heard == 16_000


def test_a_new_ssrc_and_a_jump_of_the_clock_begin_parts() -> None:
    codes = noise(RATE * 3)
    first = CALLER.send(codes[:8_000])
    other = replace(CALLER, ssrc=77, sequence=5, timestamp=9, start_ns=EPOCH_NS + 2_000 * MS)
    # The same SSRC goes on after half a second, as if no time had passed.
    jumped = replace(other, sequence=55, timestamp=8_009, start_ns=EPOCH_NS + 3_500 * MS)
    packets = first + other.send(codes[8_000:16_000]) + jumped.send(codes[16_000:])
    (leg,) = legs(raw(packets))
    assert [part.stream.ssrc for part in leg.parts] == [CALLER.ssrc, 77, 77]
    assert [part.start for part in leg.parts] == [0, 16_000, 28_000]
    assert [(part.start_ns - EPOCH_NS) // MS for part in leg.parts] == [0, 2_000, 3_500]
    sound = played(leg)
    true = decoded(codes)
    assert (sound[:8_000] == true[:8_000]).all()
    assert not sound[8_000:16_000].any()
    assert (sound[16_000:24_000] == true[8_000:16_000]).all()
    assert (sound[28_000:] == true[16_000:]).all()


def test_a_burst_that_was_held_up_begins_no_part() -> None:
    """The network stood still for 0.4 s, then all came at once: the clock did not jump."""
    codes = noise(RATE * 4)
    held = [
        replace(packet, arrival_ns=EPOCH_NS + 1_400 * MS + number)
        if 1_000 * MS <= packet.arrival_ns - EPOCH_NS < 1_400 * MS
        else packet
        for number, packet in enumerate(CALLER.send(codes))
    ]
    (leg,) = legs(raw(held))
    assert len(leg.parts) == 1
    assert (played(leg) == decoded(codes)).all()


def test_keys_and_comfort_noise_take_no_samples() -> None:
    """They are counted; what keys were pressed shows nowhere."""
    codes = noise(RATE * 2)
    packets = []
    for number, packet in enumerate(CALLER.send(codes)):
        key = rtp(101, 1_000 + number, 160_000 + 40 * 160, CALLER.ssrc, b"\x07\x0a\0\xa0")
        noise_packet = rtp(13, 1_000 + number, 160_000 + number * 160, CALLER.ssrc, b"\x40")
        payload = packet.payload
        if 40 <= number < 45:
            payload = key
        elif 60 <= number < 63:
            payload = noise_packet
        packets.append(replace(packet, payload=payload))
    (leg,) = legs(raw(packets), {101: "telephone-event"})
    (stream,) = leg.streams
    assert (stream.events, stream.comfort_noise) == (5, 3)
    (part,) = leg.parts
    assert part.stretch.lost == 0
    wanted = decoded(codes).copy()
    wanted[40 * 160 : 45 * 160] = wanted[60 * 160 : 63 * 160] = 0
    assert (played(leg) == wanted).all()
    assert "07" not in repr(stream.unknown)


def test_other_traffic_is_passed_over() -> None:
    rng = np.random.default_rng(3)
    packets = CALLER.send(noise(8_000))
    other = [
        Datagram(
            packet.arrival_ns + 1,
            int(rng.integers(1, 65_536)),
            rng.bytes(int(rng.integers(0, 300))),
        )
        for packet in packets
        for _ in range(3)
    ]
    rtcp = [Datagram(p.arrival_ns + 2, 30_001, b"\x80\xc8\0\6" + bytes(24)) for p in packets]
    frames = [(one.arrival_ns, ipv4(one)) for one in merged(packets, other, rtcp)]
    frames += [(frames[-1][0], ipv4(packets[0], fragment=True)), (frames[-1][0], b"\x45")]
    (leg,) = legs(pcap(frames))
    assert (played(leg) == decoded(noise(8_000))).all()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_capture_that_is_cut_off_has_what_came_before(data: st.DataObject) -> None:
    """As kill -9 leaves it."""
    codes = noise(3_200)
    whole = raw(CALLER.send(codes))
    cut = data.draw(st.integers(24, len(whole)))
    each = 16 + 28 + 12 + 160
    packets = (cut - 24) // each
    found = legs(whole[:cut])
    if packets < 5:
        assert not found
    else:
        assert (played(found[0]) == decoded(codes)[: packets * 160]).all()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_bytes_give_legs_or_a_typed_error(data: st.DataObject) -> None:
    whole = bytearray(
        raw(CALLER.send(noise(1_600)))
        if data.draw(st.booleans())
        else pcapng(
            [(0, one.arrival_ns, ipv4(one)) for one in CALLER.send(noise(1_600))], [(101, 6)]
        )
    )
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = legs(bytes(whole))
        for leg in found:
            if leg.length < 10**6:
                played(leg)
    except (ae.MalformedAudioError, ae.UnsupportedAudioError, ae.LimitError):
        pass


def test_other_files_are_refused() -> None:
    with pytest.raises(ae.UnsupportedAudioError, match="neither a pcap nor a pcapng"):
        legs(b"RIFF\0\0\0\0WAVE" + bytes(40))


@pytest.mark.parametrize(("number", "name"), [(200, "opus"), (96, "midi")])
def test_payload_types_are_known_codecs(number: int, name: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match="payload_types"):
        legs(raw(CALLER.send(noise(1_600))), {number: name})


def test_types_that_nobody_named_are_told() -> None:
    packets = replace(CALLER, payload_type=111).send(noise(1_600))
    capture = read_capture(BytesSource(raw(packets)))
    assert not capture.legs
    (stream,) = capture.silent_streams
    assert stream.unknown == {111: 10}


@pytest.mark.parametrize("ms", [20, 60])
def test_opus_plays_at_its_timestamps(ms: int) -> None:
    """Also packets of several frames, whose number is in their second byte."""
    av: Any = pytest.importorskip("av")
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "mono", "flt"
    context.options = {"frame_duration": "20"}
    context.open()
    time = np.arange(48_000 * 3) / 48_000
    sound = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    packets: list[bytes] = []
    for begin in range(0, len(sound), 960):
        frame = av.AudioFrame.from_ndarray(sound[None, begin : begin + 960], "flt", "mono")
        frame.sample_rate, frame.pts = 48_000, begin
        packets += map(bytes, context.encode(frame))
    if ms == 60:
        packets = [joined(packets[at : at + 3]) for at in range(0, len(packets) - 2, 3)]
    sent = [
        Datagram(
            EPOCH_NS + number * ms * MS, 30_000, rtp(111, number, number * ms * 48, 7, payload)
        )
        for number, payload in enumerate(packets)
    ]
    (leg,) = legs(raw(sent), {111: "opus"})
    (part,) = leg.parts
    assert (leg.rate, leg.length) == (48_000, len(packets) * ms * 48)
    assert part.stretch.heard == leg.length
    assert part.stretch.clock.drift_ppm == 0.0
    middle = played(leg)[24_000:72_000]
    assert np.abs(np.fft.rfft(middle)).argmax() == 440
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def joined(frames: list[bytes]) -> bytes:
    """Frames of one configuration as one packet of any number and sizes (RFC 6716, 3.2.5)."""
    several, sizes = 0x80 | len(frames), b""
    for frame in frames[:-1]:
        size = len(frame) - 1
        sizes += bytes([size]) if size < 252 else bytes([252 + size % 4, (size - 252) // 4])
    return bytes([frames[0][0] | 3, several]) + sizes + b"".join(f[1:] for f in frames)


def test_the_clock_of_opus_is_exact() -> None:
    """A tick of 48 kHz is no whole number of nanoseconds: rounded, an hour would be 57 ms short."""
    ticks = np.array([0, 48_000 * 3600], np.int64)
    assert CODECS["opus"].nanoseconds(ticks).tolist() == [0, 3600 * 10**9]


def test_timestamps_that_jump_without_end_are_refused() -> None:
    many = [
        Datagram(EPOCH_NS + number, 30_000, rtp(0, number, number * 0x7FFF_FFFF, 7, b"\xff"))
        for number in range(20_000)
    ]
    with pytest.raises(ae.LimitError, match="timestamps of a stream jump"):
        legs(raw(many))


def test_what_follows_the_last_packet_of_pcapng_is_not_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Statistics of interfaces (block type 5) may be all that the last piece of a file has."""
    frames = [(0, one.arrival_ns, ipv4(one)) for one in CALLER.send(noise(1_600))]
    statistics = struct.pack("<IIIIII", 5, 24, 0, 0, 0, 24)
    data = pcapng(frames, [(101, 6)])
    monkeypatch.setattr(capture_file, "BLOCK_BYTES", len(data))
    assert read_capture(BytesSource(data + 2 * statistics)).cut_off_bytes == 0
    assert read_capture(BytesSource(data + statistics[:-1])).cut_off_bytes == 23


def with_more(packet: Datagram, first: int, head: bytes = b"", padding: bytes = b"") -> Datagram:
    """The packet with other first bits, and what they say is there."""
    payload = packet.payload
    more = bytes([0x80 | first]) + payload[1:12] + head + payload[12:] + padding
    return replace(packet, payload=more)


@pytest.mark.parametrize(
    ("first", "head", "padding"),
    [
        (0x20, b"", b"\0\0\3"),  # padding
        (0x10, b"\xbe\xde\0\2" + bytes(8), b""),  # an extension of two words
        (0x02, b"\1\2\3\4\5\6\7\x08", b""),  # two contributing sources
        (0x31, b"\1\2\3\4" + b"\xbe\xde\0\1" + bytes(4), b"\1"),
    ],
)
def test_only_the_payload_is_sound(first: int, head: bytes, padding: bytes) -> None:
    """RFC 3550, 5.1 and 5.3.1."""
    sent = [with_more(packet, first, head, padding) for packet in CALLER.send(noise(1_600))]
    (leg,) = legs(raw(sent))
    assert (played(leg) == decoded(noise(1_600))).all()


def test_rtcp_on_the_same_port_is_no_stream() -> None:
    """Its lengths may count up as sequence numbers do."""
    reports = [
        Datagram(EPOCH_NS + number, 30_000, struct.pack(">BBHI", 0x81, 200, number, 9) + bytes(20))
        for number in range(6, 30)
    ]
    capture = read_capture(BytesSource(raw(merged(CALLER.send(noise(1_600)), reports))))
    assert len(capture.legs) == 1
    assert not capture.silent_streams


def test_what_does_not_count_up_is_no_stream() -> None:
    """Of one SSRC and port, and with a payload type of RTP."""
    numbers = np.random.default_rng(7).integers(0, 65_536, 50).tolist()
    packets = [
        Datagram(EPOCH_NS + place, 30_000, rtp(0, number, 0, 7, bytes(160)))
        for place, number in enumerate(numbers)
    ]
    assert not legs(raw(packets))


def test_datagrams_shorter_than_their_own_header_are_left_out() -> None:
    packets = CALLER.send(noise(1_600))
    wrong = bytearray(ipv4(packets[0]))
    wrong[24:26] = b"\0\4"  # UDP's length
    frames = [(one.arrival_ns, ipv4(one)) for one in packets]
    (leg,) = legs(pcap([(EPOCH_NS, bytes(wrong)), *frames]))
    assert leg.parts[0].stretch.repeated == 0
    assert (played(leg) == decoded(noise(1_600))).all()


def test_a_packet_of_a_gigabyte_is_refused() -> None:
    data = bytearray(raw(CALLER.send(noise(1_600))))
    second = 24 + 16 + 20 + 8 + 12 + 160
    data[second + 8 : second + 12] = struct.pack("<I", 1 << 30)
    with pytest.raises(ae.MalformedAudioError, match=rf"has 1073741824 bytes.* \(byte {second}\)"):
        legs(bytes(data))


def test_a_drift_that_clocks_have_anyway_is_left() -> None:
    """15 ppm, although 7 minutes make 6 ms of it."""
    sender = replace(CALLER, drift_ppm=15, packet=1_600)
    (leg,) = legs(raw(sender.send(noise(RATE * 420))))
    clock = leg.parts[0].stretch.clock
    assert clock.drift_ppm == pytest.approx(15, abs=1)
    assert not clock.resampled


def test_g729_has_80_samples_in_ten_bytes() -> None:
    pytest.importorskip("av")
    sender = replace(CALLER, payload_type=18, packet=20)
    sent = [
        replace(one, payload=rtp(18, number, number * 160, 5, bytes(20)))
        for number, one in enumerate(sender.send(noise(20 * 30)))
    ]
    (leg,) = legs(raw(sent))
    assert leg.length == leg.parts[0].stretch.heard == 30 * 160
    assert len(played(leg)) == leg.length
