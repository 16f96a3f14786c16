# SPDX-License-Identifier: Apache-2.0
"""How tenants are called back, and what records the calls."""

from __future__ import annotations

import binascii
from base64 import b64decode
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, model_validator

from audioengine.commands.wire import OptionalText
from audioengine.errors import InvalidRequestError
from audioengine.settings.table import Bucket, Secret, Table, web_url

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what marks a secret is none

_Seconds: TypeAlias = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


def secret_bytes(secret: SecretStr) -> bytes:
    """Return the key in a secret that `web_secret` has let pass."""
    return b64decode(secret.get_secret_value().removeprefix(_SECRET_PREFIX), validate=True)


def web_secret(secret: SecretStr | None) -> SecretStr | None:
    """Return a secret of Standard Webhooks; raise ValueError where it is none."""
    if secret is None:
        return None
    try:
        size = len(secret_bytes(secret))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.get_secret_value().startswith(_SECRET_PREFIX) or not 24 <= size <= 64:
        raise ValueError(f"must be {_SECRET_PREFIX} and base64 of 24 to 64 bytes")
    return secret


class CallbackSettings(Table):
    """How tenants are called back; where and with which secret is a domain's own."""

    timeout_s: _Seconds = 10.0
    """Of one try, from beginning to end."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Tries at once; what fails them all waits in the outbox."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """Callbacks of a domain at once; those of a recording go out one after another."""
    failures: bool = False
    """Whether tenants are called back too where a store, a merge or a delete has failed."""
    allow_http: bool = False
    """Whether callback_url may begin with http://."""
    ca_file: Path | None = None
    """PEM file of the authorities that may vouch for hosts; None: the usual ones."""
    new_call_timeout_s: _Seconds = 3.0
    """How long a tenant may think about newCall: the call waits."""
    new_call_concurrency: Annotated[int, Field(ge=1)] = 50
    """How often a tenant is asked newCall at once; beyond that, `new_call_default` counts."""
    new_call_default: bool = True
    """Whether a call is recorded where a tenant can't be asked."""


class RecorderSettings(Table):
    """What records the calls: how it proves who it is, and where commands to it go."""

    token_key: Annotated[Secret | None, Field(min_length=32)] = None
    """Key of the tokens (HS256) in its requests; another than that of replyIds."""
    audience: Annotated[str, Field(min_length=1)] = "audioengine-recorder"
    """What these tokens must be for (`aud`)."""
    report_queue: Annotated[OptionalText, Field(min_length=1)] = None
    """URL of the queue where it reports, if it does so."""
    control_url: Annotated[str | None, AfterValidator(web_url("control_url"))] = None
    """Where STOPRECORDING and CANCELRECORDING are POSTed."""
    control_secret: Annotated[Secret | None, AfterValidator(web_secret)] = None
    """What they are signed with, as callbacks are."""
    control_queue: Annotated[OptionalText, Field(min_length=1)] = None
    """URL of a queue where they are put instead."""
    control_timeout_s: _Seconds = 10.0
    temp_buckets: tuple[Bucket, ...] = ()
    """Where it may put recordings beside `fallbacks.temp_bucket`."""
    expires_after_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """How old temporary recordings may be before a sweep deletes them. None: it deletes none."""

    @model_validator(mode="after")
    def _is_control_in_order(self) -> RecorderSettings:
        if self.control_url is not None and self.control_queue is not None:
            rule = "can't be set together with control_url"
            raise InvalidRequestError.of("control_queue", self.control_queue, rule)
        if self.control_url is not None and self.control_secret is None:
            rule = "must be given with control_url: what is sent there is signed"
            raise InvalidRequestError.of("control_secret", None, rule)
        return self
