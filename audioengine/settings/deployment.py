# SPDX-License-Identifier: Apache-2.0
"""What a deployment decides once: the token's key, allowed buckets, fallbacks, places, policies.

One TOML file and environment variables ``AUDIOENGINE_…``. Importing this module imports pydantic,
so do it where settings are used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from audioengine.choices import UnknownKeys
from audioengine.commands.names import HIDDEN
from audioengine.commands.wire import Text
from audioengine.errors import InvalidRequestError, Problem
from audioengine.operations.options import MergeOptions, StoreOptions
from audioengine.params import OptionalNumberField
from audioengine.settings.environment import Variables, native, why_no_json
from audioengine.settings.option_fields import MergeField, StoreField
from audioengine.settings.problems import key_of, path_of, problems_of
from audioengine.settings.recorder import CallbackSettings, RecorderSettings
from audioengine.settings.rest import RestSettings
from audioengine.settings.sources import DEFAULT_FILE, FILE_VARIABLE, PREFIX
from audioengine.settings.storage import StorageSettings
from audioengine.settings.table import Secret, not_empty
from audioengine.settings.tenants import DomainSettings, FallbackSettings
from audioengine.settings.toml_file import read_toml
from audioengine.settings.worker import WorkerSettings
from audioengine.storage.files import Failing
from audioengine.times import Number, exact

_FILE_VALUES: ContextVar[Mapping[str, Any] | None] = ContextVar("file_values", default=None)


def _native_number(value: object) -> object:
    """A number likewise; pydantic takes a boolean for one, but not its text."""
    return json.dumps(value) if isinstance(value, bool) else native(value)


def _above_zero(value: Number | None) -> Number | None:
    if value is not None and exact(value, "") <= 0:
        raise ValueError("must be above 0")
    return value


class Settings(BaseSettings):
    """What a deployment decides once; frozen.

    Arguments come before environment variables (``AUDIOENGINE_TOKEN_KEY``, in tables
    ``AUDIOENGINE_STORAGE__ENDPOINT_URL``; tables and lists as JSON), those before the file of
    `load_settings`, and that before defaults. Tables are merged key by key.

    Raises InvalidRequestError naming every wrong field, never a key.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    token_key: Annotated[Secret | None, Field(min_length=1)] = None
    """Key of the tokens that are replyIds (HS256). None: they can't be verified."""
    max_token_age_s: Annotated[
        OptionalNumberField, BeforeValidator(_native_number), AfterValidator(_above_zero)
    ] = None
    """How old a token may be, in seconds. None: of any age."""
    single_tenant: bool = False
    """Whether all temp objects belong to all commands, whatever their domain."""
    existing: Literal["overwrite", "refuse", "suffix"] = "overwrite"
    """What becomes of another object under an output's name."""
    unknown_keys: UnknownKeys = "refuse"
    """What becomes of keys of commands that nobody knows. What looks like a misspelt key, or like
    an edit, is refused all the same."""
    purge_versions: bool = False
    """Whether an overwrite removes the older versions that a versioned bucket keeps."""
    domains: Mapping[Text, DomainSettings] = Field(default_factory=dict)
    """What commands may do, by their domain."""
    fallbacks: FallbackSettings = FallbackSettings()
    storage: StorageSettings = StorageSettings()
    worker: WorkerSettings = WorkerSettings()
    """How commands are taken from their queue."""
    callbacks: CallbackSettings = CallbackSettings()
    """How tenants are called back."""
    recorder: RecorderSettings = RecorderSettings()
    """What records the calls: how it reports, and where commands to it go."""
    rest: RestSettings = RestSettings()
    """How commands come in over HTTP."""
    store: StoreField = Field(default_factory=StoreOptions)
    """How recordings are edited."""
    merge: MergeField = Field(default_factory=MergeOptions)
    """How they are merged."""
    record_key: Annotated[Secret | None, Field(min_length=1)] = None
    """Key of the HMACs of custody records, as text of at least 16 bytes."""
    record_key_file: Annotated[Path | None, BeforeValidator(not_empty)] = None
    """A file with that key, all its bytes but line ends at its end; in place of `record_key`."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = problems_of(error, type(self))
        except SettingsError as error:  # names field and source, not the value
            problems = [Problem(f"{PREFIX}*", HIDDEN, why_no_json(error))]
        else:
            return
        raise InvalidRequestError(problems)  # not in the handler: pydantic's error holds the input

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours takes its place
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's own hook
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say where values come from, the strongest first."""
        file_values = InitSettingsSource(settings_cls, dict(_FILE_VALUES.get() or {}))
        return init_settings, Variables(settings_cls), file_values

    @model_validator(mode="after")
    def _is_one_record_key(self) -> Settings:
        if self.record_key is not None and self.record_key_file is not None:
            rule = "can't be set together with record_key"
            raise InvalidRequestError.of("record_key_file", str(self.record_key_file), rule)
        return self

    @model_validator(mode="after")
    def _is_domain_known(self) -> Settings:
        if self.fallbacks.domain is not None and not self.single_tenant:
            rule = "can't be set unless single_tenant is true: each token must name its domain"
            raise InvalidRequestError.of("fallbacks.domain", self.fallbacks.domain, rule)
        return self

    def custody_key(self) -> bytes | None:
        """Return the key of custody records, in UTF-8 where it is text; None: there is none.

        Raises StorageError where its file can't be read.
        """
        if self.record_key is not None:
            return self.record_key.get_secret_value().encode()
        if self.record_key_file is None:
            return None
        with Failing(f"can't read record_key_file {str(self.record_key_file)!r}"):
            return self.record_key_file.read_bytes().rstrip(b"\r\n")

    @model_validator(mode="after")
    def _are_callbacks_private(self) -> Settings:
        rule = "must begin with https://, unless callbacks.allow_http is true"
        problems = [
            Problem(path_of(("domains", name, "callback_url")), domain.callback_url, rule)
            for name, domain in self.domains.items()
            if not (domain.callback_url or "https:").startswith("https:")
        ]
        if problems and not self.callbacks.allow_http:
            raise InvalidRequestError(problems)
        return self

    @model_validator(mode="after")
    def _is_recorder_closed_to_reply_ids(self) -> Settings:
        keys = [one and one.get_secret_value() for one in (self.token_key, self.recorder.token_key)]
        if keys[0] is not None and keys[0] == keys[1]:
            rule = "must be another key than token_key: a replyId must not let anybody report"
            raise InvalidRequestError.of("recorder.token_key", HIDDEN, rule)
        return self

    @model_validator(mode="after")
    def _is_rest_closed_to_reply_ids(self) -> Settings:
        own = self.token_key and self.token_key.get_secret_value()
        same = [name for name, key in self.rest.keys.items() if key.get_secret_value() == own]
        if same:
            rule = "must be another key than token_key: a replyId must not open REST"
            raise InvalidRequestError(
                [Problem(f"rest.keys.{key_of(n)}", HIDDEN, rule) for n in same]
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the effective values as JSON values; a secret is ``***``, what is not set None."""
        return self.model_dump(mode="json")

    def to_json(self, indent: int | None = None) -> str:
        """Return the same as one JSON object."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)


def load_settings(path: str | os.PathLike[str] | None = None) -> Settings:
    """Return the settings of a TOML file, with the environment's over them.

    path: of the file; by default that of AUDIOENGINE_SETTINGS, else ``audioengine.toml`` in the
    working folder if it is there, else the environment is all.

    Raises InvalidRequestError naming every wrong field, or the line that is no TOML, and
    StorageError where the file can't be read. Neither shows the token's key.
    """
    chosen = path if path is not None else os.environ.get(FILE_VARIABLE)
    if chosen is None and Path(DEFAULT_FILE).exists():
        chosen = DEFAULT_FILE
    before = _FILE_VALUES.set(None if chosen is None else read_toml(os.fspath(chosen)))
    try:
        return Settings()
    finally:
        _FILE_VALUES.reset(before)
