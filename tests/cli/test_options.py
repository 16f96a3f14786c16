# SPDX-License-Identifier: Apache-2.0
"""What is written on the command line reaches the library, exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.cli import main
from tests.cli.helpers import CALL, refusal, rules, run

Reach = Callable[..., dict[str, Any]]

DEFAULTS = {"start_time_ms": None, "options": ae.StoreOptions(), "raw": None, "s3": None}
STORE_DEFAULTS = {
    **DEFAULTS,
    "record": None,
    "workers": None,
    "progress": None,
}


def once() -> list[tuple[str, str]]:
    """Verbs with their options that have one value."""
    context = click.Context(main)
    verbs = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return [
        (name, option.opts[0])
        for name, verb in verbs.items()
        if verb
        for option in verb.params
        if isinstance(option, click.Option) and not option.multiple and not option.is_flag
    ]


class Reached(Exception):  # noqa: N818 - no error
    """The library was called."""


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Reach:
    """Give what a command calls the library with: its keyword arguments, positional ones named."""
    calls: list[dict[str, Any]] = []

    def called(*places: object, **options: Any) -> None:
        names = ("source", "destination", "modification", "options")
        if len(places) == 3:
            names = ("source", "modification", "options", "")
        calls.append({**dict(zip(names, places, strict=False)), **options})
        raise Reached

    monkeypatch.setattr("audioengine.operations.store.store", called)
    monkeypatch.setattr("audioengine.operations.store.plan_store", called)

    def of(*args: str) -> dict[str, Any]:
        calls.clear()
        result = run(*args)
        assert isinstance(result.exception, Reached), result.output
        return calls[0]

    return of


def modification(reach: Reach, *args: str) -> ae.Modification:
    made = reach("store", "in.mp3", "out.mp3", *args)["modification"]
    assert isinstance(made, ae.Modification)
    return made


def test_nothing_asked_is_the_librarys_default(reach: Reach) -> None:
    """Without options the library gets its own defaults."""
    asked = reach("store", "in.mp3", "out.mp3")
    assert asked.pop("source") == "in.mp3"
    assert asked.pop("destination") == "out.mp3"
    assert asked.pop("modification") == ae.Modification()
    assert asked == STORE_DEFAULTS


@pytest.mark.parametrize("verb", [("plan", "in.mp3"), ("store", "in.mp3", "out.mp3", "--dry-run")])
def test_a_dry_run_plans(reach: Reach, verb: tuple[str, ...]) -> None:
    """`plan` and `store --dry-run` are the same call."""
    asked = reach(*verb, "--trim", "1-2", "--render", "full")
    assert asked.pop("source") == "in.mp3"
    assert asked.pop("modification") == ae.Modification(trim=ae.Interval(1, 2))
    assert asked == {**DEFAULTS, "options": ae.StoreOptions(render="full")}


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (("--kms-key", "alias/calls"), "s3", ae.S3Options(kms_key="alias/calls")),
        (("--s3-region", "eu-north-1"), "s3", ae.S3Options(region="eu-north-1")),
        (("--s3-endpoint", "http://[::1]"), "s3", ae.S3Options(endpoint_url="http://[::1]")),
        (("--render", "full"), "render", "full"),
        (("--beep-hz", "440.5"), "beep", ae.Beep(frequency_hz=Decimal("440.5"))),
        (("--beep-dbfs", "-12.5"), "beep", ae.Beep(level_dbfs=Decimal("-12.5"))),
        (("--beep-dbfs=-3",), "beep", ae.Beep(level_dbfs=-3)),
        (("--fill", "silence"), "beep", ae.Beep(fill="silence")),
        (("--caller-channel", "right"), "caller_channel", "right"),
        (("--encoder-delay", "1105"), "encoder_delay", 1105),
        (("--shared-frames", "mask_both"), "shared_frames", "mask_both"),
        (("--fallback", "refuse"), "fallback", "refuse"),
        (("--allow-truncated",), "allow_truncated", True),
        (("--fail-on-crosstalk",), "fail_on_crosstalk", True),
        (("--refuse", "junk", "--refuse", "truncated"), "refuse", ("junk", "truncated")),
        (("--workers", "3"), "workers", 3),
    ],
)
def test_every_option_has_its_argument(
    reach: Reach, args: tuple[str, ...], name: str, value: Any
) -> None:
    """One option changes one argument and no other."""
    changed: dict[str, Any]
    asked = reach("store", "in.mp3", "out.mp3", *args)
    if name in STORE_DEFAULTS:
        changed = {name: value}
    else:
        changed = {"options": replace(ae.StoreOptions(), **{name: value})}
    assert {key: asked[key] for key in STORE_DEFAULTS} == {**STORE_DEFAULTS, **changed}


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("10-50", "10", "50"),
        ("10-", "10", None),
        ("-50", None, "50"),
        ("12.5-15.25", "12.5", "15.25"),
        ("00:00:12.5-1:02:03", "12.5", "3723"),
        ("-01:15.250", None, "75.25"),
        ("1:00-75", "60", "75"),
        (".5-1.", "0.5", "1"),
        ("1e-3-5", "0.001", "5"),
        ("-1e-3", None, "0.001"),
        ("1e-3-", "0.001", None),
        ("1-2e+1", "1", "20"),
        ("0.1-0.30000000000000000001", "0.1", "0.30000000000000000001"),
        ("1728890677283-1728890680444", "1728890677283", "1728890680444"),
    ],
)
def test_intervals(reach: Reach, text: str, start: str | None, end: str | None) -> None:
    """Ends may be open, exponents hold a minus of their own, and no float is made."""
    for args in (("--trim", text), (f"--trim={text}",)):
        trim = modification(reach, *args).trim
        assert trim is not None
        for bound, right in ((trim.start, start), (trim.end, end)):
            assert bound == (None if right is None else Decimal(right))
            assert bound is None or isinstance(bound, Decimal)
        assert trim.origin == f"--trim {text}"


numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str) | st.builds(
    "{}e{}".format, st.integers(-999, 999), st.integers(-9, 9)
)


@given(numbers | st.just(""), numbers | st.just(""))
def test_any_pair_of_numbers_is_read_back(start: str, end: str) -> None:
    """Signs and exponents never shift the boundary between the two numbers."""
    from audioengine.cli.options import _interval

    if not start and not end:
        return
    interval = _interval(f"{start}-{end}", "")
    assert interval.start == (Decimal(start) if start else None)
    assert interval.end == (Decimal(end) if end else None)


def test_masks(reach: Reach) -> None:
    """Masks add up, by party, in the order given."""
    made = modification(
        reach, "--mask", "caller=12.5-15", "--mask=both=30-31", "--mask", "caller=1-2",
        "--mask", "callee=20-21.25",
    )  # fmt: skip
    assert made.mask == {
        "caller": (ae.Interval(Decimal("12.5"), 15), ae.Interval(1, 2)),
        "both": (ae.Interval(30, 31),),
        "callee": (ae.Interval(20, Decimal("21.25")),),
    }
    assert [mask.origin for mask in made.mask["caller"]] == [
        "--mask caller=12.5-15",
        "--mask caller=1-2",
    ]


@pytest.mark.parametrize(
    ("text", "guard"),
    [("10", 10), ("10,40", (10, 40)), ("0.5,1e1", (Decimal("0.5"), 10))],
)
def test_guard(reach: Reach, text: str, guard: object) -> None:
    """One number for both sides, or two."""
    asked = reach("store", "in.mp3", "out.mp3", "--guard-ms", text)
    assert asked["options"].guard_ms == guard


def test_absolute(reach: Reach) -> None:
    """--absolute says what the times of --trim and --mask are."""
    start = ("--start-time-ms", "1728890677283.25")
    made = modification(reach, "--absolute", *start, "--trim", "1728890677283-")
    assert made.absolute_times
    asked = reach("store", "in.mp3", "out.mp3", "--absolute", *start)
    assert asked["start_time_ms"] == Decimal("1728890677283.25")
    assert not modification(reach, "--trim", "1-").absolute_times


def test_params(reach: Reach, tmp_path: Path) -> None:
    """What --params holds comes as text or from a file, in either dialect, with exact decimals."""
    params = {"trim": {"from": 10, "to": 0.1}, "mask": {"caller": [{"from": 12.5, "to": 15}]}}
    text = json.dumps(params).replace("0.1", "50.00000000000000000001")
    file = tmp_path / "params.json"
    file.write_text("\ufeff" + text, encoding="utf-8")
    for given_as in (text, f"@{file}"):
        made = modification(reach, "--params", given_as)
        assert made == ae.Modification(
            trim=ae.Interval(10, Decimal("50.00000000000000000001")),
            mask={"caller": [ae.Interval(Decimal("12.5"), 15)]},
        )
        assert modification(reach, f"--params={given_as}", "--dialect", "rest") == (
            ae.Modification(made.trim, made.mask, relative_unit="ms")
        )


def test_empty_params_change_nothing(reach: Reach) -> None:
    """{}, [] and null mean that nothing is asked."""
    for text in ("{}", "[]", "null", '{"mask": {}, "trim": null}'):
        assert modification(reach, "--params", text) == ae.Modification()


@pytest.mark.parametrize(
    "args",
    [
        ("--trim", "10"),
        ("--trim", ""),
        ("--trim", "-"),
        ("--trim", "a-b"),
        ("--trim", "1-2-3"),
        ("--trim", "nan-5"),
        ("--trim", "0-inf"),
        ("--trim", "1_0-20"),
        ("--trim", " 1-2"),
        ("--trim", "0:10-0:70"),
        ("--trim", "\u0661-\u0662"),
        ("--trim", "1-1e99999999999999999999"),
        ("--trim", "1-2", "--trim", "3-4"),
        ("--mask", "12.5-15"),
        ("--mask", "agent=1-2"),
        ("--mask", "Caller=1-2"),
        ("--mask", "caller="),
        ("--mask", "caller=1"),
        ("--mask", "caller=1:60-1:70"),
        ("--mask", "caller=00:00:01,5-00:00:02"),
        ("--guard-ms", "10,"),
        ("--guard-ms", "10,20,30"),
        ("--guard-ms", "nan"),
        ("--beep-hz", "A4"),
        ("--beep-dbfs", ""),
        ("--fill", "music"),
        ("--render", "fast"),
        ("--caller-channel", "mono"),
        ("--encoder-delay", "-1"),
        ("--encoder-delay", "1.5"),
        ("--shared-frames", "mask"),
        ("--fallback", "never"),
        ("--workers", "0"),
        ("--start-time-ms", "now"),
        ("--params", "{"),
        ("--params", ""),
        ("--params", "@nowhere.json"),
        ("--params", '{"trim": {"from": 1}, "trim": {"from": 2}}'),
        ("--params", "[" * 100_000),
        ("--params", '{"trim": {"from": ' + "1" * 5000 + "}}"),
        ("--params", "{}", "--trim", "1-2"),
        ("--params", "null", "--trim", "1-2"),
        ("--params", "{}", "--mask", "caller=1-2"),
        ("--params", "{}", "--absolute"),
        ("--params", "{}", "--dialect", "soap"),
        ("--dialect", "rest"),
        ("--bogus",),
        ("third.mp3",),
    ],
)
def test_wrong_usage(tmp_path: Path, args: tuple[str, ...]) -> None:
    """What can't be read is refused before anything is opened."""
    error = refusal("store", "nowhere.mp3", tmp_path / "out.mp3", *args)
    assert error["type"] == "UsageError"
    assert error["message"]
    assert error["retryable"] is False
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "path"),
    [
        (("--trim", "3-2"), "--trim 3-2.to"),
        (("--trim", "2-2"), "--trim 2-2.to"),
        (("--trim", "--5"), "--trim --5.to"),
        (("--trim", "-1-5"), "--trim -1-5.from"),
        (("--trim", "6-"), "--trim 6-.from"),
        (("--trim", "1-1.00001"), "--trim 1-1.00001"),
        (("--mask", "caller=1-1.00001"), "--mask caller=1-1.00001"),
        (("--mask", "both=7-9"), "--mask both=7-9.from"),
        (("--mask", "callee=6-"), "--mask callee=6-.from"),
        (("--mask", "callee=-0"), "--mask callee=-0.to"),
        (("--mask", "callee=1-11.1"), "--mask callee=1-11.1.to"),
        (("--mask", "callee=0-1e999"), "--mask callee=0-1e999.to"),
        (("--trim", "1728890677283-"), "--trim 1728890677283-.from"),
        (("--absolute", "--start-time-ms", "1728890677283", "--trim", "1-"), "--trim 1-.from"),
        (("--absolute", "--trim", "1728890677283-"), "--absolute"),
        (
            ("--absolute", "--start-time-ms", "5", "--mask", "both=1728890677283-1728890677284"),
            "--start-time-ms",
        ),
        (("--mask", "caller=1-2", "--guard-ms", "-5"), "--guard-ms"),
        (("--beep-hz", "100"), "--beep-hz"),
        (("--beep-dbfs", "3"), "--beep-dbfs"),
        (("--params", "5"), "modificationParams"),
        (("--params", '{"trim": {"from": -1}}'), "trim.from"),
        (("--params", '{"trim": {"from": NaN}}'), "trim.from"),
        (("--params", '{"trim": {"from": true}}'), "trim.from"),
        (("--params", '{"trim": {"from": "1"}}'), "trim.from"),
        (("--params", '{"mask": {"caller": [{}]}}'), "mask.caller[0]"),
        (("--params", '{"trim": {"from": 1.5}}', "--dialect", "rest"), "trim.from"),
        (("--params", '{"mask": {"agent": []}}'), "mask.agent"),
        (("--params", '{"fade": 1}'), "fade"),
        (
            ("--params", '{"absoluteTimes": true, "trim": {"from": 1728890677283}}'),
            "absoluteTimes",
        ),
        (("--params", '{"trim": {"from": 5}}', "--dialect", "rest"), None),
    ],
)
def test_invalid_requests(tmp_path: Path, args: tuple[str, ...], path: str | None) -> None:
    """What can't be honoured is named as it was written, and leaves no output."""
    target = tmp_path / "out.mp3"
    if path is None:
        assert run("store", CALL, target, *args).exit_code == 0
        return
    error = refusal("store", CALL, target, *args)
    assert error["type"] == "InvalidRequestError"
    assert path in rules(error)
    assert path.split(".to")[0].split(".from")[0] in error["message"]
    assert not list(tmp_path.iterdir())
    assert rules(refusal("plan", CALL, *args)) == rules(error)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """One line each, with the value and what would be right."""
    edits = ("--trim", "5-1", "--mask", "caller=100-110", "--mask", "both=-5-2")
    result = run("store", CALL, tmp_path / "out.mp3", *edits)
    assert result.exit_code == 2
    assert result.stdout == ""
    outside = "puts the interval outside the recording, which lasts from 0 to 6 s"
    negative = "must be at least 0: relative times count from the recording's start"
    assert result.stderr.splitlines() == [
        "Error: the request can't be honoured:",
        "  --trim 5-1, to = 1: must be more than from, 5",
        f"  --mask caller=100-110, from = 100: {outside}; in milliseconds it would be 0.1 s",
        f"  --mask both=-5-2, from = -5: {negative}",
    ]


@pytest.mark.parametrize(("verb", "option"), once())
def test_an_option_with_one_value_is_refused_twice(verb: str, option: str) -> None:
    result = run(verb, option, "1", option, "1")
    assert result.exit_code == 2
    assert f"{option} must be given once, not 2 times." in result.stderr


def test_no_mask_is_lost_with_the_first_of_two_params(tmp_path: Path) -> None:
    out = tmp_path / "out.mp3"
    masked = json.dumps({"mask": {"caller": [{"from": 1, "to": 2}]}})
    for second in (("--params", "{}"), ("--params={}",)):
        refusal("store", CALL, out, "--params", masked, *second)
        assert not out.exists()
    assert run("plan", CALL, "--mask", "caller=1-2", "--mask", "callee=3-4").exit_code == 0
