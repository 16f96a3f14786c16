# SPDX-License-Identifier: Apache-2.0
"""Commands over HTTP: who may send them, what a body must be, and onto the queue with it.

Importing its modules imports Starlette or uvicorn; they come with the extra ``service``.
"""
