# SPDX-License-Identifier: Apache-2.0
"""The encoder delay of sources without one in their tag, and where it applies."""

from __future__ import annotations

from fractions import Fraction

from audioengine.declaration import Option, Whole
from audioengine.errors import InvalidRequestError
from audioengine.notices import Notice
from audioengine.times import plain

LAME_LATENESS = 1105
"""Samples before the audio in a LAME stream without a tag frame: 576 + 529."""

ENCODER_DELAY = Option(
    "Encoder delay, in samples, of a source without one in its tag, for absolute times: 1105 if "
    "LAME made it and it has no tag; otherwise see the warning.",
    unit="samples",
    at_least=0,
    effect="heard",
)


class IfUntagged(int):
    """An encoder delay for many recordings: it applies to those without one in their tags.

    A plain number is meant for one recording, and refused if it can have no effect.

    Raises InvalidRequestError if it is no whole number.
    """

    def __init__(self, samples: int) -> None:
        Whole().judge(samples, "encoder_delay", ENCODER_DELAY)


def effective_delay(encoder_delay: int, *, tells_delay: bool, is_absolute: bool = True) -> int:
    """Return the delay in samples.

    Raises InvalidRequestError for a number other than 0 that can have no effect on a recording.
    """
    idle = None
    if tells_delay:
        idle = "can have no effect: the source's tag states its delay"
    elif not is_absolute:
        idle = "can have no effect: relative times count from the first sample played"
    if idle and encoder_delay and not isinstance(encoder_delay, IfUntagged):
        raise InvalidRequestError.of("encoder_delay", encoder_delay, f"{idle}; leave it out")
    return int(encoder_delay)


def untagged_notice(
    rate_hz: int, encoder_delay: int, likely_delay: int, what: str = "Absolute times"
) -> Notice:
    """The warning that `what` applies to a source with an unknown encoder delay.

    likely_delay: the right delay if LAME made the source.
    """
    late_ms = plain(Fraction(likely_delay * 1000, rate_hz))
    message = (
        f"{what} are applied to a source whose tag states no encoder delay: sample {encoder_delay} "
        f"is taken for its start. If LAME made it, also in ffmpeg or lameenc, its audio starts "
        f"{likely_delay} samples ({late_ms} ms) late, and encoder_delay={likely_delay} is right."
    )
    return Notice("untagged_absolute_times", message)
