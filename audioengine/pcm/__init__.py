# SPDX-License-Identifier: Apache-2.0
"""Samples: decoding and encoding stretches on the frame grid, the beep, channel coherence.

All sample numbers are raw: sample 0 is the first one that the first audio frame decodes to.
"""
