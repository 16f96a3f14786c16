# SPDX-License-Identifier: Apache-2.0
"""What a user asks for, one module a verb: each opens, plans, renders, publishes and reports."""
