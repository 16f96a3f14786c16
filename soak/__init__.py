# SPDX-License-Identifier: Apache-2.0
"""A long run of random edits and merges, each output judged: `make soak`."""
