# SPDX-License-Identifier: Apache-2.0
"""The version of this package, for its metadata and its reports."""

from __future__ import annotations

VERSION = "0.2.0"
