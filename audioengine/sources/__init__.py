# SPDX-License-Identifier: Apache-2.0
"""Opens recorders' files of many containers and codecs, and lays them on one clock.

This package knows about samples and their times, but not about edits. It detects formats by bytes.
"""
