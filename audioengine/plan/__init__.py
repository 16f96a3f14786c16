# SPDX-License-Identifier: Apache-2.0
"""Planning: pure functions from an index and edits to what is copied and what is re-made."""
