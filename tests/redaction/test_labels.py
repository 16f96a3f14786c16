# SPDX-License-Identifier: Apache-2.0
"""Label tracks: what is written reads as it was, and nothing is taken for less than it says."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.redaction.labels.label import Label
from audioengine.redaction.labels.reading import (
    FORMATS,
    MAX_BYTES,
    LabelFormat,
    label_format,
    parse_labels,
    write_labels,
)
from tests.strategies import examples

SECRET = "4111 1111 1111 1111"
REGION = "[0].annotations[0].result"
kinds = st.none() | st.sampled_from(
    ("card number", "PIN", "CREDIT_DEBIT_CVV", "naïve", "a:b/c-d", "caller", "z 12")
)


@st.composite
def some_labels(draw: st.DrawFn, *, digits: int) -> list[Label]:
    labels = []
    for _ in range(draw(st.integers(0, 6))):
        first, last = sorted(draw(st.lists(st.integers(0, 10**8), min_size=2, max_size=2)))
        start, end = Fraction(first, 10**digits), Fraction(last, 10**digits)
        labels.append(
            Label(draw(st.sampled_from(("caller", "callee", "both"))), start, end, draw(kinds))
        )
    return labels


def told(found: ae.Findings) -> list[tuple[Any, ...]]:
    return sorted((one.party or "both", one.start, one.end, one.kind or "") for one in found)


@pytest.mark.parametrize("format", FORMATS)
@examples(40)
@given(st.data())
def test_what_is_written_reads_as_it_was(format: LabelFormat, data: st.DataObject) -> None:
    labels = data.draw(some_labels(digits=3 if format == "webvtt" else 6))
    written = write_labels(labels, format, Fraction(3))
    found = parse_labels(written)
    assert told(found) == sorted((one.party, one.start, one.end, one.kind or "") for one in labels)
    assert {one.format for one in found.origins} <= {format, "audacity"}


@pytest.mark.parametrize("format", FORMATS)
@given(st.integers(0, 10**9), st.integers(1, 10**6), st.sampled_from((8000, 11025, 44100)))
def test_what_times_cannot_tell_is_labelled_more(
    format: LabelFormat, start: int, length: int, rate_hz: int
) -> None:
    label = Label("callee", Fraction(start, rate_hz), Fraction(start + length, rate_hz), "PIN")
    (found,) = parse_labels(write_labels([label], format))
    assert found.start <= label.start
    assert found.end is not None
    assert label.end <= found.end
    assert found.end - found.start <= label.end - label.start + Fraction(1, 400)


AUDACITY = "0.5\t1.25\tcaller: card number\n\\\t100.0\t900.0\n2\t2.5\tboth: PIN\n00:01:02.5\t63\t\n"
CSV = (
    'party,from,to,label\r\ncaller,0.5,1.25,"card number"\r\n,2,2.5,PIN\r\nboth,00:01:02.5,63,\r\n'
)
VTT = """WEBVTT - reviewed

NOTE caller: 1 --> 2 is not a cue

STYLE
::cue { color: red }

first
00:00.500 --> 00:01.250 line:0 position:10%
<v.loud Caller>card <b>number</b></v>

00:00:02.000 --> 00:00:02.500
PIN

00:01:02.500 --> 00:01:03.000
<v both></v>
"""
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 70
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "caller"
        xmin = 0
        xmax = 70
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "card number"
        intervals [3]:
            xmin = 1.25
            xmax = 70
            text = " "
    item [2]:
        class = "IntervalTier"
        name = "both"
        xmin = 0
        xmax = 70
        intervals: size = 2
        intervals [1]:
            xmin = 2
            xmax = 2.5
            text = "PIN"
        intervals [2]:
            xmin = 62.5
            xmax = 63
            text = "*"
"""
SHORT_TEXTGRID = """File type = "ooTextFile"
"TextGrid"

0
70
<exists>
2
"IntervalTier"
"caller"
0
70
2
0.5
1.25
"card number"
1.25
70
""
"IntervalTier"
"both"
0
70
2
2
2.5
"PIN"
62.5
63
"*"
"""


def region(start: Any, end: Any, labels: list[str], channel: int = 0) -> dict[str, Any]:
    value = {"start": start, "end": end, "channel": channel, "labels": labels}
    return {"type": "labels", "value": value, "to_name": "audio", "from_name": "label"}


def export(*regions: Any) -> str:
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    return json.dumps([{"id": 1, "annotations": [{"result": [*regions, choice]}], "data": {}}])


STUDIO = export(
    region(0.5, 1.25, ["caller", "card number"]),
    region(2, 2.5, ["PIN"]),
    region(62.5, 63, ["both:"]),
)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        (AUDACITY, "audacity"),
        (CSV, "csv"),
        (VTT, "webvtt"),
        (TEXTGRID, "textgrid"),
        (SHORT_TEXTGRID, "textgrid"),
        (STUDIO, "label-studio"),
    ],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_as_others_write_them(text: str, format: str, coding: str) -> None:
    found = parse_labels(text.encode(coding))
    assert [one.format for one in found.origins] == [format]
    assert told(found) == [
        ("both", Decimal(2), Decimal("2.5"), "PIN"),
        ("both", Decimal("62.5"), Decimal(63), ""),
        ("caller", Decimal("0.5"), Decimal("1.25"), "card number"),
    ]


