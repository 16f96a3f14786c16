# SPDX-License-Identifier: Apache-2.0
"""Where to mask: transcripts, labels, events and tones, read into findings.

Pure: bytes and samples in, findings out; nothing of storage, nothing of rendering.
"""
