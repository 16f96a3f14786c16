# SPDX-License-Identifier: Apache-2.0
"""What is kept beside an output: which source it was made of, and by which version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from audioengine.version import VERSION

SOURCE_DIGEST = "source-digest"
ENGINE_VERSION = "engine-version"


def facts_of(source_digests: Sequence[str]) -> Mapping[str, str]:
    """Metadata of an output.

    source_digests: SHA-256 of each source, in hexadecimal, in order of their start; of several,
    the digest is that of their digests, a line each.
    """
    digest = source_digests[0]
    if len(source_digests) > 1:
        digest = hashlib.sha256("\n".join(source_digests).encode()).hexdigest()
    return {SOURCE_DIGEST: f"sha256:{digest}", ENGINE_VERSION: VERSION}
