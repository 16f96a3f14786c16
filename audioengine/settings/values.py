# SPDX-License-Identifier: Apache-2.0
"""What a deployment decides once: the token's key, allowed buckets, fallbacks, places, policies.

One TOML file and environment variables ``AUDIOENGINE_…``. Importing this module imports pydantic,
so do it where settings are used.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from audioengine.choices import UnknownKeys
from audioengine.commands.names import HIDDEN
from audioengine.commands.redaction import number
from audioengine.commands.unknown import misspelt
from audioengine.commands.wire import OptionalText, Text, joined_path
from audioengine.declaration import leaves, read, values
from audioengine.errors import InvalidRequestError, Problem, StorageError
from audioengine.json_input import parse_json
from audioengine.operations.options import OWN_OF_MERGE, MergeOptions, StoreOptions
from audioengine.params import OptionalNumberField, field_problem
from audioengine.settings.recorder import CallbackSettings, RecorderSettings, web_secret
from audioengine.settings.rest import RestSettings
from audioengine.settings.sources import DEFAULT_FILE, FILE_VARIABLE, PREFIX
from audioengine.settings.table import Bucket, OptionalBucket, Secret, Table, web_url
from audioengine.settings.worker import WorkerSettings
from audioengine.storage import S3Options
from audioengine.storage.files import Failing
from audioengine.times import Number, exact

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_MODE = re.compile("0?6[0246]{2}", re.ASCII)

_FILE_VALUES: ContextVar[Mapping[str, Any] | None] = ContextVar("file_values", default=None)


def _native(value: object) -> object:
    """Numbers and lists as Python has them; the environment knows only text."""
    if isinstance(value, dict):
        return {key: _native(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(map(_native, value))
    if isinstance(value, str):
        try:
            decoded = parse_json(value, "")
        except InvalidRequestError:
            return value
        return _native(decoded) if isinstance(decoded, (int, float, Decimal, list)) else value
    if isinstance(value, Decimal):
        return float(value)
    return value


def _native_number(value: object) -> object:
    """A number likewise; pydantic takes a boolean for one, but not its text."""
    return json.dumps(value) if isinstance(value, bool) else _native(value)


def _above_zero(value: Number | None) -> Number | None:
    if value is not None and exact(value, "") <= 0:
        raise ValueError("must be above 0")
    return value


def _root(value: object) -> object:
    if value == "":  # which pathlib takes for the working folder
        raise ValueError("must not be empty")
    return value


def _mode(value: object) -> str:
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise ValueError("must be octal text from 0600 to 0666: who else may read and write files")
    return value


def _merge_options(given: object) -> MergeOptions:
    """What only a merge has; the options that it shares with a store are those of `store`."""
    options = read(MergeOptions, _native(given), OWN_OF_MERGE)
    defaults = values(MergeOptions())
    problems = [
        Problem(name, value, "must be given in store: it counts for merges too")
        for name, value in values(options).items()
        if name not in OWN_OF_MERGE and value != defaults[name]
    ]
    if problems:
        raise InvalidRequestError(problems)
    return options


def _plain(value: object) -> object:
    """The values of options as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return number(value) if isinstance(value, Decimal) else value


def _own_of_merge(options: MergeOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in OWN_OF_MERGE}


_StoreField: TypeAlias = Annotated[
    StoreOptions,
    PlainValidator(lambda given: read(StoreOptions, _native(given))),
    PlainSerializer(lambda options: _plain(values(options))),
]
_MergeField: TypeAlias = Annotated[
    MergeOptions,
    PlainValidator(_merge_options),
    PlainSerializer(lambda options: _plain(_own_of_merge(options))),
]


def _prefix(value: str) -> str:
    if not value.startswith("s3://") or not value.endswith("/") or value.count("/") < 3:
        raise ValueError("must be s3://bucket/ or s3://bucket/prefix/, with the slash at the end")
    return value


class DomainSettings(Table):
    """What commands of one domain may do."""

    buckets: tuple[Bucket, ...]
    """Destination buckets that they may write to."""
    event_topic: Annotated[OptionalText, Field(min_length=1)] = None
    alarm_topic: Annotated[OptionalText, Field(min_length=1)] = None
    """Where its events and alarms go, unless a token says else; None: as the fallbacks say."""
    callback_url: Annotated[str | None, AfterValidator(web_url("callback_url"))] = None
    """What its callbacks' paths are under: ``https://example.com/calls``. None: it has none."""
    callback_secret: Annotated[Secret | None, AfterValidator(web_secret)] = None
    """What its callbacks are signed with: ``whsec_`` and base64 of 24 to 64 bytes."""
    transcripts: tuple[Annotated[str, AfterValidator(_prefix)], ...] = ()
    """Places under which commands may name transcripts: ``s3://bucket/prefix/``. None at all: they
    may name none."""

    @model_validator(mode="after")
    def _are_callbacks_signed(self) -> DomainSettings:
        url = self.callback_url
        if url is not None and self.callback_secret is None:
            rule = "must be given with callback_url: callbacks are signed"
            raise InvalidRequestError.of("callback_secret", None, rule)
        if url is not None and ("?" in url or "#" in url):
            rule = "must have no query and no fragment: callbacks' paths are added to it"
            raise InvalidRequestError.of("callback_url", url, rule)
        return self


