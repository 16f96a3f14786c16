# SPDX-License-Identifier: Apache-2.0
"""The wire: commands in, events and alarms out, as frozen values with the reference's own keys.

Nothing is carried out here. Importing its modules imports pydantic.
"""
