# SPDX-License-Identifier: Apache-2.0
"""One name means one thing: no two public classes or functions of the package are called alike."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import audioengine as ae

PACKAGE = Path(ae.__file__).parent

# The entry points of programs, which Python's convention calls main.
ALLOWED = {"main"}
# Folders with a module for each format of a file, all with the same functions.
FORMATS = {"redaction/labels": {"read", "write"}}

_VAGUE = {"telling", "tellings", "told", "unkept", "carrying", "handling", "running", "settling"}
_VAGUE |= {"turns", "there", "one", "done", "merging"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text())


def is_verb(node: ast.AST) -> bool:
    """Whether a function is a verb of the command line, which bears its operation's name."""
    calls = [one for one in getattr(node, "decorator_list", []) if isinstance(one, ast.Call)]
    return any(isinstance(one.func, ast.Attribute) and one.func.attr == "command" for one in calls)


def public_names() -> dict[str, list[str]]:
    """Classes and functions at the top of modules, by their name."""
    found = defaultdict(list)
    for path, tree in trees():
        for node in tree.body:
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            of_format = FORMATS.get(path.rpartition("/")[0], set())
            if not node.name.startswith("_") and not is_verb(node) and node.name not in of_format:
                found[node.name].append(path)
    return found


def test_no_two_public_names_are_alike() -> None:
    names = public_names()
    assert len(names) > 500
    alike = {name: paths for name, paths in names.items() if len(paths) > 1}
    assert alike.keys() == ALLOWED, alike


def test_a_name_says_a_role() -> None:
    modules = {Path(path).stem for path, _ in trees()}
    assert not (modules | public_names().keys()) & _VAGUE
    assert not {"process", "processes"} <= modules


def test_only_verbs_may_bear_an_operation_s_name() -> None:
    source = "@click.command()\ndef store(): ...\n"
    (verb,) = ast.parse(source).body
    (function,) = ast.parse(source.partition("\n")[2]).body
    assert is_verb(verb)
    assert not is_verb(function)
