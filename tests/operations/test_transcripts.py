# SPDX-License-Identifier: Apache-2.0
"""Transcripts wherever masks are asked for; what was said is in nothing that is written."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.operations import transcripts as operations
from audioengine.storage import open_source
from fixtures.transcripts import encoded
from tests.batch.helpers import manifest_of
from tests.cli.helpers import refusal, run, run_json
from tests.execution import service
from tests.support import FIXTURES, fixture

CALL = str(FIXTURES / "mpeg2-16k-48k.mp3")
"""6 s of a call."""
SHORT = str(FIXTURES / "mpeg25-8k-32k.mp3")
SECRET = "4012888888881881"
SPOKEN = "four zero one two eight eight eight eight"
START = 1728890677283


def words(text: str, start: float = 1, step: float = 0.1, channel: int = 0) -> list[dict[str, Any]]:
    """Words that follow each other."""
    return [
        {
            "word": word,
            "start": round(start + place * step, 3),
            "end": round(start + (place + 1) * step, 3),
            "channel": channel,
        }
        for place, word in enumerate(text.split())
    ]


def transcript(entity: str | None = None) -> dict[str, Any]:
    """A card number from 1 s to 1.9 s, in digits and in words; a name of the callee's at 3 s."""
    said = words(f"{SPOKEN} 88881881")
    if entity:
        said = [one | {"entity": entity} for one in said]
    return {"words": [*words("hello", 0.2), *said, *words("Weber", 3, channel=1)]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "call.json"
    path.write_bytes(encoded(transcript("CREDIT_DEBIT_NUMBER")))
    return path


def assert_no_secret(*texts: str) -> None:
    """Neither the number nor a word of it is anywhere."""
    for text in texts:
        for secret in (SECRET, "88881881", "eight eight", "Weber", "four zero"):
            assert secret not in text


def asked(*redact: str, file: Path) -> ae.Modification:
    return ae.Modification(
        transcripts=(ae.TranscriptFile(str(file)),), redact=redact or ("CREDIT_DEBIT_NUMBER",)
    )


def test_a_store_masks_what_a_transcript_tells(file: Path) -> None:
    """The same bytes as with the masks given, and a report that answers for them."""
    out, by_hand = BytesIO(), BytesIO()
    report = ae.store(CALL, out, asked(file=file))
    given = ae.read_transcript(file).modification(["CREDIT_DEBIT_NUMBER"])
    again = ae.store(CALL, by_hand, ae.Modification(mask=given.mask))
    assert out.getvalue() == by_hand.getvalue()
    assert report.masks == again.masks
    (found,) = report.findings
    assert found.format == "words"
    assert found.stretches[0].start_s == 1.0
    assert {one.kind for one in found.stretches} == {"CREDIT_DEBIT_NUMBER"}
    (mask,) = report.masks
    assert mask.asked.ms == (850.0, 2050.0)
    assert ae.verify(CALL, out.getvalue(), asked(file=file)).passed
    assert ae.plan_store(CALL, asked(file=file)).findings == report.findings
    assert again.findings == ()
    assert_no_secret(report.to_json(), repr(report))


def test_the_version_of_a_recording_is_not_that_of_its_transcript(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[ae.S3Options | None] = []

    def opened(place: Any, s3: ae.S3Options | None = None) -> Any:
        asked_for.append(s3)
        return open_source(place)

    monkeypatch.setattr(operations, "open_source", opened)
    s3 = ae.S3Options(region="eu-west-1", version="of the recording")
    ae.plan_store(CALL, asked(file=file), s3=s3)
    assert asked_for == [ae.S3Options(region="eu-west-1")]


def test_hand_made_masks_and_transcripts_add_up(file: Path) -> None:
    both = ae.Modification(
        mask={"callee": [ae.Interval(4, 5)]},
        transcripts=(ae.TranscriptFile(str(file)),),
        redact=("ALL",),
    )
    parties = {mask.party for mask in ae.plan_store(CALL, both).masks}
    assert parties == {"caller", "callee"}


def test_a_rest_commands_milliseconds_stay_whole(file: Path) -> None:
    params = {"mask": {"callee": [{"from": 4000, "to": 5000}]}, "transcript": str(file)}
    modification = ae.Modification.from_params(params | {"redact": ["ALL"]}, "rest")
    masks = ae.plan_store(CALL, modification).masks
    assert [(mask.party, mask.asked.ms) for mask in masks] == [
        ("caller", (850.0, 2050.0)),
        ("callee", (4000.0, 5000.0)),
    ]


def test_absolute_times_and_transcripts_do_not_mix(file: Path) -> None:
    mixed = ae.Modification(
        mask={"caller": [ae.Interval(START, START + 1000)]},
        absolute_times=True,
        transcripts=(ae.TranscriptFile(str(file)),),
        redact=("ALL",),
    )
    with pytest.raises(ae.InvalidRequestError, match="absoluteTimes"):
        ae.plan_store(CALL, mixed, start_time_ms=START)


def test_the_same_in_a_merge(file: Path, tmp_path: Path) -> None:
    part = ae.MergePart(CALL, START, modification=asked(file=file), recording_id="a")
    report = ae.merge([part], tmp_path / "out.mp3")
    assert report.parts[0].findings[0].stretches
    assert len(report.parts[0].masks) == 1
    assert ae.verify_merge([part], tmp_path / "out.mp3").passed
    assert_no_secret(report.to_json())
    gone = ae.Modification(transcripts=(ae.TranscriptFile(str(tmp_path / "none.json")),))
    broken = ae.MergePart(CALL, START, modification=gone, recording_id="a")
    with pytest.raises(ae.InvalidRequestError, match=r"parts\[0\]\.modification\.redact"):
        ae.plan_merge([broken])


@pytest.mark.parametrize("missing", ["fail", "omit"])
def test_a_transcript_that_is_not_there_leaves_no_recording_unmasked(
    missing: Any, tmp_path: Path
) -> None:
    gone = ae.TranscriptFile(str(tmp_path / "none.json"))
    modification = ae.Modification(transcripts=(gone,), redact=("ALL",))
    with pytest.raises(ae.StorageError, match=r"none\.json"):
        ae.store(CALL, tmp_path / "out.mp3", modification)
    part = ae.MergePart(CALL, START, modification=modification)
    with pytest.raises(ae.StorageError, match=r"none\.json"):
        ae.merge([part], tmp_path / "out.mp3", ae.MergeOptions(missing=missing))
    assert not (tmp_path / "out.mp3").exists()


def test_nothing_found_is_a_warning_or_refused(file: Path) -> None:
    report = ae.plan_store(CALL, asked("PIN", file=file))
    assert [one.code for one in report.warnings] == ["no_findings"]
    options = ae.StoreOptions(transcript=ae.TranscriptOptions(require_match=True))
    with pytest.raises(ae.InvalidRequestError, match="require_match"):
        ae.plan_store(CALL, asked("PIN", file=file), options)


def test_one_of_two_files_may_tell_of_nothing(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(encoded({"words": words("yes of course")}))
    files = (ae.TranscriptFile(str(file), "caller"), ae.TranscriptFile(str(other), "callee"))
    report = ae.plan_store(CALL, ae.Modification(transcripts=files, redact=("ALL",)))
    assert {mask.party for mask in report.masks} == {"caller"}
    assert not report.warnings
    assert len(report.findings) == 2


def test_the_command_line(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp3"
    edit = ("--transcript", file, "--redact", "CREDIT_*", "--transcript-guard-ms", "100,200")
    report = run_json("store", CALL, out, *edit)
    assert report["masks"][0]["asked"]["ms"] == [900.0, 2100.0]
    assert run_json("plan", CALL, *edit)["findings"] == report["findings"]
    assert run("verify", CALL, out, *edit).exit_code == 0
    merged = run_json(
        "merge", tmp_path / "m.mp3", "--part", f"a={CALL}@{START}",
        "--transcript", f"a=caller={file}", "--redact", "ALL",
    )  # fmt: skip
    assert {mask["party"] for mask in merged["parts"][0]["masks"]} == {"caller"}
    told = run("store", CALL, out, *edit).output
    assert "Found     1 CREDIT_DEBIT_NUMBER, by words" in told
    shown = [told, json.dumps(report), json.dumps(merged)]
    assert_no_secret(*shown)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--redact", "PIN"), "--redact says what to mask of a transcript"),
        (("--transcript", "{file}"), "must name the kinds"),
        (("--transcript", "caller=", "--redact", "ALL"), "must be FILE or PARTY=FILE"),
        (("--transcript", "{file}", "--redact", "ALL", "--channel-map", "0=x"), "CHANNEL=caller"),
        (("--transcript", "{file}", "--redact", "ALL", "--agent", "x"), "--agent"),
        (("--transcript", "{file}", "--redact", "ALL", "--channel-map", "9=caller"), "channel"),
    ],
)
def test_the_command_line_refuses(args: tuple[str, ...], message: str, file: Path) -> None:
    given = [arg.format(file=file) for arg in args]
    result = run("plan", CALL, *given)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_lines_of_a_manifest(file: Path, tmp_path: Path) -> None:
    lines: list[dict[str, Any] | str] = [
        {"source": SHORT, "destination": str(tmp_path / "a.mp3"), "transcript": str(file),
         "redact": ["CREDIT_DEBIT_NUMBER"]},
        {"source": SHORT, "destination": str(tmp_path / "b.mp3"),
         "modification": {"transcript": {"callee": str(file)}, "redact": ["ALL"]}},
        {"source": SHORT, "destination": str(tmp_path / "c.mp3"), "transcript": str(file)},
        {"source": SHORT, "destination": str(tmp_path / "d.mp3"), "transcript": "no.json",
         "redact": ["ALL"]},
        {"source": SHORT, "destination": str(tmp_path / "e.mp3"), "redact": ["ALL"]},
    ]  # fmt: skip
    manifest = manifest_of(tmp_path, lines)
    journal, record = tmp_path / "journal", ae.CustodyRecord(tmp_path / "record")
    report = ae.run_batch(str(manifest), journal, record=record, concurrency=1)
    assert (report.done, report.failed) == (2, 3)
    assert [one.line for one in report.failures] == [3, 4, 5]
    entries = [json.loads(line)["entry"] for line in (tmp_path / "record").read_text().splitlines()]
    found = {entry["output"]["place"][-5:]: entry for entry in entries}
    assert {mask["party"] for mask in found["a.mp3"]["applied"]["masks"]} == {"caller"}
    assert {mask["party"] for mask in found["b.mp3"]["applied"]["masks"]} == {"callee"}
    (one,) = found["a.mp3"]["request"]["modification"]["findings"]
    assert one["stretches"][0]["kind"] == "CREDIT_DEBIT_NUMBER"
    assert len(one["sha256"]) == 64
    written = [path.read_text(errors="replace") for path in tmp_path.glob("[jr]*o*")]
    assert len(written) >= 3
    assert_no_secret(*(text for text in written), report.to_json())


def test_a_batch_that_masked_other_kinds_is_not_resumed(file: Path, tmp_path: Path) -> None:
    lines = [{"source": SHORT, "destination": str(tmp_path / "a.mp3"), "transcript": str(file)}]
    manifest, journal = str(manifest_of(tmp_path, lines)), tmp_path / "journal"
    for redact, refused in (("CREDIT_*", False), ("ALL", True)):
        options = ae.StoreOptions(transcript=ae.TranscriptOptions(redact=(redact,)))
        if refused:
            with pytest.raises(ae.InvalidRequestError, match=r"transcript\.redact"):
                ae.run_batch(manifest, journal, options=options, resume=True, concurrency=1)
        else:
            ae.run_batch(manifest, journal, options=options, concurrency=1)


def test_a_folder_of_transcripts(file: Path, tmp_path: Path) -> None:
    """By name; a recording without one fails, and is not stored."""
    calls, texts, out = tmp_path / "calls" / "x", tmp_path / "texts" / "x", tmp_path / "out"
    for folder in (calls, texts, out):
        folder.mkdir(parents=True)
    for name in ("one", "two"):
        (calls / f"{name}.mp3").write_bytes(fixture("mpeg25-8k-32k"))
    (texts / "one.json").write_bytes(file.read_bytes())
    args = ("batch", calls.parent, "--to", f"{out}/", "--journal", tmp_path / "journal")
    told = ("--transcripts", f"{texts.parent}/", "--redact", "CREDIT_DEBIT_NUMBER")
    report = run_json(*args, *told, exit_code=3)
    assert (report["done"], report["failed"]) == (1, 1)
    assert (out / "x" / "one.mp3").is_file()
    assert not (out / "x" / "two.mp3").exists()
    named = ("--transcripts", f"{texts.parent}/{{name}}.json", "--redact", "ALL", "--dry-run")
    assert run_json(*args, *named)["copies"] == 0
    assert "must hold" in refusal(*args, "--transcripts", "texts", "--redact", "ALL")[
        "message"
    ].replace("or holds", "must hold")
    assert run(*args, "--redact", "ALL").exit_code == 2


TRANSCRIPTS = {
    "domains": {
        service.DOMAIN: {"buckets": [service.KEPT], "transcripts": ["s3://others/texts/"]},
        service.OTHER: {"buckets": [service.OTHERS]},
    }
}


def command(**more: Any) -> dict[str, Any]:
    params = {"transcript": "s3://others/texts/call.json", "redact": ["CREDIT_DEBIT_NUMBER"]}
    return service.store_command(modificationParams=params, **more)


def test_a_command_names_a_transcript_where_settings_allow_it(tmp_path: Path) -> None:
    storage = service.storage()
    storage.put(service.OTHERS, "texts/call.json", encoded(transcript("CREDIT_DEBIT_NUMBER")))
    record = ae.CustodyRecord(tmp_path / "record")
    outcome = service.run(
        command(), storage, settings=service.settings(**TRANSCRIPTS), record=record
    )
    written = (tmp_path / "record").read_text()
    (entry,) = [json.loads(line)["entry"] for line in written.splitlines()]
    assert len(entry["applied"]["masks"]) == 1
    assert entry["request"]["modification"]["findings"][0]["format"] == "words"
    assert_no_secret(repr(outcome), json.dumps(service.event_of(outcome)), written)
    merge = service.merge_command(
        toMerge=[
            {
                "recordingId": service.RECORDING,
                "startTime": service.START,
                "modificationParams": command()["modificationParams"],
            }
        ]
    )
    merged = service.run(merge, storage, settings=service.settings(**TRANSCRIPTS))
    assert service.event_of(merged)["event"] == "RECORDINGSMERGED"


@pytest.mark.parametrize(
    ("place", "more"),
    [
        ("s3://others/texts/call.json", {}),
        ("s3://others/call.json", TRANSCRIPTS),
        ("s3://others/texts/../call.json", TRANSCRIPTS),
        ("/etc/passwd", TRANSCRIPTS),
        ("texts/call.json", TRANSCRIPTS),
    ],
)
def test_other_places_are_not_read(place: str, more: dict[str, Any]) -> None:
    """And nothing is stored: the command fails for good."""
    storage = service.storage()
    params = {"transcript": place, "redact": ["ALL"]}
    outcome = service.run(
        service.store_command(modificationParams=params),
        storage,
        settings=service.settings(**more),
    )
    event = service.event_of(outcome)
    assert event["event"] == "STORERECORDINGFAILED"
    assert "domains.sip.example.com.transcripts" in event["reason"]
    assert storage.keys(service.KEPT) == ()


def test_a_broken_transcript_fails_a_command_without_its_text() -> None:
    storage = service.storage()
    export = transcript("CREDIT_DEBIT_NUMBER")
    export["words"][3]["start"] = SECRET
    storage.put(service.OTHERS, "texts/call.json", encoded(export))
    outcome = service.run(command(), storage, settings=service.settings(**TRANSCRIPTS))
    event = service.event_of(outcome)
    assert event["event"] == "STORERECORDINGFAILED"
    assert "words[3], start" in event["reason"]
    assert_no_secret(json.dumps(event), str(outcome.alarm))
    assert storage.keys(service.KEPT) == ()


def test_what_a_transcript_tells_makes_another_command() -> None:
    """The digest by which a command finds its own result covers places and kinds."""
    storage = service.storage()
    storage.put(service.OTHERS, "texts/call.json", encoded(transcript("CREDIT_DEBIT_NUMBER")))
    settings = service.settings(**TRANSCRIPTS)
    digests = set()
    for redact in (["ALL"], ["CREDIT_DEBIT_NUMBER"]):
        params = {"transcript": "s3://others/texts/call.json", "redact": redact}
        for _ in range(2):
            one = service.store_command(modificationParams=params)
            digests.add(service.run(one, storage, settings=settings).digest)
    assert len(digests) == 2


def test_an_outputs_transcript_is_a_second_opinion(file: Path, tmp_path: Path) -> None:
    """Words inside masks fail, and card numbers anywhere; words beside masks do not."""
    out = tmp_path / "out.mp3"
    ae.store(CALL, out, asked(file=file))
    after = tmp_path / "after.json"

    def judged(export: dict[str, Any]) -> ae.Check:
        after.write_bytes(encoded(export))
        verdict = ae.verify(CALL, out, asked(file=file), output_transcript=after)
        assert verdict.passed == all(check.passed for check in verdict.checks)
        assert_no_secret(verdict.to_json())
        return verdict.checks[-1]

    beside = [
        *words("hello", 0.2),
        *words("the", 0.8),
        *words("was", 2.0),
        *words("yes", 1.4, channel=1),
    ]
    passed = judged({"words": beside})
    assert (passed.name, passed.passed) == ("transcript", True)
    assert passed.measured == {"words": 4, "words_in_masks": 0, "card_numbers": 0}
    failed = judged({"words": [*beside, *words("eight", 1.4)]})
    assert not failed.passed
    assert "a word of caller at 1.40 to 1.50 s" in failed.message
    assert not judged(transcript()).passed
    elsewhere = judged({"words": [*beside, *words(SECRET, 4, channel=1)]})
    assert elsewhere.measured["card_numbers"] == 1
    result = run(
        "verify", CALL, out, "--transcript", file, "--redact", "CREDIT_DEBIT_NUMBER",
        "--output-transcript", after,
    )  # fmt: skip
    assert result.exit_code == 1
    assert "a card number of callee" in " ".join(result.output.split())


def test_an_outputs_transcript_of_whole_turns_is_judged_by_what_its_times_tell() -> None:
    """A turn around a mask proves nothing; one inside it, and a card number anywhere, do."""
    masked = ae.Modification(mask={"caller": [ae.Interval(1, 3)]})
    out = BytesIO()
    ae.store(CALL, out, masked)
    turns = (
        ("hello thanks", 0, 8000, True),
        ("eight", 1500, 2500, False),
        (SECRET, 0, 8000, False),
    )
    for content, start, end, passed in turns:
        turn = {
            "ParticipantRole": "CUSTOMER",
            "BeginOffsetMillis": start,
            "EndOffsetMillis": end,
            "Content": content,
        }
        verdict = ae.verify(
            CALL,
            out.getvalue(),
            masked,
            ae.StoreOptions(transcript=ae.TranscriptOptions(agent="callee")),
            output_transcript=encoded({"Transcript": [turn]}),
        )
        assert verdict.checks[-1].passed is passed


def test_an_outputs_transcript_is_on_the_trimmed_clock(file: Path) -> None:
    trimmed = ae.Modification(
        trim=ae.Interval(0.5, None),
        transcripts=(ae.TranscriptFile(str(file)),),
        redact=("CREDIT_DEBIT_NUMBER",),
    )
    out = BytesIO()
    ae.store(CALL, out, trimmed)
    for start, passed in ((0.8, False), (1.7, True)):
        after = encoded({"words": words("eight", start)})
        verdict = ae.verify(CALL, out.getvalue(), trimmed, output_transcript=after)
        assert verdict.checks[-1].passed is passed


def test_reading_is_the_same_from_every_place(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    assert ae.read_transcript(data) == ae.read_transcript(file) == ae.read_transcript(BytesIO(data))
    with pytest.raises(ae.StorageError):
        ae.read_transcript(tmp_path / "none.json")
    large = tmp_path / "large.json"
    with large.open("wb") as empty:
        empty.truncate(257 * 2**20)
    with pytest.raises(ae.LimitError, match="at most"):
        ae.read_transcript(large)


def test_options_of_another_form_are_refused() -> None:
    for wrong in (
        {"redact": "PIN"},
        {"redact": [""]},
        {"channel_map": ["caller"]},
        {"join_ms": -1},
    ):
        (name,) = wrong
        with pytest.raises(ae.InvalidRequestError, match=f"transcript.{name}"):
            ae.TranscriptOptions(**wrong)
    settings = ae.Settings(store={"transcript": {"agent": "callee", "redact": ["PIN"]}})
    assert settings.store.transcript.agent == "callee"
