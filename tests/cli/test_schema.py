# SPDX-License-Identifier: Apache-2.0
"""The verb `schema`."""

from __future__ import annotations

import json

from audioengine.commands.schema import NAMES, json_schema
from tests.cli.helpers import refusal, run, run_json


def test_a_schema_is_printed() -> None:
    result = run("schema", "STORERECORDING")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json_schema("STORERECORDING")
    assert run_json("schema", "recordingFailed") == json_schema("recordingFailed")


def test_other_names_are_answered_with_all() -> None:
    error = refusal("schema", "SINGRECORDING")
    assert all(name in error["message"] for name in NAMES)
