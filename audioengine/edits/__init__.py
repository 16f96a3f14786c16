# SPDX-License-Identifier: Apache-2.0
"""Requests for edits, and their resolution on a recording's sample clock.

`Modification` and `Beep` are the request. `resolve` checks it against one recording and returns
`Edits`: whole samples, half-open, clipped, with nothing left to interpret.
"""

from __future__ import annotations

from audioengine.edits.beep import Beep
from audioengine.edits.encoder_delay import (
    ENCODER_DELAY,
    LAME_LATENESS,
    IfUntagged,
    effective_delay,
    untagged_notice,
)
from audioengine.edits.findings_file import FindingsFile, FoundStretch
from audioengine.edits.modification import (
    Dialect,
    MaskParty,
    Modification,
    Party,
    TranscriptFile,
    modification_of,
)
from audioengine.edits.request_times import short_mask_problems, time_problems
from audioengine.edits.resolution import CLIP_TOLERANCE_S, AppliedMask, Edits, resolve
from audioengine.edits.spans import Span, join, touching
from audioengine.times import Interval

__all__ = [
    "CLIP_TOLERANCE_S",
    "ENCODER_DELAY",
    "LAME_LATENESS",
    "AppliedMask",
    "Beep",
    "Dialect",
    "Edits",
    "FindingsFile",
    "FoundStretch",
    "IfUntagged",
    "Interval",
    "MaskParty",
    "Modification",
    "Party",
    "Span",
    "TranscriptFile",
    "effective_delay",
    "join",
    "modification_of",
    "resolve",
    "short_mask_problems",
    "time_problems",
    "touching",
    "untagged_notice",
]
