# SPDX-License-Identifier: Apache-2.0
"""Options: fields of frozen dataclasses, each with its type, default, bounds and description.

::

    @declared
    @dataclass(frozen=True, slots=True, kw_only=True)
    class StoreOptions:
        render: Annotated[Render, Option("full re-encodes everything.")] = "smart"

Everything else takes options from these declarations: `check_options` when a value is made,
`options_from_json` for settings and manifests, `values` for custody records, the flags of the
command line, and the tables of the documentation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from numbers import Integral
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from audioengine.errors import UNKNOWN_KEY, InvalidRequestError, Problem
from audioengine.times import Number, exact

Scope: TypeAlias = Literal["edit", "publish", "batch"]
"""Where an option applies: to every edit, only where the output is published, or only in commands
and manifests."""
Effect: TypeAlias = Literal["heard", "bytes", "none"]
"""What an option changes: what is masked and heard, only the output's bytes, or nothing in it."""

NumberPair: TypeAlias = Number | tuple[Number, Number]
"""One number for both sides, or (before, after)."""

# Stands for the value of an unknown key, which may be a secret under a wrong name.
_HIDDEN = "***"
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n"), False),
}


@dataclass(frozen=True, slots=True)
class Option:
    """What a field's annotation says about its option, beside the type."""

    sentence: str
    """What it does, for users of the library and of the command line."""
    unit: str = ""
    """The unit of a number: "ms", "Hz"."""
    at_least: int | None = None
    at_most: int | None = None
    above: int | None = None
    flag: str = ""
    """Its name on the command line, if it differs from the field's."""
    scope: Scope = "edit"
    effect: Effect = "bytes"
    by_line: bool = False
    """Whether a line of a manifest may set it too, for its own recording."""


# The kinds of options. `judge` normalises a value, or raises InvalidRequestError; `description`
# says for people what a value is.


class Flag:
    """True or false."""

    description = "true or false"

    def judge(self, value: object, path: str, _option: Option) -> bool:
        """Return a value that is right."""
        if not isinstance(value, bool):
            raise InvalidRequestError.of(path, value, "must be true or false")
        return value


@dataclass(frozen=True, slots=True)
class Word:
    """One of a set of words."""

    words: tuple[str, ...]

    @property
    def description(self) -> str:
        """What a value is."""
        return " or ".join(self.words)

    def judge(self, value: object, path: str, _option: Option) -> object:
        """Return a value that is right."""
        if value not in self.words:
            raise InvalidRequestError.of(path, value, f"must be {self.description}")
        return value


@dataclass(frozen=True, slots=True)
class Words:
    """A list of words from a set."""

    words: tuple[str, ...]
    description: ClassVar[str] = "a list of words"

    def judge(self, value: object, path: str, _option: Option) -> tuple[object, ...]:
        """Return a value that is right."""
        rule = f"must be a list of these: {', '.join(self.words)}"
        if isinstance(value, (str, Mapping)) or not isinstance(value, Collection):
            raise InvalidRequestError.of(path, value, rule)
        problems = [Problem(path, word, rule) for word in value if word not in self.words]
        if problems:
            raise InvalidRequestError(problems)
        return tuple(value)


class Texts:
    """A list of texts that are not empty."""

    description = "a list of texts"

    def judge(self, value: object, path: str, _option: Option) -> tuple[str, ...]:
        """Return a value that is right."""
        is_list = not isinstance(value, (str, Mapping)) and isinstance(value, Collection)
        if not is_list or not all(isinstance(one, str) and one for one in value):  # type: ignore[attr-defined]
            raise InvalidRequestError.of(path, value, "must be a list of texts")
        return tuple(value)  # type: ignore[arg-type]


class Whole:
    """A whole number."""

    description = "a whole number"

    def judge(self, value: object, path: str, option: Option) -> int:
        """Return a value that is right."""
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise InvalidRequestError.of(path, value, "must be a whole number")
        _judge_bounds(value, path, option)
        return value if isinstance(value, int) else int(value)


