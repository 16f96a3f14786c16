# SPDX-License-Identifier: Apache-2.0
"""Tables of options for pages of the documentation, made of the declarations in the library.

A page asks for one by a line ``{{ options of StoreOptions }}``.
"""

from __future__ import annotations

import re
from typing import Any

import audioengine as ae
from audioengine.cli.declared import flag_of
from audioengine.declaration import Declared, camel, leaves

_KINDS: dict[str, type[Any]] = {"StoreOptions": ae.StoreOptions, "MergeOptions": ae.MergeOptions}
_ASKED = re.compile(r"^\{\{ options of (\w+) \}\}$", re.MULTILINE)
_HEAD = "| option | value | default | what it does |\n| --- | --- | --- | --- |\n"


def on_page_markdown(markdown: str, **_more: object) -> str:
    """Put the tables in; mkdocs calls this for every page."""
    return _ASKED.sub(lambda found: table(_KINDS[found[1]]), markdown)


def table(kind: type[Any]) -> str:
    """The table of all options of a class."""
    return _HEAD + "\n".join(_row(path, one) for path, one in leaves(kind))


def _row(path: str, one: Declared) -> str:
    option = one.option
    value = one.kind.description + (f", in {option.unit}" if option.unit else "")
    flag = f" `{flag_of(one)}`"
    if option.by_line:
        flag += f", in a line of a manifest `{camel(one.name)}`"
    default = one.default
    if isinstance(default, bool):
        default = str(default).lower()
    shown = "none" if default == () else f"`{default}`"
    return f"| `{path}`<br>{flag} | {value} | {shown} | {option.sentence} |"
