# SPDX-License-Identifier: Apache-2.0
"""How objects in S3 are reached and encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True, slots=True)
class S3Options:
    """What a place in S3 takes beyond its name; by default all is the environment's."""

    region: str | None = None
    endpoint_url: str | None = None
    """Of a store that speaks like S3."""
    kms_key: str | None = None
    """ARN, alias or id of the KMS key to encrypt an output with (SSE-KMS, with bucket keys)."""
    dual_layer: bool = False
    """Whether a KMS key encrypts in two layers (DSSE-KMS), which knows no bucket keys."""
    customer_key: bytes | None = field(default=None, repr=False)
    """32 bytes to encrypt an output with, and to read a source with (SSE-C)."""
    bucket_owner: str | None = None
    """The account that must own the bucket."""
    request_payer: bool = False
    """Whether who asks pays for requests on a bucket whose owner does not (requester pays)."""
    session: boto3.Session | None = field(default=None, repr=False)
    """Where credentials come from, and the region where none is given. It stays in this process: a
    batch takes none. None: boto3's usual chain."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of an output."""
    version: str | None = None
    """Of a source, in a bucket that keeps versions; None: the latest."""
    only_new: bool = False
    """Whether an output must not replace any object: one that has come meanwhile is an error
    that may pass. A store that knows no If-None-Match replaces it."""
    replaces: str | None = None
    """The ETag of the one object that an output may replace; where that is gone or is another one,
    it is an error that may pass. None: any, or with `only_new` none."""
    aborts_since: float | None = None
    """In epoch seconds: before an output is sent in parts, uploads of its key that have begun since
    and not ended are aborted, as left by a process that was killed. None: they are let alone."""

    @property
    def is_conditional(self) -> bool:
        """Whether an output may find that it must not be written."""
        return self.only_new or self.replaces is not None

    @property
    def request_arguments(self) -> dict[str, Any]:
        """For any request."""
        owner = {"ExpectedBucketOwner": self.bucket_owner} if self.bucket_owner else {}
        return {**owner, **({"RequestPayer": "requester"} if self.request_payer else {})}

    @property
    def condition_arguments(self) -> dict[str, Any]:
        """For the request that lets an output appear."""
        if self.only_new:
            return {"IfNoneMatch": "*"}
        # Without quotes, as AWS shows it: Ceph 16 compares what it gets, and would find no match.
        return {} if self.replaces is None else {"IfMatch": self.replaces.strip('"')}

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
        """For writing an object, with its bucket's key: fewer requests to KMS."""
        if self.kms_key is None:
            return {}
        named = {"ServerSideEncryption": self.encryption, "SSEKMSKeyId": self.kms_key}
        return named if self.dual_layer else {**named, "BucketKeyEnabled": True}

    @property
    def encryption(self) -> str | None:
        """How the store says that an output is encrypted; None: as its bucket does."""
        if self.kms_key is None:
            return None
        return "aws:kms:dsse" if self.dual_layer else "aws:kms"
