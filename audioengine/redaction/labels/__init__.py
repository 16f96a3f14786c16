# SPDX-License-Identifier: Apache-2.0
"""Label tracks, read into findings and written from masks.

Each format has a module with `read`, from text to findings, and `write`, from labels to text.
"""

from __future__ import annotations
