# SPDX-License-Identifier: Apache-2.0
"""Names and keys that commands carry: which are right, and what they are where none is given."""

from __future__ import annotations

import binascii
import re
import unicodedata
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

from pydantic import SecretStr

from audioengine.edits import Dialect
from audioengine.errors import InvalidRequestError, Problem
from audioengine.times import MAX_EPOCH_MS, MIN_EPOCH_MS, Number, exact

HIDDEN = "***"
"""What stands in place of a secret."""

OWN_PREFIX = ".audioengine/"
"""What the engine itself keeps in a bucket begins so; no command can name it."""

_MAX_KEY_BYTES = 1024

_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ALIAS = "alias/[A-Za-z0-9/_-]{1,256}"
_ARN = re.compile(
    r"arn:aws[a-z-]*:kms:(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]+):[0-9]{12}:"
    rf"(?:key/[A-Za-z0-9-]{{1,256}}|{_ALIAS})",
    re.ASCII,
)
_KEY_ID = re.compile(rf"{_UUID}|mrk-[0-9a-f]{{32}}|{_ALIAS}", re.ASCII)
_BASE64_OF_32_BYTES = 44


@dataclass(frozen=True, slots=True)
class KmsKey:
    """A key that a key management service holds (SSE-KMS); no secret."""

    key_id: str
    """Its ARN, alias or id, as the command has it."""
    region: str | None
    """Of an ARN."""


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A key that comes with the request (SSE-C)."""

    material: bytes = field(repr=False)
    """32 bytes, secret."""


EncryptionKey: TypeAlias = KmsKey | CustomerKey


def kms_key(text: str) -> KmsKey | None:
    """Return the key that a text names; None where it names none, and may be a secret."""
    arn = _ARN.fullmatch(text)
    if arn is not None:
        return KmsKey(text, arn["region"])
    return KmsKey(text, None) if _KEY_ID.fullmatch(text) else None


def encryption_key(
    text: SecretStr | None, destination_region: str | None = None
) -> EncryptionKey | None:
    """Return the key that `encryptionKey` of a command stands for; None for None.

    Raises InvalidRequestError, which never shows what may be a secret, for anything but a KMS key
    or base64 of exactly 32 bytes, and where an ARN is of another region.
    """
    if text is None:
        return None
    named = kms_key(text.get_secret_value())
    if named is None:
        return CustomerKey(_material(text.get_secret_value()))
    if named.region is not None and destination_region not in (None, named.region):
        rule = f"must be of the destinationRegion, {destination_region}"
        raise InvalidRequestError.of("encryptionKey", named.key_id, rule)
    return named


def _material(text: str) -> bytes:
    try:
        material = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if len(material) != 32 or len(text) != _BASE64_OF_32_BYTES:
        rule = "must be the ARN, alias or id of a KMS key, or base64 of exactly 32 bytes"
        raise InvalidRequestError.of("encryptionKey", HIDDEN, rule)
    return material


def object_key(name: str, path: str = "fileName") -> str:
    """Return `name`, which is right as the key of an object.

    Raises InvalidRequestError with every rule that it breaks; `path` names the field there.
    """
    rules = []
    if not name or name.endswith("/"):
        rules.append("must not be empty, nor end in a slash")
    if name.startswith("/"):
        rules.append("must not begin with a slash")
    if name.lower().startswith(OWN_PREFIX):  # some file systems ignore case
        rules.append(f"must not begin with {OWN_PREFIX}, which is the engine's own")
    if {".", ".."} & set(name.split("/")):
        rules.append("must have no segment . or ..")
    categories = {unicodedata.category(character) for character in name}
    if "Cc" in categories:
        rules.append("must have no control characters")
    if "Cs" in categories:
        rules.append("must be Unicode text")
    elif len(name.encode()) > _MAX_KEY_BYTES:
        rules.append(f"must have at most {_MAX_KEY_BYTES} bytes of UTF-8")
    if rules:
        raise InvalidRequestError([Problem(path, name, rule) for rule in rules])
    return name


def default_store_name(recording_id: str, temp_key: str, dialect: Dialect) -> str:
    """Return the key of a stored recording where its command gives none.

    Raises InvalidRequestError where the id or the key of the temp object can't name a file.
    """
    if dialect == "rest":
        return object_key(temp_key.rpartition("/")[2], "tempKey")
    return object_key(f"{_in_a_name(recording_id)}.mp3", "recordingId")


def temp_name(recording_id: str, start_time_ms: Number, days: int = 0) -> str:
    """Return the key that the temp object of a recording usually has.

    days: how many days off its date is; the recorder's day may not be that of the start.

    Raises InvalidRequestError where the id can't name a file or the time is no epoch time.
    """
    return _dated(recording_id, start_time_ms, ".mp3", days)


def default_merge_name(recording_id: str, start_time_ms: Number) -> str:
    """Return the key of a merge where its command gives none; both are of the earliest recording.

    Raises InvalidRequestError where the id can't name a file or the time is no epoch time.
    """
    return _dated(recording_id, start_time_ms, "-merged.mp3")


def _dated(recording_id: str, start_time_ms: Number, ending: str, days: int = 0) -> str:
    time = exact(start_time_ms, "startTime")
    if not MIN_EPOCH_MS < time < MAX_EPOCH_MS:
        raise InvalidRequestError.of("startTime", start_time_ms, "must be epoch milliseconds")
    start = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=int(time), days=days)
    return object_key(f"{start:%y%m%d}-{_in_a_name(recording_id)}{ending}", "recordingId")


def _in_a_name(recording_id: str) -> str:
    if "/" in recording_id:
        rule = "must have no slash where it names a file"
        raise InvalidRequestError.of("recordingId", recording_id, rule)
    return recording_id
