# SPDX-License-Identifier: Apache-2.0
"""A progress bar on stderr, for work that lasts and people who watch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_QUIET_SECONDS = 1.0


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Give what the library calls with frames done and frames in all; None for no bar.

    Nothing is drawn in the first second, nor where stderr is no terminal.
    """
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    begin = time.monotonic() + _QUIET_SECONDS
    with ExitStack() as stack:
        bar: ProgressBar[int] | None = None

        def draw(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                if time.monotonic() < begin:
                    return
                drawn = click.progressbar(length=total, label="Rendering", file=sys.stderr)
                bar = stack.enter_context(drawn)
            # The work may begin anew, with other frames, where damage ends the smart path.
            bar.length = total
            if done < bar.pos:
                bar.pos = 0
            bar.update(done - bar.pos)

        yield draw
