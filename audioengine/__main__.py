# SPDX-License-Identifier: Apache-2.0
"""``python -m audioengine`` is the command ``audioengine``."""

from __future__ import annotations

if __name__ == "__main__":  # processes of a batch import this module too
    from audioengine.cli import main

    main(prog_name="audioengine")
