# SPDX-License-Identifier: Apache-2.0
"""What breaks on the way to S3 and back: tried again or told, whole or not at all."""

from __future__ import annotations

import base64
import io
import logging
import socket
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner

import audioengine as ae
from audioengine.cli import main
from audioengine.storage import s3
from tests.operations.helpers import recording
from tests.storage import servers
from tests.storage.calls import (
    CANARIES,
    DATA,
    EDIT,
    PATH,
    PLACE,
    START,
)
from tests.storage.servers import CUSTOMER_KEY, Fault, FaultyStore, Stored
from tests.support import time_limit


def assert_tells_nothing(error: BaseException, log: pytest.LogCaptureFixture) -> None:
    """Neither the error nor our log has what is nobody's business."""
    ours = [record.getMessage() for record in log.records if record.name.startswith("audioengine")]
    for canary in CANARIES:
        assert canary not in f"{error!s} {error!r} {error.args}"
        assert not any(canary in line for line in ours)


PASSING: dict[str, Fault] = {
    "SlowDown": servers.refusing(503, "SlowDown"),
    "InternalError": servers.refusing(500, "InternalError"),
    "too many": servers.refusing(429, "TooManyRequestsException"),
    "reset": servers.reset,
    "silent": servers.silent,
}
IN_BODY: dict[str, Fault] = {
    "reset in the body": servers.reset_in_body,
    "truncated": servers.truncated,
    "silent in the body": servers.silent_in_body,
}


@pytest.mark.parametrize("fault", [*PASSING, *IN_BODY])
def test_what_passes_while_reading_is_not_noticed(fault: str, faulty: FaultyStore) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.patience_s = 0.3 if "silent" in fault else 10
    faulty.faults["GET"] = [(PASSING | IN_BODY)[fault]]
    out = io.BytesIO()
    ae.store(PLACE, out)
    assert out.getvalue() == DATA
    assert faulty.methods == ["GET", "GET"]


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_while_writing_is_not_noticed(
    fault: str, method: str, faulty: FaultyStore, wanted: bytes
) -> None:
    faulty.patience_s = 0.3 if "silent" in fault else 10
    faulty.faults[method] = [PASSING[fault]]
    ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert faulty.objects[PATH].data == wanted
    assert sorted(faulty.methods) == sorted(["PUT", "HEAD", method])


