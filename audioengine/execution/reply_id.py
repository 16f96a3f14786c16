# SPDX-License-Identifier: Apache-2.0
"""`replyId`: a signed token (JWT, HS256) that says whose recording it is and where it lies."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import jwt

from audioengine.commands.requests import Command, MergeRecordings
from audioengine.commands.wire import OptionalText, Text, Wire, WireNumber, read_wire
from audioengine.errors import InvalidRequestError, NotAllowedError
from audioengine.execution.addresses import addresses_of
from audioengine.execution.signed_token import MillisecondsError, signed_claims
from audioengine.settings import FallbackSettings, Settings
from audioengine.times import exact

_ALGORITHM = "HS256"
# Clocks of recorder and engine may differ by so much.
_LEEWAY_S = 60

UNREADABLE = (jwt.InvalidTokenError, ArithmeticError, RecursionError, TypeError, ValueError)
"""What reading a hostile token raises; older releases of the library let the last ones through."""

MISMATCH = "recordingId does not match eventId"
"""The reference's text for a token of another recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims(Wire):
    """What a token says, with the settings' fallbacks for what it does not."""

    domain: OptionalText = None
    recording_id: Text
    command_queue: OptionalText = None
    event_topic: OptionalText = None
    alarm_topic: OptionalText = None
    temp_bucket: OptionalText = None
    temp_key: OptionalText = None
    iat: WireNumber | None = None
    """When it was made, in seconds of epoch time."""


def read_token(reply_id: str, settings: Settings) -> Claims:
    """Return what a token says, once its signature and its age are verified.

    Raises NotAllowedError where it proves nothing, InvalidRequestError for claims of wrong types;
    neither shows the token.
    """
    if settings.token_key is None:
        raise NotAllowedError("replyId can't be verified: token_key must be set in the settings")
    key = settings.token_key.get_secret_value()
    try:
        claims = signed_claims(reply_id, key, leeway_s=_LEEWAY_S)
    except MillisecondsError as error:
        raise NotAllowedError(f"replyId.{error}") from None
    except UNREADABLE as error:
        message = f"replyId must be a token signed with this service's key: {error}"
        raise NotAllowedError(message) from None
    try:
        token = read_wire(Claims, claims, "replyId")
    except InvalidRequestError as error:
        # They are signed, so whoever made the token may see them.
        raise InvalidRequestError(
            [replace(one, path=f"replyId.{one.path}") for one in error.problems]
        ) from None
    _check_age(token, settings)
    return _with_fallbacks(token, settings)


def make_token(claims: Claims, settings: Settings) -> str:
    """Return the token that says so; what is None it leaves out.

    Raises NotAllowedError where there is no key to sign it with.
    """
    if settings.token_key is None:
        raise NotAllowedError("replyId can't be made: token_key must be set in the settings")
    key = settings.token_key.get_secret_value()
    return jwt.encode(claims.to_dict(), key, algorithm=_ALGORITHM)


def check_recording(command: Command, token: Claims) -> None:
    """Raise NotAllowedError where a token is of another recording than its command."""
    if isinstance(command, MergeRecordings):
        named = {entry.recording_id for entry in command.to_merge}
    else:
        named = {command.recording_id}
    if token.recording_id not in named:
        raise NotAllowedError(MISMATCH)


def _check_age(token: Claims, settings: Settings) -> None:
    if settings.max_token_age_s is None:
        return
    most = exact(settings.max_token_age_s, "max_token_age_s")
    if token.iat is None:
        raise NotAllowedError("replyId must say when it was made: its age is limited")
    age = exact(time.time(), "now") - exact(token.iat, "iat")
    if age > most + _LEEWAY_S:
        message = f"replyId is {float(age):.0f} s old, {float(most):.0f} s are allowed"
        raise NotAllowedError(message)


def _with_fallbacks(token: Claims, settings: Settings) -> Claims:
    fallbacks = settings.fallbacks
    token = replace(
        token,
        domain=token.domain or fallbacks.domain,
        command_queue=token.command_queue or fallbacks.command_queue,
        temp_bucket=token.temp_bucket or fallbacks.temp_bucket,
    )
    if token.domain is None:
        rule = "must be in the token, or, with single_tenant, in the settings' fallbacks"
        raise InvalidRequestError.of("replyId.domain", None, rule)
    return _addressed(token, settings)


def _addressed(token: Claims, settings: Settings) -> Claims:
    found = addresses_of(
        token.domain, settings, event_topic=token.event_topic, alarm_topic=token.alarm_topic
    )
    return replace(token, event_topic=found.event_topic, alarm_topic=found.alarm_topic)


def unverified(settings: Settings) -> Claims:
    """Return what counts for a command without a valid token: only what the settings say."""
    fallbacks = settings.fallbacks
    claims = Claims(domain=fallbacks.domain, recording_id="", command_queue=fallbacks.command_queue)
    return _addressed(claims, settings)


def region_of(queue: str | None, fallbacks: FallbackSettings) -> str:
    """Return the region of a queue, from its URL's host, else from the settings; "" for none."""
    try:
        host = urlsplit(queue or "").hostname or ""
    except ValueError:
        host = ""
    labels = host.split(".")
    # sqs.eu-west-1.amazonaws.com, and eu-west-1.queue.amazonaws.com as it was once.
    if "amazonaws" in labels and len(labels) >= 4:
        return labels[1] if labels[0] == "sqs" else labels[0]
    return fallbacks.command_region or ""
