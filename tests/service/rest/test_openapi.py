# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, and a fuzzer that reads it: no 500, and all answers are as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from audioengine.commands.requests import COMMANDS
from audioengine.service.rest.openapi import COMMAND_PATHS, document
from tests.execution.service import RECORDING, token
from tests.service.rest import deployment
from tests.service.rest.deployment import DOMAIN, Served, bearer

DOCUMENT = document(deployment.settings().rest)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
FEW = settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# A schema can't say that a mask must begin before it ends.
BEYOND_SCHEMAS: Any = CHECKS.get_by_names(["positive_data_acceptance"])


@pytest.mark.slow
@SCHEMA.include(method="GET").include(operation_id="deleterecording").parametrize()
@FEW
def test_a_fuzzer_without_a_token(running: Served, case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(running.url)


@pytest.mark.slow
@SCHEMA.include(method="POST").include(operation_id="storerecordingOptions").parametrize()
@FEW
def test_a_fuzzer_of_the_tenant(running: Served, case: schemathesis.Case[Any]) -> None:
    """Whose tokens count, so that it gets to the end."""
    case.path_parameters["domain"] = DOMAIN
    if isinstance(case.body, dict) and case.body.get("replyId"):
        named = case.body.get("recordingId")
        named = named if isinstance(named, str) and named else RECORDING
        if isinstance(case.body["replyId"], str):
            case.body["replyId"] = token(recordingId=named)
    case.call_and_validate(running.url, headers=bearer(), excluded_checks=BEYOND_SCHEMAS)


ODD = [
    ('{"recordingId": "a", "recordingId": "b", "replyId": "c"}', "recordingId", "given once"),
    ('{"recordingId": "a", "replyId": "c", "meta": [{"x": 1, "x": 1}]}', "meta[0].x", "given once"),
    ('{"recordingId": "a", "replyId": "c", "recordingID": "a"}', "recordingID", "did you mean"),
    ('{"recordingId": "a", "replyId": "c", "colour": 1}', "colour", "is not a known key"),
]


@pytest.mark.parametrize(("body", "path", "rule"), ODD)
def test_what_no_fuzzer_of_values_sends(running: Served, body: str, path: str, rule: str) -> None:
    """Repeated and unknown keys, which the schema forbids, are refused as it says."""
    operation = SCHEMA["/{domain}/deleterecording"]["POST"]
    headers = bearer() | {"Content-Type": "application/json"}
    answer = running.client.post(f"/{DOMAIN}/deleterecording", content=body, headers=headers)
    operation.validate_response(answer)
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert problem["path"] == path
    assert rule in problem["rule"]


@pytest.mark.parametrize("bound", [{"from": 1.5, "to": 90}, {"from": 0, "to": 0.5}, {"from": 2.5}])
def test_fractions_are_refused(running: Served, bound: dict[str, float]) -> None:
    body = {
        "recordingId": RECORDING,
        "replyId": token(),
        "destinationBucket": "kept",
        "modificationParams": {"mask": {"caller": [bound]}},
    }
    answer = running.client.post(f"/{DOMAIN}/storerecording", json=body, headers=bearer())
    assert answer.status_code == 400
    assert "must be whole" in answer.json()["problems"][0]["rule"]


def test_it_is_served(service: Served) -> None:
    answer = service.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def test_every_command_has_its_path() -> None:
    assert set(COMMAND_PATHS.values()) == COMMANDS.keys()
    for segment, name in COMMAND_PATHS.items():
        item = DOCUMENT["paths"][f"/{{domain}}/{segment}"]
        assert item.keys() == {"parameters", "post", "options"}
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema = resolved(body["$ref"])
        assert schema["properties"]["method"] == {"enum": [name, None]}
        assert "method" not in schema["required"]


def numbers(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All numbers of a schema, by their places."""
    if isinstance(schema, dict):
        if "number" in schema.get("type", ()):
            yield path, schema
        for key, value in schema.items():
            yield from numbers(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for place, one in enumerate(schema):
            yield from numbers(one, f"{path}[{place}]")


def test_every_number_tells_its_unit_with_an_example() -> None:
    found = dict(numbers(DOCUMENT["components"]["schemas"]))
    assert len(found) > 10
    for path, one in found.items():
        if path.endswith((".from", ".to")) and one == {"type": "number"}:
            continue  # says only which of the two must be given
        assert "milliseconds" in one["description"], path
        assert all(example == int(example) for example in one["examples"]), path
    bounds = [one for path, one in found.items() if path.endswith(".from") and "examples" in one]
    assert bounds
    assert all("Whole milliseconds" in one["description"] for one in bounds)


def test_its_references_lead_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    references = set(re.findall(r'"\$ref": "([^"]+)"', text))
    assert all(resolved(one) for one in references)
    assert "$defs" not in text


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


@pytest.mark.parametrize("limit", [1000, 250_000])
def test_it_tells_the_limit(limit: int) -> None:
    made = document(deployment.settings(max_body_bytes=limit).rest)
    assert str(limit) in made["paths"]["/{domain}/storerecording"]["post"]["description"]
