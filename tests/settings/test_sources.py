# SPDX-License-Identifier: Apache-2.0
"""Where nothing names a setting, nobody has to read any; where something does, it counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audioengine.settings import are_named, load_settings

KEY = "a key of the tests that is long enough for HS256"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.upper().startswith("AUDIOENGINE_"):
            monkeypatch.delenv(name)


def test_nothing_is_named() -> None:
    assert not are_named()


@pytest.mark.parametrize("name", ["AUDIOENGINE_TOKEN_KEY", "audioengine_token_key"])
def test_variables_name_settings_in_either_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, KEY)
    assert are_named()
    settings = load_settings(None)
    assert settings.token_key is not None
    assert settings.token_key.get_secret_value() == KEY


def test_a_file_names_settings() -> None:
    Path("audioengine.toml").write_text("")
    assert are_named()
