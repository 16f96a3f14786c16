# SPDX-License-Identifier: Apache-2.0
"""Planning: pure functions from an index and edits to the frames to copy and to re-make."""
