# SPDX-License-Identifier: Apache-2.0
"""Whether the folders that the service writes to take what is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from pathlib import Path
from uuid import uuid4

from audioengine.settings import Settings
from audioengine.storage.files import TEMPORARY_SUFFIX, Failing

_PROBE_BYTES = 64 << 10


def written_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders of this machine that settings name for writing."""
    table = settings.worker
    named = [table.embedded, settings.storage.root]
    if settings.recorder.token_key is not None:
        named.append(table.outbox.absolute().parent)
    return tuple(dict.fromkeys(Path(one) for one in named if one is not None))


def probe(folders: Collection[Path]) -> None:
    """Write a little to each folder, and take it away again.

    Raises StorageError where one does not take it: it is full, over its quota, or gone.
    """
    for folder in folders:
        # A name that no listing of a folder shows.
        path = folder / f".probe-{uuid4().hex}{TEMPORARY_SUFFIX}"
        with Failing(f"can't write to {str(folder)!r}"):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                written = os.write(fd, bytes(_PROBE_BYTES))
                os.fsync(fd)
            finally:
                os.close(fd)
                path.unlink()
            if written < _PROBE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
