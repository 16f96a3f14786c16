# SPDX-License-Identifier: Apache-2.0
"""The settings' file."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import Any

from audioengine.errors import InvalidRequestError, StorageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]


def read_toml(path: str) -> dict[str, Any]:
    """The values of a TOML file.

    Raises InvalidRequestError with the line that is no TOML, StorageError.
    """
    if not Path(path).is_file():  # which the library takes for an empty one
        raise StorageError(f"can't read settings {path!r}: it must be a file that is there")
    try:
        # Some editors begin a file with a mark.
        text = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8).decode()
        values: dict[str, Any] = tomllib.loads(text)
    except OSError as error:
        raise StorageError(f"can't read settings {path!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        rule = f"must be TOML: no UTF-8 (at line {line})"
    except ValueError as error:
        rule = f"must be TOML: {error}"
    else:
        return values
    raise InvalidRequestError.of("settings", path, rule)  # not in the handler: that holds the file