class FallbackSettings(Table):
    """What stands in for claims that a token lacks, and for a queue whose URL has no region."""

    domain: Annotated[OptionalText, Field(min_length=1)] = None
    """Only with `single_tenant`."""
    command_queue: Annotated[OptionalText, Field(min_length=1)] = None
    command_region: Annotated[OptionalText, Field(min_length=1)] = None
    event_topic: Annotated[OptionalText, Field(min_length=1)] = None
    alarm_topic: Annotated[OptionalText, Field(min_length=1)] = None
    temp_bucket: OptionalBucket = None


class StorageSettings(Table):
    """Where buckets are: in a local folder, or in S3."""

    root: Annotated[Path | None, BeforeValidator(_root)] = None
    """A bucket is a folder in it. None: buckets are S3's."""
    mode: Annotated[str, BeforeValidator(_mode)] = "0600"
    """The permissions of files in it, in octal, whatever the umask."""
    endpoint_url: Annotated[str | None, AfterValidator(web_url("endpoint_url"))] = None
    """Of a store that speaks like S3."""
    region: Annotated[OptionalText, Field(min_length=1)] = None
    bucket_owner: Annotated[OptionalText, Field(min_length=1)] = None
    """The account that must own all buckets."""
    request_payer: bool = False
    """Whether this account pays for requests on buckets whose owner does not."""
    dual_layer: bool = False
    """Whether KMS keys that commands name encrypt in two layers (DSSE-KMS)."""

    @property
    def file_mode(self) -> int:
        """The permissions of files in `root`, as a number."""
        return int(self.mode, 8)

    @property
    def s3(self) -> S3Options | None:
        """How S3 is reached; None where nothing is said of it."""
        said = S3Options(
            self.region,
            self.endpoint_url,
            bucket_owner=self.bucket_owner,
            request_payer=self.request_payer,
            dual_layer=self.dual_layer,
        )
        return None if said == S3Options() else said

    @model_validator(mode="after")
    def _is_one_place(self) -> StorageSettings:
        names = ("endpoint_url", "region", "bucket_owner", "request_payer", "dual_layer")
        given = {name: getattr(self, name) for name in names}
        rule = "can't be set together with root: buckets are folders in it, or S3's"
        problems = [Problem(name, value, rule) for name, value in given.items() if value]
        if self.root is not None and problems:
            raise InvalidRequestError(problems)
        return self


class _Variables(EnvSettingsSource):
    """Environment variables; JSON in them is read as all from outside."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:  # noqa: ARG002
        """Return what a variable holds. Raises InvalidRequestError, which is a ValueError."""
        return parse_json(value, field_name)

    def __call__(self) -> dict[str, Any]:
        """Return what variables say. Raises InvalidRequestError for those that would not count."""
        if problems := _variable_problems(os.environ):
            raise InvalidRequestError(problems)
        return super().__call__()


def _variable_problems(environment: Mapping[str, str]) -> list[Problem]:
    """Variables that say the same setting in two cases, or that misspell one.

    Others may be anybody's: Kubernetes names some after its services, with places as values.
    """
    ours = [
        name
        for name, value in sorted(environment.items())
        if name.upper().startswith(PREFIX) and not value.startswith(("tcp://", "udp://"))
    ]
    problems = []
    for name, count in Counter(name.upper() for name in ours).items():
        if count > 1:
            rule = "must be given once: variables count in either case"
            problems.append(Problem(name, HIDDEN, rule))
    known = _variables()
    for name in ours:
        upper = name.upper()
        table = upper.removeprefix(PREFIX).partition("__")[0]
        if upper == FILE_VARIABLE or table.lower() in Settings.model_fields:
            continue
        if meant := misspelt(upper, known):
            problems.append(
                Problem(name, HIDDEN, f"is not a known variable; did you mean {meant}?")
            )
    return problems


@cache
def _variables() -> tuple[str, ...]:
    """The variables of single settings, but of tables whose keys are anybody's."""
    found = []
    for table in Settings.model_fields:
        inside = _TABLES.get(table)
        if table in _OPTIONS:
            paths = (path.replace(".", "__") for path, _ in leaves(_OPTIONS[table]))
            found += [f"{table}__{path}" for path in paths]
        elif inside is None or table == "domains":
            found.append(table)
        else:
            found += [f"{table}__{name}" for name in inside.model_fields]
    return tuple(PREFIX + name.upper() for name in found)


