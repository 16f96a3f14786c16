# SPDX-License-Identifier: Apache-2.0
"""One declaration of an option serves everything that deals with options."""

from __future__ import annotations

import inspect
import json
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.cli import main
from audioengine.cli.declared import declared_options, flag_of, read_options
from audioengine.cli.options import with_options
from audioengine.declaration import (
    NumberPair,
    Option,
    camel,
    changed,
    check_options,
    declarations,
    declared,
    leaves,
    options_from_json,
    values,
)
from audioengine.operations.options import OWN_OF_MERGE
from audioengine.times import Number

KINDS = (ae.StoreOptions, ae.MergeOptions)


@declared
@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """An echo."""

    delay_ms: Annotated[Number, Option("How late.", unit="ms", at_least=0, flag="--late")] = 5

    def __post_init__(self) -> None:
        check_options(self, "echo.")


@declared
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """An option of each kind."""

    word: Annotated[Literal["a", "b"], Option("A word.")] = "a"
    words: Annotated[tuple[Literal["c", "d"], ...], Option("Words.")] = ()
    texts: Annotated[tuple[str, ...], Option("Texts.")] = ()
    flag: Annotated[bool, Option("A flag.")] = False
    whole: Annotated[int, Option("A count.", at_least=1, at_most=9)] = 1
    number: Annotated[Number, Option("A number.", unit="s", above=0)] = 1
    pair_ms: Annotated[NumberPair, Option("A pair.", unit="ms", at_least=0)] = 0
    echo: Annotated[Echo, Option("An echo.")] = Echo()

    def __post_init__(self) -> None:
        check_options(self)


numbers = st.one_of(st.integers(1, 99), st.floats(0.25, 99), st.decimals(1, 99, places=2))
right = st.builds(
    Options,
    word=st.sampled_from("ab"),
    words=st.lists(st.sampled_from("cd")).map(tuple),
    texts=st.lists(st.sampled_from(("e", "f g"))).map(tuple),
    flag=st.booleans(),
    whole=st.integers(1, 9),
    number=numbers,
    pair_ms=numbers | st.tuples(numbers, numbers),
    echo=st.builds(Echo, delay_ms=numbers),
)


@given(right)
def test_what_options_say_is_read_back(options: Options) -> None:
    """From the object that settings and records hold."""
    said = values(options)
    assert options_from_json(Options, said) == options
    assert options_from_json(Options, said).words == options.words
    assert list(said) == [one.name for one in fields(Options)]
    assert changed(Options(), {path: at(options, path) for path, _ in leaves(Options)}) == options


def at(options: object, path: str) -> Any:
    """The value of an option by its path."""
    for name in path.split("."):
        options = getattr(options, name)
    return options


