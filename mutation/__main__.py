# SPDX-License-Identifier: Apache-2.0
"""Mutates modules one change at a time and runs their tests: `python -m mutation [PLACE …]`.

A place is a package or a module of `audioengine`, such as `plan` or `mp3/reservoir`; its tests are
those in `tests/` at the same place. All happens in a copy of the tree, in .mutants. The exit code
is 1 if a mutant survives, which is then shown as a diff; some change nothing that can be seen.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(".mutants")
PLACES = ("mp3", "plan", "execution", "commands")
_COPIED = ("audioengine", "tests", "fixtures", "docs", "fuzzing", "soak")
_FILES = ("pyproject.toml", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "mkdocs.yml")
_MUTMUT = (sys.executable, "-m", "mutmut")
_UNNOTICED = ("survived", "no tests")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 if the tests notice every mutant, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m mutation")
    parser.add_argument("--children", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("places", nargs="*", help=f"such as mp3/reservoir ({' '.join(PLACES)})")
    chosen = parser.parse_args(arguments)
    unnoticed: list[str] = []
    for place in chosen.places or PLACES:
        code, tests = _paths(place)
        if not code.exists() or not tests.exists():
            parser.error(f"no such place, or it has no tests: {place}")
        unnoticed += _mutated(code, tests, chosen.children)
    return int(bool(unnoticed))


def _paths(place: str) -> tuple[Path, Path]:
    """Return the code of a place, and its tests."""
    code, tests = Path("audioengine", place), Path("tests", place)
    if code.is_dir():
        return code, tests
    return code.with_suffix(".py"), tests.with_name(f"test_{tests.name}.py")


def _mutated(code: Path, tests: Path, children: int) -> list[str]:
    """Mutate a module or a package, show what no test notices, and return its names."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in _COPIED:
        shutil.copytree(name, FOLDER / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(name, FOLDER)
    pattern = f"{code}/*" if code.is_dir() else code
    copied = "\n    ".join((*_COPIED[2:], *_FILES[1:]))
    (FOLDER / "setup.cfg").write_text(
        "[mutmut]\n"
        "source_paths=audioengine\n"
        f"only_mutate={pattern}\n"
        "pytest_add_cli_args=-p\n    no:benchmark\n"
        f"pytest_add_cli_args_test_selection={tests}\n"
        f"also_copy={copied}\n"
        "track_dependencies=false\n"
        "use_git_change_detection=false\n"
    )
    # Failing is enough: what a counterexample is at the least, is of no account here.
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "mutants"}
    run = [*_MUTMUT, "run", "--max-children", str(children)]
    subprocess.run(run, cwd=FOLDER, env=environment, check=True)
    results = _printed("results")
    unnoticed = [
        name.strip()
        for name, _, result in (line.rpartition(": ") for line in results.splitlines())
        if result in _UNNOTICED
    ]
    for name in unnoticed:
        print(_printed("show", name))
    print(f"{code}: {len(unnoticed)} mutants that no test in {tests} notices")
    return unnoticed


def _printed(*arguments: str) -> str:
    shown = subprocess.run(
        [*_MUTMUT, *arguments], cwd=FOLDER, check=True, capture_output=True, text=True
    )
    return shown.stdout


if __name__ == "__main__":
    sys.exit(main())
