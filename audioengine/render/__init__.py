# SPDX-License-Identifier: Apache-2.0
"""Executing a plan: bytes that are copied, frames that are re-made, and how they meet."""
