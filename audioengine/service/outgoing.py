# SPDX-License-Identifier: Apache-2.0
"""The event loop of all requests that leave the service, in a thread of its own.

Names are looked up in threads that nobody waits for, one a name: a resolver that hangs holds up
requests to this name alone, and each of them no longer than it may take.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from functools import cache
from typing import Any, TypeAlias

_Name: TypeAlias = tuple[Any, ...]


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._looking: dict[_Name, asyncio.Future[Any]] = {}

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look a name up, together with all others who wait for it."""
        name = (host, port, family, type, proto, flags)
        if name not in self._looking:
            self._looking[name] = self.create_future()
            threading.Thread(target=self._look_up, args=(name,), name="names", daemon=True).start()
        return await asyncio.shield(self._looking[name])

    def _look_up(self, name: _Name) -> None:
        found: Any = None
        error: BaseException | None = None
        try:
            found = socket.getaddrinfo(*name)
        except Exception as failure:  # noqa: BLE001 - raised where it is waited for
            error = failure
        self.call_soon_threadsafe(self._tell, name, found, error)

    def _tell(self, name: _Name, found: Any, error: BaseException | None) -> None:
        waiting = self._looking.pop(name)
        if error is None:
            waiting.set_result(found)
            return
        waiting.set_exception(error)
        waiting.exception()  # nobody may wait any more


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = _Loop()
    threading.Thread(target=loop.run_forever, name="outgoing", daemon=True).start()
    return loop


_making = threading.Lock()


def outgoing_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, which runs until the process ends."""
    with _making:
        return _loop()
