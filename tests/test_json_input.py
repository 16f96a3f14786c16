# SPDX-License-Identifier: Apache-2.0
"""JSON from outside: what is read is what every reader would read, and every door does so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.batch.manifest_all import ForAll, Tally
from audioengine.batch.manifest_job import BadLine, job_of
from audioengine.cli import main
from audioengine.commands.meta import parse_meta
from audioengine.commands.requests import command_values
from audioengine.errors import InvalidRequestError
from audioengine.json_input import MAX_DEPTH, parse_json, unambiguous
from audioengine.service.rest.command_check import judge_command
from audioengine.service.worker.queued_command import QueuedCommand
from tests.execution.service import DOMAIN, RECORDING, settings, storage, store_command
from tests.service.rest.deployment import settings as rest_settings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
TWICE = '"mask": {"caller": [{"from": 5, "to": 6}], "caller": [{"from": 1, "to": 2}]}'


@given(VALUES)
def test_what_repeats_nothing_is_read_as_it_is(value: Any) -> None:
    text = json.dumps(value)
    assert parse_json(text, "it") == unambiguous(text) == value
    assert parse_json(text.encode(), "it") == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_numbers_are_exact(number: Decimal) -> None:
    assert parse_json(f"[{number:f}]", "it") == [number]


@given(
    st.lists(st.sampled_from("abc") | st.integers(0, 2), max_size=6),
    st.sampled_from(["key", "mask", "é", "x" * 100, ""]),
    st.tuples(VALUES, VALUES),
)
def test_a_repeated_key_is_refused_wherever_it_is(
    places: list[str | int], key: str, values: tuple[Any, Any]
) -> None:
    first, second = map(json.dumps, values)
    text = f"{{{json.dumps(key)}: {first}, {json.dumps(key)}: {second}}}"
    path = key if key in ("key", "mask") else "…"
    for place in reversed(places):
        if isinstance(place, str):
            text = f'{{"{place}": {text}}}'
            path = f"{place}.{path}" if not path.startswith("[") else f"{place}{path}"
        else:
            text = f"[{'0, ' * place}{text}]"
            path = f"[{place}].{path}" if not path.startswith("[") else f"[{place}]{path}"
    with pytest.raises(InvalidRequestError) as caught:
        parse_json(text, "it")
    assert [one.path for one in caught.value.problems] == [path]
    left = unambiguous(text)
    for place in places:
        left = left[place]
    assert left == {}


@given(
    st.lists(st.sampled_from(['"a"', '"b"', '"\\u0061"', '"㨢"', '":"', '" :"']), max_size=6),
    st.sampled_from(["", " ", "  ", "\n", "\t \r\n"]),
    st.sampled_from(['":"', '"\\":"', '"\\" :"', '"㨢㨢㨢"', '"\\":\\":"', "0", '{"a": ":"}']),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"]),
)
def test_a_repeat_is_seen_however_it_is_written(
    keys: list[str], space: str, value: str, encoding: str
) -> None:
    """Colons in strings, space before colons, escapes and other encodings hide none."""
    text = "{" + ",".join(f"{key}{space}:{value}" for key in keys) + "}"
    repeats = len({json.loads(key) for key in keys}) < len(keys)
    for one in (text, text.encode(encoding)):
        if repeats:
            with pytest.raises(InvalidRequestError, match="must be given once"):
                parse_json(one, "it")
        else:
            assert parse_json(one, "it") == json.loads(text)


def test_of_many_repeats_some_are_named_at_once() -> None:
    """In time that grows with the text, not with its square."""
    keys = [f"k{number}" for number in range(50_000)]
    text = "{" + ",".join(f'"{key}":0' for key in keys + keys) + "}"
    with pytest.raises(InvalidRequestError) as caught:
        parse_json(text, "it")
    assert len(caught.value.problems) == 20


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 100_000])
def test_depth_is_bounded(depth: int) -> None:
    text = "[" * depth + "]" * depth
    if depth == MAX_DEPTH:
        parse_json(text, "it")
        parse_json(text.replace("[]", "[1]"), "it")
        return
    with pytest.raises(InvalidRequestError, match="nested too deeply"):
        parse_json(text, "it")
    assert unambiguous(text) is None


@pytest.mark.parametrize("text", ["", "{", "[1] 2", b"\xff\xfe\xff", "1e" + "9" * 30, "1" * 5000])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidRequestError, match="must be JSON: "):
        parse_json(text, "it")


def a_command(**more: Any) -> str:
    command = store_command(modificationParams=None, **more)
    return json.dumps(command)[:-1] + f', "modificationParams": {{{TWICE}}}}}'


def _in_variable(name: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        ae.Settings()


def _line(text: str) -> None:
    found = job_of(1, text.encode())
    assert isinstance(found, BadLine)
    raise found.error


def _inventory() -> None:
    text = b'{"fileFormat": "CSV", "files": [{"key": "a", "key": "b"}]}'
    with pytest.MonkeyPatch.context() as patch:
        from audioengine.batch import manifest_inventory
        from audioengine.storage.objects import BytesSource

        patch.setattr(manifest_inventory, "open_source", lambda *_: BytesSource(text))
        manifest_inventory.inventory_jobs("manifest.json", None, ForAll("out/"), Tally())


def _shell(*args: str) -> None:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2
    raise InvalidRequestError.of("it", None, re.sub(r"\s+", " ", result.output))


DOORS: dict[str, tuple[Callable[[], object], str]] = {
    "command": (lambda: command_values(a_command()), "modificationParams.mask.caller"),
    "rest": (
        lambda: judge_command(a_command(), "STORERECORDING", DOMAIN, rest_settings()),
        "modificationParams.mask.caller",
    ),
    "report": (
        lambda: command_values('{"event": "RECORDINGREADY", "x": {"a": 1, "a": 2}}', "report"),
        "x.a",
    ),
    "meta": (
        lambda: parse_meta('"recordingsPartsInfo": {callerStreams: [], callerStreams: []}'),
        "meta.recordingsPartsInfo.callerStreams",
    ),
    "params in text": (
        lambda: ae.Modification.from_params("{" + TWICE + "}"),
        "mask.caller",
    ),
    "line of a manifest": (
        lambda: _line(f'{{"source": "a", "destination": "b", "modification": {{{TWICE}}}}}'),
        "modification.mask.caller",
    ),
    "command in a manifest": (lambda: _line(a_command()), "modificationParams.mask.caller"),
    "inventory": (_inventory, "files[0].key"),
    "variable": (
        lambda: _in_variable("AUDIOENGINE_DOMAINS", '{"a": {"buckets": ["b"], "buckets": ["c"]}}'),
        "a.buckets",
    ),
    "--params": (lambda: _shell("store", "a", "b", "--params", "{" + TWICE + "}"), "mask.caller"),
    "--command": (
        lambda: _shell("merge", "out", "--part", "a=b", "--command", a_command()),
        "modificationParams.mask.caller",
    ),
    "--event": (
        lambda: _shell("ingest", "a.mp3", "--meta", "{}", "--event", '{"a": 1, "a": 2}'),
        "a: must be given once",
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_a_repeated_key(door: str) -> None:
    enter, path = DOORS[door]
    with pytest.raises(InvalidRequestError, match=re.escape(path)):
        enter()


def test_who_repeats_a_key_is_told_so() -> None:
    """The command fails with its own event and alarm, and stores nothing."""
    kept = storage()
    outcome = ae.execute(a_command(), kept, settings())
    assert outcome.event is not None
    assert outcome.alarm is not None
    told = outcome.event.to_dict()
    assert told["event"] == "STORERECORDINGFAILED"
    assert told["recordingId"] == RECORDING
    assert "modificationParams.mask.caller" in told["reason"]
    assert '"from": 5' in str(outcome.alarm.event)
    assert kept.keys("kept") == ()
    assert QueuedCommand(a_command()).kind == "STORERECORDING"


# What reads JSON that the engine or a library has written, or shows text and carries nothing out.
OWN = {
    "batch/journal.py",
    "batch/manifest_all.py",
    "cli/demo.py",
    "commands/redaction.py",
    "commands/shown.py",
    "custody/canonical.py",
    "service/notifications/outbox.py",
    "service/queues/embedded.py",
    "service/queues/sqs.py",
    "service/notifications/topics.py",
    "service/worker/delete_guard.py",
}


def test_no_door_reads_json_by_itself() -> None:
    """A module that must read JSON of its own belongs into the list above, with its reason."""
    root = Path(ae.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"json\.loads?\(|validate_json|JSONDecoder", path.read_text())
    }
    assert found == OWN | {"commands/named_recordings.py", "json_input.py"}
