# SPDX-License-Identifier: Apache-2.0
"""The options of `store` and `merge` as tables of the settings, read by their declarations."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeAlias

from pydantic import PlainSerializer, PlainValidator

from audioengine.commands.redaction import number
from audioengine.declaration import options_from_json, values
from audioengine.errors import InvalidRequestError, Problem
from audioengine.operations.options import OWN_OF_MERGE, MergeOptions, StoreOptions
from audioengine.settings.environment import native


def _merge_options(given: object) -> MergeOptions:
    """What only a merge has; the options that it shares with a store are those of `store`."""
    options = options_from_json(MergeOptions, native(given), OWN_OF_MERGE)
    defaults = values(MergeOptions())
    problems = [
        Problem(name, value, "must be given in store: it counts for merges too")
        for name, value in values(options).items()
        if name not in OWN_OF_MERGE and value != defaults[name]
    ]
    if problems:
        raise InvalidRequestError(problems)
    return options


def _plain(value: object) -> object:
    """The values of options as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return number(value) if isinstance(value, Decimal) else value


def _own_of_merge(options: MergeOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in OWN_OF_MERGE}


StoreField: TypeAlias = Annotated[
    StoreOptions,
    PlainValidator(lambda given: options_from_json(StoreOptions, native(given))),
    PlainSerializer(lambda options: _plain(values(options))),
]
MergeField: TypeAlias = Annotated[
    MergeOptions,
    PlainValidator(_merge_options),
    PlainSerializer(lambda options: _plain(_own_of_merge(options))),
]
