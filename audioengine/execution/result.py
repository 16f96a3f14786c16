# SPDX-License-Identifier: Apache-2.0
"""What a command that succeeded has brought about."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.notices import Notice
from audioengine.report import MergeReport, StoreReport
from audioengine.storage.buckets import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a command."""

    location: Location | None = None
    """Of the output; None: there is none."""
    digest: str
    """Of the command."""
    report: StoreReport | MergeReport | None = None
    """None where no audio passed through here."""
    is_repeated: bool = False
    """Whether the output was there already, from an earlier time."""
    notices: tuple[Notice, ...] = ()
    versions_before: tuple[str, ...] = ()
    """Versions of what the output replaced; they are there still, unless that is set otherwise."""