class Numeric:
    """A number."""

    description = "a number"

    def judge(self, value: object, path: str, option: Option) -> object:
        """Return a value that is right."""
        _judge_bounds(value, path, option)
        return value


class Pair:
    """A number, or two: before and after."""

    description = "a number or a list of two, before and after"

    def judge(self, value: object, path: str, option: Option) -> object:
        """Return a value that is right."""
        both = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
        if len(both) != 2:
            raise InvalidRequestError.of(path, value, f"must be {self.description}")
        try:
            for one in both:
                exact(one, path)
        except InvalidRequestError as error:
            raise InvalidRequestError.of(path, value, f"must be {self.description}") from error
        for one in both:
            _judge_bounds(one, path, option)
        return both if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, slots=True)
class Group:
    """A nested value with options of its own."""

    type: type[Any]

    @property
    def description(self) -> str:
        """What a value is."""
        return f"a {self.type.__name__}"

    def judge(self, value: object, path: str, _option: Option) -> object:
        """Return a value that is right."""
        if not isinstance(value, self.type):
            raise InvalidRequestError.of(path, value, f"must be {self.description}")
        return value


Kind: TypeAlias = Flag | Word | Words | Texts | Whole | Numeric | Pair | Group


def _judge_bounds(value: object, path: str, option: Option) -> None:
    number = exact(value, path)
    unit = f" {option.unit}" if option.unit else ""
    low, high, above = option.at_least, option.at_most, option.above
    if low is not None and high is not None:
        if not low <= number <= high:
            raise InvalidRequestError.of(path, value, f"must be {low} to {high}{unit}")
    elif low is not None and number < low:
        raise InvalidRequestError.of(path, value, f"must be at least {low}{unit}")
    elif above is not None and number <= above:
        raise InvalidRequestError.of(path, value, f"must be above {above}{unit}")


@dataclass(frozen=True, slots=True)
class Declared:
    """An option as its class declares it."""

    name: str
    kind: Kind
    default: Any
    option: Option


_declarations: dict[type[Any], tuple[Declared, ...]] = {}


def declarations(options: type[Any]) -> tuple[Declared, ...]:
    """The options of a class, in their order."""
    if options not in _declarations:
        _declarations[options] = _declarations_of(options)
    return _declarations[options]


def _declarations_of(options: type[Any]) -> tuple[Declared, ...]:
    hints = get_type_hints(options, include_extras=True)
    return tuple(
        Declared(one.name, _kind(args[0]), _default(one), extra)
        for one in fields(options)
        if get_origin(hints[one.name]) is Annotated
        for args in [get_args(hints[one.name])]
        for extra in args[1:]
        if isinstance(extra, Option)
    )


def _default(field: Field[Any]) -> object:
    assert field.default is not MISSING, f"{field.name} must have a default"
    return field.default


def _kind(hint: Any) -> Kind:
    """The kind of option that a type stands for."""
    if hint is bool:
        return Flag()
    if hint is int:
        return Whole()
    if hint == Number:
        return Numeric()
    if hint == NumberPair:
        return Pair()
    if get_origin(hint) is Literal:
        return Word(get_args(hint))
    if get_origin(hint) is tuple and get_args(hint)[0] is str:
        return Texts()
    if get_origin(hint) is tuple:
        return Words(get_args(get_args(hint)[0]))
    assert isinstance(hint, type), f"no option is {hint}"
    assert is_dataclass(hint), f"no option is {hint}"
    return Group(hint)


_Options = TypeVar("_Options")


def declared(options: type[_Options]) -> type[_Options]:
    """Name all options of a class in its docstring, for `help`."""
    if options.__doc__ is not None:
        lines = [f"{one.name}: {one.option.sentence}" for one in declarations(options)]
        options.__doc__ = "\n\n".join((options.__doc__.rstrip(), "\n".join(lines))) + "\n"
    return options


