# SPDX-License-Identifier: Apache-2.0
"""Where the temporary object of a recording is, and whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from audioengine.commands.names import object_key, temp_name
from audioengine.errors import InvalidRequestError, NotAllowedError, StorageError
from audioengine.execution.reply_id import Claims
from audioengine.operations.recording_ids import made_ms
from audioengine.settings import Settings
from audioengine.storage import ObjectPlace, Storage
from audioengine.storage.buckets import Found, Location
from audioengine.times import Number, exact

DOMAIN = "domain"
START_TIME = "start-time-ms"
"""Names of an object's metadata, of temporary objects and of outputs."""

_DAYS = (0, -1, 1)


@dataclass(frozen=True, slots=True)
class Known:
    """What a RECORDINGREADY has told of a recording."""

    domain: str
    start_time_ms: Number | None = None
    """Epoch time, the earliest of its streams."""
    bucket: str | None = None
    key: str | None = None


Resolver: TypeAlias = Callable[[str], Known | None]
"""Tells what is known of a recording by its id; None: nothing."""


def in_ascii(text: str) -> str:
    """Return text as metadata can hold it, be it Unicode or not."""
    return quote(text, safe=" !#$&'()*+,/:;=?@[]~", errors="surrogatepass")


def nothing_known(_recording_id: str) -> None:
    """Resolve nothing: tokens and objects have to tell all."""


def own_locations(
    token: Claims, known: Known | None, start_time_ms: Number | None
) -> list[Location]:
    """Return where the object of the token's own recording may be, the likeliest first.

    Raises InvalidRequestError where nothing tells its bucket or its key.
    """
    bucket = _bucket(token, known)
    if token.temp_key is not None:
        return [Location(bucket, object_key(token.temp_key, "replyId.tempKey"))]
    start = start_time_ms or (known and known.start_time_ms) or _made_ms(token)
    return list(_locations(bucket, token.recording_id, known, start))


def _bucket(token: Claims, known: Known | None) -> str:
    bucket = token.temp_bucket or (known.bucket if known else None)
    if bucket is None:
        rule = "must be in the token, or in the settings' fallbacks as temp_bucket"
        raise InvalidRequestError.of("replyId.tempBucket", None, rule)
    return bucket


def _made_ms(token: Claims) -> Number:
    """When the recording or its token was made: near enough for a date."""
    made = made_ms(token.recording_id)
    if made is not None:
        return int(made)
    if token.iat is not None:
        return int(exact(token.iat, "iat") * 1000)
    rule = "must be in the token: the recordingId does not tell a date"
    raise InvalidRequestError.of("replyId.tempKey", None, rule)


def _locations(
    bucket: str, recording_id: str, known: Known | None, start_time_ms: Number
) -> Iterator[Location]:
    if known is not None and known.key is not None:
        yield Location(known.bucket or bucket, known.key)
        return
    for days in _DAYS:
        yield Location(bucket, temp_name(recording_id, start_time_ms, days))


def found_of(storage: Storage, locations: list[Location]) -> tuple[Location, Found]:
    """Return the first object that is there.

    Raises StorageError where there is none.
    """
    for location in locations:
        found = storage.find(location)
        if found is not None and found.is_hidden:
            message = f"can't read source {str(location)!r}: it is under another key, or denied"
            raise StorageError(message)
        if found is not None:
            return location, found
    names = " or ".join(repr(str(one)) for one in locations)
    raise StorageError(f"can't read source {names}: there is no such object")


def other_place(
    storage: Storage,
    token: Claims,
    recording_id: str,
    start_time_ms: Number,
    known: Known | None,
    settings: Settings,
) -> ObjectPlace:
    """Return where the object of another recording than the token's is.

    Where there is none, the likeliest place, which will tell. The very object that is opened there
    is judged by its own metadata, whatever was there before.

    Raises NotAllowedError, also where the place is opened, where it is another tenant's, or nothing
    proves whose it is.
    """

    def judge(metadata: Mapping[str, str]) -> None:
        for told in _domains(known, metadata) or [None]:
            _check_domain(recording_id, told, token, settings)

    if known is not None:
        judge({})
    bucket = _bucket(token, known)
    locations = list(_locations(bucket, recording_id, known, start_time_ms))
    return ObjectPlace(storage, _likeliest(storage, locations, judge), judge=judge)


def own_place(
    storage: Storage,
    token: Claims,
    known: Known | None,
    start_time_ms: Number | None,
    settings: Settings,
) -> ObjectPlace:
    """Return where the object of the token's own recording is; where there is none, the likeliest.

    It is judged where it is opened, as in `other_place`.

    Raises NotAllowedError where something tells that it is another tenant's.
    """

    def judge(metadata: Mapping[str, str]) -> None:
        check_own(token, known, metadata, settings)

    judge({})
    locations = own_locations(token, known, start_time_ms)
    return ObjectPlace(storage, _likeliest(storage, locations, judge), judge=judge)


def _likeliest(
    storage: Storage, locations: list[Location], judge: Callable[[Mapping[str, str]], None]
) -> Location:
    try:
        location, found = found_of(storage, locations)
    except StorageError as error:
        if error.retryable:
            raise
        return locations[0]
    judge(found.metadata)  # before anything is rendered
    return location


def check_own(
    token: Claims, known: Known | None, metadata: Mapping[str, str], settings: Settings
) -> None:
    """Raise NotAllowedError where something tells that the token's recording is another tenant's.

    known, metadata: what a RECORDINGREADY and the object tell; what both leave out, the token
    proves.
    """
    for told in _domains(known, metadata):
        _check_domain(token.recording_id, told, token, settings)


def _domains(known: Known | None, metadata: Mapping[str, str]) -> list[str | None]:
    """The domains that are told of a recording; one, or else something is wrong."""
    told = [metadata[DOMAIN]] if DOMAIN in metadata else []
    return [*told, *([in_ascii(known.domain)] if known else [])]


def _check_domain(recording_id: str, told: str | None, token: Claims, settings: Settings) -> None:
    """Raise NotAllowedError where a recording is not proven to be of the token's domain."""
    if settings.single_tenant or told == in_ascii(str(token.domain)):
        return
    if told is None:
        message = f"nothing proves that recording {recording_id!r} is of {token.domain!r}: its"
        message += f" object must have the metadata {DOMAIN}, or its RECORDINGREADY be known"
    else:
        message = f"recording {recording_id!r} must be of the token's domain, {token.domain!r}"
    raise NotAllowedError(message)
