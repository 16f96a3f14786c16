# SPDX-License-Identifier: Apache-2.0
"""RTP in packet captures: records, datagrams, streams, their clocks, and their samples."""