@pytest.mark.parametrize("fault", [*PASSING, *IN_BODY])
def test_what_does_not_pass_while_reading_is_worth_another_try_later(
    fault: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.patience_s = 0.02 if "silent" in fault else 10
    faulty.always["GET"] = (PASSING | IN_BODY)[fault]
    target = tmp_path / "out.mp3"
    with (
        caplog.at_level(logging.DEBUG, "audioengine"),
        time_limit(10),
        pytest.raises(ae.StorageError, match=f"can't read source '{PLACE}'") as caught,
    ):
        ae.store(PLACE, target, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert caught.value.retryable
    assert not target.exists()
    assert_tells_nothing(caught.value, caplog)
    assert set(faulty.methods) == {"GET"}


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_while_writing_is_worth_another_try_later(
    fault: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.objects[PATH] = Stored(b"old")
    faulty.patience_s = 0.02 if "silent" in fault else 10
    faulty.always["PUT"] = PASSING[fault]
    with (
        caplog.at_level(logging.DEBUG, "audioengine"),
        time_limit(10),
        pytest.raises(ae.StorageError, match=f"can't write destination '{PLACE}'") as caught,
    ):
        ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert caught.value.retryable
    assert faulty.objects[PATH].data == b"old"
    assert_tells_nothing(caught.value, caplog)
    # One of the five attempts may go to a connection that the store has just closed.
    assert faulty.methods in (["PUT"] * 4, ["PUT"] * 5)


@pytest.mark.parametrize("code", ["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_is_denied_is_final_and_asked_once(
    method: str, code: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.always[method] = servers.refusing(403, code)
    options = ae.S3Options(customer_key=CUSTOMER_KEY)
    with (
        caplog.at_level(logging.DEBUG, "audioengine"),
        pytest.raises(ae.StorageError, match=rf"'{PLACE}': {code}$") as caught,
    ):
        ae.store(PLACE if method == "GET" else DATA, PLACE, EDIT, s3=options)
    assert not caught.value.retryable
    assert faulty.objects[PATH].data == DATA
    assert_tells_nothing(caught.value, caplog)
    assert faulty.methods == [method]


def test_a_merge_names_the_recording_that_could_not_be_read(
    faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What may pass is no reason to leave a recording out."""
    faulty.objects[PATH] = Stored(DATA)
    faulty.always["GET"] = servers.refusing(503, "SlowDown")
    out = io.BytesIO()
    with pytest.raises(ae.StorageError, match=PLACE) as caught:
        ae.merge(
            [ae.MergePart(DATA, START), ae.MergePart(PLACE, START)],
            out,
            ae.MergeOptions(missing="omit"),
        )
    assert caught.value.retryable
    assert out.getvalue() == b""
    assert_tells_nothing(caught.value, caplog)


def test_an_object_replaced_between_two_ranges_was_changed(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 8000)
    faulty.objects[PATH] = Stored(DATA)
    faulty.faults["GET"] = [servers.fine, servers.replacing(recording("stereo-8k").data)]
    target = tmp_path / "out.mp3"
    with pytest.raises(ae.StorageError, match=f"{PLACE}.* it has changed") as caught:
        ae.store(PLACE, target, EDIT)
    assert caught.value.retryable
    assert not target.exists()
    assert faulty.methods == ["GET", "GET"]
    # A later try takes the new one.
    ae.store(PLACE, target)
    assert target.read_bytes() == recording("stereo-8k").data


def test_an_object_replaced_by_its_own_output_was_read_before(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch, wanted: bytes
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 8000)
    faulty.objects[PATH] = Stored(DATA)
    ae.store(PLACE, PLACE, EDIT)
    assert faulty.objects[PATH].data == wanted
    last = len(faulty.methods) - faulty.methods[::-1].index("GET")
    assert faulty.methods[last:] == ["PUT", "HEAD"]


def test_a_first_range_that_gives_less_than_there_is_is_not_taken(faulty: FaultyStore) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.always["GET"] = servers.short_range
    with (
        time_limit(5),
        pytest.raises(ae.StorageError, match="the store sent too few bytes") as caught,
    ):
        ae.inspect(PLACE)
    assert caught.value.retryable


WRONG = {
    "size": {"Content-Length": "7"},
    "checksum": {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_stored_wrong_is_removed(
    wrong: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.head_says = WRONG[wrong]
    with pytest.raises(
        ae.StorageError, match=f"{PLACE}.*differs from what was sent.*removed"
    ) as caught:
        ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert caught.value.retryable
    assert faulty.objects == {}
    assert faulty.methods == ["PUT", "HEAD", "DELETE"]
    assert_tells_nothing(caught.value, caplog)


def test_what_was_to_be_encrypted_and_is_not_is_removed(faulty: FaultyStore) -> None:
    with pytest.raises(ae.StorageError, match=f"{PLACE}.*does not encrypt") as caught:
        ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(kms_key="alias/recordings"))
    assert not caught.value.retryable
    assert faulty.objects == {}
    faulty.head_says = {"x-amz-server-side-encryption": "aws:kms"}
    ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(kms_key="alias/recordings"))


def test_of_what_is_stored_wrong_only_that_version_is_removed(faulty: FaultyStore) -> None:
    faulty.head_says = {"Content-Length": "7", "x-amz-version-id": "v7"}
    with pytest.raises(ae.StorageError, match="removed"):
        ae.store(DATA, PLACE, EDIT)
    assert faulty.asked[-1].query == "versionId=v7"


def test_where_what_is_stored_wrong_can_t_be_removed_that_is_the_error(
    faulty: FaultyStore,
) -> None:
    faulty.head_says = {"Content-Length": "7"}
    faulty.always["DELETE"] = servers.refusing(403, "AccessDenied")
    with pytest.raises(ae.StorageError, match=f"{PLACE}.*AccessDenied") as caught:
        ae.store(DATA, PLACE, EDIT)
    assert not caught.value.retryable


def test_a_checksum_of_checksums_is_not_compared(faulty: FaultyStore, wanted: bytes) -> None:
    faulty.head_says = {"x-amz-checksum-sha256": "AAAA-2"}
    ae.store(DATA, PLACE, EDIT)
    assert faulty.objects[PATH].data == wanted


def test_a_store_that_is_not_there_may_come_back(
    faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        options = ae.S3Options(endpoint_url=url)
        attempts: list[Callable[[], object]] = [
            lambda: ae.inspect(PLACE, s3=options),
            lambda: ae.store(DATA, PLACE, s3=options),
        ]
        for attempt in attempts:
            with pytest.raises(ae.StorageError, match=PLACE) as caught:
                attempt()
            assert caught.value.retryable
            assert_tells_nothing(caught.value, caplog)
    assert faulty.asked == []


def test_without_credentials_nothing_is_asked(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(ae.StorageError, match=r"NoCredentials.*: set AWS_ACCESS_KEY_ID") as caught:
        ae.inspect(PLACE)
    assert caught.value.retryable
    assert faulty.asked == []


def test_credentials_come_from_the_environment(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    faulty.objects[PATH] = Stored(DATA)
    ae.inspect(PLACE)
    assert "Credential=AKIAOTHER/" in faulty.asked[0].headers["authorization"]


@pytest.mark.parametrize(
    "options",
    [
        ae.S3Options(endpoint_url="no address"),
        ae.S3Options(region="no region"),
        ae.S3Options(metadata={"name": "日本"}),
    ],
)
def test_options_that_make_no_sense_are_errors_of_ours(
    options: ae.S3Options, faulty: FaultyStore
) -> None:
    with pytest.raises(ae.AudioEngineError) as caught:
        ae.store(DATA, PLACE, s3=options)
    assert not caught.value.retryable
    assert faulty.asked == []


def test_a_bucket_s_name_that_makes_no_sense_is_a_storage_error(faulty: FaultyStore) -> None:
    with pytest.raises(ae.StorageError, match=r"s3://no bucket/in\.mp3") as caught:
        ae.inspect("s3://no bucket/in.mp3")
    assert not caught.value.retryable
    assert faulty.asked == []


def test_options_do_not_show_their_key() -> None:
    assert "canary" not in repr(ae.S3Options(customer_key=CUSTOMER_KEY))
    assert ae.S3Options(customer_key=CUSTOMER_KEY) != ae.S3Options(customer_key=bytes(32))


@pytest.mark.parametrize("fault", [None, "AccessDenied"])
def test_not_even_boto3_s_own_messages_tell_a_key(
    fault: str | None, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """However much is logged."""
    caplog.set_level(logging.DEBUG)
    options = ae.S3Options(customer_key=CUSTOMER_KEY)
    if fault is not None:
        faulty.faults["GET"] = [servers.refusing(403, fault)]
    ae.store(DATA, PLACE, EDIT, s3=options)
    with nullcontext() if fault is None else pytest.raises(ae.StorageError):
        ae.store(PLACE, io.BytesIO(), EDIT, s3=options)
    names = {record.name for record in caplog.records}
    assert {"botocore.auth", "botocore.endpoint"} <= names
    for record in caplog.records:
        for canary in CANARIES:
            assert canary not in record.getMessage()


def test_the_command_line_ends_at_once_where_credentials_are_missing(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    done = CliRunner().invoke(main, ["inspect", PLACE])
    assert done.exit_code == 1
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in done.stderr
    assert faulty.asked == []