@given(right)
def test_the_command_line_says_the_same(options: Options) -> None:
    got: list[Options] = []

    def verb(**asked: Any) -> None:
        got.append(read_options(asked, Options()))
        assert not asked

    command = click.command(with_options(verb, declared_options(Options, ["edit"])))
    args: list[str] = []
    for path, one in leaves(Options):
        value = at(options, path)
        if isinstance(value, bool):
            args += [flag_of(one)] * value
        elif path in ("words", "texts"):
            args += [arg for word in value for arg in (flag_of(one), word)]
        else:
            both = value if isinstance(value, tuple) else (value,)
            args += [flag_of(one), ",".join(map(str, both))]
    result = CliRunner().invoke(command, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert values(got[0]) == values(replace(options, **decimals(options)))


def decimals(options: Options) -> dict[str, Any]:
    """Its numbers as they are read of text."""

    def exact(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(exact, value))
        return Decimal(str(value))

    return {
        "number": exact(options.number),
        "pair_ms": exact(options.pair_ms),
        "echo": Echo(delay_ms=exact(options.echo.delay_ms)),
    }


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("word", "c", "must be a or b"),
        ("word", ["a"], "must be a or b"),
        ("words", "cd", "must be a list of these: c, d"),
        ("words", ("c", "e"), "must be a list of these: c, d"),
        ("texts", "ef", "must be a list of texts"),
        ("texts", ("e", ""), "must be a list of texts"),
        ("texts", ("e", 1), "must be a list of texts"),
        ("flag", 1, "must be true or false"),
        ("flag", "true", "must be true or false"),
        ("whole", True, "must be a whole number"),
        ("whole", 2.0, "must be a whole number"),
        ("whole", 10, "must be 1 to 9"),
        ("number", 0, "must be above 0 s"),
        ("number", "1", "must be a number"),
        ("number", float("nan"), "must be finite"),
        ("pair_ms", -1, "must be at least 0 ms"),
        ("pair_ms", (0, -1), "must be at least 0 ms"),
        ("pair_ms", (1, 2, 3), "must be a number or a list of two, before and after"),
        ("pair_ms", (1, "2"), "must be a number or a list of two, before and after"),
        ("echo", {"delay_ms": 5}, "must be a Echo"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_made(name: str, value: Any, rule: str) -> None:
    """By its name, with what would be right; reading it says the same but of groups."""
    with pytest.raises(ae.InvalidRequestError) as caught:
        Options(**{name: value})
    assert [(one.path, one.rule) for one in caught.value.problems] == [(name, rule)]
    if name not in ("echo", "flag"):
        with pytest.raises(ae.InvalidRequestError) as caught:
            options_from_json(Options, {name: value})
        assert [(one.path, one.rule) for one in caught.value.problems] == [(name, rule)]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    said = {"word": "c", "whole": 0, "echo": {"delay_ms": -1, "lot": 3}, "secret": "canary"}
    with pytest.raises(ae.InvalidRequestError) as caught:
        options_from_json(Options, said)
    told = {one.path: one.rule for one in caught.value.problems}
    known = "is not a known key; known here: "
    assert told == {
        "word": "must be a or b",
        "whole": "must be 1 to 9",
        "echo.delay_ms": "must be at least 0 ms",
        "echo.lot": f"{known}delay_ms",
        "secret": f"{known}word, words, texts, flag, whole, number, pair_ms, echo",
    }
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_an_option_that_help_names(kind: type[Any]) -> None:
    assert [one.name for one in declarations(kind)] == [one.name for one in fields(kind)]
    for _, one in leaves(kind):
        assert one.option.sentence.endswith(".")
    for one in declarations(kind):
        assert f"{one.name}: {one.option.sentence}" in (inspect.getdoc(kind) or "")
    with pytest.raises(FrozenInstanceError):
        kind().render = "full"


def test_every_option_is_a_flag_a_setting_and_in_errors() -> None:
    """Nothing that deals with options has a list of its own."""
    context = click.Context(main)
    flags = {
        name: {flag for option in verb.params for flag in option.opts}
        for name in ("store", "plan", "verify", "batch", "merge", "verify-merge")
        for verb in [main.get_command(context, name)]
        if verb is not None
    }
    for _, one in leaves(ae.StoreOptions):
        scope = one.option.scope
        assert flag_of(one) in flags["batch"]
        assert (flag_of(one) in flags["store"]) is (scope != "batch")
        assert (flag_of(one) in flags["plan"]) is (scope == "edit")
        assert (flag_of(one) in flags["verify"]) is (scope == "edit")
    for _, one in leaves(ae.MergeOptions):
        assert flag_of(one) in flags["merge"]
        assert (flag_of(one) in flags["verify-merge"]) is (one.option.scope == "edit")
    shown = ae.Settings().to_dict()
    assert list(shown["store"]) == [one.name for one in fields(ae.StoreOptions)]
    assert list(shown["merge"]) == list(OWN_OF_MERGE)
    assert json.dumps(shown["store"])


def test_an_options_guard_counts_where_a_modification_says_none() -> None:
    """Also in the library, and 0 says none at all."""
    options = ae.StoreOptions(guard_ms=(10, 40), clip_tolerance_s=7)
    for own, guard in ((None, (10, 40)), (0, 0), (5, 5)):
        made = options.completed(ae.Modification(guard_ms=own))
        assert (made.guard_ms, made.clip_tolerance_s) == (guard, 7)
    assert options.completed(ae.Modification(clip_tolerance_s=0)).clip_tolerance_s == 0


@pytest.mark.parametrize("wrong", [None, {}, ae.MergeOptions(), "full"])
def test_what_are_no_options_is_refused_before_anything_is_read(wrong: Any) -> None:
    with pytest.raises(ae.InvalidRequestError, match=r"options = .*must be StoreOptions"):
        ae.store("nowhere.mp3", "out.mp3", options=wrong)
    with pytest.raises(ae.InvalidRequestError, match=r"options = .*must be StoreOptions"):
        ae.verify("nowhere.mp3", "out.mp3", options=wrong)
    other: Any = ae.StoreOptions()
    with pytest.raises(ae.InvalidRequestError, match=r"options = .*must be MergeOptions"):
        ae.merge([], "out.mp3", other)


def test_keys_of_json() -> None:
    assert [camel(name) for name in ("guard_ms", "clip_tolerance_s", "render")] == [
        "guardMs",
        "clipToleranceS",
        "render",
    ]
