# SPDX-License-Identifier: Apache-2.0
"""Warnings as values: a result carries them, nothing prints them on the way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a reader of the result should know and that did not stop the work."""

    code: str
    """Stable name of this kind of notice, in snake_case; the field to branch on."""
    message: str
    """One sentence or two for people, with the place and the numbers of this case."""
