# SPDX-License-Identifier: Apache-2.0
"""Rendering: executes a plan by copying bytes, re-making frames and joining both."""
