# SPDX-License-Identifier: Apache-2.0
"""What leaves the service: events, alarms and callbacks, and the outbox they wait in."""
