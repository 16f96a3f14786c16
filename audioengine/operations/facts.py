# SPDX-License-Identifier: Apache-2.0
"""The metadata of an output: the digest of its source, and the version that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from audioengine.version import VERSION

SOURCE_DIGEST = "source-digest"
ENGINE_VERSION = "engine-version"


def facts_of(source_digests: Sequence[str]) -> Mapping[str, str]:
    """Return the metadata of an output.

    source_digests: SHA-256 of each source in hexadecimal, in order of start. For several sources
    the metadata holds the digest of their digests, one per line.
    """
    digest = source_digests[0]
    if len(source_digests) > 1:
        digest = hashlib.sha256("\n".join(source_digests).encode()).hexdigest()
    return {SOURCE_DIGEST: f"sha256:{digest}", ENGINE_VERSION: VERSION}
