# SPDX-License-Identifier: Apache-2.0
"""Names in S3: buckets, access points that stand for them, and what else has an ARN."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
import urllib3
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.storage import s3_client
from audioengine.storage.buckets import Found, Location
from audioengine.storage.listing import bucket_and_prefix
from audioengine.storage.s3_storage import S3Storage

POINT = "arn:aws:s3:eu-west-1:111122223333:accesspoint/calls"
OUTPOST = "arn:aws:s3-outposts:eu-west-1:111122223333:outpost/op-01/accesspoint/calls"
LAMBDA = "arn:aws:s3-object-lambda:eu-west-1:111122223333:accesspoint/masking"
MULTI = "arn:aws:s3::111122223333:accesspoint/m1n2.mrap"


@given(
    arn=st.sampled_from((POINT, OUTPOST, POINT.replace("aws", "aws-cn"), POINT.replace("/", ":"))),
    key=st.text(min_size=1),
)
def test_an_access_point_stands_for_its_bucket(arn: str, key: str) -> None:
    location = Location.parse(f"s3://{arn}/{key}", "source")
    assert (location.bucket, location.key) == (arn, key)
    assert str(location) == f"s3://{arn}/{key}"
    assert bucket_and_prefix(f"s3://{arn}/{key}", "source") == (arn, key)


@pytest.mark.parametrize(
    ("arn", "told"),
    [
        (LAMBDA, "must not be an object Lambda access point"),
        (MULTI, "must not be a multi-region access point"),
        ("arn:aws:s3:::bucket", "ARN of an access point"),
        ("arn:aws:s3:eu-west-1:1:accesspoint/calls", "ARN of an access point"),
        ("arn:", "ARN of an access point"),
    ],
)
def test_what_else_has_an_arn_is_refused_by_name(arn: str, told: str) -> None:
    for read in (Location.parse, bucket_and_prefix):
        with pytest.raises(ae.InvalidRequestError, match=told) as caught:
            read(f"s3://{arn}/calls/in.mp3", "source")
        assert caught.value.problems[0].path == "source"


@pytest.mark.parametrize(
    "place", ["s3://", "s3://bucket", "s3://bucket/", f"s3://{POINT}", "s3:///a"]
)
def test_a_place_needs_a_bucket_and_a_key(place: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match="s3://bucket/key"):
        Location.parse(place, "source")


def test_an_access_point_is_asked_itself(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its own region, whatever the environment's is."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    options = ae.S3Options(session=session)
    storage = S3Storage(options)
    asked: list[Any] = []

    def answer(request: Any, **_: object) -> Any:
        asked.append(request)
        return AWSResponse(request.url, 404, {}, urllib3.HTTPResponse(io.BytesIO(b"")))

    client = s3_client.s3_client(options)
    client.meta.events.register("before-send.s3", answer)
    location = Location.parse(f"s3://{POINT}/in.mp3", "source")
    assert storage.find(location) is None
    host = "calls-111122223333.s3-accesspoint.eu-west-1.amazonaws.com"
    assert asked[0].url == f"https://{host}/in.mp3"
    with pytest.raises(ae.StorageError):
        storage.copy(location, Location("bucket", "out.mp3"), Found(4, '"etag"'))
    copied = asked[1].headers["x-amz-copy-source"]
    text = copied.decode() if isinstance(copied, bytes) else copied
    assert unquote(text) == f"{POINT}/object/in.mp3"
