# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to a record shows, under a key or a published head; and how it is called."""

from __future__ import annotations

import hashlib
import hmac
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.custody.canonical import canonical
from audioengine.custody.chain import BEGINNING, line_digest, sealed
from tests.custody.records import KEY, TIME, codes, entry, head_of, lines_of, written

COUNT = 6
KEYED = lines_of([entry(n) for n in range(COUNT)], KEY)
PLAIN = lines_of([entry(n) for n in range(COUNT)], None)
HEAD = head_of(PLAIN).digest


def found(lines: list[bytes], head: str | None = None) -> ae.RecordVerification:
    """The verdict on lines, under the key or, with a head, under it alone."""
    data = b"".join(line + b"\n" for line in lines)
    return found_in(data, KEYED if head is None else [], head)


def found_in(data: bytes, sealed: list[bytes], head: str | None) -> ae.RecordVerification:
    with tempfile.TemporaryDirectory() as folder:
        record = written(Path(folder), sealed, None if head else KEY)
        Path(record.path).write_bytes(data)
        return ae.verify_record(record, head=head)


def test_what_was_not_touched_passes() -> None:
    keyed, plain = found(KEYED), found(PLAIN, HEAD)
    assert keyed.passed
    assert plain.passed
    assert (keyed.count, keyed.keyed, keyed.key_checked, keyed.head_line) == (6, True, True, None)
    assert (plain.count, plain.keyed, plain.head, plain.head_line) == (6, False, HEAD, 6)


def test_the_chain_is_what_it_is_said_to_be() -> None:
    """As anybody can compute it, with the standard library alone."""
    before = "0" * 64
    for number, line in enumerate(KEYED):
        document = json.loads(line)
        chain = document["chain"]
        assert (chain["format"], chain["number"], chain["previous"]) == (1, number, before)
        mac = chain.pop("hmac")
        text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        assert mac == hmac.new(KEY, text, hashlib.sha256).hexdigest()
        assert line.startswith(BEGINNING)
        before = hashlib.sha256(line).hexdigest()


under = pytest.mark.parametrize(("lines", "head"), [(KEYED, None), (PLAIN, HEAD)])


@under
@given(data=st.data())
def test_any_byte_that_is_changed_shows(
    lines: list[bytes], head: str | None, data: st.DataObject
) -> None:
    """One, or several in a row, replaced, removed or put in anywhere."""
    whole = b"".join(line + b"\n" for line in lines)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 3, len(whole))))
    put = data.draw(st.binary(max_size=3).filter(lambda put: put != whole[start:end]))
    changed = whole[:start] + put + whole[end:]
    if changed != whole:
        assert not found_in(changed, lines, head).passed


@under
@given(data=st.data())
def test_lines_that_are_removed_moved_or_repeated_show(
    lines: list[bytes], head: str | None, data: st.DataObject
) -> None:
    """Any other sequence of a record's lines."""
    chosen = data.draw(st.lists(st.integers(0, COUNT - 1), max_size=COUNT + 2))
    if head is None or chosen != list(range(COUNT)):
        verdict = found([lines[n] for n in chosen], head)
        assert verdict.passed == (chosen == list(range(COUNT)))


@given(st.data())
def test_a_head_file_that_is_changed_shows(data: st.DataObject) -> None:
    """Also one that is missing."""
    with tempfile.TemporaryDirectory() as folder:
        record = written(Path(folder), KEYED, KEY)
        whole = record.head_path.read_bytes()
        place = data.draw(st.integers(0, len(whole) - 1))
        byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
        record.head_path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        assert codes(ae.verify_record(record)) == {"key"}
        for behind in (1, 2):
            record.head_path.write_bytes(sealed(head_of(KEYED[:-behind]), KEY))
            assert ae.verify_record(record).passed == (behind == 1)
        record.head_path.unlink()
        assert codes(ae.verify_record(record)) == {"cut"}


