# SPDX-License-Identifier: Apache-2.0
"""What the OpenAPI document says of the recorder's endpoint: a fuzzer finds it true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

import audioengine as ae
from audioengine.service.recorder.openapi import recorder_part
from audioengine.service.recorder.reports import REPORTS, ReportDesk
from audioengine.service.recorder.routes import recorder_routes
from audioengine.service.rest.app import make_app
from audioengine.service.rest.openapi import document
from tests.execution.service import DOMAIN, KEPT, TEMP
from tests.service.recorder import deployment
from tests.service.recorder.deployment import Post, recorder_token
from tests.service.rest.deployment import REST_KEY, MemoryQueue, listening

SETTINGS = deployment.settings(rest={"keys": {"first": REST_KEY}, "port": 0})
DOCUMENT = document(SETTINGS.rest, recorder_part())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
# A schema can't say that a meta must be JSON, nor that a start must be known for want of a key.
BEYOND_SCHEMAS: Any = CHECKS.get_by_names(["positive_data_acceptance"])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    post = Post()
    desk = ReportDesk.of(SETTINGS, ae.MemoryStorage(TEMP, KEPT), post.delivery(SETTINGS))
    routes = recorder_routes(SETTINGS, desk, post.delivery(SETTINGS))
    app = make_app(SETTINGS, MemoryQueue(), routes, recorder_part())
    with listening(app, SETTINGS.rest) as found:
        yield found


@pytest.mark.slow
@SCHEMA.include(path_regex="^/recorder/").parametrize()
@settings(
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
def test_a_fuzzer_of_the_recorder(url: str, case: schemathesis.Case[Any]) -> None:
    # What it makes up is no domain that anybody knows.
    if isinstance(case.body, dict):
        named = case.body.get("domain")
        if named and isinstance(named, str):
            case.body["domain"] = DOMAIN
    headers = {"Authorization": f"Bearer {recorder_token()}"}
    case.call_and_validate(url, headers=headers, excluded_checks=BEYOND_SCHEMAS)


def test_every_report_is_described_without_a_token() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    properties = schemas["Report"]["properties"]
    assert properties["event"] == {"enum": list(REPORTS)}
    assert "replyId" not in properties
    assert {"metaData", "meta", "reason", "tempKey", "startTime"} <= properties.keys()
    text = json.dumps(DOCUMENT)
    for reference in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', text):
        assert reference in schemas
    assert "$defs" not in text


def test_it_is_described_where_it_is_served(url: str) -> None:
    assert httpx.get(f"{url}/openapi.json", trust_env=False).json() == DOCUMENT
