# SPDX-License-Identifier: Apache-2.0
"""Whether an output keeps its promises: judged from source, request and output alone.

The plan is derived again from source and request, and the output is measured against it. Nothing
here uses what rendering uses to make sound, nor what it says of itself; what it says in words is
wrong where the files say otherwise.
"""
