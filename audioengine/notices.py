# SPDX-License-Identifier: Apache-2.0
"""Warnings as values: a result carries them, and nothing prints them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning: something that a reader of the result should know, but no error."""

    code: str
    """Stable name of this kind of notice, in snake_case; the field to branch on."""
    message: str
    """One or two sentences for people, with the place and the numbers."""
