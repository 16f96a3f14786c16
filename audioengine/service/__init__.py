# SPDX-License-Identifier: Apache-2.0
"""The engine as a service: commands from a queue or over HTTP, events, alarms and callbacks out.

Many of these may run at once: they share a queue and buckets, and nothing else. What can't be
sent waits in the outbox of the process that made it.
"""
