# SPDX-License-Identifier: Apache-2.0
"""What verbs need beyond a plain installation."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

from audioengine.errors import InvalidRequestError

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

# What comes with the extra, as it is imported.
_SERVICE = ("httpx", "prometheus_client", "starlette", "structlog", "uvicorn")


def takes_service(verb: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Let a verb name the extra `service` where that is not installed, before anything else."""

    @wraps(verb)
    def checked(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        missing = [name for name in _SERVICE if find_spec(name) is None]
        if missing:
            rule = f"takes {', '.join(missing)}: pip install 'audioengine[service]'"
            raise InvalidRequestError.of("verb", verb.__name__, rule)
        return verb(*arguments, **options)

    return checked
