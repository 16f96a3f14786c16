# SPDX-License-Identifier: Apache-2.0
"""A sender that fails as it is told."""

from __future__ import annotations

from collections.abc import Iterable

import audioengine as ae
from audioengine.service.notifications.letter import Letter, Sender


class Unsteady(Sender):
    """Takes letters to addresses that work."""

    def __init__(self, down: Iterable[str] = ()) -> None:
        self.down = set(down)
        self.taken: list[Letter] = []
        self.tried: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.tried.append(letter)
        if letter.address in self.down:
            raise ae.StorageError(f"can't send to {letter.address}: down", retryable=True)
        self.taken.append(letter)

    def bodies(self, address: str) -> list[str]:
        return [one.body for one in self.taken if one.address == address]


def letter(address: str, body: str) -> Letter:
    return Letter(channel="topic", address=address, body=body, attributes={"event": "E"})
