# SPDX-License-Identifier: Apache-2.0
"""A page holds what it shows, whatever the recording is called, and with `after_only` no more."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.edits import Span
from audioengine.reviewing.clips import CLIPPED_AT_MOST_S, stretches
from audioengine.reviewing.document import in_script
from tests.cli.helpers import CALL, refusal, run, run_json
from tests.operations.helpers import masking, recording
from tests.operations.test_no_influence import changed, exchanged, exchanged_party
from tests.support import decode_miniaudio, decode_pyav, decode_soundfile, fixture

HOSTILE = "</script><script>alert(1)</script>\" ' & \u202eevil\u2066.mp3"
EDIT = ae.Modification(
    mask={"caller": [ae.Interval(1.5, 2.25)], "both": [ae.Interval(4, 4.5)]}, guard_ms=(10, 40)
)


def values_of(page: ae.ReviewPage) -> dict[str, Any]:
    """What a page shows."""
    (text,) = re.findall(r'<script type="application/json" id="values">(.*?)</script>', page.html)
    values: dict[str, Any] = json.loads(text)
    return values


def clips(page: ae.ReviewPage, kind: str) -> list[tuple[Span, bytes]]:
    """The clips of a page."""
    found = values_of(page)["clips"][kind]
    return [(Span(*one["samples"]), base64.b64decode(one["data"])) for one in found]


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "untagged-8k", "vbr-44k", "mono-8k"])
def test_clips_play_exactly_their_stretch(name: str) -> None:
    """With three decoders; sample 0 and the last included."""
    source = fixture(name)
    length = len(ae.decode(source)) / ae.inspect(source).rate_hz
    masks = [ae.Interval(0.3, 0.4), ae.Interval(length - 0.2, None)]
    edit = ae.Modification(mask={"caller": masks})
    output = ae.decode(masked(source, edit))
    page = ae.review(source, modification=edit)
    for kind, whole in (("before", ae.decode(source)), ("after", output)):
        found = clips(page, kind)
        assert found[0][0].start == 0
        assert found[-1][0].end == len(whole)
        for span, data in found:
            wanted = whole.caller[span.start : span.end]
            for decode in (decode_soundfile, decode_miniaudio, decode_pyav):
                pcm = decode(data)
                assert len(pcm) == span.length
                got = pcm[:, 0] / (32_768 if pcm.dtype == np.int16 else 1)
                # The frames at its ends are coded anew.
                error = np.sqrt(np.mean((got - wanted) ** 2))
                assert error <= 0.05 * np.sqrt(np.mean(wanted**2)) + 1e-3


def masked(source: bytes, edit: ae.Modification) -> bytes:
    """What `store` makes."""
    buffer = BytesIO()
    ae.store(source, buffer, edit)
    return buffer.getvalue()


@pytest.mark.parametrize("after_only", [False, True])
def test_waveforms_are_those_of_source_and_output(after_only: bool) -> None:
    """With a trim inside a pixel, also where the output's is patched from the source's."""
    edit = ae.Modification(trim=ae.Interval(0.5037, 5.0003), mask=EDIT.mask)
    source = fixture("mpeg2-16k-48k")
    output = masked(source, edit)
    page = ae.review(source, modification=edit, after_only=after_only)
    each = values_of(page)["peaks"]["samplesPerPixel"]
    start = values_of(page)["kept"][0]
    assert start % each
    drawn = [("after", output, start), ("before", source, 0)][: 1 if after_only else 2]
    for kind, data, offset in drawn:
        packed = base64.b64decode(values_of(page)["peaks"][kind])
        pixels = np.frombuffer(packed, np.int8).reshape(-1, 2, 2)
        pcm = np.full((len(pixels) * each, 2), np.nan)
        decoded = decode_soundfile(data)
        pcm[offset : offset + len(decoded)] = decoded
        rows = pcm.reshape(-1, each, 2)
        rows = np.where(np.isnan(rows).all(axis=1, keepdims=True), 0, rows)
        wanted = np.stack((np.nanmin(rows, axis=1), np.nanmax(rows, axis=1)), axis=2) * 128
        assert len(pixels) == -(-len(decode_soundfile(source)) // each)
        assert np.abs(pixels - np.clip(wanted, -128, 127)).max() <= 1.01


def test_a_given_output_is_shown_and_compared() -> None:
    source = fixture("mpeg2-16k-48k")
    right, wrong = (
        masked(source, EDIT),
        masked(source, ae.Modification(mask={"caller": [ae.Interval(1, 2)]})),
    )
    same = ae.review(source, right, EDIT)
    assert same.html == ae.review(source, modification=EDIT).html
    other = values_of(ae.review(source, wrong, EDIT, verify=True))
    assert other["differs"]
    assert not all(check["passed"] for check in other["checks"])
    assert not values_of(same)["differs"]


def test_an_output_of_another_rate_is_none() -> None:
    with pytest.raises(ae.InvalidRequestError, match="sampling rate, 16000 Hz"):
        ae.review(fixture("mpeg2-16k-48k"), fixture("stereo-8k"), EDIT)


def test_what_is_no_mp3_and_what_is_short_have_pages() -> None:
    buffer = BytesIO()
    pcm = decode_soundfile(fixture("mpeg2-16k-48k"))[:32_000]
    soundfile.write(buffer, pcm, 16_000, format="WAV")
    edit = ae.Modification(mask={"caller": [ae.Interval(0.5, 1)]})
    page = ae.review(BytesIO(buffer.getvalue()), modification=edit, with_audio=True)
    for kind in ("before", "after"):
        ((span, data),) = clips(page, kind)
        assert len(decode_miniaudio(data)) == span.length == 32_000
    tiny = ae.review(fixture("tiny-101-samples"), modification=ae.Modification())
    assert values_of(tiny)["masks"] == []


@pytest.mark.parametrize("name", ["nores-8k", "nores-vbr-16k"])
@pytest.mark.parametrize("party", ["caller", "both"])
def test_after_only_holds_nothing_of_the_source(name: str, party: str) -> None:
    """Sources that differ under masks alone have the same page; else their pages differ."""
    source = recording(name)
    start, end = source.samples // 3, source.samples * 2 // 3
    numbers = source.frames_within(start, end)
    if party == "both":
        other = exchanged(source, numbers, 3)
    else:
        other = exchanged_party(source, numbers, 0, 3)
    assert changed(source, other) > len(numbers) // 3
    edit = masking(party, (start, end)).modification(ae.inspect(source.data).rate_hz)
    more: list[dict[str, Any]] = [{}, {"with_audio": True}, {"verify": True}]
    for options in more:
        pages = [
            ae.review(one.data, modification=edit, after_only=True, **options)
            for one in (source, other)
        ]
        assert pages[0].html == pages[1].html
    whole = [ae.review(one.data, modification=edit) for one in (source, other)]
    assert whole[0].html != whole[1].html


def test_after_only_names_no_source(tmp_path: Path) -> None:
    place = tmp_path / "secret-name.mp3"
    place.write_bytes(fixture("crosstalk-16k"))
    edit = ae.Modification(mask={"caller": [ae.Interval(1, 3)]})
    page = ae.review(place, modification=edit, after_only=True)
    assert any(one.code == "crosstalk" for one in page.report.warnings)
    values = values_of(page)
    assert "secret-name" not in page.html
    assert page.report.source.sha256 not in page.html
    assert "warnings" not in values
    assert "before" not in values["clips"]
    assert "before" not in values["peaks"]
    assert "crosstalk" not in json.dumps(values)
    (mask,) = values_of(ae.review(place, modification=edit))["masks"]
    assert mask["crosstalk"]
    assert mask["coherence"] > 0.2


def test_names_can_not_leave_their_place(tmp_path: Path) -> None:
    place = tmp_path / HOSTILE.replace("/", "")
    place.write_bytes(fixture("mpeg2-16k-48k"))
    page = ae.review(place, modification=EDIT)
    assert values_of(page)["sourceName"] == place.name
    assert "alert" in page.html
    assert "<script>alert" not in page.html


@given(st.text() | st.sampled_from([HOSTILE, "<!--<script>", "]]>", "\u2028", "\ud800"]))
def test_no_text_ends_the_block_of_values(text: str) -> None:
    shown = in_script({text: [text]})
    assert shown.isascii()
    assert not set(shown) & set("<>&")
    assert json.loads(shown) == {text: [text]}


@given(st.lists(st.tuples(st.integers(0, 4_000_000), st.integers(1, 900_000)), max_size=30))
def test_stretches_hold_every_edge_as_long_as_there_is_room(drawn: list[tuple[int, int]]) -> None:
    rate, samples = 1000, 4_000_000
    masks = [Span(start, min(start + length, samples)) for start, length in drawn]
    found = stretches(masks, samples, rate)
    assert all(0 <= one.start < one.end <= samples for one in found)
    assert all(one.end < two.start for one, two in pairwise(found))
    assert sum(one.length for one in found) <= CLIPPED_AT_MOST_S * rate
    for mask in masks:
        for edge in (mask.start, mask.end):
            around = Span(max(0, edge - rate), min(samples, edge + rate))
            assert any(one.start <= around.start and around.end <= one.end for one in found)


def test_ten_thousand_masks_have_a_page() -> None:
    source = fixture("mpeg2-16k-48k")
    intervals = [ae.Interval(at / 20_000, (at + 9) / 20_000) for at in range(10_000)]
    page = ae.review(source, modification=ae.Modification(mask={"callee": intervals}))
    assert len(values_of(page)["masks"]) == 10_000
    assert len(page.html) < 2_500_000


def test_the_verb_writes_the_page(tmp_path: Path) -> None:
    place = tmp_path / "review.html"
    options = ["--mask", "caller=1.5-2.25", "--mask", "both=4-4.5", "--guard-ms", "10,40"]
    printed = run_json("review", CALL, *options, "-o", place)
    assert place.read_text() == ae.review(CALL, modification=EDIT).html
    assert printed == {"page": str(place), "masks": 2, "bytes": place.stat().st_size}
    assert run("review", CALL, "-o", tmp_path / "plain.html").exit_code == 0
    wrong = refusal("review", CALL, "-o", place, "--mask", "caller=100-200")
    assert "mask" in json.dumps(wrong)


def test_store_writes_the_page_of_what_it_does(tmp_path: Path) -> None:
    """Also where the output replaces the source; and none where it fails."""
    place, call = tmp_path / "review.html", tmp_path / "call.mp3"
    call.write_bytes(fixture("crosstalk-16k"))
    edit = ae.Modification(mask={"caller": [ae.Interval(1, 3)]})
    wanted = ae.review(call, modification=edit).html
    options: list[str | Path] = [call, call, "--mask", "caller=1-3", "--review", place]
    refusal("store", *options, "--fail-on-crosstalk")
    assert list(tmp_path.iterdir()) == [call]
    report = run_json("store", *options)
    assert place.read_text() == wanted
    assert report["output"]["sha256"] in wanted


def test_store_takes_decisions(tmp_path: Path) -> None:
    params = {"mask": {"caller": [{"from": 1.5, "to": 2.25}]}}
    place, out = tmp_path / "decisions.json", tmp_path / "out.mp3"
    place.write_text(json.dumps({"review": {"version": 1}, "modificationParams": params}))
    run_json("store", CALL, out, "--params", f"@{place}")
    edit = ae.Modification.from_params(params)
    assert out.read_bytes() == masked(Path(CALL).read_bytes(), edit)
    rest = run("store", CALL, out, "--params", f"@{place}", "--dialect", "rest")
    assert rest.exit_code == 2
    assert "decisions have seconds" in rest.output


def spoken(folder: Path, *words: str) -> ae.TranscriptFile:
    """A transcript of the caller's words, one each second from 1.6 s on."""
    said = [
        {"word": word, "start": 1.6 + place, "end": 1.9 + place} for place, word in enumerate(words)
    ]
    segments = [{"start": 1.6, "end": 5, "text": " ".join(words), "words": said}]
    place = folder / "said.json"
    place.write_text(json.dumps({"text": "", "language": "en", "segments": segments}))
    return ae.TranscriptFile(str(place), "caller")


