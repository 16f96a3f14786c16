# SPDX-License-Identifier: Apache-2.0
"""What commands of one domain may do, and what stands in for what their tokens lack."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from audioengine.commands.wire import OptionalText
from audioengine.errors import InvalidRequestError
from audioengine.settings.recorder import web_secret
from audioengine.settings.table import Bucket, OptionalBucket, Secret, Table, web_url


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
