# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing: `make fuzz`, or `python -m fuzzing` where audioengine[fuzz] is.

``draw`` makes requests of bytes, ``targets`` are what is fuzzed, ``seeds`` what is begun with;
``one`` runs a target under atheris, ``__main__`` all of them in turn, and ``reached`` measures what
came of it. The tests put the seeds and every finding so far through the same targets.
"""
