# SPDX-License-Identifier: Apache-2.0
"""Transcripts of many vendors: one module a vendor, told apart by what is in the file."""
