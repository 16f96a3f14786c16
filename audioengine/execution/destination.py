# SPDX-License-Identifier: Apache-2.0
"""Where a command's output goes: whether it may, under which name, and what it replaces."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from fractions import Fraction

from audioengine.commands.names import (
    CustomerKey,
    EncryptionKey,
    KmsKey,
    default_merge_name,
    default_store_name,
    encryption_key,
    object_key,
)
from audioengine.commands.requests import (
    CancelRecording,
    DeleteRecording,
    MergeRecordings,
    StopRecording,
    StoreRecording,
)
from audioengine.errors import InvalidRequestError, NotAllowedError
from audioengine.execution.command_digest import COMMAND_DIGEST, command_digest
from audioengine.execution.context import CommandContext, Known, Resolver
from audioengine.execution.outcome import Result
from audioengine.execution.reply_id import Claims
from audioengine.execution.temporary_objects import (
    DOMAIN,
    START_TIME,
    in_ascii,
    own_locations,
)
from audioengine.settings import Settings
from audioengine.storage import ObjectPlace, S3Options, Storage
from audioengine.storage.buckets import Found, Location
from audioengine.times import plain

_MOST_SUFFIXES = 1000


@dataclass(frozen=True, slots=True)
class Destination:
    """An output's place, and what is there before it."""

    location: Location
    options: S3Options
    """Region, keys, and the metadata known beforehand."""
    digest: str
    """Of the command."""
    before: Found | None
    """The object that it replaces, if any."""
    is_done: bool
    """Whether that object is this command's own result."""

    def place(self, storage: Storage, start_ms: Fraction | None) -> ObjectPlace:
        """Return the place to write to; its metadata says when the output begins, if known."""
        metadata = dict(self.options.metadata)
        if start_ms is not None:
            metadata[START_TIME] = plain(start_ms)
        return ObjectPlace(storage, self.location, replace(self.options, metadata=metadata))


@dataclass(frozen=True, slots=True)
class Asked:
    """An output as its command asks for it."""

    location: Location
    key: EncryptionKey | None
    digest: str
    """Of the command."""


def asked_of(
    command: StoreRecording | MergeRecordings,
    token: Claims,
    known: Known | None,
    settings: Settings,
) -> Asked:
    """Return what a command asks for; without a `fileName` the output has its default name.

    Raises InvalidRequestError for an invalid name or key.
    """
    name = command.file_name
    if name is None:
        name = _default_name(command, token, known)
    location = Location(command.destination_bucket, object_key(name))
    key = encryption_key(command.encryption_key, command.destination_region)
    digest = command_digest(command, str(token.domain), location, key, settings)
    return Asked(location, key, digest)


def digest_of(command: object, token: Claims, resolver: Resolver, settings: Settings) -> str | None:
    """Return the digest of a command, even of a wrong one; None where it can't be computed."""
    if not token.recording_id:
        return None  # without a valid token nothing that the command says counts
    try:
        if isinstance(command, (DeleteRecording, StopRecording, CancelRecording)):
            return command_digest(command, str(token.domain), None, None, settings)
        if isinstance(command, (StoreRecording, MergeRecordings)):
            known = resolver(str(token.domain), token.recording_id)
            return asked_of(command, token, known, settings).digest
    except Exception:  # noqa: BLE001 - also a resolver's own: the failure itself is what counts
        return None
    return None


def _default_name(
    command: StoreRecording | MergeRecordings, token: Claims, known: Known | None
) -> str:
    if isinstance(command, MergeRecordings):
        return default_merge_name(command.first.recording_id, command.first.start_time_ms)
    temporary = own_locations(token, known, command.start_time_ms)[0].key
    return default_store_name(command.recording_id, temporary, command.dialect)


def check_bucket(
    command: StoreRecording | MergeRecordings, token: Claims, settings: Settings
) -> None:
    """Raise NotAllowedError where a domain may not write to the bucket of its command."""
    domain = str(token.domain)
    bucket = command.destination_bucket
    allowed = settings.domains.get(domain)
    if allowed is None or bucket not in allowed.buckets:
        names = ", ".join(allowed.buckets) if allowed else "none"
        rule = f"must be one that {domain!r} may write to: {names}"
        raise NotAllowedError(f"destinationBucket = {bucket!r}: {rule}")


