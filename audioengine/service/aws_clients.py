# SPDX-License-Identifier: Apache-2.0
"""Clients for queues and topics of AWS, and of what speaks like it.

Importing this module imports boto3. Credentials come from boto3's usual chain, and so do region and
endpoint where none is given.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any, Literal, TypeAlias

from botocore.config import Config

from audioengine.errors import StorageError
from audioengine.storage.s3_client import made_by, mapped, withhold

Service: TypeAlias = Literal["sqs", "sns"]

LONGEST_WAIT_S = 20
"""Of a long poll."""

_ATTEMPTS = 3
_CONNECTING_S = 5
_ANSWER_S = {"sqs": LONGEST_WAIT_S + 10, "sns": 10}
_CONNECTIONS = 50

_making = Lock()


@lru_cache(maxsize=32)
def _client(service: Service, region: str | None, endpoint_url: str | None) -> Any:
    withhold()
    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECTING_S,
        read_timeout=_ANSWER_S[service],
        max_pool_connections=_CONNECTIONS,
    )
    where = {"region_name": region, "endpoint_url": endpoint_url}
    return made_by(None, service, **where, config=config)


def aws_client(service: Service, region: str | None, endpoint_url: str | None) -> Any:
    """The client for a region and an endpoint, made once; any thread may use it.

    Raises StorageError where none can be made.
    """
    with mapped(f"can't reach {service.upper()}"), _making:
        try:
            return _client(service, region, endpoint_url)
        except ValueError:
            message = f"can't reach {service.upper()}: there is no such region or endpoint"
            raise StorageError(message) from None
