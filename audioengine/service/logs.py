# SPDX-License-Identifier: Apache-2.0
"""Structured logs: a line of JSON for each thing that happened, without secrets.

Importing this module imports structlog.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from audioengine.commands.names import HIDDEN
from audioengine.commands.redaction import is_secret_key, redacted

_NAME = "audioengine"
# Header, claims and signature of a token.
_TOKEN = re.compile(r"eyJ[\w-]*\.[\w-]*\.[\w-]*")
_SECRET_KEYS = frozenset({"replyid", "token", "authorization", "secret"})


_STAMPS: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def log() -> structlog.stdlib.BoundLogger:
    """Return the logger of the service: ``log().info("what happened", recordingId=…)``."""
    wrapped: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(_NAME),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            *_STAMPS,
            without_secrets,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
    )
    return wrapped


def set_up_logs(level: str = "info", stream: TextIO | None = None) -> None:
    """Write logs as lines of JSON, of libraries what is a warning; stream: by default stderr."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_STAMPS],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            without_secrets,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    others = logging.DEBUG if level == "debug" else logging.WARNING
    logging.basicConfig(handlers=[handler], level=others, force=True)
    logging.getLogger(_NAME).setLevel(level.upper())


def without_secrets(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide keys and tokens in an entry, also inside its values."""
    return {name: _shown(name, value) for name, value in entry.items() if value is not None}


def _shown(name: str, value: object) -> object:
    if is_secret_key(name) or name.lower().replace("_", "") in _SECRET_KEYS:
        return HIDDEN
    value = redacted(value)
    if isinstance(value, dict):
        return {inner: _shown(inner, one) for inner, one in value.items()}
    if isinstance(value, list):
        return [_shown("", one) for one in value]
    return _TOKEN.sub(HIDDEN, value) if isinstance(value, str) else value
