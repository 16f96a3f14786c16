# SPDX-License-Identifier: Apache-2.0
"""Options of the command line that are made of the library's declarations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from audioengine.declaration import (
    Declared,
    Flag,
    Pair,
    Scope,
    Texts,
    Whole,
    Word,
    Words,
    changed,
    leaves,
)
from audioengine.times import NUMBER, Number, read_time

_Callback = TypeVar("_Callback", bound=Callable[..., Any])
_Options = TypeVar("_Options")


def read_number(text: str) -> Decimal:
    """The exact number that a text is.

    Raises click.BadParameter where it is none.
    """
    if not re.fullmatch(NUMBER, text):
        raise click.BadParameter(f"{text!r} is not a number.")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(f"{text!r} is too large or too small a number.") from None


def read_seconds(text: str) -> Decimal:
    """The exact seconds of a number or of ``hh:mm:ss.mmm``.

    Raises click.BadParameter where it is neither.
    """
    seconds = read_time(text) if ":" in text else read_number(text)
    if seconds is None:
        raise click.BadParameter(f"{text!r} is no time such as 75.5 or 00:01:15.5.")
    return seconds


def _read_seconds(_ctx: click.Context, _option: click.Parameter, text: str) -> Decimal:
    return read_seconds(text)


def _read_number(_ctx: click.Context, _option: click.Parameter, text: str) -> Decimal:
    return read_number(text)


def read_pair(
    _ctx: click.Context, _option: click.Parameter, text: str | None
) -> Number | tuple[Number, Number] | None:
    """One number, or two with a comma between; None where nothing is given."""
    if text is None:
        return None
    before, comma, after = text.partition(",")
    return (read_number(before), read_number(after)) if comma else read_number(before)


def flag_of(one: Declared) -> str:
    """What an option is called on the command line."""
    return one.option.flag or "--" + one.name.replace("_", "-")


def _parameter(one: Declared) -> str:
    """What click calls it."""
    return flag_of(one).removeprefix("--").replace("-", "_")


def declared_options(
    kind: type[Any], scopes: Sequence[Scope]
) -> list[Callable[[_Callback], _Callback]]:
    """The options of a class that count in one of these scopes."""
    return [_option(one) for _, one in leaves(kind) if one.option.scope in scopes]


def _option(one: Declared) -> Callable[[_Callback], _Callback]:
    kind, option = one.kind, one.option
    more: dict[str, Any] = {"default": one.default, "show_default": True}
    sentence = option.sentence
    unit = option.unit.upper() or "NUMBER"
    if isinstance(kind, Flag):
        more = {"is_flag": True}
    elif isinstance(kind, Word):
        more["type"] = click.Choice(kind.words)
    elif isinstance(kind, Words):
        more = {"multiple": True, "type": click.Choice(kind.words), "metavar": "CODE"}
        sentence += " May be repeated."
    elif isinstance(kind, Texts):
        more = {"multiple": True, "metavar": "TEXT"}
        sentence += " May be repeated."
    elif isinstance(kind, Whole):
        more |= {"type": click.IntRange(option.at_least, option.at_most), "metavar": unit}
    else:
        is_pair = isinstance(kind, Pair)
        more |= {
            "default": str(one.default),
            "callback": read_pair if is_pair else _read_seconds if unit == "S" else _read_number,
            "metavar": f"{unit}[,{unit}]" if is_pair else unit,
        }
    return click.option(flag_of(one), help=sentence, **more)


def read_options(asked: dict[str, Any], default: _Options) -> _Options:
    """Take what the command line says of options out of `asked`; else they are as by default.

    Raises InvalidRequestError.
    """
    context = click.get_current_context()
    given = {}
    for path, one in leaves(type(default)):
        name = _parameter(one)
        if name in asked:
            value = asked.pop(name)
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
                given[path] = value
    return changed(default, given)
