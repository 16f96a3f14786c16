# SPDX-License-Identifier: Apache-2.0
"""Environment variables: what they say, and which of them would not count."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import is_dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from audioengine.commands.names import HIDDEN
from audioengine.commands.unknown import misspelt
from audioengine.declaration import leaves
from audioengine.errors import InvalidRequestError, Problem
from audioengine.json_input import parse_json
from audioengine.settings.sources import FILE_VARIABLE, PREFIX


def native(value: object) -> object:
    """Numbers and lists as Python has them; the environment knows only text."""
    if isinstance(value, dict):
        return {key: native(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(map(native, value))
    if isinstance(value, str):
        try:
            decoded = parse_json(value, "")
        except InvalidRequestError:
            return value
        return native(decoded) if isinstance(decoded, (int, float, Decimal, list)) else value
    if isinstance(value, Decimal):
        return float(value)
    return value


class Variables(EnvSettingsSource):
    """Environment variables; JSON in them is read as all from outside."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:  # noqa: ARG002
        """Return what a variable holds. Raises InvalidRequestError, which is a ValueError."""
        return parse_json(value, field_name)

    def __call__(self) -> dict[str, Any]:
        """Return what variables say. Raises InvalidRequestError for those that would not count."""
        if problems := _variable_problems(os.environ, self.settings_cls):
            raise InvalidRequestError(problems)
        return super().__call__()


def _variable_problems(
    environment: Mapping[str, str], settings: type[BaseSettings]
) -> list[Problem]:
    """Variables that say the same setting in two cases, or that misspell one.

    Others may be anybody's: Kubernetes names some after its services, with places as values.
    """
    ours = [
        name
        for name, value in sorted(environment.items())
        if name.upper().startswith(PREFIX) and not value.startswith(("tcp://", "udp://"))
    ]
    problems = []
    for name, count in Counter(name.upper() for name in ours).items():
        if count > 1:
            rule = "must be given once: variables count in either case"
            problems.append(Problem(name, HIDDEN, rule))
    known = _variables(settings)
    for name in ours:
        upper = name.upper()
        table = upper.removeprefix(PREFIX).partition("__")[0]
        if upper == FILE_VARIABLE or table.lower() in settings.model_fields:
            continue
        if meant := misspelt(upper, known):
            problems.append(
                Problem(name, HIDDEN, f"is not a known variable; did you mean {meant}?")
            )
    return problems


@cache
def _variables(settings: type[BaseSettings]) -> tuple[str, ...]:
    """The variables of single settings, but of tables whose keys are anybody's."""
    found = []
    for name, field in settings.model_fields.items():
        table: Any = field.annotation
        if isinstance(table, type) and is_dataclass(table):
            found += [f"{name}__{path.replace('.', '__')}" for path, _ in leaves(table)]
        elif isinstance(table, type) and issubclass(table, BaseModel):
            found += [f"{name}__{inner}" for inner in table.model_fields]
        else:
            found.append(name)
    return tuple(PREFIX + name.upper() for name in found)


def why_no_json(error: SettingsError) -> str:
    """What is wrong with a variable; its value may be a secret."""
    rule = f"a table or list must be JSON: {error}"
    if isinstance(error.__cause__, InvalidRequestError):
        rule += "".join(f"; {one.path} {one.rule}" for one in error.__cause__.problems)
    return rule
