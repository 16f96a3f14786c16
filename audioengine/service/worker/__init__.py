# SPDX-License-Identifier: Apache-2.0
"""Takes commands from the queue, carries them out in order, and settles them."""
