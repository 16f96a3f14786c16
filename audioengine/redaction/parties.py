# SPDX-License-Identifier: Apache-2.0
"""What files call parties."""

from __future__ import annotations

from collections.abc import Mapping

from audioengine.edits import Party

PARTIES: Mapping[str, Party | None] = {"caller": "caller", "callee": "callee", "both": None}
"""None: both."""
