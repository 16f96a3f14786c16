# SPDX-License-Identifier: Apache-2.0
"""Whatever one tenant does, the others wait hardly longer; the benchmarks measure it in full."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from audioengine.service.worker import worker as worker_module
from tests.service import fairness
from tests.service.fairness import BAD, WAYS, Town, new_call_p99_s, rest_p99_s
from tests.service.hooks import InThread
from tests.service.recorder.servers import answering, host, silent

pytestmark = pytest.mark.slow

MOST = 2.0
NOISE_S = 0.5
"""Of a machine that does something else too; what is measured takes many seconds without a mend."""


@pytest.mark.parametrize("way", WAYS)
def test_commands_of_others(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)
    town = Town(tmp_path, tenants=3, processes=2, merged=60)
    alone = town.p99_s(None, each=20, every_s=0.25)
    beside = town.p99_s(way, each=20, every_s=0.25)
    assert beside <= MOST * alone + NOISE_S, (alone, beside)


def test_new_calls_of_others() -> None:
    with ExitStack() as stack:
        hosts = {name: stack.enter_context(host()) for name in (BAD, "t1.example.com")}
        for one in hosts.values():
            one.always = answering(200, b'{"recordCall": true}')
        urls = {name: one.url for name, one in hosts.items()}
        alone = new_call_p99_s(urls, each=40, bad_each=1)
        hosts[BAD].always = silent
        beside = new_call_p99_s(urls, each=40, bad_each=200)
    assert beside <= MOST * alone + NOISE_S, (alone, beside)


def test_connections_of_others() -> None:
    alone = rest_p99_s(each=20, idle=0)
    beside = rest_p99_s(each=20, idle=200)
    assert beside <= MOST * alone + NOISE_S, (alone, beside)


def test_the_99th_percentile() -> None:
    assert fairness.p99([float(number) for number in range(1, 101)]) == 99.0
    assert fairness.p99([1.0, 2.0]) == 2.0
