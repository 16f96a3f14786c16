# SPDX-License-Identifier: Apache-2.0
"""WebVTT (W3C): cues whose voices are the parties, ``<v caller>card number</v>``."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from audioengine.redaction.labels.label import Gathering, Label
from audioengine.times import clock_time

_SIGNATURE = "WEBVTT"
_DIGITS = 3
_TIMES = re.compile(r"(\S+)[ \t]+-->[ \t]+(\S+)(?:[ \t].*)?")
_VOICE = re.compile(r"<v(?:\.[^\t\n\r &<>.]+)*[ \t]+([^>]*)>")
_TAG = re.compile(r"<[^>]*>")


def is_webvtt(text: str) -> bool:
    """Whether a text begins as WebVTT does."""
    return re.match(rf"{_SIGNATURE}(?:[ \t\n]|$)", text) is not None


def read(text: str, found: Gathering) -> None:
    """A cue may have several voices; what has none is of both."""
    for first, lines in _blocks(text):
        if re.match(r"(?:WEBVTT|NOTE|STYLE|REGION)(?:[ \t]|$)", lines[0]):
            continue
        # A line with the cue's name may come first.
        at = next((place for place, line in enumerate(lines[:2]) if "-->" in line), None)
        if at is None:
            found.wrong(f"line {first}", "must be a cue: times with --> between, then its text")
            continue
        path = f"line {first + at}"
        times = _TIMES.fullmatch(lines[at].strip())
        if times is None:
            found.wrong(path, "must be two times with --> between")
            continue
        start, end = (found.time(path, time) for time in times.groups())
        if start is None or end is None:
            continue
        for name, words in _voices("\n".join(lines[at + 1 :])):
            if name is None:
                found.add(path, None, start, end, words)
            else:
                found.add_named(path, name, start, end, words)


def write(labels: Iterable[Label]) -> str:
    """The labels as cues of one voice each."""
    cues = [f"{_SIGNATURE}\n"]
    for label in labels:
        start, end = (clock_time(Fraction(time)) for time in label.rounded(_DIGITS))
        cues.append(f"{start} --> {end}\n<v {label.party}>{html.escape(label.kind or '')}</v>\n")
    return "\n".join(cues)


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines without an empty one between, and the number of the first, from 1."""
    block: list[str] = []
    for number, line in enumerate((*text.split("\n"), ""), start=1):
        if line:
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _voices(payload: str) -> list[tuple[str | None, str]]:
    """Who speaks in a cue, and what; None: nobody is named."""
    before, *voices = _VOICE.split(payload)
    heard = [
        (html.unescape(name), _plain(words))
        for name, words in zip(voices[::2], voices[1::2], strict=True)
    ]
    if _plain(before) or not heard:
        return [(None, _plain(before)), *heard]
    return list(heard)


def _plain(words: str) -> str:
    return html.unescape(_TAG.sub("", words)).replace("\xa0", " ").strip()
