# SPDX-License-Identifier: Apache-2.0
"""``python -m audioengine`` is the command ``audioengine``."""

from __future__ import annotations

from audioengine.cli import main

if __name__ == "__main__":
    main(prog_name="audioengine")
