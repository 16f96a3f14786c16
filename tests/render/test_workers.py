# SPDX-License-Identifier: Apache-2.0
"""How rarely Python looks for garbage while anything is rendered."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from audioengine.render.workers import rare_collection


@pytest.fixture(params=[0, 700, 1_000_000])
def usual(request: pytest.FixtureRequest) -> Iterator[int]:
    """Someone's own choice; zero is never."""
    before = gc.get_threshold()
    gc.set_threshold(request.param, *before[1:])
    yield request.param
    gc.set_threshold(*before)


def test_collection_is_rare_until_the_last_has_rendered(usual: int) -> None:
    rare = max(usual, 50_000) if usual else 0
    first, second = ExitStack(), ExitStack()
    first.enter_context(rare_collection())
    second.enter_context(rare_collection())
    assert gc.get_threshold()[0] == rare
    first.close()
    assert gc.get_threshold()[0] == rare
    with pytest.raises(ZeroDivisionError), second:
        1 / 0  # noqa: B018
    assert gc.get_threshold()[0] == usual
