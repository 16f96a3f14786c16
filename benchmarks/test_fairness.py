# SPDX-License-Identifier: Apache-2.0
"""Tenants with equal load, one of which misbehaves: the others' waits, beside those without it.

Everything that tenants share is on this machine: queue and buckets in files, hosts on loopback.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.results import Row, duration, rows, verdict
from tests.service.fairness import BAD, WAYS, Town, new_call_p99_s, rest_p99_s
from tests.service.recorder.servers import answering, host, silent

SUBJECT = "Fairness: five tenants with equal load, one of which misbehaves; p99 of the others"
TENANTS, EACH, EVERY_S = 5, 40, 1.0
MOST = 2.0
NOISE_S = 0.1
"""Below that it is the machine's own."""


def _record(what: str, alone: float, beside: float) -> None:
    is_fair = beside <= max(MOST * alone, NOISE_S)
    wanted = f"≤ {MOST:g}× {verdict(is_fair)}"
    rows.append(Row(SUBJECT, what, "alone", duration(alone)))
    rows.append(Row(SUBJECT, what, "beside it", duration(beside), f"{beside / alone:.2f}×", wanted))
    assert is_fair, (what, alone, beside)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> float:
    town = Town(tmp_path_factory.mktemp("alone"), TENANTS, processes=2)
    return max(town.p99_s(None, EACH, EVERY_S) for _ in range(2))


@pytest.mark.parametrize("way", WAYS)
def test_commands(way: str, alone: float, tmp_path: Path) -> None:
    beside = Town(tmp_path, TENANTS, processes=2).p99_s(way, EACH, EVERY_S)
    _record(f"from command to event: {way}", alone, beside)


def test_new_calls() -> None:
    with ExitStack() as stack:
        names = [BAD, *(f"t{number}.example.com" for number in range(1, TENANTS))]
        hosts = {name: stack.enter_context(host()) for name in names}
        for one in hosts.values():
            one.always = answering(200, b'{"recordCall": true}')
        urls = {name: one.url for name, one in hosts.items()}
        alone = new_call_p99_s(urls, each=200, bad_each=1)
        hosts[BAD].always = silent
        beside = new_call_p99_s(urls, each=200, bad_each=400)
    _record("newCall: 400 questions that hang", alone, beside)


def test_connections() -> None:
    alone = rest_p99_s(each=250, idle=0)
    beside = rest_p99_s(each=250, idle=800)
    _record("REST: 800 connections that say nothing", alone, beside)
