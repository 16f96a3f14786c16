# SPDX-License-Identifier: Apache-2.0
"""Random edits, and edits of what they made; each output is judged by `verify`."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import audioengine as ae
from soak.material import draw
from soak.round import Refused, Round
from tests.support import arguments

START_MS = 1_728_890_677_283
MOST_IN_A_ROW = 4


def edit_in_a_row(work: Round) -> None:
    """Edit a recording, then mostly the output, then that one's."""
    random = work.random
    name, data = draw(random)
    work.say(name)
    work.keep("source.mp3", data)
    for number in range(1, MOST_IN_A_ROW + 1):
        data = _edited(work, data, f"output-{number}.mp3")
        if random.random() < 0.3:
            break


def _edited(work: Round, data: bytes, target: str) -> bytes:
    """One output that is as promised."""
    info = ae.inspect(data)
    modification = _modification(work, info)
    options = _options(work, info)
    if modification.absolute_times:
        options["start_time_ms"] = START_MS
    work.say(f"store({target!r}, {modification}, **{options})")
    asked = arguments(ae.StoreOptions, options)
    out = BytesIO()
    try:
        report = ae.store(data, out, modification, **asked)
    except ae.UnsupportedAudioError:
        if options.get("fallback") != "refuse":
            raise
        raise Refused from None
    work.keep(target, out.getvalue())
    work.count_successions(out.getvalue())
    if not work.windows_only:
        verdict = ae.verify(data, out.getvalue(), modification, **asked)
        work.judge(verdict)
        assert verdict.output_sha256 == report.output.sha256
    work.passed += 1
    return out.getvalue()


def _modification(work: Round, info: ae.RecordingInfo) -> ae.Modification:
    """At most one trim and six masks, in seconds or in epoch milliseconds."""
    random = work.random
    absolute = random.random() < 0.2
    duration = info.samples / info.rate_hz

    def interval(shortest: float) -> ae.Interval:
        # Short ones as often as long ones, and often at an end.
        length = min(duration, max(shortest, duration * 2 ** -random.uniform(0, 12)))
        start = random.choice((0, duration - length, random.uniform(0, duration - length)))
        if absolute:
            first = START_MS + int(start * 1000)
            return ae.Interval(first, first + max(2, int(length * 1000)))
        return ae.Interval(start, start + length)

    trim = interval(2 / info.rate_hz) if random.random() < 0.6 else None
    if trim is not None and random.random() < 0.2:
        open_ends = (ae.Interval(trim.start, None), ae.Interval(None, trim.end))
        trim = random.choice(open_ends)
    masks: dict[str, list[ae.Interval]] = {}
    for _ in range(random.choice((0, 1, 1, 2, 3, 6))):
        party = random.choice(("caller", "callee", "both"))
        masks.setdefault(party, []).append(interval(2 / info.rate_hz))
    guard = random.choice((0, 0, 5, (10, 40)))
    return ae.Modification(trim, masks, absolute_times=absolute, guard_ms=guard)


def _options(work: Round, info: ae.RecordingInfo) -> dict[str, Any]:
    """What `store` and `verify` take, mostly the defaults."""
    random = work.random
    highest = min(3000, 0.34 * info.rate_hz)
    beep = random.choice((
        ae.Beep(),
        ae.Beep(),
        ae.Beep(fill="silence"),
        ae.Beep(random.uniform(200, highest), random.uniform(-60, -3)),
    ))  # fmt: skip
    choices: dict[str, tuple[Any, ...]] = {
        "render": ("smart", "smart", "smart", "full"),
        "shared_frames": ("keep", "keep", "mask_both"),
        "caller_channel": ("left", "left", "right"),
        "fallback": ("full", "full", "refuse"),
        "workers": (1, 2),
    }
    return {"beep": beep, **{name: random.choice(values) for name, values in choices.items()}}
