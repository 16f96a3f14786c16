# SPDX-License-Identifier: Apache-2.0
"""Measurements against FFmpeg, SoX and pydub: `make bench`."""
