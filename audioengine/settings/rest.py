# SPDX-License-Identifier: Apache-2.0
"""The table ``[rest]``: who may send commands over HTTP, how many and how large, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, SecretStr

from audioengine.settings.table import Secret, Table

_MIN_KEY_BYTES = 32


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value().encode()) < _MIN_KEY_BYTES:
        raise ValueError(f"must have at least {_MIN_KEY_BYTES} bytes, as HS256 demands")
    return key


_Key: TypeAlias = Annotated[Secret, AfterValidator(_long_enough)]
_Seconds: TypeAlias = Annotated[float, Field(gt=0, le=3600)]


class RestSettings(Table):
    """How commands come in over HTTP."""

    keys: Mapping[str, _Key] = Field(default_factory=dict)
    """Keys that access tokens are signed with (HS256), by the `kid` of their headers.

    A token without a `kid` may be of any of them. None: nobody gets in.
    """
    prefix: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    """What comes before the domain in the paths of commands, such as ``/callrecording``."""
    audience: Annotated[str, Field(min_length=1)] = "audioengine"
    """What `aud` of an access token must be, or hold."""
    max_body_bytes: Annotated[int, Field(ge=1, le=1_000_000)] = 250_000
    """The largest body; a queue takes no larger messages: SQS 262,144 bytes, with attributes."""
    body_timeout_s: _Seconds = 10
    """How long a body may take to come in."""
    request_timeout_s: _Seconds = 30
    """How long a client may take for a request's head, or for all of a request and its answer."""
    keep_alive_s: Annotated[int, Field(ge=1, le=3600)] = 75
    """How long a connection may wait for its next request.

    Longer than those before the server keep theirs, proxies mostly for 60 s: else they send to
    what is just being closed.
    """
    queue_timeout_s: _Seconds = 10
    """How long a command may take to be judged and queued."""
    rate_per_s: Annotated[float, Field(gt=0)] = 50
    """Commands of a domain in a second, in the long run, for each process that serves."""
    burst: Annotated[int, Field(ge=1)] = 100
    """Commands of a domain at once."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Of browsers' pages that may send commands (CORS)."""
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: one that is free."""
    health_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where /healthz, /readyz and /metrics are answered whoever fills the other port.

    None: there alone. 0: one that is free.
    """
    max_connections: Annotated[int, Field(ge=1)] = 1000
    """New ones beyond that get 503."""
    max_connections_per_address: Annotated[int, Field(ge=1)] | None = 200
    """Likewise. None, or more: where all come from a few proxies."""
    max_head_bytes: Annotated[int, Field(ge=1024, le=65536)] = 16384
    """Of a request's line and headers."""
    shutdown_timeout_s: _Seconds = 30
    """How long requests under way have to end when the service is asked to stop."""
