# SPDX-License-Identifier: Apache-2.0
"""What people look at and listen to: peaks, pages, pictures."""
