# SPDX-License-Identifier: Apache-2.0
"""Where the temporary object of a recording is, and whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from audioengine.commands.names import object_key, temp_name
from audioengine.errors import InvalidRequestError, NoRecordingError, NotAllowedError, StorageError
from audioengine.execution.reply_id import Claims
from audioengine.operations.recording_ids import made_ms
from audioengine.settings import Settings
from audioengine.storage import ObjectPlace, Source, Storage
from audioengine.storage.buckets import Found, Location
from audioengine.times import Number, exact

DOMAIN = "domain"
START_TIME = "start-time-ms"
RECORDING_ID = "recording-id"
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


Resolver: TypeAlias = Callable[[str, str], Known | None]
"""Tells what is known of a recording by its domain and its id; None: nothing."""


def in_ascii(text: str) -> str:
    """Return text as metadata can hold it, be it Unicode or not."""
    return quote(text, safe=" !#$&'()*+,/:;=?@[]~", errors="surrogatepass")


def nothing_known(_domain: str, _recording_id: str) -> None:
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


class RecordingPlace(ObjectPlace):
    """The object of a recording, judged by its own metadata when it is opened.

    Where there is none, or it is not its domain's, NoRecordingError says so then; `why` says which.
    """

    __slots__ = ("_recording", "why")
    _recording: tuple[str, str]
    why: str | None
    """Why it could not be opened; for the operator alone."""

    def __init__(
        self,
        storage: Storage,
        location: Location,
        judge: Callable[[Mapping[str, str]], None],
        recording_id: str,
        domain: str,
    ) -> None:
        super().__init__(storage, location, judge=judge)
        object.__setattr__(self, "_recording", (recording_id, domain))
        object.__setattr__(self, "why", None)

    def source(self) -> Source:
        """Open it for reading."""
        try:
            return super().source()
        except NoRecordingError as error:
            object.__setattr__(self, "why", str(error.__cause__))
            raise
        except StorageError as error:
            found = None if error.retryable else self.storage.find(self.location)
            if error.retryable or (found is not None and not found.is_hidden):
                raise
            object.__setattr__(self, "why", str(error))
            raise NoRecordingError(*self._recording) from error


def found_of(storage: Storage, locations: list[Location], token: Claims) -> tuple[Location, Found]:
    """Return the first object of the token's own recording that is there.

    Raises NoRecordingError where there is none.
    """
    try:
        return _first(storage, locations)
    except StorageError as error:
        if error.retryable:
            raise
        raise NoRecordingError(token.recording_id, str(token.domain)) from error


def _first(storage: Storage, locations: list[Location]) -> tuple[Location, Found]:
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
) -> RecordingPlace:
    """Return where the object of another recording than the token's is.

    Where there is none, the likeliest place. The very object that is opened there must be proven to
    be of the token's domain.
    """

    def judge(metadata: Mapping[str, str]) -> None:
        for told in _domains(known, metadata) or [None]:
            _check_domain(recording_id, told, token, settings)
        _check_id(recording_id, metadata, token)

    bucket = _bucket(token, known)
    locations = list(_locations(bucket, recording_id, known, start_time_ms))
    location = _likeliest(storage, locations)
    return RecordingPlace(storage, location, judge, recording_id, str(token.domain))


def own_place(
    storage: Storage,
    token: Claims,
    known: Known | None,
    start_time_ms: Number | None,
    settings: Settings,
) -> RecordingPlace:
    """Return where the object of the token's own recording is; where there is none, the likeliest.

    Nothing may tell that the very object that is opened there is another tenant's.
    """

    def judge(metadata: Mapping[str, str]) -> None:
        check_own(token, known, metadata, settings)

    location = _likeliest(storage, own_locations(token, known, start_time_ms))
    return RecordingPlace(storage, location, judge, token.recording_id, str(token.domain))


def _likeliest(storage: Storage, locations: list[Location]) -> Location:
    if len(locations) == 1:
        return locations[0]
    try:
        location, _ = _first(storage, locations)
    except StorageError as error:
        if error.retryable:
            raise
        return locations[0]
    return location


def check_own(
    token: Claims, known: Known | None, metadata: Mapping[str, str], settings: Settings
) -> None:
    """Raise NoRecordingError where something tells that the token's recording is another tenant's.

    known, metadata: what a RECORDINGREADY and the object tell; what both leave out, the token
    proves.
    """
    for told in _domains(known, metadata):
        _check_domain(token.recording_id, told, token, settings)
    _check_id(token.recording_id, metadata, token)


def _check_id(recording_id: str, metadata: Mapping[str, str], token: Claims) -> None:
    """Raise NoRecordingError where an object says that it is another recording."""
    if is_of_another(recording_id, metadata):
        told = metadata[RECORDING_ID]
        message = f"the object of recording {recording_id!r} says that it is of {told!r}"
        raise NoRecordingError(recording_id, str(token.domain)) from NotAllowedError(message)


def is_of_another(recording_id: str, metadata: Mapping[str, str]) -> bool:
    """Whether an object says that it is another recording than that of an id."""
    return metadata.get(RECORDING_ID) not in (None, in_ascii(recording_id))


def _domains(known: Known | None, metadata: Mapping[str, str]) -> list[str | None]:
    """The domains that are told of a recording; one, or else something is wrong."""
    told = [metadata[DOMAIN]] if DOMAIN in metadata else []
    return [*told, *([in_ascii(known.domain)] if known else [])]


def _check_domain(recording_id: str, told: str | None, token: Claims, settings: Settings) -> None:
    """Raise NoRecordingError where a recording is not proven to be of the token's domain."""
    if settings.single_tenant or told == in_ascii(str(token.domain)):
        return
    if told is None:
        message = f"nothing proves that recording {recording_id!r} is of {token.domain!r}: its"
        message += f" object must have the metadata {DOMAIN}, or its RECORDINGREADY be known"
    else:
        message = f"recording {recording_id!r} is of {told!r}, the token of {token.domain!r}"
    raise NoRecordingError(recording_id, str(token.domain)) from NotAllowedError(message)
