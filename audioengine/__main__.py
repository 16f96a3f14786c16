# SPDX-License-Identifier: Apache-2.0
"""The command ``audioengine`` and ``python -m audioengine``: starts and ends quickly."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

# Nearly all objects live until the process ends. Collecting garbage after every 700 new ones,
# Python's default, takes a tenth of a short edit's time.
_COLLECT_AFTER = 100_000


def main() -> None:
    """Run the command line and end the process."""
    gc.set_threshold(_COLLECT_AFTER)
    # BLAS starts threads that spin as soon as numpy is imported; nothing here uses them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from audioengine.cli import main as command

    try:
        command(prog_name="audioengine")
    except SystemExit as end:
        _leave(end.code)
        raise


def _leave(code: object) -> None:
    """End the process at once if no other thread runs.

    Python would free every object and module first. That takes as long as reading the recording.
    """
    import atexit
    import threading

    if not isinstance(code, int) or threading.active_count() > 1:
        return
    with suppress(OSError, ValueError):  # a stream that can't be written to is Python's to report
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()  # noqa: SLF001 - what Python itself calls then
        os._exit(code)


if __name__ == "__main__":  # processes of a batch import this module too
    main()
