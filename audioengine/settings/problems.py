# SPDX-License-Identifier: Apache-2.0
"""What pydantic says of wrong settings, as problems with their fields, values and rules."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from audioengine.commands.names import HIDDEN
from audioengine.commands.wire import joined_path
from audioengine.errors import InvalidRequestError, Problem
from audioengine.params import field_problem

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_RULES = {
    "dataclass_type": "must be an object",
    "tuple_type": "must be a list",
    "path_type": "must be text",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "dict_type": "must be an object",
    "too_short": "must not be empty",
}


def problems_of(error: ValidationError, settings: type[BaseModel]) -> list[Problem]:
    """What is wrong, by field; a value that may be a secret is not shown."""
    out: dict[str, Problem] = {}
    for one in error.errors():
        loc = _field(one["loc"])
        inner = one.get("ctx", {}).get("error")
        if isinstance(inner, InvalidRequestError):
            for each in inner.problems:
                # A value that names itself in its own messages is not named twice.
                own = loc and each.path.split(".")[0] == loc[-1]
                path = joined_path(path_of(loc[:-1] if own else loc), each.path)
                out.setdefault(path, Problem(path, each.value, each.rule))
            continue
        problem = _problem(one["type"], loc, one["input"], one["msg"], settings)
        out[problem.path] = problem
    return list(out.values())


def _problem(
    kind: str, loc: tuple[int | str, ...], value: object, message: str, settings: type[BaseModel]
) -> Problem:
    known = ""
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        kind, value = "extra_forbidden", HIDDEN  # perhaps a misspelt secret
        known = ", ".join(_known(loc, settings))
    elif loc[:2] == ("rest", "keys") or (loc and str(loc[-1]).endswith(("key", "secret"))):
        value = HIDDEN
    elif isinstance(value, (dict, list)):
        value = f"<{type(value).__name__}>"
    rule = message.removeprefix("Value error, ").replace("Input should be", "must be")
    names = tuple(one if isinstance(one, int) else key_of(one) for one in loc)
    return field_problem(kind, names, value, _RULES.get(kind, rule), "settings", known)


def _field(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the place of a field, without what pydantic adds about kinds of it."""
    return loc[:-1] if loc[-1:] == ("[key]",) else loc


def _known(loc: tuple[int | str, ...], settings: type[BaseModel]) -> list[str]:
    """Return the keys that there are where one is wrong."""
    if not loc[1:]:
        return [*settings.model_fields]
    table: Any = settings.model_fields[str(loc[0])].annotation
    if get_args(table):  # of tables by names that are anybody's
        table = get_args(table)[-1]
    return [*table.model_fields]


def path_of(loc: tuple[int | str, ...]) -> str:
    """Return the path of a field, as messages name it."""
    return ".".join(key_of(str(one)) for one in loc)


def key_of(name: str) -> str:
    """Return a key as TOML writes it: a domain has dots."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
