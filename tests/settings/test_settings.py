# SPDX-License-Identifier: Apache-2.0
"""Settings: where they come from, which come first, what is refused, and that nothing is told."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import traceback
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import audioengine as ae
from audioengine.times import exact
from tests.support import FIXTURES

CANARY = "c4n4ry-of-the-token-key"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment that says nothing."""
    for name in [name for name in os.environ if name.startswith("AUDIOENGINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(toml: str | bytes = "", **environment: str) -> ae.Settings:
    """Of such a file, in such an environment; names without their prefix."""
    path = Path("given.toml")
    path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    with patch.dict(os.environ, {f"AUDIOENGINE_{key}": text for key, text in environment.items()}):
        return ae.load_settings(path)


def refused(toml: str | bytes = "", **environment: str) -> dict[str, ae.Problem]:
    """Problems by path; the canary is neither in the error nor in what it hangs on to."""
    with pytest.raises(ae.InvalidRequestError) as caught:
        load(toml, **environment)
    error: BaseException | None = caught.value
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    while error is not None:
        assert CANARY not in f"{error} {error!r} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__
    return {problem.path: problem for problem in caught.value.problems}


numbers = st.one_of(
    st.integers(0, 10_000),
    st.floats(0, 10_000, allow_nan=False),
    st.decimals(0, 100, places=3).map(float),
)
store_tables = st.fixed_dictionaries(
    {},
    optional={
        "render": st.sampled_from(["smart", "full"]),
        "caller_channel": st.sampled_from(["left", "right"]),
        "allow_truncated": st.booleans(),
        "encoder_delay": st.integers(0, 5000),
        "guard_ms": st.one_of(numbers, st.tuples(numbers, numbers).map(list)),
        "beep": st.fixed_dictionaries(
            {}, optional={"frequency_hz": st.floats(200, 3000), "level_dbfs": st.floats(-60, -3)}
        ),
    },
)


def flat(table: dict[str, Any], prefix: str) -> dict[str, str]:
    """A table as variables."""
    out: dict[str, str] = {}
    for key, value in table.items():
        name = f"{prefix}__{key.upper()}"
        if isinstance(value, dict):
            out |= flat(value, name)
        else:
            out[name] = value if isinstance(value, str) else json.dumps(value)
    return out


@given(store_tables)
def test_file_and_environment_say_the_same(table: dict[str, Any]) -> None:
    """And what is loaded is what was written, to the last digit."""
    loaded = load(tomli_w.dumps({"store": table}))
    assert loaded == load(**flat(table, "STORE"))
    assert loaded == load(STORE=json.dumps(table))
    shown = loaded.to_dict()["store"]
    for key, value in table.items():
        assert shown[key] == (shown[key] | value if isinstance(value, dict) else value)
    assert load(json_as_toml(loaded)) == loaded


def json_as_toml(loaded: ae.Settings) -> str:
    """What is shown, as a file again."""

    def given_only(table: dict[str, Any]) -> dict[str, Any]:
        return {
            key: given_only(value) if isinstance(value, dict) else value
            for key, value in table.items()
            if value is not None
        }

    return tomli_w.dumps(given_only(json.loads(loaded.to_json())))


def test_defaults() -> None:
    loaded = ae.load_settings()
    assert loaded == ae.Settings()
    assert loaded.token_key is None
    assert loaded.domains == {}
    assert loaded.existing == "overwrite"
    assert loaded.store == ae.StoreOptions()
    assert loaded.merge == ae.MergeOptions()


def test_everything_from_a_file() -> None:
    loaded = load(
        f"""
        token_key = "{CANARY}"
        max_token_age_s = 0.1
        single_tenant = true
        existing = "suffix"
        purge_versions = true
        [domains."sip.example.com"]
        buckets = ["one", "two.b"]
        [fallbacks]
        domain = "sip.example.com"
        temp_bucket = "temp"
        [storage]
        root = "buckets"
        [store]
        guard_ms = [10, 40.1]
        beep.frequency_hz = 800.5
        [merge]
        missing = "omit"
        max_timeline_s = 3600
        """
    )
    assert isinstance(loaded.token_key, SecretStr)
    assert loaded.token_key.get_secret_value() == CANARY
    assert exact(loaded.max_token_age_s, "") == Fraction(1, 10)
    assert loaded.domains["sip.example.com"].buckets == ("one", "two.b")
    assert loaded.fallbacks.temp_bucket == "temp"
    assert loaded.storage.root == Path("buckets")
    assert loaded.store == ae.StoreOptions(beep=ae.Beep(800.5), guard_ms=(10, 40.1))
    assert exact(loaded.store.guard_ms[1], "") == Fraction(Decimal("40.1"))  # type: ignore[index]
    assert loaded.merge == ae.MergeOptions(missing="omit", max_timeline_s=3600)
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_the_environment_comes_before_the_file_and_arguments_before_both() -> None:
    toml = 'existing = "suffix"\n[storage]\nregion = "a-b-1"\n[domains.one]\nbuckets = ["x"]'
    loaded = load(
        toml,
        EXISTING="refuse",
        STORAGE__BUCKET_OWNER="1234",
        DOMAINS='{"two": {"buckets": ["y"]}}',
        SINGLE_TENANT="true",
        MAX_TOKEN_AGE_S="60",
        UNKNOWN="of something else",
    )
    assert loaded.existing == "refuse"
    assert loaded.storage.region == "a-b-1"
    assert loaded.storage.bucket_owner == "1234"
    assert sorted(loaded.domains) == ["one", "two"]
    assert loaded.single_tenant
    assert loaded.max_token_age_s == 60
    with patch.dict(os.environ, {"AUDIOENGINE_EXISTING": "refuse"}):
        assert ae.Settings(existing="suffix").existing == "suffix"
        assert ae.Settings().existing == "refuse"


def test_where_the_file_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, else the variable, else the working folder."""
    for name, word in {"audioengine": "refuse", "other": "suffix", "third": "overwrite"}.items():
        (folder / f"{name}.toml").write_text(f'existing = "{word}"')
    assert ae.load_settings().existing == "refuse"
    monkeypatch.setenv("AUDIOENGINE_SETTINGS", "other.toml")
    assert ae.load_settings().existing == "suffix"
    assert ae.load_settings("third.toml").existing == "overwrite"
    assert ae.Settings().existing == "overwrite"  # no file, however it was loaded before
    monkeypatch.setenv("AUDIOENGINE_SETTINGS", "gone.toml")
    with pytest.raises(ae.StorageError, match=r"'gone\.toml'"):
        ae.load_settings()
    with pytest.raises(ae.StorageError, match="must be a file"):
        ae.load_settings(folder)


def test_every_wrong_field_is_named() -> None:
    problems = refused(
        f"""
        token_key = ["{CANARY}"]
        max_token_age_s = true
        single_tenant = "perhaps"
        existing = "keep"
        [domains."sip.example.com"]
        buckets = ["a/b", 3]
        [domains.other]
        [fallbacks]
        temp_bucket = ".."
        event_topic = ""
        [storage]
        endpoint_url = "https://user:{CANARY}@store"
        root = ""
        region = 3
        [store]
        guard_ms = [1]
        encoder_delay = true
        beep.level_dbfs = nan
        [merge]
        align = "left"
        max_timeline_s = inf
        """
    )
    assert {path: problem.rule for path, problem in problems.items()} == {
        "token_key": "must be text",
        "max_token_age_s": "must be a number",
        "single_tenant": "must be true or false",
        "existing": "must be 'overwrite', 'refuse' or 'suffix'",
        'domains."sip.example.com".buckets[0]': BUCKET,
        'domains."sip.example.com".buckets[1]': "must be text",
        "domains.other.buckets": "must be given",
        "fallbacks.temp_bucket": BUCKET,
        "fallbacks.event_topic": "must not be empty",
        "storage.endpoint_url": "must be an http:// or https:// URL without a user or password",
        "storage.root": "must not be empty",
        "storage.region": "must be text",
        "store.guard_ms": "must be a number or a list of two, before and after",
        "store.encoder_delay": "must be a whole number",
        "store.beep.level_dbfs": "must be finite",
        "merge.align": "must be sample or frame",
        "merge.max_timeline_s": "must be finite",
    }
    assert problems["store.guard_ms"].value == (1,)
    assert problems["storage.region"].value == 3
    assert problems["token_key"].value == "***"
    assert problems["storage.endpoint_url"].value == "***"
    assert refused('storage.endpoint_url = "s:1"')["storage.endpoint_url"].value == "s:1"


BUCKET = "must be a bucket's name: letters, digits, dots, hyphens, underscores"


@pytest.mark.parametrize(
    ("toml", "path", "rule"),
    [
        ("store.guard_ms = -1", "store.guard_ms", "must be at least 0 ms"),
        ("store.encoder_delay = -1", "store.encoder_delay", "at least 0"),
        ("store.beep.frequency_hz = 5", "store.beep.frequency_hz", "must be 200 to 3000 Hz"),
        ("store.beep.frequency_hz = true", "store.beep.frequency_hz", "must be a number"),
        ("merge.max_timeline_s = 0", "merge.max_timeline_s", "must be above 0"),
        ("max_token_age_s = 0", "max_token_age_s", "must be above 0"),
        ("max_token_age_s = nan", "max_token_age_s", "must be finite"),
        ("store = 3", "store", "must be an object"),
        ("domains = []", "domains", "must be an object"),
        ('token_key = ""', "token_key", "must not be empty"),
        ('storage.endpoint_url = "store:9000"', "storage.endpoint_url", "must be an http://"),
        ('storage.endpoint_url = "http://[x"', "storage.endpoint_url", "must be an http://"),
        ('domains.x.buckets = ["../up"]', "domains.x.buckets[0]", "must be a bucket's name"),
    ],
)
def test_single_fields(toml: str, path: str, rule: str) -> None:
    problems = refused(toml)
    assert [*problems] == [path]
    assert rule in problems[path].rule


def test_unknown_keys_are_refused_wherever_they_are() -> None:
    """With what is known there; their values may be misspelt secrets."""
    toml = f'tokenkey = "{CANARY}"\n'
    for table in ("storage", "fallbacks", "store", "store.beep", "merge", "domains.x"):
        toml += f'[{table}]\ntoken_key = "{CANARY}"\n'
    problems = refused(toml + 'buckets = ["x"]', STORAGE__RGION=CANARY)
    known = {path: problem.rule.partition("known here: ")[2] for path, problem in problems.items()}
    assert known["tokenkey"].startswith("token_key, max_token_age_s")
    assert known["storage.rgion"] == known["storage.token_key"] != ""
    assert known["store.beep.token_key"] == "frequency_hz, level_dbfs, fill"
    assert known["store.token_key"].startswith("render, beep")
    assert known["merge.token_key"].startswith("align, missing")
    assert known["domains.x.token_key"].startswith("buckets, event_topic")
    assert known["fallbacks.token_key"].startswith("domain")


@pytest.mark.parametrize(("text", "mode"), [("0640", 0o640), ("600", 0o600), ("0666", 0o666)])
def test_a_mode_is_octal_text(text: str, mode: int) -> None:
    assert load("").storage.file_mode == 0o600
    assert load(f'storage.mode = "{text}"').storage.file_mode == mode


@pytest.mark.parametrize("wrong", ['"0755"', '"0400"', '"rw"', "384", '""', '"06000"', "true"])
def test_other_modes_are_refused(wrong: str) -> None:
    assert "octal" in refused(f"storage.mode = {wrong}")["storage.mode"].rule


def test_what_excludes_each_other() -> None:
    assert "single_tenant" in refused('fallbacks.domain = "x"')["fallbacks.domain"].rule
    assert load('fallbacks.domain = "x"', SINGLE_TENANT="1").fallbacks.domain == "x"
    for name, value in {"endpoint_url": "http://s", "region": "r", "bucket_owner": "1"}.items():
        problems = refused(f'token_key = "{CANARY}"\n[storage]\nroot = "x"\n{name} = "{value}"')
        assert "together with root" in problems[f"storage.{name}"].rule


def test_text_that_is_no_toml_is_told_by_file_and_line() -> None:
    for toml in (
        f'\n\ntoken_key = "{CANARY}\n',
        f'token_key = "{CANARY}"\n\ntoken_key = "{CANARY}"\n',
        f'token_key = "{CANARY}"\n\n# '.encode() + b"\xff",
    ):
        problem = refused(toml)["settings"]
        assert problem.value == "given.toml"
        assert "line 3" in problem.rule


def test_a_variable_that_is_no_json_is_told_by_its_field() -> None:
    assert '"domains"' in refused(DOMAINS=f"{{{CANARY}")["AUDIOENGINE_*"].rule


def test_the_key_is_never_shown() -> None:
    for loaded in (load(f'token_key = "{CANARY}"'), load(TOKEN_KEY=CANARY)):
        shown = f"{loaded} {loaded!r} {loaded.to_dict()} {loaded.to_json()} {loaded.model_dump()}"
        assert CANARY not in shown
        assert loaded.to_dict()["token_key"] == "***"


def test_settings_are_frozen() -> None:
    loaded = ae.Settings()
    for value, name in ((loaded, "existing"), (loaded.storage, "root"), (loaded.store, "render")):
        with pytest.raises((ValueError, AttributeError)):
            setattr(value, name, "x")


def test_options_may_be_given_as_they_are() -> None:
    options = ae.StoreOptions(guard_ms=(1, 2))
    assert ae.Settings(store=options).store == options
    own = ae.MergeOptions(missing="omit")
    assert ae.Settings(merge=own).merge == own
    with pytest.raises(ae.InvalidRequestError, match=r"merge\.render.*given in store"):
        ae.Settings(merge=ae.MergeOptions(render="full"))


def test_importing_the_package_does_not_import_settings() -> None:
    code = "import sys, audioengine as ae; ae.store; print('pydantic_settings' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FIXTURES.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "False\n"


def test_the_key_of_records(tmp_path: Path) -> None:
    """As text or in a file, of which only the line end is left out; never shown."""
    file = tmp_path / "key"
    file.write_bytes(b" \xff key \r\n")
    assert load().custody_key() is None
    assert load(f'record_key = "{CANARY}é"').custody_key() == f"{CANARY}é".encode()
    assert load(RECORD_KEY=CANARY).custody_key() == CANARY.encode()
    assert load(RECORD_KEY_FILE=str(file)).custody_key() == b" \xff key "
    shown = load(RECORD_KEY=CANARY)
    assert CANARY not in shown.to_json() + repr(shown) + str(shown)
    both = refused(f'record_key = "{CANARY}"\nrecord_key_file = "{file}"')
    assert both["record_key_file"].rule == "can't be set together with record_key"
    assert CANARY not in str(refused(f'record_key = ["{CANARY}"]'))
    with pytest.raises(ae.StorageError, match="record_key_file"):
        load(RECORD_KEY_FILE=str(tmp_path / "nowhere")).custody_key()


def test_a_file_may_begin_with_the_mark_that_some_editors_write() -> None:
    assert load(b"\xef\xbb\xbf" + b'existing = "suffix"').existing == "suffix"
    assert "settings" in refused(b"\xef\xbb\xbf\xef\xbb\xbf" + b'existing = "suffix"')


def test_who_pays_and_how_keys_encrypt_may_be_set() -> None:
    loaded = load("[storage]\nrequest_payer = true\ndual_layer = true")
    assert loaded.storage.s3 == ae.S3Options(request_payer=True, dual_layer=True)
    assert load("").storage.s3 is None
    assert "storage.request_payer" in refused('[storage]\nroot = "a"\nrequest_payer = true')


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("STORE_GUARD_MS", "STORE__GUARD_MS"),
        ("STORE__GUARDMS", None),
        ("STOR__GUARD_MS", "STORE__GUARD_MS"),
        ("STORE_REFUSE", "STORE__REFUSE"),
        ("STORE_BEEP__FILL", "STORE__BEEP__FILL"),
        ("UNKNWON_KEYS", "UNKNOWN_KEYS"),
        ("unknown-keys", "UNKNOWN_KEYS"),
        ("EXISTINGS", "EXISTING"),
        ("MERGE_MAX_GAP_S", "MERGE__MAX_GAP_S"),
        ("WORKER_OUTBOX", "WORKER__OUTBOX"),
    ],
)
def test_no_variable_is_lost_for_its_spelling(name: str, meant: str | None) -> None:
    problems = refused("", **{name: "40"})
    assert meant is None or f"did you mean AUDIOENGINE_{meant}?" in str(list(problems.values()))


def test_a_variable_in_two_cases_is_refused() -> None:
    problems = refused("", STORE__GUARD_MS="40", store__guard_ms="0")
    assert "must be given once" in problems["AUDIOENGINE_STORE__GUARD_MS"].rule
    both = {"AUDIOENGINE_EXISTING": "suffix", "audioengine_existing": "refuse"}
    with patch.dict(os.environ, both), pytest.raises(ae.InvalidRequestError, match="given once"):
        ae.Settings()


def test_variables_of_others_are_let_be() -> None:
    others = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "80",
        "PORT": "tcp://10.0.0.1:80",
        "REST_PORT": "tcp://10.0.0.1:80",
        "REST_SERVICE_HOST": "10.0.0.1",
        "REST_PORT_80_TCP_ADDR": "10.0.0.1",
        "CONFORMANCE": "/here",
    }
    assert load("", **others) == load("")