def test_a_cue_of_two_voices_is_two_findings() -> None:
    found = parse_labels(b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v caller>PIN</v>\n<v callee>name")
    assert [(one.party, one.kind) for one in found] == [("caller", "PIN"), ("callee", "name")]


@pytest.mark.parametrize("caller_channel", ["left", "right"])
def test_the_right_channel_is_a_party_and_the_left_may_be_both(caller_channel: Any) -> None:
    text = export(region(1, 2, ["PIN"], 0), region(3, 4, ["PIN"], 1), region(5, 6, ["callee"], 0))
    found = parse_labels(text.encode(), caller_channel=caller_channel)
    right = "callee" if caller_channel == "left" else "caller"
    assert [one.party for one in found] == [None, right, "callee"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"0\t1\tcaller: PIN\n2\t3\tagent: {SECRET}\n", "line 2"),
        (f"0\t1\tPIN\n\n{SECRET}\t3\tPIN\n", "line 3.start"),
        (f"0\t1\tPIN\n1\t-3\t{SECRET}\n", "line 2.to"),
        (f"3\t1\t{SECRET}\n", "line 1.to"),
        (f"nonsense {SECRET}\n", "line 1"),
        (f"party,from,to,label\ncaller,0,1,x\nagent,1,2,{SECRET}\n", "line 3"),
        (f"party,from,to,label\ncaller,0,1,x\ncaller,nan,2,{SECRET}\n", "line 3.from"),
        (f"party,from,to,label\ncaller,0,1\n{SECRET},2\n", "line 2"),
        (f"party,from,to,{SECRET}\ncaller,0,1,x\n", "line 1"),
        (f"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Agent>{SECRET}</v>\n", "line 3"),
        (f"WEBVTT\n\n00:01.000 --> 00:aa.000\n{SECRET}\n", "line 3"),
        (f"WEBVTT\n\n{SECRET}\nsomething\nelse\n", "line 3"),
        (TEXTGRID.replace('"both"', '"agent"'), "line 34"),
        (TEXTGRID.replace("size = 3", "size = 9"), "line 28"),
        (TEXTGRID[:400], "line"),
        (export(region(1, 2, ["PIN"]), region(1, 2, [f"me: {SECRET}"])), f"{REGION}[1]"),
        (export(region("1", 2, ["PIN"])), f"{REGION}[0].value"),
        (export(region(1, None, ["PIN"])), f"{REGION}[0].value"),
        (export(region(1, 2, "PIN")), f"{REGION}[0].value.labels"),  # type: ignore[arg-type]
        ('[{"start": 1, "end": 2}]', "[0].annotations"),
        ("[{}, {}]", "the labels"),
        ('{"a": 1, "a": 2}', "a"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_its_place_and_not_its_text(text: str, path: str) -> None:
    with pytest.raises(ae.InvalidRequestError) as caught:
        parse_labels(text.encode())
    assert caught.value.problems[0].path.startswith(path)
    assert "1111" not in str(caught.value)


def test_texts_that_are_no_kinds_are_not_kept() -> None:
    found = parse_labels(f"0\t1\tcaller: {SECRET}\n1\t2\t{SECRET}\n".encode())
    assert [one.kind for one in found] == [None, None]
    assert "1111" not in repr(found)


@examples(150)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
        st.tuples(
            st.sampled_from((AUDACITY, CSV, VTT, TEXTGRID, SHORT_TEXTGRID, STUDIO)),
            st.integers(0, 900),
            st.text('0"\t\n,:<>[]{}-. \x00é', max_size=4),
        ).map(lambda parts: (parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]).encode()),
    )
)
def test_anything_is_findings_or_a_typed_error(data: bytes) -> None:
    try:
        found = parse_labels(data)
    except ae.AudioEngineError:
        return
    assert all(one.end is not None and 0 <= one.start <= one.end for one in found)


def test_a_file_of_many_labels_is_read_and_a_larger_one_refused() -> None:
    assert len(parse_labels(b"1.25\t2.5\tcaller: PIN\n" * 9000)) == 9000
    with pytest.raises(ae.LimitError):
        parse_labels(b" " * (MAX_BYTES + 1))
    with pytest.raises(ae.InvalidRequestError, match="line 2"):
        parse_labels(b"from,to\n1," + b"2" * 200_000)


def test_a_name_says_what_to_write() -> None:
    names = ("a.txt", "a.CSV", "b/a.vtt", "a.TextGrid", "a.json")
    assert tuple(map(label_format, names)) == FORMATS
    with pytest.raises(ae.InvalidRequestError, match="srt"):
        label_format("a.srt")


@pytest.mark.parametrize(
    "said", ["my PIN is four one seven", "seven three one", "nine-two", "FOUR_ONE_SEVEN"]
)
def test_what_a_caption_says_is_no_kind(said: str) -> None:
    """Captions and tiers of a transcript hold what was said where labels hold names."""
    for data in (
        f"WEBVTT\n\n00:01.000 --> 00:02.000\n<v caller>{said}</v>\n",
        f"1\t2\tcaller: {said}\n",
    ):
        (finding,) = ae.read_labels(data.encode())
        assert (finding.party, finding.kind) == ("caller", None)
    with pytest.raises(ae.InvalidRequestError, match="kind"):
        ae.Finding("caller", ae.Interval(1, 2), said)


@pytest.mark.parametrize("name", ["card number", "one-time password", "date of birth"])
def test_names_of_kinds_stay(name: str) -> None:
    (finding,) = ae.read_labels(f"1\t2\tcaller: {name}\n".encode())
    assert finding.kind == name
