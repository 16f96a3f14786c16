# SPDX-License-Identifier: Apache-2.0
"""Runs rounds until the time is over: `python -m soak`, or `make soak`."""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import click

from soak.edits import edit_in_a_row
from soak.merges import merge_some
from soak.round import Alarm, Refused, Round

FAILURES = Path(__file__).parent.parent / ".cache" / "soak"
SHARE_OF_MERGES = 0.15
TELL_EVERY_S = 30


@click.command(context_settings={"auto_envvar_prefix": "SOAK"})
@click.option("--seconds", default=600.0, show_default=True, help="How long it goes on.")
@click.option("--seed", help="What all rounds are drawn from; by default a new one.")
@click.option("--only", type=int, help="Do this one round alone.")
@click.option("--windows-only", is_flag=True, help="Judge the successions of windows alone.")
@click.option("--verify-only", is_flag=True, help="Judge outputs by `verify` alone, many a second.")
@click.option(
    "--most-failures", default=10, show_default=True, help="After so many failures it ends."
)
def main(
    seconds: float,
    seed: str | None,
    only: int | None,
    windows_only: bool,
    verify_only: bool,
    most_failures: int,
) -> None:
    """Edit and merge recordings of fixtures/ at random, and judge every output.

    A round that fails leaves its files, what was asked for and the error in .cache/soak/.
    """
    seed = seed or secrets.token_hex(4)
    print(f"seed {seed}, {seconds:g} s")
    started = told = time.monotonic()
    counts = Counter({"outputs": 0, "successions": 0, "rounds": 0, "refused": 0, "failed": 0})
    number = only or 0
    while counts["failed"] < most_failures:
        _do(Round(seed, number, windows_only, verify_only), counts)
        number += 1
        now = time.monotonic()
        if only is not None or now - started >= seconds:
            break
        if now - told >= TELL_EVERY_S:
            told = now
            _tell(counts, now - started)
    print(f"seed {seed}: ", end="")
    _tell(counts, time.monotonic() - started)
    sys.exit(1 if counts["failed"] else 0)


def _do(work: Round, counts: Counter[str]) -> None:
    counts["rounds"] += 1
    try:
        if work.random.random() < SHARE_OF_MERGES:
            merge_some(work)
        else:
            edit_in_a_row(work)
    except Refused:
        counts["refused"] += 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it should not be
        counts["failed"] += 1
        what = error.checks if isinstance(error, Alarm) else (type(error).__name__,)
        counts.update(f"failed {name}" for name in what)
        place = work.leave(FAILURES, traceback.format_exc())
        print(f"round {work.number} failed; see {place} or repeat it:")
        print(f"  python -m soak --seed {work.seed} --only {work.number}", flush=True)
        print(f"  {', '.join(what)}", flush=True)
    counts["outputs"] += work.passed
    counts["successions"] += work.successions


def _tell(counts: Counter[str], seconds: float) -> None:
    kinds = {name.removeprefix("failed "): n for name, n in counts.items() if "failed " in name}
    by_kind = ", ".join(f"{name} {count}" for name, count in sorted(kinds.items()))
    print(
        f"{counts['outputs']} outputs as promised in {counts['rounds']} rounds, "
        f"{counts['successions']:,} windows that follow legally, "
        f"{counts['refused']} requests refused as asked, {counts['failed']} rounds failed"
        f"{f' ({by_kind})' if kinds else ''}, {seconds:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
