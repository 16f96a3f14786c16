# SPDX-License-Identifier: Apache-2.0
"""Same request and source, same bytes: for any number of workers, in any run and process."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import audioengine as ae
from tests.operations.helpers import Cut, recording, store
from tests.support import FIXTURES

NAMES = ("mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-16k", "mono-8k", "crosstalk-16k")

SCRIPT = """
import hashlib, io, sys
import audioengine as ae
edit = ae.Modification(
    trim=ae.Interval(0.5, 5.5), mask={"caller": [ae.Interval(1, 2)], "both": [ae.Interval(3, 3.2)]}
)
for render in ("smart", "full"):
    out = io.BytesIO()
    ae.store(sys.argv[1], out, edit, ae.StoreOptions(render=render))
    print(hashlib.sha256(out.getvalue()).hexdigest())
"""


def edits(samples: int) -> Cut:
    """Trim and masks that meet all ways to make a frame."""
    step = samples // 10
    return Cut(
        (step // 2, samples - step // 3),
        caller=((2 * step, 4 * step), (5 * step, 5 * step + 700)),
        callee=((3 * step, 6 * step),),
    )


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_workers_gives_the_same(name: str, render: str) -> None:
    source = recording(name)
    cut = edits(source.samples)
    outputs = {store(source, cut, render=render, workers=n).data for n in (1, 2, 4, 7, None)}
    assert len(outputs) == 1


@pytest.mark.parametrize("render", ["smart", "full"])
def test_sections_made_at_once_give_the_same(render: str) -> None:
    """A recording of more than one section, masked over all of it."""
    source = recording("demo-call")
    cut = Cut(caller=((0, source.samples),), callee=((100_000, 500_000),))
    outputs = {store(source, cut, render=render, workers=n).data for n in (1, 4)}
    assert len(outputs) == 1


def test_every_run_gives_the_same() -> None:
    source = recording("mpeg2-16k-48k")
    cut = edits(source.samples)
    assert len({store(source, cut).data for _ in range(6)}) == 1


def test_reports_differ_in_nothing_but_the_time_taken() -> None:
    source = recording("mpeg2-16k-48k")
    cut = edits(source.samples)
    reports = [store(source, cut, workers=n).report.to_dict() for n in (1, 4)]
    for report in reports:
        del report["wall_seconds"]
    assert reports[0] == reports[1]


def test_every_process_gives_the_same(tmp_path: Path) -> None:
    """Also where strings hash another way, and the folder and language are others."""
    path = FIXTURES / "mpeg2-16k-48k.mp3"
    outputs = set()
    for seed, language in (("1", "C"), ("2", "C.UTF-8")):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "LC_ALL": language,
            "PYTHONPATH": str(FIXTURES.parent),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(path)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        outputs.add(done.stdout)
    here = []
    edit = ae.Modification(
        trim=ae.Interval(0.5, 5.5),
        mask={"caller": [ae.Interval(1, 2)], "both": [ae.Interval(3, 3.2)]},
    )
    for render in ("smart", "full"):
        out = io.BytesIO()
        ae.store(path, out, edit, ae.StoreOptions(render=render))
        here.append(hashlib.sha256(out.getvalue()).hexdigest())
    assert outputs == {"".join(f"{digest}\n" for digest in here)}


def test_the_order_of_masks_does_not_matter() -> None:
    source = recording("mpeg2-16k-48k")
    spans = ((10_000, 12_000), (30_000, 33_000), (60_000, 66_000))
    assert (
        store(source, Cut(caller=spans, both=spans[:1])).data
        == store(source, Cut(caller=spans[::-1], both=spans[:1])).data
    )


def test_both_is_the_caller_and_the_callee() -> None:
    source = recording("mpeg2-16k-48k")
    spans = ((10_000, 12_000), (30_000, 33_000))
    assert (
        store(source, Cut(both=spans)).data == store(source, Cut(caller=spans, callee=spans)).data
    )


def test_either_spelling_of_times_gives_the_same() -> None:
    """Seconds as float or decimal, epoch milliseconds, and params of both dialects."""
    source = recording("mpeg2-16k-48k")
    epoch = 1_728_890_677_283
    params = {"trim": {"from": 1, "to": 5}, "mask": {"caller": [{"from": 2, "to": 3.5}]}}
    rest = {"trim": {"from": 1000, "to": 5000}, "mask": {"caller": {"from": 2000, "to": 3500}}}
    absolute = {
        "absoluteTimes": True,
        "trim": {"from": epoch + 1000, "to": epoch + 5000},
        "mask": {"caller": [{"from": epoch + 2000, "to": epoch + 3500}]},
    }
    spellings = [
        ae.Modification(trim=ae.Interval(1, 5), mask={"caller": [ae.Interval(2, 3.5)]}),
        ae.Modification.from_params(params),
        ae.Modification.from_params(rest, "rest"),
        ae.Modification.from_params(absolute),
        ae.Modification.from_params(absolute, "rest"),
    ]
    outputs = set()
    for modification in spellings:
        out = io.BytesIO()
        ae.store(source.data, out, modification, start_time_ms=epoch)
        outputs.add(out.getvalue())
    assert len(outputs) == 1
