# SPDX-License-Identifier: Apache-2.0
"""What recorders leave: containers and codecs, opened and laid on one clock.

Knows samples and where they are in time, and nothing of edits. Files are known by their bytes.
"""
