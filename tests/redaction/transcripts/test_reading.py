# SPDX-License-Identifier: Apache-2.0
"""Transcripts: every secret that a file tells of is masked, or its reading fails by name."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.edits import Edits, Party, resolve
from audioengine.redaction.transcripts.reading import FORMATS, find_in_transcript
from fixtures import transcripts as exports
from fixtures.transcripts import MARKED, MIXED, SPOKEN, Said, encoded
from tests.strategies import examples
from tests.support import fixture

DEMO = "demo-call"
NAMES: dict[str, Party] = {"caller": "caller", "callee": "callee"}
SECRETS = ("4012", "8888", "1881", "731", "eight", "seven three")


@cache
def clock() -> tuple[int, int]:
    info = ae.inspect(fixture(DEMO))
    return info.rate_hz, info.samples


def findings(name: str, export: Any, **options: Any) -> ae.Findings:
    if name == "azure-pii":
        options.setdefault("channel_map", NAMES)
    return find_in_transcript(encoded(export), **{"agent": "callee", **options})


def edits_of(modification: ae.Modification) -> Edits:
    rate_hz, samples = clock()
    return resolve(modification, rate_hz=rate_hz, samples=samples)


def covers(edits: Edits, party: Party, words: Sequence[Said]) -> bool:
    """Whether all of these words are masked, to the sample."""
    rate_hz, _ = clock()
    spans = edits.spans(party)
    return all(
        any(
            span.start <= one.start_ms * rate_hz // 1000
            and -(-one.end_ms * rate_hz // 1000) <= span.end
            for span in spans
        )
        for one in words
    )


def secret(kind: str = "CREDIT_DEBIT") -> list[Said]:
    return [one for one in exports.of("caller") if (one.kind or "").startswith(kind)]


def plain_word() -> Said:
    """A word far from all secrets."""
    return exports.of("caller")[0]


@cache
def proven(mask: str) -> bool:
    """Whether `store` with this mask passes `verify`."""
    modification = ae.Modification.from_params(mask)
    out = BytesIO()
    ae.store(fixture(DEMO), out, modification)
    return ae.verify(fixture(DEMO), out.getvalue(), modification).passed


def as_params(modification: ae.Modification) -> str:
    return json.dumps(
        {
            "mask": {
                party: [{"from": float(one.start or 0), "to": float(one.end or 0)} for one in some]
                for party, some in modification.mask.items()
            }
        }
    )


@pytest.mark.parametrize("name", MARKED)
def test_what_a_vendor_marks_is_masked_and_nothing_else(name: str) -> None:
    found = findings(name, MARKED[name]())
    assert {one.party for one in found} <= {"caller", "callee"}
    modification = found.modification(["CREDIT_DEBIT_*"], require_match=True)
    edits = edits_of(modification)
    assert covers(edits, "caller", secret())
    assert not covers(edits, "caller", [plain_word()])
    assert edits.spans("callee") == ()
    assert proven(as_params(modification))


@pytest.mark.parametrize("name", MARKED)
def test_who_asks_for_card_numbers_gets_what_the_vendor_marks(name: str) -> None:
    """Also in a redacted file, which has no digits to find."""
    edits = edits_of(findings(name, MARKED[name]()).modification(["card-number", "cvv"]))
    assert covers(edits, "caller", secret())


@pytest.mark.parametrize("name", MARKED)
def test_kinds_are_those_of_the_vendor(name: str) -> None:
    number = edits_of(findings(name, MARKED[name]()).modification(["credit_debit_number"]))
    assert covers(number, "caller", secret("CREDIT_DEBIT_NUMBER"))
    assert not covers(number, "caller", secret("CREDIT_DEBIT_CVV"))


@pytest.mark.parametrize("name", SPOKEN)
def test_what_is_only_said_is_found_and_masked(name: str) -> None:
    found = findings(name, SPOKEN[name]())
    modification = found.modification(["card-number"], require_match=True)
    edits = edits_of(modification)
    assert covers(edits, "caller", secret("CREDIT_DEBIT_NUMBER"))
    assert not covers(edits, "caller", secret("CREDIT_DEBIT_CVV"))
    assert edits.spans("callee") == ()
    assert proven(as_params(modification))
    code = edits_of(found.modification(["cvv"], require_match=True))
    assert covers(code, "caller", secret("CREDIT_DEBIT_CVV"))


@pytest.mark.parametrize("name", MIXED)
def test_where_nobody_knows_who_speaks_both_are_masked(name: str) -> None:
    edits = edits_of(findings(name, MIXED[name]()).modification())
    for party in NAMES.values():
        assert covers(edits, party, secret())
        assert not covers(edits, party, [plain_word()])


@pytest.mark.parametrize("name", MIXED)
def test_a_file_of_one_channel_is_of_one_party(name: str) -> None:
    edits = edits_of(findings(name, MIXED[name](), party="caller").modification())
    assert covers(edits, "caller", secret())
    assert edits.spans("callee") == ()


EVERY = {**MARKED, **SPOKEN, **MIXED}


@pytest.mark.parametrize("group", [MARKED, SPOKEN, MIXED], ids=["marked", "spoken", "mixed"])
def test_nothing_that_was_said_is_in_findings(group: dict[str, Callable[[], Any]]) -> None:
    for name, make in group.items():
        found = findings(name, make())
        shown = repr(found) + repr(found.modification())
        assert not [one for one in SECRETS if one in shown.replace(found.origins[0].sha256, "")]
        assert {one.origin.sha256 for one in found if one.origin} == {found.origins[0].sha256}


def test_every_form_is_exported_here() -> None:
    made = [findings(name, make()).origins[0].format for name, make in EVERY.items()]
    made += [findings(name, make()).origins[0].format for name, make in MARKED.items()]
    assert set(made) == set(FORMATS)


def test_contact_lens_without_kinds_can_only_be_masked_whole() -> None:
    found = findings("contact-lens", exports.contact_lens("PII"))
    with pytest.raises(ae.InvalidRequestError, match="only ALL can be masked"):
        found.modification(["CREDIT_DEBIT_NUMBER"])
    assert covers(edits_of(found.modification(["ALL"])), "caller", secret())


def test_roles_of_which_nobody_tells_the_party_mask_both_with_a_warning() -> None:
    found = find_in_transcript(encoded(exports.contact_lens()))
    assert {one.party for one in found} == {None}
    assert [one.code for one in found.warnings] == ["party_unknown"]
    swapped = findings("contact-lens", exports.contact_lens(), agent="caller")
    assert {one.party for one in swapped} == {"callee"}
    assert not swapped.warnings


def test_channels_follow_the_recording_or_the_map() -> None:
    data = encoded(exports.amazon())
    assert {one.party for one in find_in_transcript(data)} == {"caller"}
    assert {one.party for one in find_in_transcript(data, caller_channel="right")} == {"callee"}
    mapped: dict[str, Party] = {"ch_0": "callee", "ch_1": "caller"}
    assert {one.party for one in find_in_transcript(data, channel_map=mapped)} == {"callee"}
    for other in ("ch_2", "1"):
        with pytest.raises(ae.InvalidRequestError, match=r"channels\[1\]"):
            find_in_transcript(data, channel_map={"ch_0": "caller", other: "callee"})


def test_a_transcript_in_clear_does_not_tell_the_vendors_kinds() -> None:
    """The unredacted twin marks nothing: to choose by its kinds would mask nothing."""
    found = findings("amazon-transcribe", exports.amazon(redacted=False))
    with pytest.raises(ae.InvalidRequestError, match="CARD_NUMBER, CVV, EXPIRY"):
        found.modification(["CREDIT_DEBIT_NUMBER"])
    assert found.modification(["ALL"]).asks


@pytest.mark.parametrize("export", [{"words": []}, {"segments": []}, {"results": []}])
def test_a_file_that_can_tell_nothing_is_refused(export: Any) -> None:
    with pytest.raises(ae.InvalidRequestError, match="it has neither"):
        find_in_transcript(encoded(export))


def test_a_file_that_marks_nothing_is_no_error() -> None:
    export = exports.amazon()
    export["results"]["channel_labels"] = None
    export["results"]["items"] = [
        one for one in export["results"]["items"] if "PII" not in str(one)
    ]
    found = find_in_transcript(encoded(export))
    assert not [one for one in found if one.kind and "CREDIT" in one.kind]
    assert not found.modification(["CREDIT_DEBIT_NUMBER"]).asks


# Each takes away from an export what its secret's place depends on.
def _item(export: Any) -> Any:
    return export["results"]["channel_labels"]["channels"][0]["items"][6]


def _no_time(export: Any) -> None:
    del _item(export)["start_time"]


def _wrong_time(value: Any) -> Callable[[Any], None]:
    def put(export: Any) -> None:
        _item(export)["end_time"] = value

    return put


def _no_stamp(export: Any) -> None:
    turn = next(one for one in export["Transcript"] if "Redaction" in one)
    turn["Redaction"]["RedactedTimestamps"] = []


def _other_zero(export: Any) -> None:
    turn = next(one for one in export["Transcript"] if "Redaction" in one)
    turn["Redaction"]["RedactedTimestamps"] = [{"BeginOffsetMillis": 5, "EndOffsetMillis": 900}]


def _no_timings(export: Any) -> None:
    item = export["tasks"]["items"][0]["results"]["conversations"][0]["conversationItems"][0]
    item["redactedContent"]["audioTimings"] = []


def _outside(export: Any) -> None:
    export["results"]["channels"][0]["alternatives"][0]["entities"][0]["start_word"] = 99


def _backwards(export: Any) -> None:
    export["results"]["channels"][0]["alternatives"][0]["entities"][0]["end_word"] = 1


def _no_entity_time(export: Any) -> None:
    export["entities"][0]["end"] = None


BROKEN: dict[str, tuple[Callable[[], Any], Callable[[Any], None], str]] = {
    "no time": (exports.amazon, _no_time, "channels[0].items[6].start_time"),
    "text": (exports.amazon, _wrong_time("4012888888881881s"), "channels[0].items[6].end_time"),
    "true": (exports.amazon, _wrong_time(True), "channels[0].items[6].end_time"),
    "null": (exports.amazon, _wrong_time(None), "channels[0].items[6].end_time"),
    "negative": (exports.amazon, _wrong_time(-1), "channels[0].items[6].end_time"),
    "NaN": (exports.amazon, _wrong_time(float("nan")), "channels[0].items[6].end_time"),
    "before its start": (exports.amazon, _wrong_time("3.5"), "channels[0].items[6]"),
    "epoch": (exports.amazon, _wrong_time("1728890677283"), "channels[0].items[6].end_time"),
    "no stamp": (exports.contact_lens, _no_stamp, "Transcript[0].Redaction.RedactedTimestamps"),
    "other zero": (exports.contact_lens, _other_zero, "RedactedTimestamps[0]"),
    "no timings": (exports.azure_pii, _no_timings, "conversationItems[0].redactedContent"),
    "outside": (exports.deepgram, _outside, "entities[0].start_word"),
    "backwards": (exports.deepgram, _backwards, "entities[0].end_word"),
    "no entity time": (exports.assemblyai, _no_entity_time, "entities[0].end"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_has_no_place_is_an_error_that_names_its_path(case: str) -> None:
    make, spoil, path = BROKEN[case]
    export = copy.deepcopy(make())
    spoil(export)
    with pytest.raises(ae.InvalidRequestError) as caught:
        findings("azure-pii" if make is exports.azure_pii else "", export)
    assert path in str(caught.value)
    assert not [one for one in SECRETS if one in str(caught.value)]


UNPLACED: dict[str, tuple[Any, str]] = {
    "Transcribe, text alone": (
        {"isRedacted": True, "results": {"transcripts": [{"transcript": "it is [PII]"}]}},
        "results.transcripts",
    ),
    "Transcribe, one item for two": (
        {
            "results": {
                "transcripts": [{"transcript": "[NAME], card [PII]"}],
                "items": [
                    {
                        "start_time": "1",
                        "end_time": "2",
                        "alternatives": [{"content": "[NAME]", "redactions": [{"type": "NAME"}]}],
                    }
                ],
            }
        },
        "results.transcripts",
    ),
    "AssemblyAI, words in clear": (
        {
            "audio_duration": 2,
            "redact_pii": True,
            "text": "pin ####",
            "words": [{"text": "pin", "start": 1, "end": 9}],
        },
        "text",
    ),
    "Deepgram, words in clear": (
        {
            "results": {
                "channels": [
                    {
                        "alternatives": [
                            {
                                "transcript": "pin [PIN_1]",
                                "words": [{"word": "pin", "start": 1, "end": 2}],
                            }
                        ]
                    }
                ]
            }
        },
        "results.channels[0].alternatives[0].transcript",
    ),
    "Call Analytics, one item for two": (
        {
            "Transcript": [
                {
                    "ParticipantRole": "CUSTOMER",
                    "Content": "[NAME] and [PIN]",
                    "Items": [
                        {
                            "Content": "[NAME]",
                            "BeginOffsetMillis": 1,
                            "EndOffsetMillis": 9,
                            "Redaction": [{"Type": "NAME"}],
                        }
                    ],
                }
            ]
        },
        "Transcript[0].Redaction.RedactedTimestamps",
    ),
    "Azure, a failed task": (
        {
            "tasks": {
                "items": [
                    {
                        "results": {
                            "conversations": [{"id": "1", "conversationItems": []}],
                            "errors": [{"id": "2"}],
                        }
                    }
                ]
            }
        },
        "tasks.items[0].status",
    ),
    "Azure, one time for two": (
        {
            "conversationItems": [
                {
                    "redactedContent": {"audioTimings": [{"offset": 0, "duration": 10}]},
                    "entities": [{"category": "Name"}, {"category": "Phone"}],
                }
            ]
        },
        "conversationItems[0].redactedContent.audioTimings",
    ),
    "Azure, still running": (
        {"status": "running", "conversations": [{"conversationItems": []}]},
        "status",
    ),
}


@pytest.mark.parametrize("case", UNPLACED)
def test_what_was_taken_out_without_a_time_is_an_error(case: str) -> None:
    export, path = UNPLACED[case]
    with pytest.raises(ae.InvalidRequestError) as caught:
        find_in_transcript(encoded(export), agent="callee")
    assert caught.value.problems[0].path == path


@pytest.mark.parametrize("place", ["1e4000000", "4012888888881881", "0.5"])
def test_a_place_that_no_word_has_is_refused_at_once_and_not_shown(place: str) -> None:
    export = encoded(exports.deepgram()).decode()
    spoilt = re.sub(r'("start_word": )[\d.]+', rf"\g<1>{place}", export)
    assert spoilt != export
    with pytest.raises(ae.InvalidRequestError, match="start_word") as caught:
        find_in_transcript(spoilt.encode())
    assert place not in str(caught.value)


@pytest.mark.parametrize("partial", [{}, {"IsPartial": None}, {"IsPartial": False}])
def test_only_what_a_stream_calls_partial_is_passed_over(partial: dict[str, Any]) -> None:
    entity = {"Type": "PIN", "StartTime": 1, "EndTime": 2}
    result = {**partial, "Alternatives": [{"Entities": [entity]}]}
    export = {"TranscriptEvent": {"Transcript": {"Results": [result]}}}
    assert [one.kind for one in find_in_transcript(encoded(export))] == ["PIN"]


def test_a_channel_is_given_one_party() -> None:
    with pytest.raises(ae.InvalidRequestError, match="once"):
        ae.TranscriptOptions(channel_map=("ch_0=caller", "ch_0=callee"))


def test_untimed_words_lie_between_their_neighbours() -> None:
    """WhisperX gives words with digits no time."""
    words = [
        {"word": "is", "start": 1, "end": 1.2},
        {"word": "4111111111111111"},
        {"word": "okay", "start": 3, "end": 3.5},
    ]
    for before, after, bounds in ((1, 1, (1.2, 3)), (0, 1, (0.5, 3)), (1, 0, (1.2, 4))):
        own = words[1 - before : 2 + after]
        export = {"segments": [{"start": 0.5, "end": 4, "words": own}]}
        (found,) = find_in_transcript(encoded(export))
        assert (float(found.start), float(found.end or 0)) == bounds
    (alone,) = find_in_transcript(encoded({"words": [words[1]]}))
    assert alone.interval == ae.Interval(0, None)


def test_text_without_word_times_masks_its_segment() -> None:
    export = {"segments": [{"start": 2, "end": 9.5, "text": "it is 4111 1111 1111 1111, okay"}]}
    (found,) = find_in_transcript(encoded(export))
    assert found.interval == ae.Interval(2, Decimal("9.5"))


def test_a_turn_of_contact_lens_without_items_is_searched_too() -> None:
    """Beside turns with items, and without what was taken out, which has its own time."""
    word = {"Content": "hi", "BeginOffsetMillis": 0, "EndOffsetMillis": 500}
    turns = [
        {"BeginOffsetMillis": 0, "EndOffsetMillis": 900, "Content": "hi", "Items": [word]},
        {"BeginOffsetMillis": 2000, "EndOffsetMillis": 4000, "Content": "4012 8888 8888 1881"},
        {
            "BeginOffsetMillis": 5000,
            "EndOffsetMillis": 9000,
            "Content": "it is [PIN] ok",
            "Redaction": {
                "RedactedTimestamps": [{"BeginOffsetMillis": 6000, "EndOffsetMillis": 7000}]
            },
        },
    ]
    export = {"Transcript": [{**one, "ParticipantRole": "CUSTOMER"} for one in turns]}
    found = find_in_transcript(encoded(export), agent="callee")
    assert {(str(one.kind), float(one.start), float(one.end or 0)) for one in found} == {
        ("CARD_NUMBER", 2.0, 4.0),
        ("PIN", 6.0, 7.0),
    }


def test_an_entity_of_deepgram_is_rather_widened() -> None:
    """Nothing says whether end_word is the last word or the one after it."""
    export = exports.deepgram()
    best = export["results"]["channels"][0]["alternatives"][0]
    whole = best["entities"][0]
    for less in (0, 1):
        short = {**whole, "end_word": whole["end_word"] - less}
        best["entities"] = [short]
        edits = edits_of(findings("", export).modification(["CREDIT_DEBIT_NUMBER"]))
        assert covers(edits, "caller", secret("CREDIT_DEBIT_NUMBER"))


@pytest.mark.parametrize("text", ["[CREDIT_CARD_1]", "[credit]", "****", "[PII],", "####."])
def test_placeholders_are_findings(text: str) -> None:
    word = {"word": text, "start": 1, "end": 2}
    best = {"words": [word, {"word": "hello", "start": 3, "end": 4}]}
    found = find_in_transcript(encoded({"results": {"channels": [{"alternatives": [best]}]}}))
    kinds = {"[CREDIT_CARD_1]": ["CREDIT_CARD"], "[credit]": []}
    assert [one.kind for one in found] == kinds.get(text, [None])


def test_a_finder_adds_what_it_finds() -> None:
    """A callable: a text with the spans of its words in, spans with kinds out."""

    def names(text: str, words: Sequence[tuple[int, int]]) -> list[tuple[int, int, str]]:
        assert all(text[start:end].strip() for start, end in words)
        at = text.find("number is")
        return [(at, at + len("number is"), "PHRASE")] if at >= 0 else []

    found = findings("words", exports.plain(marked=False), finder=names)
    edits = edits_of(found.modification(["PHRASE"], require_match=True))
    assert covers(edits, "caller", exports.of("caller")[1:3])
    assert edits.spans("callee") == ()
    with pytest.raises(ae.InvalidRequestError, match="finder"):
        findings("words", exports.plain(), finder=lambda *_: [(10**6, 10**6 + 1, "X")])


def test_a_form_can_be_named_and_others_are_refused() -> None:
    data = encoded(exports.deepgram())
    assert find_in_transcript(data, format="deepgram") == find_in_transcript(data)
    with pytest.raises(ae.InvalidRequestError, match="must be a transcript of whisper"):
        find_in_transcript(data, format="whisper")
    with pytest.raises(ae.InvalidRequestError, match="must be one of amazon-transcribe"):
        find_in_transcript(data, format="vosk")


@pytest.mark.parametrize("data", [b"", b"4012888888881881,", b"[]", b"{}", b'{"words": 7}', b"1"])
def test_what_is_no_transcript_is_refused_without_its_text(data: bytes) -> None:
    with pytest.raises(ae.InvalidRequestError, match="transcript") as caught:
        find_in_transcript(data)
    assert "4012" not in str(caught.value)


def test_a_repeated_key_is_refused() -> None:
    with pytest.raises(ae.InvalidRequestError, match="must be given once"):
        find_in_transcript(b'{"words": [], "words": [{"word": "a", "start": 1, "end": 2}]}')


@examples(30)
@given(st.data())
def test_whatever_a_transcript_says_masked_is_never_less(data: st.DataObject) -> None:
    """Out of order, overlapping, untimed: each marked word lies in a mask of its party."""
    times = st.integers(0, 41_000)
    words = []
    for _ in range(data.draw(st.integers(1, 8))):
        start, end = sorted((data.draw(times), data.draw(times)))
        entry: dict[str, Any] = {"word": data.draw(st.sampled_from(("a", "4111", "**", "x" * 99)))}
        if data.draw(st.integers(0, 3)):
            entry |= {"start": start / 1000, "end": end / 1000}
        if data.draw(st.booleans()):
            entry["entity"] = data.draw(st.sampled_from(("PIN", "NEW_KIND")))
        channel = data.draw(st.sampled_from((0, 1, None)))
        words.append(entry if channel is None else entry | {"channel": channel})
    try:
        found = find_in_transcript(encoded({"words": words}))
    except ae.InvalidRequestError as error:
        assert "words[" in str(error)  # noqa: PT017 - either is right
        return
    edits = edits_of(found.modification(["ALL"], guard_ms=1))
    for one in words:
        if ("entity" in one or one["word"] == "**") and "start" in one:
            said = Said("", round(one["start"] * 1000), round(one["end"] * 1000), "caller")
            parties: tuple[Party, ...] = ("caller", "callee")
            if "channel" in one:
                parties = parties[one["channel"] :][:1]
            for party in parties:
                assert covers(edits, party, [said])


JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    1e300,
    float("nan"),
    "",
    "4012888888881881",
    [],
    {},
    [7],
)


@examples(40)
@given(st.sampled_from(sorted(EVERY)), st.data())
def test_a_damaged_export_is_refused_or_inside_bounds(name: str, data: st.DataObject) -> None:
    """Any value anywhere is replaced: a typed error without text, or findings with sane times."""
    export = json.loads(encoded(EVERY[name]()))
    place = export
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or data.draw(st.integers(0, 5)) == 0:
            place[key] = data.draw(st.sampled_from(JUNK))
            break
        place = place[key]
    try:
        found = findings(name, export)
    except ae.AudioEngineError as error:
        assert "4012888888881881" not in str(error)  # noqa: PT017
        return
    for one in found:
        assert 0 <= one.start < 10**9
        assert one.end is None or one.start <= one.end < 10**9


def test_ten_megabytes_are_read() -> None:
    words = [{"word": "x" * 500, "start": k, "end": k + 1} for k in range(20_000)]
    zeros = [{"word": "zero", "start": k, "end": k + 1} for k in range(20_000, 22_000)]
    data = encoded({"words": words + zeros})
    assert len(data) > 10 * 2**20
    (found,) = find_in_transcript(data)
    assert found.interval == ae.Interval(20_000, 22_000)
