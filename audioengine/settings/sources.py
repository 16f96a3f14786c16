# SPDX-License-Identifier: Apache-2.0
"""Where settings come from."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_FILE = "audioengine.toml"
FILE_VARIABLE = "AUDIOENGINE_SETTINGS"
PREFIX = "AUDIOENGINE_"


def are_named() -> bool:
    """Whether the environment or the working folder says anything."""
    # Variables count in either case.
    names = (name.upper() for name in os.environ)
    return Path(DEFAULT_FILE).exists() or any(name.startswith(PREFIX) for name in names)
