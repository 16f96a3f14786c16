# SPDX-License-Identifier: Apache-2.0
"""What takes the entries of outputs; light, as every store names it and few have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from audioengine.report import RecordedReport


class CustodyWriter(Protocol):
    """Takes the custody entries of outputs."""

    @property
    def pcm_digest(self) -> bool:
        """Whether entries must contain the digest of an output's samples."""

    def check(self) -> None:
        """Raise, before anything is done, if no entry can be taken."""

    def add(self, entry: Mapping[str, Any]) -> RecordedReport | None:
        """Take an entry of canonical values; return None if it is recorded later.

        Raises what `CustodyRecord.add` raises.
        """
