# SPDX-License-Identifier: Apache-2.0
"""Where commands wait: SQS, or a file for one machine."""
