# SPDX-License-Identifier: Apache-2.0
"""The words that options of `store` and `merge` accept; the options' docstrings explain them."""

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
WarningCode: TypeAlias = Literal[
    "caller_guessed",
    "capture_cut_off",
    "capture_times_wrong",
    "conference_outside",
    "crosstalk",
    "equal_channels",
    "event_outside",
    "event_without_end",
    "event_without_start",
    "hollow_frames",
    "incomplete_last_frame",
    "incomplete_last_sample",
    "inner_tag",
    "junk",
    "legs_end_apart",
    "long_gap",
    "lost_main_data",
    "mask_clipped",
    "mask_heard_elsewhere",
    "no_findings",
    "packets_lost",
    "party_unknown",
    "payload_types_unknown",
    "players_disagree",
    "same_content",
    "short_mask",
    "start_time_implausible",
    "tag_counts_itself",
    "tag_disagrees",
    "trim_clipped",
    "truncated",
    "untagged_absolute_times",
    "vbri_tag",
]
"""The codes of warnings in reports of edits and merges."""
UnknownKeys: TypeAlias = Literal["refuse", "ignore"]
