# SPDX-License-Identifier: Apache-2.0
"""Carrying out a command: who may, where its recordings are, what becomes of it.

`execute.execute` is all that a queue, a batch or a server needs: a command, a storage and settings
in, an outcome with its event out. Importing its modules imports pydantic.
"""
