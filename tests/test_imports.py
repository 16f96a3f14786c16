# SPDX-License-Identifier: Apache-2.0
"""No module needs a module that needs it, also where an import stands in a function."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import audioengine as ae

PACKAGE = Path(ae.__file__).parent


def sources() -> dict[str, str]:
    """The text of each module of the package, by the module's dotted name."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path.read_text()
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "__init__.py"  # its names are for users
    }


def imported(text: str, modules: Collection[str]) -> Iterator[str]:
    """Dotted names of the modules among these that a text imports."""
    for node in ast.walk(ast.parse(text)):
        names: list[tuple[str, ...]] = []  # the first of each that is a module is imported
        if isinstance(node, ast.Import):
            names = [(name.name, f"{name.name}.__init__") for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            of = (f"{node.module}", f"{node.module}.__init__")
            for name in node.names:
                one = f"{node.module}.{name.name}"
                names.append((one, f"{one}.__init__", *of))
        for alike in names:
            yield from [name for name in alike if name in modules][:1]


def order(modules: dict[str, str]) -> list[str]:
    """The modules, each after those that it imports. Raises CycleError where there is no order."""
    graph = {name: {*imported(text, modules)} - {name} for name, text in modules.items()}
    return list(TopologicalSorter(graph).static_order())


def test_imports_go_one_way() -> None:
    modules = sources()
    found = order(modules)
    assert found.index("audioengine.mp3.header") < found.index("audioengine.operations.store")
    assert found.index("audioengine.report.details") < found.index(
        "audioengine.report.store_reports"
    )


def test_a_circle_is_seen_also_in_a_function_and_for_types() -> None:
    first = "def write():\n    from audioengine.b import c\n"
    second = "if TYPE_CHECKING:\n    from audioengine.a import d\n"
    with pytest.raises(CycleError):
        order({"audioengine.a": first, "audioengine.b": second})
