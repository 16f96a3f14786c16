# SPDX-License-Identifier: Apache-2.0
"""Which lines a corpus reaches: `python -m fuzzing.reached TARGET CORPUS` prints two numbers.

They are the lines reached and all lines of the modules that the target is about, those included
that run at import.
"""

from __future__ import annotations

import sys
from pathlib import Path

import coverage


def main(name: str, corpus: Path) -> None:
    """Run each input of the corpus, and count."""
    measured = coverage.Coverage(data_file=None, source_pkgs=["audioengine"])
    measured.start()
    from fuzzing.seeds import seeds
    from fuzzing.targets import TARGETS

    target = TARGETS[name]
    for path in sorted(corpus.iterdir()):
        target.run(path.read_bytes())
    for seed in seeds(name):
        target.run(seed)
    measured.stop()
    root = Path(sys.modules["audioengine"].__path__[0])
    reached = lines = 0
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).as_posix().startswith(target.scope):
            _, statements, _, missing, _ = measured.analysis2(str(path))
            reached += len(statements) - len(missing)
            lines += len(statements)
    print(reached, lines)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
