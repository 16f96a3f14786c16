# SPDX-License-Identifier: Apache-2.0
"""A file of labels, told apart by what is in it, and one written by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import PurePath
from typing import Literal, TypeAlias, get_args

from audioengine.choices import CallerChannel
from audioengine.errors import InvalidRequestError, LimitError
from audioengine.redaction.finding import Findings, Origin
from audioengine.redaction.labels import audacity, label_studio, table, textgrid, webvtt
from audioengine.redaction.labels.label import Gathering, Label

LabelFormat: TypeAlias = Literal["audacity", "csv", "webvtt", "textgrid", "label-studio"]
FORMATS: tuple[LabelFormat, ...] = get_args(LabelFormat)
MAX_BYTES = 16 << 20
"""Of a file: an hour has some thousand words."""

_BY_SUFFIX: dict[str, LabelFormat] = {
    ".txt": "audacity",
    ".csv": "csv",
    ".vtt": "webvtt",
    ".textgrid": "textgrid",
    ".json": "label-studio",
}


def parse_labels(
    data: bytes, format: LabelFormat | None = None, *, caller_channel: CallerChannel = "left"
) -> Findings:
    """Read a file of labels.

    format: None: told by the content.
    caller_channel: the channel that holds the caller, for formats that know channels.

    Raises InvalidRequestError, which names the lines, for what is not of its format, a time that is
    none and a party that is unknown; and LimitError for more than MAX_BYTES.
    """
    if format is not None and format not in FORMATS:
        raise InvalidRequestError.of("format", format, f"must be one of {', '.join(FORMATS)}")
    if caller_channel not in ("left", "right"):
        raise InvalidRequestError.of("caller_channel", caller_channel, "must be left or right")
    if len(data) > MAX_BYTES:
        raise LimitError(f"the labels have {len(data):,} bytes, at most {MAX_BYTES:,} are allowed")
    text = _text(data)
    digest = hashlib.sha256(data).hexdigest()
    chosen = format or _format_of(text)
    found = Gathering(chosen, digest)
    if chosen == "label-studio":
        label_studio.read(text, found, "callee" if caller_channel == "left" else "caller")
    else:
        readers = {
            "audacity": audacity.read,
            "csv": table.read,
            "webvtt": webvtt.read,
            "textgrid": textgrid.read,
        }
        readers[chosen](text, found)
    return Findings(found.findings(), (Origin(chosen, digest),))


def label_format(name: str) -> LabelFormat:
    """Return the format that a file's name asks for.

    Raises InvalidRequestError where it ends as none does.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in _BY_SUFFIX:
        rule = f"must end with {', '.join(_BY_SUFFIX)}, which says what to write"
        raise InvalidRequestError.of("labels", name, rule)
    return _BY_SUFFIX[suffix]


def write_labels(
    labels: Iterable[Label], format: LabelFormat, end: Fraction = Fraction(0)
) -> bytes:
    """Return a file of labels; bounds that its times can't tell round outward.

    end: of the recording, in seconds.
    """
    if format == "textgrid":
        return textgrid.write(labels, end).encode()
    writers = {
        "audacity": audacity.write,
        "csv": table.write,
        "webvtt": webvtt.write,
        "label-studio": label_studio.write,
    }
    return writers[format](labels).encode()


def _text(data: bytes) -> str:
    """The text with line feeds alone; Praat writes UTF-16."""
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        rule = "must be text in UTF-8, or in UTF-16 with a byte order mark"
        raise InvalidRequestError.of("the labels", f"<{len(data)} bytes>", rule) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _format_of(text: str) -> LabelFormat:
    """The format of a text: Audacity's has no sign of its own."""
    if webvtt.is_webvtt(text):
        return "webvtt"
    if textgrid.is_textgrid(text):
        return "textgrid"
    if label_studio.is_export(text):
        return "label-studio"
    return "csv" if table.is_table(text.partition("\n")[0]) else "audacity"
