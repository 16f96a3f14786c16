# SPDX-License-Identifier: Apache-2.0
"""How objects in S3 are reached and encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class S3Options:
    """What a place in S3 takes beyond its name; by default all is the environment's."""

    region: str | None = None
    endpoint_url: str | None = None
    """Of a store that speaks like S3."""
    kms_key: str | None = None
    """ARN, alias or id of the KMS key to encrypt an output with (SSE-KMS, with bucket keys)."""
    customer_key: bytes | None = field(default=None, repr=False)
    """32 bytes to encrypt an output with, and to read a source with (SSE-C)."""
    bucket_owner: str | None = None
    """The account that must own the bucket."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of an output."""
    version: str | None = None
    """Of a source, in a bucket that keeps versions; None: the latest."""
    only_new: bool = False
    """Whether an output must not replace an object that has come meanwhile; a store that can't tell
    replaces it. Of a copy and of what is sent in parts, S3 can't."""
    aborts_since: float | None = None
    """In epoch seconds: before an output is sent in parts, uploads of its key that have begun since
    and not ended are aborted, as left by a process that was killed. None: they are let alone."""

    @property
    def owner_arguments(self) -> dict[str, Any]:
        """For any request."""
        return {"ExpectedBucketOwner": self.bucket_owner} if self.bucket_owner else {}

    @property
    def version_arguments(self) -> dict[str, Any]:
        """For reading an object."""
        return {"VersionId": self.version} if self.version else {}

    @property
    def customer_key_arguments(self) -> dict[str, Any]:
        """For any request on an object under a customer's key."""
        if self.customer_key is None:
            return {}
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self.customer_key}

    @property
    def encryption_arguments(self) -> dict[str, Any]:
        """For writing an object; that a bucket key is used is added where the client is made."""
        if self.kms_key is None:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}