def test_words_are_there_only_where_they_are_asked_for(tmp_path: Path) -> None:
    told = spoken(tmp_path, "</script>four", "two")
    place = told.place
    edit = ae.Modification(mask=EDIT.mask, transcripts=(told,), redact=("ALL",))
    plain = ae.review(CALL, modification=edit)
    assert "four" not in plain.html
    page = ae.review(CALL, modification=edit, with_words=True)
    words = [["caller", 1.6, 1.9, "</script>four"], ["caller", 2.6, 2.9, "two"]]
    assert values_of(page)["words"] == words
    for wrong in ({"modification": EDIT}, {"modification": edit, "after_only": True}):
        with pytest.raises(ae.InvalidRequestError, match="with_words"):
            ae.review(CALL, with_words=True, **wrong)
    options = ["--mask", "caller=1.5-2.25", "--transcript", f"caller={place}"]
    options += ["--redact", "ALL", "--with-words"]
    run_json("review", CALL, *options, "-o", tmp_path / "words.html")
    assert "four" in (tmp_path / "words.html").read_text()


def test_a_notebook_shows_the_page_in_a_frame_of_its_own() -> None:
    page = ae.review(CALL, modification=EDIT)
    (frame,) = ET.fromstring(f"<div>{page._repr_html_()}</div>")
    assert frame.attrib["srcdoc"].split() == page.html.split()
    assert frame.attrib["sandbox"] == "allow-scripts allow-downloads"
