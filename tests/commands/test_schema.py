# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas: one a name, with the keys that the examples have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audioengine.commands.schema import NAMES, json_schema
from audioengine.errors import InvalidRequestError
from tests.commands.reference import ALARMS, COMMANDS, EVENTS

TAGGED = [
    *(("method", command) for command in COMMANDS),
    *(("event", event) for event in EVENTS),
    *(("type", alarm) for alarm in ALARMS),
]


@pytest.mark.parametrize(("tag", "example"), TAGGED, ids=lambda one: str(one)[:40])
def test_keys(tag: str, example: dict[str, Any]) -> None:
    schema = json_schema(example[tag])
    assert example.keys() <= schema["properties"].keys()
    assert set(schema["required"]) <= example.keys()
    assert schema["required"][0] == tag
    assert schema["properties"][tag]["const"] == example[tag]
    assert ("dialect" in schema["properties"]) is (tag == "method")


@pytest.mark.parametrize("name", NAMES)
def test_json(name: str) -> None:
    schema = json_schema(name)
    assert schema["title"] == name
    assert json.loads(json.dumps(schema)) == schema


def test_modifications_have_no_other_keys() -> None:
    params = json_schema("STORERECORDING")["properties"]["modificationParams"]["anyOf"][-2]
    assert params["additionalProperties"] is False
    assert params["properties"].keys() == {
        "absoluteTimes", "absoluteTime", "mask", "trim", "transcript", "redact",
    }  # fmt: skip


def test_other_names() -> None:
    with pytest.raises(InvalidRequestError, match="must be one of STORERECORDING, "):
        json_schema("newCall")
