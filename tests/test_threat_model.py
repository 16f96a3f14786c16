# SPDX-License-Identifier: Apache-2.0
"""The threat model: each of its rules names tests, and these are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_HEAD = "| rule | held by |\n| --- | --- |\n"
RULES = [
    line for table in PAGE.split(_HEAD)[1:] for line in table.partition("\n\n")[0].splitlines()
]


@cache
def functions(path: str) -> frozenset[str]:
    """The tests of a file that pytest would find."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        one.name
        for one in tree.body
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and one.name.startswith("test_")
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[2:40])
def test_each_rule_is_held_by_tests_that_are_there(rule: str) -> None:
    _, _, held, _ = rule.split("|")
    named = NAMED.findall(held)
    assert named
    assert NAMED.sub("", held).replace(",", "").strip() == ""
    for path, name in named:
        assert name in functions(path), f"{path}::{name}"


def test_nothing_is_named_elsewhere_and_there_are_rules() -> None:
    assert len(RULES) > 30
    assert len(NAMED.findall(PAGE)) == sum(len(NAMED.findall(rule)) for rule in RULES)
    assert PAGE.count("::test_") == len(NAMED.findall(PAGE))