def changed(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'{"number":2,', b'{"number":7,') for line in lines]


@under
@pytest.mark.parametrize(
    ("tamper", "keyed", "plain", "at"),
    [
        (changed, {"changed", "broken"}, {"broken"}, {3, 4}),
        (lambda lines: lines[:2] + lines[3:], {"removed", "cut"}, {"removed"}, {3}),
        (lambda lines: lines[1:], {"removed", "cut"}, {"removed"}, {1}),
        (lambda lines: lines[:-2], {"cut"}, {"head"}, set()),
        (lambda _: [], {"cut"}, {"head"}, set()),
        (lambda lines: [*lines[:2], *lines[1:]], {"reordered"}, {"reordered"}, {3}),
        (lambda lines: [*lines[:2], b"no entry", *lines[3:]], {"changed"}, {"changed"}, {3}),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    lines: list[bytes],
    head: str | None,
    tamper: Callable[[list[bytes]], list[bytes]],
    keyed: set[str],
    plain: set[str],
    at: set[int],
) -> None:
    assert tamper(lines) != lines
    verdict = found(tamper(lines), head)
    expected = keyed if head is None else plain
    assert codes(verdict) - {"cut"} == expected - {"cut"}
    assert expected <= codes(verdict)
    assert {entry.line for entry in verdict.failures} <= at
    assert bool(verdict.failures) == bool(at)


def test_lines_behind_a_published_head_are_not_covered_by_it() -> None:
    """The head of any earlier day will do; the verdict says how far it reaches."""
    verdict = found(PLAIN, line_digest(PLAIN[2]))
    assert (verdict.passed, verdict.head_line, verdict.count) == (True, 3, 6)
    assert codes(found(PLAIN[:2], line_digest(PLAIN[2]))) == {"head"}


def test_what_nobody_can_see_without_key_or_head(tmp_path: Path) -> None:
    """A tail that was cut, and a chain that was written anew: as the README says."""
    for lines in (PLAIN[:3], lines_of([entry(n + 7) for n in range(4)], None)):
        assert ae.verify_record(written(tmp_path, lines, None)).passed
        assert not found(lines, HEAD).passed
        assert not found(lines).passed


def test_who_holds_the_key_can_write_anew() -> None:
    """Then only a published head shows it."""
    with tempfile.TemporaryDirectory() as folder:
        lines = lines_of([entry(n + 7) for n in range(4)], KEY)
        record = written(Path(folder), lines, KEY)
        assert ae.verify_record(record).passed
        assert codes(ae.verify_record(record, head=head_of(KEYED).digest)) == {"head"}


def test_another_key_shows(tmp_path: Path) -> None:
    record = written(tmp_path, KEYED, KEY)
    other = ae.CustodyRecord(record.path, b"another key of the tests")
    verdict = ae.verify_record(other)
    assert codes(verdict) == {"changed", "key"}
    assert verdict.failed == COUNT
    without = ae.verify_record(record.path)
    assert (without.passed, without.keyed, without.key_checked) == (True, True, False)
    Path(record.path).write_bytes(b"".join(line + b"\n" for line in PLAIN))
    assert codes(ae.verify_record(record)) == {"changed", "cut"}


@pytest.mark.parametrize("number", [True, 1 << 63, 10**4299])
def test_a_number_that_no_line_has_is_no_line_of_a_record(number: int) -> None:
    """Nor does one of thousands of digits end in anything but a verdict."""
    chain = {"format": 1, "number": number, "previous": "0" * 64, "time": TIME}
    line = canonical({"chain": chain, "entry": entry(0)})
    assert codes(found([*PLAIN, line], head=HEAD)) == {"changed"}


def test_a_format_that_only_equals_is_another_one() -> None:
    """JSON's true is no 1."""
    line = PLAIN[0].replace(b'"format":1', b'"format":true')
    assert codes(found([line, *PLAIN[1:]], head=HEAD)) == {"changed"}
