# SPDX-License-Identifier: Apache-2.0
"""The verb `settings`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import audioengine as ae
from tests.cli.helpers import refusal, rules, run, run_json

CANARY = "c4n4ry-of-the-token-key"
FILE = f"""
token_key = "{CANARY}"
[domains."sip.example.com"]
buckets = ["kept"]
[storage]
region = "eu-central-1"
[store]
guard_ms = [10, 40.5]
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in the working folder, and an environment that says nothing."""
    for name in [name for name in os.environ if name.startswith("AUDIOENGINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "audioengine.toml"
    path.write_text(FILE)
    return path


def test_what_is_in_effect_is_printed_as_a_file_could_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOENGINE_STORAGE__REGION", "eu-west-1")
    result = run("settings")
    assert result.exit_code == 0, result.output
    assert CANARY not in result.output
    assert 'token_key = "***"' in result.stdout
    assert 'region = "eu-west-1"' in result.stdout
    not_set = result.stdout.splitlines()[-1]
    assert not_set.startswith('# Not set: max_token_age_s, domains."sip.example.com".event_topic')
    assert "callback_secret, fallbacks.domain" in not_set
    monkeypatch.undo()
    again = tmp_path / "printed.toml"
    again.write_text(result.stdout)
    monkeypatch.setenv("AUDIOENGINE_STORAGE__REGION", "eu-west-1")
    monkeypatch.setenv("AUDIOENGINE_TOKEN_KEY", CANARY)
    assert ae.load_settings(again) == ae.load_settings(tmp_path / "audioengine.toml")


def test_json() -> None:
    printed = run_json("settings")
    assert printed == ae.load_settings().to_dict()
    assert CANARY not in str(printed)


def test_another_file(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('existing = "refuse"')
    printed = run_json("settings", "--settings", other)
    assert printed["existing"] == "refuse"
    assert printed["token_key"] is None
    error = refusal("settings", "--settings", tmp_path / "gone.toml", exit_code=1)
    assert "gone.toml" in error["message"]


@pytest.mark.parametrize(
    ("added", "path"),
    [
        (f'tokenkey = "{CANARY}"', "store.tokenkey"),
        ("encoder_delay = -1", "store.encoder_delay"),
        ('[fallbacks]\ndomain = "x"', "fallbacks.domain"),
        ('[storage2]\nx = "', "settings"),
    ],
)
def test_what_is_wrong_is_named_and_the_key_is_not(file: Path, added: str, path: str) -> None:
    file.write_text(FILE + added)
    assert path in rules(refusal("settings"))
    for arguments in (("settings",), ("settings", "--json")):
        result = run(*arguments)
        assert CANARY not in result.output + result.stderr + repr(result.exception)
