# SPDX-License-Identifier: Apache-2.0
"""Whatever a command looks like, its key is not in what is shown of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.commands.redaction import redacted, redacted_text
from tests.commands.reference import ARN, json_like

CANARY = "c2VjcmV0LWNhbmFyeS1rZXktb2YtMzItYnl0ZXMhISE="
ESCAPED = json.dumps({"encryptionKey": CANARY}).replace("Key", "\\u004bey")


@pytest.mark.parametrize("spelling", ["encryptionKey", "EncryptionKey", "encryption_key"])
@pytest.mark.parametrize("shape", [CANARY, [CANARY], {"key": CANARY}, [[CANARY, 1]]])
def test_however_it_is_spelt_and_shaped(spelling: str, shape: object) -> None:
    assert redacted({"a": [{spelling: shape}]}) == {"a": [{spelling: "***"}]}


@pytest.mark.parametrize("shown", [None, ARN, "alias/recordings"])
def test_what_is_no_secret_stays(shown: object) -> None:
    assert redacted({"encryptionKey": shown}) == {"encryptionKey": shown}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"encryptionKey": CANARY}),
        json.dumps({"Message": json.dumps({"encryptionKey": CANARY})}),
        json.dumps([json.dumps({"Body": json.dumps({"encryptionKey": CANARY})})]),
        f'{{"encryptionKey": "{CANARY}", "encryptionKey": "{ARN}"}}',
        f'{{"encryptionKey": "{CANARY}"',
        f"encryptionKey={CANARY}",
        f"{{ENCRYPTION KEY: '{CANARY}'",
        ESCAPED,
        ESCAPED[:-1],
        json.dumps({"Message": ESCAPED}),
        json.dumps({json.dumps({"encryptionKey": CANARY}): 1}),
    ],
)
def test_text(text: str) -> None:
    shown = redacted_text(text)
    assert CANARY not in shown
    assert shown != text
    assert CANARY not in json.dumps(redacted({"recordingId": text, text: 1}))


def test_other_text_stays() -> None:
    for text in ("", "not JSON at all {", '{"fileName":"x"}'):
        assert redacted_text(text) == text


def test_what_json_can_not_write() -> None:
    values = [Decimal("1.5"), Decimal(5), Decimal("1e999"), b"bytes", {1}, 10**6000, 10**4000]
    shown = redacted(values)
    assert shown[:6] == [1.5, 5, float("inf"), "<bytes>", "<set>", "a huge number"]
    json.dumps(shown)


@given(json_like("a", "encryptionKey", "encryption-key"), st.booleans())
def test_nothing_under_the_key_is_shown(value: Any, as_text: bool) -> None:
    data: dict[str, Any] = {"a": [value], "encryptionKey": [CANARY, value]}
    for _ in range(3):
        data = {"b": json.dumps(data)} if as_text else {"b": data}
    assert CANARY not in json.dumps(redacted(data))
    assert CANARY not in redacted_text(json.dumps(data))