def check_options(options: object, within: str = "") -> None:
    """Check all options of a value when it is made, and normalise each.

    within: the path of the value, before the paths of its options.

    Raises InvalidRequestError naming every wrong option.
    """
    problems: list[Problem] = []
    for one in declarations(type(options)):
        given = getattr(options, one.name)
        try:
            value = one.kind.judge(given, f"{within}{one.name}", one.option)
        except InvalidRequestError as error:
            problems += error.problems
        else:
            if value is not given:
                object.__setattr__(options, one.name, value)
    if problems:
        raise InvalidRequestError(problems)


def options_from_json(
    options: type[_Options], given: object, names: Collection[str] | None = None
) -> _Options:
    """Make options from a JSON object; flags may also be the usual words, "yes" or "off".

    names: the options that it may set; None: all.

    Raises InvalidRequestError naming every wrong key.
    """
    if isinstance(given, options):
        return given
    if not isinstance(given, Mapping):
        raise InvalidRequestError.of("", given, "must be an object")
    known = {one.name: one for one in declarations(options) if names is None or one.name in names}
    problems = [_unknown_key(str(name), known) for name in given if name not in known]
    read_values = {
        name: value
        for name, one in known.items()
        if name in given
        for value in _read_or_say(one, given[name], problems)
    }
    try:
        made = options(**read_values)
    except InvalidRequestError as error:
        problems += error.problems
    if problems:
        raise InvalidRequestError(problems)
    return made


def _read_or_say(one: Declared, given: object, problems: list[Problem]) -> list[object]:
    """The value of an option, in a list; an empty list, with problems added, if it is wrong."""
    if isinstance(one.kind, Flag):
        return [_FLAGS.get(str(given).lower(), given)]
    if not isinstance(one.kind, Group):
        return [given]
    try:
        return [options_from_json(one.kind.type, given)]
    except InvalidRequestError as error:
        problems += [_within(one.name, each) for each in error.problems]
        return []


def _unknown_key(path: str, known: Collection[str]) -> Problem:
    """The problem of an unknown key."""
    return Problem(path, _HIDDEN, f"{UNKNOWN_KEY}; known here: {', '.join(known)}")


def _within(name: str, problem: Problem) -> Problem:
    """A problem with an option that is a group, under the group's name if it lacks that."""
    if problem.path.startswith(f"{name}."):
        return problem
    path = ".".join(filter(None, (name, problem.path)))
    return Problem(path, problem.value, problem.rule)


def camel(name: str) -> str:
    """The name of an option in JSON: guardMs for guard_ms."""
    first, *more = name.split("_")
    return first + "".join(map(str.capitalize, more))


def values(options: object) -> dict[str, Any]:
    """The options of a value by name; a group is a mapping too."""
    return {
        one.name: values(value) if isinstance(one.kind, Group) else value
        for one in declarations(type(options))
        for value in [getattr(options, one.name)]
    }


def changed(options: _Options, given: Mapping[str, object]) -> _Options:
    """The same options with those replaced that `given` names by their paths."""
    own: dict[str, object] = {}
    for one in declarations(type(options)):
        if isinstance(one.kind, Group):
            start = f"{one.name}."
            inner = {
                path.removeprefix(start): value
                for path, value in given.items()
                if path.startswith(start)
            }
            if inner:
                own[one.name] = changed(getattr(options, one.name), inner)
        elif one.name in given:
            own[one.name] = given[one.name]
    return replace(options, **own)  # type: ignore[type-var]


def leaves(options: type[Any], within: str = "") -> Iterator[tuple[str, Declared]]:
    """All options of a class and, in place of its groups, theirs, with their paths."""
    for one in declarations(options):
        path = f"{within}{one.name}"
        if isinstance(one.kind, Group):
            yield from leaves(one.kind.type, f"{path}.")
        else:
            yield path, one