def destination_of(
    command: StoreRecording | MergeRecordings, known: Known | None, context: CommandContext
) -> Destination:
    """Return where the output of a command goes.

    Raises NotAllowedError for a bucket that the domain may not write to, InvalidRequestError for an
    invalid name or key, and for another object under the name where the settings refuse that.
    """
    check_bucket(command, context.token, context.settings)
    asked = asked_of(command, context.token, known, context.settings)
    metadata = {COMMAND_DIGEST: asked.digest, DOMAIN: in_ascii(context.domain)}
    options = _options(asked.key, command.destination_region, metadata)
    location, before, is_done = _free(asked, options, context)
    # Another writer may take the name before this output is written; then the destination is judged
    # anew. A store that gives no ETag gives nothing to compare with.
    etag = None if before is None else before.etag or None
    options = replace(options, only_new=before is None, replaces=etag)
    return Destination(location, options, asked.digest, before, is_done)


def _options(key: EncryptionKey | None, region: str | None, metadata: dict[str, str]) -> S3Options:
    return S3Options(
        region=region,
        kms_key=key.key_id if isinstance(key, KmsKey) else None,
        customer_key=key.material if isinstance(key, CustomerKey) else None,
        metadata=metadata,
    )


def _free(
    asked: Asked, options: S3Options, context: CommandContext
) -> tuple[Location, Found | None, bool]:
    """Return the place asked for or, where another object must stay, one with a suffix."""
    bucket, key = asked.location.bucket, asked.location.key
    stem, dot, ending = key.rpartition(".")
    if not dot or "/" in ending:
        stem, dot, ending = key, "", ""
    existing = context.settings.existing
    for number in range(_MOST_SUFFIXES):
        suffix = f"-{number}" if number else ""
        location = Location(bucket, object_key(f"{stem}{suffix}{dot}{ending}"))
        found = context.storage.find(location, options)
        if found is None:
            return location, None, False
        if found.metadata.get(COMMAND_DIGEST) == asked.digest:
            return location, found, True
        if existing == "overwrite":
            _check_replaced(location, found, options, context.settings)
            return location, found, False
        if existing == "refuse":
            raise _taken(key)
    rule = f"must be another name: there are {_MOST_SUFFIXES} objects of this one with a suffix"
    raise InvalidRequestError.of("fileName", key, rule)


def _taken(key: str) -> InvalidRequestError:
    rule = "must be another name: an object has this one, and may not be replaced"
    return InvalidRequestError.of("fileName", key, rule)


def _check_replaced(
    location: Location, found: Found, options: S3Options, settings: Settings
) -> None:
    """Raise NotAllowedError where an object says that it is another tenant's.

    Its message says no more than that the name is taken.
    """
    owner = found.metadata.get(DOMAIN)
    if owner not in (None, options.metadata[DOMAIN]) and not settings.single_tenant:
        raise NotAllowedError(str(_taken(location.key)))


def refuse_over(destination: Destination, temporary: Collection[Location]) -> None:
    """Raise InvalidRequestError where an output would replace what it is made of."""
    if destination.location in temporary:
        rule = "must not be the recording's own temporary object"
        raise InvalidRequestError.of("fileName", destination.location.key, rule)


def repeated(destination: Destination, context: CommandContext) -> Result:
    """Return the result of a command whose output exists already."""
    # An earlier attempt that was killed between writing and purging left the versions.
    older = versions_before(destination, context) if context.settings.purge_versions else ()
    return Result(
        location=destination.location,
        digest=destination.digest,
        is_repeated=True,
        versions_before=older,
    )


def versions_before(destination: Destination, context: CommandContext) -> tuple[str, ...]:
    """Return the versions that an overwrite left behind; purge them if the settings say so."""
    before, purges = destination.before, context.settings.purge_versions
    kept = before is not None and (before.version is not None or before.is_hidden)
    if not kept and not purges:
        return ()
    older = context.storage.versions(destination.location)[1:]
    if purges:
        context.storage.delete(destination.location, older)
    return older
