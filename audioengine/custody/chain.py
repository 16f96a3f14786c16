# SPDX-License-Identifier: Apache-2.0
"""The chain of a record: how one line follows another, and what shows where it does not.

A line is ``{"chain": {"format", "number", "previous", "time"}, "entry": {…}}`` in canonical form:
`number` counts from 0, `previous` is the SHA-256 of the line before, without its line end, of the
first line 64 zeros. With a key, `hmac` in `chain` is the HMAC-SHA256 of the line's document without
it. The head of a record is the SHA-256 of its last line.

That lines were cut off at the end, no line can show. With a key, a head file beside the record says
how many there are: ``{"count", "format", "head", "hmac"}``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audioengine.custody.canonical import canonical, parsed
from audioengine.custody.verdict import RecordFinding

FORMAT = 1

_MOST = 1 << 63
"""Lines are fewer; Python does not print numbers of thousands of digits."""

BEGINNING = b'{"chain":{"format":1,'
"""Of every line."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain has come."""

    count: int = 0
    """Lines that there are."""
    digest: str = "0" * 64
    """Of the last one."""


def line_digest(line: bytes) -> str:
    """The SHA-256 of a line without its line end, in hexadecimal."""
    return hashlib.sha256(line).hexdigest()


def linked(entry: Mapping[str, Any], after: Head, time: str, key: bytes | None) -> bytes:
    """The line of an entry behind a chain, without its line end."""
    chain = {"format": FORMAT, "number": after.count, "previous": after.digest, "time": time}
    document: dict[str, Any] = {"chain": chain, "entry": entry}
    if key is not None:
        chain["hmac"] = _mac(document, key)
    return canonical(document)


def sealed(head: Head, key: bytes) -> bytes:
    """What the head file holds of a chain."""
    document: dict[str, Any] = {"count": head.count, "format": FORMAT, "head": head.digest}
    return canonical({**document, "hmac": _mac(document, key)}) + b"\n"


def unsealed(data: bytes, key: bytes | None) -> Head | None:
    """Return the head in a head file; None if the file was changed, or made with another key.

    Without a key it is believed.
    """
    document = parsed(data.removesuffix(b"\n"))
    if document is None or not data.endswith(b"\n"):
        return None
    mac = document.pop("hmac", None)
    count, digest = document.get("count"), document.get("head")
    if not isinstance(count, int) or not isinstance(digest, str) or not isinstance(mac, str):
        return None
    if key is not None and not hmac.compare_digest(mac, _mac(document, key)):
        return None
    return Head(count, digest)


def _mac(document: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical(document), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """One line of a chain, by itself."""

    number: int
    previous: str
    mac: str | None
    entry: Mapping[str, Any]
    unsigned: Mapping[str, Any]
    """The document that the HMAC is of."""

    @classmethod
    def of(cls, line: bytes) -> Link | None:
        """Read a line without its line end; None where it is no line of a record."""
        document = parsed(line)
        if document is None or set(document) != {"chain", "entry"}:
            return None
        chain, entry = document["chain"], document["entry"]
        if not isinstance(chain, dict) or not isinstance(entry, dict):
            return None
        chain = dict(chain)
        mac = chain.pop("hmac", None)
        if set(chain) != {"format", "number", "previous", "time"}:
            return None
        # True is 1, too.
        if type(chain["format"]) is not int or chain["format"] != FORMAT:
            return None
        number, previous = chain["number"], chain["previous"]
        if type(number) is not int or not 0 <= number < _MOST or not isinstance(previous, str):
            return None
        if mac is not None and not isinstance(mac, str):
            return None
        return cls(number, previous, mac, entry, {"chain": chain, "entry": entry})

    def is_signed(self, key: bytes) -> bool:
        """Whether it was written with this key, as it stands."""
        return self.mac is not None and hmac.compare_digest(self.mac, _mac(self.unsigned, key))


class Follower:
    """Judges the lines of a record one after another; what it holds does not grow."""

    def __init__(self, key: bytes | None) -> None:
        """Begin at the first line."""
        self._key = key
        self._number = 0
        # None where nobody can know what the line before was.
        self._previous: str | None = Head().digest
        self.keyed: bool | None = None
        """Whether lines have HMACs; None before the first."""

    def judge(self, line: bytes) -> tuple[Link | None, list[RecordFinding]]:
        """Judge the next line, without its line end; give what it says and what is wrong."""
        link = Link.of(line)
        if link is None:
            self._number, self._previous = self._number + 1, None
            return None, [RecordFinding("changed", "it is no line of a record as one is written")]
        findings = [*self._signature(link), *self._place(link)]
        late = link.number < self._number
        self._previous = None if late else line_digest(line)
        self._number = max(self._number, link.number + 1)
        return link, findings

    def _signature(self, link: Link) -> list[RecordFinding]:
        keyed = link.mac is not None
        if self.keyed is None:
            self.keyed = keyed
        if self._key is not None and not keyed:
            return [RecordFinding("changed", "it has no HMAC, and one is expected")]
        if self._key is not None and not link.is_signed(self._key):
            message = "its HMAC does not fit: it was changed, or the key is another one"
            return [RecordFinding("changed", message)]
        if keyed != self.keyed:
            return [RecordFinding("changed", "either it or the first line should have an HMAC")]
        return []

    def _place(self, link: Link) -> list[RecordFinding]:
        """What is wrong with where a line stands."""
        expected = self._number
        if link.number > expected:
            gap = f"{expected} to {link.number - 1}" if link.number > expected + 1 else expected
            return [
                RecordFinding("removed", f"number {gap} should stand before number {link.number}")
            ]
        if link.number < expected:
            message = f"number {link.number} stands where number {expected} should"
            return [RecordFinding("reordered", message)]
        if self._previous not in (None, link.previous):
            message = "it does not follow the line before: that one or this one was changed"
            return [RecordFinding("broken", message)]
        return []
