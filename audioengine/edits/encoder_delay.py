# SPDX-License-Identifier: Apache-2.0
"""How late a source that tells no delay holds its audio, and where that counts."""

from __future__ import annotations

from fractions import Fraction

from audioengine.declaration import Option, Whole
from audioengine.errors import InvalidRequestError
from audioengine.notices import Notice
from audioengine.times import plain

LAME_LATENESS = 1105
"""Samples by which a LAME stream without any tag frame holds its audio late: 576 + 529."""

ENCODER_DELAY = Option(
    "How late a source that does not tell it holds its audio, for absolute times: 1105 if LAME "
    "made it and there is no tag; else as the warning says.",
    unit="samples",
    at_least=0,
    effect="heard",
)


class IfUntagged(int):
    """An encoder delay for many recordings: it counts for those whose tags tell none.

    A plain number is meant for one recording, and refused where it can have no effect.

    Raises InvalidRequestError where it is no whole number.
    """

    def __init__(self, samples: int) -> None:
        Whole().judge(samples, "encoder_delay", ENCODER_DELAY)


def effective_delay(encoder_delay: int, *, tells_delay: bool, is_absolute: bool = True) -> int:
    """Return the delay in samples.

    Raises InvalidRequestError for a number, but 0, that can have no effect on a recording.
    """
    idle = None
    if tells_delay:
        idle = "can have no effect: the source's tag tells its delay"
    elif not is_absolute:
        idle = "can have no effect: relative times count what players play"
    if idle and encoder_delay and not isinstance(encoder_delay, IfUntagged):
        raise InvalidRequestError.of("encoder_delay", encoder_delay, f"{idle}; leave it out")
    return int(encoder_delay)


def untagged_notice(
    rate_hz: int, encoder_delay: int, likely_delay: int, what: str = "Absolute times"
) -> Notice:
    """The warning that `what` meets a source whose start nothing tells.

    likely_delay: what is right if LAME made the source.
    """
    late_ms = plain(Fraction(likely_delay * 1000, rate_hz))
    message = (
        f"{what} meet a source without a gapless tag that tells its delay: sample {encoder_delay} "
        f"is taken for its start. If LAME made it, be it in ffmpeg or lameenc, its audio lies "
        f"{likely_delay} samples ({late_ms} ms) late: then encoder_delay={likely_delay} is right."
    )
    return Notice("untagged_absolute_times", message)