def _why_no_json(error: SettingsError) -> str:
    """What is wrong with a variable; its value may be a secret."""
    rule = f"a table or list must be JSON: {error}"
    if isinstance(error.__cause__, InvalidRequestError):
        rule += "".join(f"; {one.path} {one.rule}" for one in error.__cause__.problems)
    return rule


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
    store: _StoreField = Field(default_factory=StoreOptions)
    """How recordings are edited."""
    merge: _MergeField = Field(default_factory=MergeOptions)
    """How they are merged."""
    record_key: Annotated[Secret | None, Field(min_length=1)] = None
    """Key of the HMACs of custody records, as text of at least 16 bytes."""
    record_key_file: Annotated[Path | None, BeforeValidator(_root)] = None
    """A file with that key, all its bytes but line ends at its end; in place of `record_key`."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = _problems(error)
        except SettingsError as error:  # names field and source, not the value
            problems = [Problem(f"{PREFIX}*", HIDDEN, _why_no_json(error))]
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
        return init_settings, _Variables(settings_cls), file_values

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
            Problem(_path(("domains", name, "callback_url")), domain.callback_url, rule)
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
            raise InvalidRequestError([Problem(f"rest.keys.{_key(n)}", HIDDEN, rule) for n in same])
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
    before = _FILE_VALUES.set(None if chosen is None else _read(os.fspath(chosen)))
    try:
        return Settings()
    finally:
        _FILE_VALUES.reset(before)


def _read(path: str) -> dict[str, Any]:
    if not Path(path).is_file():  # which the library takes for an empty one
        raise StorageError(f"can't read settings {path!r}: it must be a file that is there")
    try:
        # Some editors begin a file with a mark.
        text = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8).decode()
        values: dict[str, Any] = tomllib.loads(text)
    except OSError as error:
        raise StorageError(f"can't read settings {path!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        rule = f"must be TOML: no UTF-8 (at line {line})"
    except ValueError as error:
        rule = f"must be TOML: {error}"
    else:
        return values
    raise InvalidRequestError.of("settings", path, rule)  # not in the handler: that holds the file


_RULES = {
    "dataclass_type": "must be an object",
    "tuple_type": "must be a list",
    "path_type": "must be text",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "dict_type": "must be an object",
    "too_short": "must not be empty",
}
_OPTIONS: dict[str, type[Any]] = {"store": StoreOptions, "merge": MergeOptions}
_TABLES: dict[str, type[BaseModel]] = {
    "domains": DomainSettings,
    "fallbacks": FallbackSettings,
    "storage": StorageSettings,
    "worker": WorkerSettings,
    "callbacks": CallbackSettings,
    "recorder": RecorderSettings,
    "rest": RestSettings,
}


def _problems(error: ValidationError) -> list[Problem]:
    out: dict[str, Problem] = {}
    for one in error.errors():
        loc = _field(one["loc"])
        inner = one.get("ctx", {}).get("error")
        if isinstance(inner, InvalidRequestError):
            for each in inner.problems:
                # A value that names itself in its own messages is not named twice.
                own = loc and each.path.split(".")[0] == loc[-1]
                path = joined_path(_path(loc[:-1] if own else loc), each.path)
                out.setdefault(path, Problem(path, each.value, each.rule))
            continue
        problem = _problem(one["type"], loc, one["input"], one["msg"])
        out[problem.path] = problem
    return list(out.values())


def _problem(kind: str, loc: tuple[int | str, ...], value: object, message: str) -> Problem:
    known = ""
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        kind, value = "extra_forbidden", HIDDEN  # perhaps a misspelt secret
        known = ", ".join(_known(loc))
    elif loc[:2] == ("rest", "keys") or (loc and str(loc[-1]).endswith(("key", "secret"))):
        value = HIDDEN
    elif isinstance(value, (dict, list)):
        value = f"<{type(value).__name__}>"
    rule = message.removeprefix("Value error, ").replace("Input should be", "must be")
    names = tuple(one if isinstance(one, int) else _key(one) for one in loc)
    return field_problem(kind, names, value, _RULES.get(kind, rule), "settings", known)


def _field(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the place of a field, without what pydantic adds about kinds of it."""
    return loc[:-1] if loc[-1:] == ("[key]",) else loc


def _known(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that there are where one is wrong."""
    return [*(_TABLES[str(loc[0])] if loc[1:] else Settings).model_fields]


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(_key(str(one)) for one in loc)


def _key(name: str) -> str:
    """Return a key as TOML writes it: a domain has dots."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
