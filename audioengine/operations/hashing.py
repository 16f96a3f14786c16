# SPDX-License-Identifier: Apache-2.0
"""Digests of sources and outputs."""

from __future__ import annotations

import hashlib

from audioengine.mp3.bytesource import ByteSource

_BLOCK_BYTES = 1 << 20


def sha256_hex(source: ByteSource) -> str:
    """The SHA-256 of all bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for offset in range(0, source.size, _BLOCK_BYTES):
        digest.update(source.read(offset, _BLOCK_BYTES))
    return digest.hexdigest()
