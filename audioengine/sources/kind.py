# SPDX-License-Identifier: Apache-2.0
"""Detects the kind of a file by its bytes, not its name."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.mp3.bytesource import ByteSource
from audioengine.sources.riff import MP3, Riff, read_riff

_HEAD_BYTES = 4096

# Magic numbers at the start, by the containers' own specifications.
_MAGIC = (
    (b"fLaC", "a FLAC file"),
    (b"caff", "a CAF file"),
    (b".snd", "an AU file"),
    (b"riff\x2e\x91\xcf\x11", "a Wave64 file"),
    (b"\x1a\x45\xdf\xa3", "a WebM or Matroska file"),
    (b"#!AMR-WB\n", "an AMR file with AMR-WB"),
    (b"#!AMR\n", "an AMR file with AMR-NB"),
    (b"#!SILK_V3", "a SILK file"),
    (b"\x02#!SILK_V3", "a SILK file"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (b"MThd", "a MIDI file"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture (pcap)"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture (pcap)"),
    (b"\x4d\x3c\xb2\xa1", "a packet capture (pcap)"),
    (b"\xa1\xb2\x3c\x4d", "a packet capture (pcap)"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture (pcapng)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a ZIP file"),
    (b"%PDF-", "a PDF file"),
)

# The first packet of an Ogg stream: RFC 7845 5.1, Vorbis I 4.2.1, and the mappings of others.
_OGG_CODECS = (
    (b"OpusHead", "Opus"),
    (b"\x01vorbis", "Vorbis"),
    (b"\x7fFLAC", "FLAC"),
    (b"Speex   ", "Speex"),
)
_AIFF_CODECS = {
    b"ulaw": "G.711 µ-law",
    b"ULAW": "G.711 µ-law",
    b"alaw": "G.711 A-law",
    b"ALAW": "G.711 A-law",
    b"ima4": "IMA ADPCM",
    b"GSM ": "GSM 6.10",
    b"QDMC": "QDesign",
}
# Brands of ISO/IEC 14496-12's `ftyp` for sound without pictures.
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"F4A ")

_ADTS_CHAINED = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that is not plain MP3."""

    name: str
    """With an article, for messages: "a WAV file with G.729"."""
    riff: Riff | None = None
    """The chunks of a WAV file."""

    @property
    def holds_mp3(self) -> bool:
        """Whether it is a WAV file that contains an MP3 recording."""
        return self.riff is not None and self.riff.tag == MP3

    @property
    def is_ogg(self) -> bool:
        """Whether it is an Ogg file."""
        return self.name.startswith("an Ogg file")

    def __str__(self) -> str:
        return self.name


def kind_of(source: ByteSource) -> Kind | None:
    """The kind of a file; None if it may be an MP3 or is unknown."""
    head = source.read(0, _HEAD_BYTES)
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX"):
        return _wave(source, head)
    if head[:4] == b"OggS":
        codec = next((name for magic, name in _OGG_CODECS if magic in head[28:512]), None)
        return Kind(f"an Ogg file with {codec}" if codec else "an Ogg file")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind(_aiff(head))
    if head[4:8] == b"ftyp":
        return Kind("an M4A file" if head[8:12] in _SOUND_BRANDS else "an MP4 file")
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return Kind(name)
    return Kind("an AAC file (ADTS)") if _is_adts(head) else None


def _wave(source: ByteSource, head: bytes) -> Kind:
    if head[:4] == b"RIFX":
        return Kind("a big-endian WAV file (RIFX)")
    riff = read_riff(source)
    name = "a WAV file" if head[8:12] == b"WAVE" else "a RIFF file"
    if riff is None:
        return Kind(name)
    if riff.is_64:
        name = "an RF64 file"
    return Kind(f"{name} with {riff.codec}", riff)


def _aiff(head: bytes) -> str:
    at = head.find(b"COMM")
    codec = _AIFF_CODECS.get(head[at + 26 : at + 30]) if head[8:12] == b"AIFC" and at > 0 else None
    return f"an AIFF file with {codec}" if codec else "an AIFF file"


def _is_adts(head: bytes) -> bool:
    """Whether consecutive AAC frames begin there: ISO/IEC 13818-7, 6.2."""
    at = 0
    for _ in range(_ADTS_CHAINED):
        frame = head[at : at + 7]
        if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0:
            return False
        at += (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
        if at <= 7:
            return False
    return True
