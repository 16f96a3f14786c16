# SPDX-License-Identifier: Apache-2.0
"""Hypothesis runs the same examples everywhere; HYPOTHESIS_PROFILE=explore seeks new ones.

A run that has told its result, but can't end, tells why, and ends. Ctrl-C interrupts, also where
the shell that began the run in the background has it ignored.
"""

from __future__ import annotations

import faulthandler
import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)

_ENDING_S = 60

# Of the tests that raise it, and of processes that they begin.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Show where each thread is that keeps the interpreter from its end."""
    if hasattr(config, "workerinput") or "MUTANT_UNDER_TEST" in os.environ:
        return  # of several processes or several runs; it waits for the others
    faulthandler.dump_traceback_later(_ENDING_S, exit=True, file=2)


settings.register_profile(
    "same",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=50,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=_SLOW,
)
# That a mutant fails is enough; by what is of no account.
settings.register_profile(
    "mutants", settings.get_profile("same"), phases=(Phase.explicit, Phase.generate)
)
settings.register_profile("explore", deadline=None, max_examples=1000, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
