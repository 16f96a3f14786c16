# SPDX-License-Identifier: Apache-2.0
"""Trims and masks stereo MP3 call recordings by re-encoding only the frames an edit changes."""
