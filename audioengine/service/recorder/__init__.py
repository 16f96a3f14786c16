# SPDX-License-Identifier: Apache-2.0
"""The side of whatever records the calls: its reports come in, commands to it go out.

It is no recorder: what captures SIP and RTP stands beside it. What reports tell that commands need
later is kept in a catalogue, in the temporary bucket.
"""
