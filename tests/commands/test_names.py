# SPDX-License-Identifier: Apache-2.0
"""Object keys, default names and encryption keys."""

from __future__ import annotations

import pickle
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from audioengine.commands.names import (
    CustomerKey,
    KmsKey,
    default_merge_name,
    default_store_name,
    encryption_key,
    object_key,
    temp_name,
)
from audioengine.errors import InvalidRequestError
from tests.commands.reference import ARN

MATERIAL = b"secret-canary-key-of-32-bytes!!!"
CANARY = b64encode(MATERIAL).decode()
RECORDING = "5e32bf50-89fd-11ef-966f-03e88116d7e5"
START = 1728890677283  # 2024-10-14 07:24 UTC


def refused(function: Any, *args: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidRequestError) as caught:
        function(*args)
    rules: dict[str, list[str]] = {}
    for problem in caught.value.problems:
        rules.setdefault(problem.path, []).append(problem.rule)
    return rules


@pytest.mark.parametrize(
    "name", ["a", "a/b.mp3", "...", "a..b/.c", "ä ö/\U0001f600", "x" * 1024, "é" * 512, "a//b"]
)
def test_right_names(name: str) -> None:
    assert object_key(name) == name


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("", ["must not be empty, nor end in a slash"]),
        ("a/", ["must not be empty, nor end in a slash"]),
        ("/a", ["must not begin with a slash"]),
        ("..", ["must have no segment . or .."]),
        ("a/./b", ["must have no segment . or .."]),
        ("a/../../b", ["must have no segment . or .."]),
        ("a\x00", ["must have no control characters"]),
        ("a\nb", ["must have no control characters"]),
        ("a\x7f", ["must have no control characters"]),
        ("a\x85", ["must have no control characters"]),
        (".audioengine/a", ["must not begin with .audioengine/, which is the engine's own"]),
        (".AudioEngine/a", ["must not begin with .audioengine/, which is the engine's own"]),
        ("\ud800", ["must be Unicode text"]),
        ("x" * 1025, ["must have at most 1024 bytes of UTF-8"]),
        ("é" * 513, ["must have at most 1024 bytes of UTF-8"]),
        (
            "/../\n",
            [
                "must not begin with a slash",
                "must have no segment . or ..",
                "must have no control characters",
            ],
        ),
    ],
)
def test_wrong_names(name: str, rules: list[str]) -> None:
    """All that is wrong at once."""
    assert refused(object_key, name) == {"fileName": rules}
    assert refused(object_key, name, "name") == {"name": rules}


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("./\x00"), max_size=20))
def test_a_right_name_stays_in_its_folder(name: str) -> None:
    try:
        object_key(name)
    except InvalidRequestError:
        return
    assert name == name.strip("/")
    assert name.encode()
    assert not {".", ".."} & set(name.split("/"))


def test_default_names() -> None:
    assert default_store_name(RECORDING, "x/241014-y.mp3", "sqs") == f"{RECORDING}.mp3"
    assert default_store_name(RECORDING, "x/241014-y.mp3", "rest") == "241014-y.mp3"
    assert default_merge_name(RECORDING, START) == f"241014-{RECORDING}-merged.mp3"
    assert temp_name(RECORDING, START) == f"241014-{RECORDING}.mp3"
    assert temp_name(RECORDING, START, -1) == f"241013-{RECORDING}.mp3"


def test_dates_are_in_utc() -> None:
    midnight = 1728950400000
    assert temp_name("r", midnight - 0.5) == "241014-r.mp3"
    assert temp_name("r", midnight) == "241015-r.mp3"


def test_names_of_wrong_ids() -> None:
    for id in ("a/b", "../a", "a\n"):
        assert refused(default_merge_name, id, START).keys() == {"recordingId"}
        assert refused(default_store_name, id, "t.mp3", "sqs").keys() == {"recordingId"}
    assert refused(default_store_name, "r", "t/", "rest").keys() == {"tempKey"}
    assert refused(default_merge_name, "r", 5).keys() == {"startTime"}
    assert refused(temp_name, "r", 10**14).keys() == {"startTime"}


@pytest.mark.parametrize(
    "key",
    [
        ARN,
        "arn:aws:kms:eu-west-1:111122223333:alias/recordings",
        "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-0",
        "alias/recordings/of-calls_1",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
    ],
)
def test_kms_keys(key: str) -> None:
    named = encryption_key(SecretStr(key))
    assert isinstance(named, KmsKey)
    assert named.key_id == key


def test_the_region_must_agree() -> None:
    assert encryption_key(SecretStr(ARN), "us-west-2") == KmsKey(ARN, "us-west-2")
    alias = encryption_key(SecretStr("alias/x"), "eu-west-1")
    assert alias == KmsKey("alias/x", None)
    rules = refused(encryption_key, SecretStr(ARN), "eu-west-1")
    assert rules == {"encryptionKey": ["must be of the destinationRegion, eu-west-1"]}


def test_customer_keys() -> None:
    key = encryption_key(SecretStr(CANARY), "eu-west-1")
    assert key == CustomerKey(MATERIAL)
    assert pickle.loads(pickle.dumps(key)) == key
    for shown in (repr(key), str(key), repr([key]), f"{key}"):
        assert "secret" not in shown
        assert CANARY not in shown


def test_no_key() -> None:
    assert encryption_key(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arnstring",
        "arn:aws:kms:region:account-id:key/key-id",
        "arn:aws:s3:eu-west-1:111122223333:key/a",
        ARN + "\n",
        "alias/",
        MATERIAL.decode(),
        b64encode(MATERIAL[:31]).decode(),
        b64encode(MATERIAL + b"!").decode(),
        CANARY[:-1],
        CANARY + "\n",
        " " + CANARY,
        CANARY.replace("=", "é"),
        "=" * 44,
    ],
)
def test_wrong_keys_are_not_shown(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        encryption_key(SecretStr(text))
    (problem,) = caught.value.problems
    assert (problem.path, problem.value) == ("encryptionKey", "***")
    assert "32 bytes" in problem.rule


@given(st.text())
def test_any_text_is_a_key_or_refused(text: str) -> None:
    try:
        assert encryption_key(SecretStr(text)) is not None
    except InvalidRequestError as error:
        shown = str(error)
        assert shown.startswith("encryptionKey = '***'")
