# SPDX-License-Identifier: Apache-2.0
"""The options for reaching and encrypting objects in S3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach and encrypt an object in S3; defaults come from the environment."""

    region: str | None = None
    endpoint_url: str | None = None
    """The endpoint of an S3-compatible store."""
    kms_key: str | None = None
    """ARN, alias or id of the KMS key to encrypt an output with (SSE-KMS, with bucket keys)."""
    dual_layer: bool = False
    """Whether a KMS key encrypts in two layers (DSSE-KMS), which has no bucket keys."""
    customer_key: bytes | None = field(default=None, repr=False)
    """32 bytes to encrypt an output with, and to read a source with (SSE-C)."""
    bucket_owner: str | None = None
    """The account that must own the bucket."""
    request_payer: bool = False
    """Whether the requester pays for requests on the bucket (requester pays)."""
    session: boto3.Session | None = field(default=None, repr=False)
    """The source of credentials, and of the region if none is given. It can't be sent to another
    process, so a batch refuses it. None: boto3's usual chain."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The metadata of an output."""
    version: str | None = None
    """The version of a source, in a versioned bucket; None: the latest."""
    only_new: bool = False
    """Whether an output must not replace any object: an object created in the meantime is a
    retryable error. A store without If-None-Match replaces it."""
    replaces: str | None = None
    """The ETag of the only object that an output may replace; a missing or different object is a
    retryable error. None: any object, or none with `only_new`."""
    aborts_since: float | None = None
    """In epoch seconds: before an output is sent in parts, unfinished uploads of its key that began
    since then are aborted, as leftovers of a killed process. None: they are kept."""

    @property
    def is_conditional(self) -> bool:
        """Whether writing an output depends on the object that it replaces."""
        return self.only_new or self.replaces is not None

    @property
    def request_arguments(self) -> dict[str, Any]:
        """The arguments of all requests."""
        owner = {"ExpectedBucketOwner": self.bucket_owner} if self.bucket_owner else {}
        return {**owner, **({"RequestPayer": "requester"} if self.request_payer else {})}

    @property
    def condition_arguments(self) -> dict[str, Any]:
        """The arguments of the request that makes an output appear."""
        if self.only_new:
            return {"IfNoneMatch": "*"}
        # Without quotes, as AWS shows it: Ceph 16 compares the text and would find no match.
        return {} if self.replaces is None else {"IfMatch": self.replaces.strip('"')}

    @property
    def version_arguments(self) -> dict[str, Any]:
        """The arguments for reading an object."""
        return {"VersionId": self.version} if self.version else {}

    @property
    def customer_key_arguments(self) -> dict[str, Any]:
        """The arguments of all requests on an object under a customer key."""
        if self.customer_key is None:
            return {}
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self.customer_key}

    @property
    def encryption_arguments(self) -> dict[str, Any]:
        """The arguments for writing an object; bucket keys save requests to KMS."""
        if self.kms_key is None:
            return {}
        named = {"ServerSideEncryption": self.encryption, "SSEKMSKeyId": self.kms_key}
        return named if self.dual_layer else {**named, "BucketKeyEnabled": True}

    @property
    def encryption(self) -> str | None:
        """The store's word for an output's encryption; None: the bucket's default."""
        if self.kms_key is None:
            return None
        return "aws:kms:dsse" if self.dual_layer else "aws:kms"
