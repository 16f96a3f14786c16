# SPDX-License-Identifier: Apache-2.0
"""Copies a source unchanged, in blocks."""

from __future__ import annotations

from audioengine.storage import Source, Staging

_COPY_BYTES = 1 << 20


def copy_whole(source: Source, staging: Staging) -> None:
    """Write all bytes of a source."""
    for offset in range(0, source.size, _COPY_BYTES):
        staging.write(source.read(offset, _COPY_BYTES))
