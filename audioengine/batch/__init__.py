# SPDX-License-Identifier: Apache-2.0
"""Many jobs at once: what is to be done, what was done, and doing it on all processors."""
