# SPDX-License-Identifier: Apache-2.0
"""The public operations, one module each: every one opens, plans, renders, publishes, reports."""
