# SPDX-License-Identifier: Apache-2.0
"""Access tokens: none but a signed, current one of the path's domain opens the door."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from audioengine.service.rest.access import domain_of
from tests.execution.service import RECORDING
from tests.service.rest.deployment import (
    AUDIENCE,
    DOMAIN,
    KEY,
    OTHER,
    OTHER_KEY,
    REST_KEY,
    Served,
    access,
    bearer,
    settings,
    token,
)

NOW = int(time.time())
SOON = NOW + 86_400  # collected tests may wait long
DELETE = {"recordingId": RECORDING, "replyId": token()}


def encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def forged(header: bytes, claims: bytes, key: str = REST_KEY) -> str:
    """A token of any bytes, rightly signed."""
    message = encoded(header) + b"." + encoded(claims)
    signature = hmac.new(key.encode(), message, hashlib.sha256).digest()
    return (message + b"." + encoded(signature)).decode()


CLAIMS = json.dumps({"exp": SOON, "aud": AUDIENCE, "domain": DOMAIN}).encode()
UNSIGNED = encoded(b'{"alg":"none"}').decode() + "." + encoded(CLAIMS).decode() + "."
HEADER = b'{"alg":"HS256"}'
ATTACKS = {
    "no algorithm": UNSIGNED,
    "no algorithm, signed": forged(b'{"alg":"none"}', CLAIMS),
    "nOnE": forged(b'{"alg":"nOnE"}', CLAIMS),
    "other algorithm": access(algorithm="HS512"),
    "HS384": access(algorithm="HS384"),
    "algorithm of a key pair": forged(b'{"alg":"RS256"}', CLAIMS),
    "algorithm list": forged(b'{"alg":["HS256"]}', CLAIMS),
    "other key": access(OTHER_KEY),
    "key of replyIds": access(KEY),
    "expired": access(exp=NOW - 60),
    "no expiry": access(exp=None),
    "expiry that is none": forged(HEADER, CLAIMS.replace(str(SOON).encode(), b'"soon"')),
    "endless": forged(HEADER, CLAIMS.replace(str(SOON).encode(), b"1e400")),
    "not yet": access(nbf=SOON),
    "made later": access(iat=SOON),
    "other audience": access(aud="other"),
    "no audience": access(aud=None),
    "no domain": access(domain=None),
    "domain that is no text": access(domain=[DOMAIN]),
    "key of nobody": access(headers={"kid": "second"}),
    "key that is no text": forged(b'{"alg":"HS256","kid":["first"]}', CLAIMS),
    "key of a path": access(headers={"kid": "../../dev/null"}),
    "key by the token": access(OTHER_KEY, headers={"jwk": {"kty": "oct", "k": "b3RoZXI"}}),
    "critical": access(headers={"crit": ["exp"], "exp": 1}),
    "a replyId": token(),
    "a replyId with all": token(exp=SOON, aud=AUDIENCE),
    "deep header": forged(b"[" * 8000, CLAIMS),
    "deep claims": forged(HEADER, b'{"a":' * 1500),
    "claims that are a list": forged(HEADER, b"[]"),
    "not base64": access()[:-2] + "!!",
    "cut": access()[:-1],
    "claims changed": access().replace(".", ".e", 1),
    "no signature": access().rpartition(".")[0] + ".",
    "two parts": access().rpartition(".")[0],
    "four parts": access() + ".x",
    "dots": "." * 5000,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks(service: Served, attack: str) -> None:
    answer = service.post("deleterecording", DELETE, headers=bearer(ATTACKS[attack]))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    expired = attack == "expired"
    told = "has expired" if expired else "is not valid"
    assert answer.json() == {"success": False, "error": f"the access token {told}"}
    assert not service.queue.sent


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", access())],
        [("Authorization", "Basic " + access())],
        [("Authorization", "Bearer")],
        [("Authorization", f"Bearer {access()}"), ("Authorization", f"Bearer {access()}")],
        [("Authorization", f"Bearer {access()}, Bearer {access()}")],
        [("Cookie", f"Authorization=Bearer {access()}")],
    ],
)
def test_other_headers(service: Served, headers: list[tuple[str, str]]) -> None:
    answer = service.post("deleterecording", DELETE, headers=headers)
    assert answer.status_code == 401
    assert not service.queue.sent


def test_tokens_of_another_domain(service: Served) -> None:
    """Whatever the path, the replyId and the token say must be one."""
    other = bearer(access(domain=OTHER))
    assert service.post("deleterecording", DELETE, headers=other).status_code == 403
    path = f"/{OTHER}/deleterecording"
    assert service.client.post(path, json=DELETE, headers=bearer()).status_code == 403
    replayed = service.client.post(path, json=DELETE, headers=other)  # DELETE has ours
    assert replayed.status_code == 403
    assert not service.queue.sent


def test_a_token_comes_first(service: Served) -> None:
    """Nobody learns anything of a body without a token."""
    answer = service.client.post(f"/{DOMAIN}/storerecording", content=b"x" * 10**6)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "right",
    [
        access(),
        access(headers={"kid": "first"}),
        access(OTHER_KEY),
        access(OTHER_KEY, headers={"kid": "second"}),
        access(aud=["other", AUDIENCE]),
    ],
)
def test_rotation_and_what_else_is_right(right: str) -> None:
    rest = settings(keys={"first": REST_KEY, "second": OTHER_KEY}).rest
    assert domain_of([f"bearer {right}"], rest) == DOMAIN


def test_clocks_may_differ_a_little() -> None:
    assert domain_of([f"Bearer {access(exp=int(time.time()) - 5)}"], settings().rest) == DOMAIN


def test_a_kid_names_one_key_alone() -> None:
    rest = settings(keys={"first": REST_KEY, "second": OTHER_KEY}).rest
    with pytest.raises(HTTPException):
        domain_of([f"Bearer {access(headers={'kid': 'second'})}"], rest)


@given(st.text() | st.binary().map(lambda raw: encoded(raw).decode()), st.text(), st.text())
def test_any_token_is_refused(first: str, second: str, third: str) -> None:
    with pytest.raises(HTTPException):
        domain_of([f"Bearer {first}.{second}.{third}"], settings().rest)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_signed_token_is_refused(header: bytes, claims: bytes) -> None:
    for made in (forged(header, CLAIMS), forged(HEADER, claims)):
        with pytest.raises(HTTPException):
            domain_of([f"Bearer {made}"], settings().rest)


def test_the_tests_forge_rightly() -> None:
    assert domain_of([f"Bearer {forged(HEADER, CLAIMS)}"], settings().rest) == DOMAIN
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(UNSIGNED, REST_KEY, algorithms=["HS256"], audience=AUDIENCE)
