# SPDX-License-Identifier: Apache-2.0
"""Where the temporary object of a recording is, and which tenant owns it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from audioengine.commands.names import object_key, temp_name
from audioengine.errors import InvalidRequestError, NoRecordingError, NotAllowedError, StorageError
from audioengine.execution.context import CommandContext, Known
from audioengine.execution.reply_id import Claims
from audioengine.operations.recording_ids import made_ms
from audioengine.storage import ObjectPlace, Source, Storage
from audioengine.storage.buckets import Found, Location
from audioengine.times import Number, exact

DOMAIN = "domain"
START_TIME = "start-time-ms"
RECORDING_ID = "recording-id"
"""Names of an object's metadata, of temporary objects and of outputs."""

_DAYS = (0, -1, 1)


def in_ascii(text: str) -> str:
    """Return text as metadata can hold it, also where it is no valid Unicode."""
    return quote(text, safe=" !#$&'()*+,/:;=?@[]~", errors="surrogatepass")


def own_locations(
    token: Claims, known: Known | None, start_time_ms: Number | None
) -> list[Location]:
    """Return where the object of the token's own recording may be, the likeliest place first.

    Raises InvalidRequestError where neither token nor settings say its bucket or its key.
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
    """Return when the recording or its token was made, near enough for a date."""
    made = made_ms(token.recording_id)
    if made is not None:
        return int(made)
    if token.iat is not None:
        return int(exact(token.iat, "iat") * 1000)
    rule = "must be in the token: the recordingId contains no date"
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
    """The object of a recording, whose owner is checked by its metadata when it is opened.

    A missing object and another domain's both raise NoRecordingError; `why` says which it was.
    """

    __slots__ = ("_recording", "why")
    _recording: tuple[str, str]
    why: str | None
    """Why it could not be opened; for the operator only."""

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


def found_of(context: CommandContext, locations: list[Location]) -> tuple[Location, Found]:
    """Return the first existing object of the token's own recording.

    Raises NoRecordingError where there is none.
    """
    try:
        return _first(context.storage, locations)
    except StorageError as error:
        if error.retryable:
            raise
        raise NoRecordingError(context.token.recording_id, context.domain) from error


def _first(storage: Storage, locations: list[Location]) -> tuple[Location, Found]:
    for location in locations:
        found = storage.find(location)
        if found is not None and found.is_hidden:
            message = f"can't read source {str(location)!r}: it is under another key, or denied"
            raise StorageError(message)
        if found is not None:
            return location, found
    names = " or ".join(repr(str(location)) for location in locations)
    raise StorageError(f"can't read source {names}: there is no such object")


def other_place(
    context: CommandContext, recording_id: str, start_time_ms: Number, known: Known | None
) -> RecordingPlace:
    """Return the place of another recording than the token's; if it has no object, the likeliest.

    The very object that is opened there must be proven to belong to the token's domain.
    """

    def judge(metadata: Mapping[str, str]) -> None:
        for owner in _owners(known, metadata) or [None]:
            _check_owner(recording_id, owner, context)
        _check_id(recording_id, metadata, context)

    bucket = _bucket(context.token, known)
    locations = list(_locations(bucket, recording_id, known, start_time_ms))
    return _place(context, locations, judge, recording_id)


def own_place(
    context: CommandContext, known: Known | None, start_time_ms: Number | None
) -> RecordingPlace:
    """Return the place of the token's own recording; if it has no object, the likeliest.

    Nothing may say that the very object that is opened there is another tenant's.
    """

    def judge(metadata: Mapping[str, str]) -> None:
        check_own(context, known, metadata)

    locations = own_locations(context.token, known, start_time_ms)
    return _place(context, locations, judge, context.token.recording_id)


def _place(
    context: CommandContext,
    locations: list[Location],
    judge: Callable[[Mapping[str, str]], None],
    recording_id: str,
) -> RecordingPlace:
    location = _likeliest(context.storage, locations)
    return RecordingPlace(context.storage, location, judge, recording_id, context.domain)


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


def check_own(context: CommandContext, known: Known | None, metadata: Mapping[str, str]) -> None:
    """Raise NoRecordingError if something says that the token's recording is another tenant's.

    known, metadata: what a RECORDINGREADY event and the object say; where both are silent, the
    token is proof enough.
    """
    recording_id = context.token.recording_id
    for owner in _owners(known, metadata):
        _check_owner(recording_id, owner, context)
    _check_id(recording_id, metadata, context)


def _check_id(recording_id: str, metadata: Mapping[str, str], context: CommandContext) -> None:
    """Raise NoRecordingError if an object says that it is another recording."""
    if is_of_another(recording_id, metadata):
        other = metadata[RECORDING_ID]
        message = f"the object of recording {recording_id!r} says that it is of {other!r}"
        raise NoRecordingError(recording_id, context.domain) from NotAllowedError(message)


def is_of_another(recording_id: str, metadata: Mapping[str, str]) -> bool:
    """Whether an object says that it is another recording."""
    return metadata.get(RECORDING_ID) not in (None, in_ascii(recording_id))


def _owners(known: Known | None, metadata: Mapping[str, str]) -> list[str | None]:
    """Return the domains that object and event name; if they differ, something is wrong."""
    named = [metadata[DOMAIN]] if DOMAIN in metadata else []
    return [*named, *([in_ascii(known.domain)] if known else [])]


def _check_owner(recording_id: str, owner: str | None, context: CommandContext) -> None:
    """Raise NoRecordingError if a recording is not proven to belong to the token's domain."""
    domain = context.domain
    if context.settings.single_tenant or owner == in_ascii(domain):
        return
    if owner is None:
        message = f"nothing proves that recording {recording_id!r} is of {domain!r}: its"
        message += f" object must have the metadata {DOMAIN}, or its RECORDINGREADY be known"
    else:
        message = f"recording {recording_id!r} is of {owner!r}, the token of {domain!r}"
    raise NoRecordingError(recording_id, domain) from NotAllowedError(message)
