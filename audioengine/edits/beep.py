# SPDX-License-Identifier: Apache-2.0
"""The beep or silence in place of masked audio."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from audioengine.choices import Fill
from audioengine.declaration import Option, check_options, declared
from audioengine.errors import InvalidRequestError
from audioengine.times import Number, exact, plain

_MAX_BEEP_SHARE_OF_RATE = Fraction(35, 100)  # LAME's low-pass swallows more


@declared
@dataclass(frozen=True, slots=True)
class Beep:
    """The beep or silence in place of masked audio.

    Raises InvalidRequestError if a value is out of range.
    """

    frequency_hz: Annotated[
        Number,
        Option(
            "Frequency of the beep, below 0.35 of the recording's rate.",
            unit="Hz",
            at_least=200,
            at_most=3000,
            flag="--beep-hz",
        ),
    ] = 1000
    level_dbfs: Annotated[
        Number,
        Option(
            "Peak level of the beep.", unit="dBFS", at_least=-60, at_most=-3, flag="--beep-dbfs"
        ),
    ] = -20
    fill: Annotated[Fill, Option("What is heard under a mask.", flag="--fill")] = "beep"

    def __post_init__(self) -> None:
        check_options(self, "beep.")

    def check_rate(self, rate_hz: int) -> None:
        """Raise InvalidRequestError if the beep is too high for a recording of this rate."""
        limit = _MAX_BEEP_SHARE_OF_RATE * rate_hz
        if self.fill == "beep" and exact(self.frequency_hz, "beep.frequency_hz") >= limit:
            rule = f"must be below {plain(limit)} Hz in a recording of {rate_hz} Hz"
            raise InvalidRequestError.of("beep.frequency_hz", self.frequency_hz, rule)
