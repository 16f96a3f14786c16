# SPDX-License-Identifier: Apache-2.0
"""What all tables of the settings have in common, and the kinds of value that several use."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, SecretStr

from audioengine.commands.names import HIDDEN
from audioengine.errors import InvalidRequestError

# A local bucket is a folder's name, and must not lead out of the root.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def _bucket(name: str | None) -> str | None:
    if name is not None and not _BUCKET.fullmatch(name):
        raise ValueError("must be a bucket's name: letters, digits, dots, hyphens, underscores")
    return name


def not_empty(value: object) -> object:
    """Refuse an empty path, which pathlib takes for the working folder."""
    if value == "":
        raise ValueError("must not be empty")
    return value


Bucket: TypeAlias = Annotated[str, AfterValidator(_bucket)]
OptionalBucket: TypeAlias = Annotated[str | None, AfterValidator(_bucket)]

Secret: TypeAlias = Annotated[
    SecretStr, PlainSerializer(lambda _: HIDDEN, return_type=str, when_used="json")
]
"""Shown as `HIDDEN`; in a table its name ends in `key` or `secret`."""


def web_url(field: str) -> Callable[[str | None], str | None]:
    """Return what refuses, in the field of this name, all but URLs that may be shown."""

    def checked(url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        named = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        if not named or not url.isprintable() or " " in url:
            rule = "must be an http:// or https:// URL without a user or password"
            shown = HIDDEN if "@" in url else url  # before an @ may be a password
            raise InvalidRequestError.of(field, shown, rule)
        return url

    return checked


class Table(BaseModel):
    """A table of the settings: frozen, and it knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
