# SPDX-License-Identifier: Apache-2.0
"""The words that options of `store` and `merge` may have; their docstrings say what each means."""

from __future__ import annotations

from typing import Literal, TypeAlias

Render: TypeAlias = Literal["smart", "full"]
Fallback: TypeAlias = Literal["full", "refuse"]
CallerChannel: TypeAlias = Literal["left", "right"]
SharedFrames: TypeAlias = Literal["keep", "mask_both"]
Align: TypeAlias = Literal["sample", "frame"]
Missing: TypeAlias = Literal["fail", "omit"]
MaskScope: TypeAlias = Literal["part", "conference"]
Fill: TypeAlias = Literal["beep", "silence"]
UnknownKeys: TypeAlias = Literal["refuse", "ignore"]
