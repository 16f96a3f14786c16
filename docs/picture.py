# SPDX-License-Identifier: Apache-2.0
"""Draws ``docs/assets/edit.svg``: one edit of the demo's call, before and after.

``python -m docs.picture`` writes it anew from `fixtures/demo-call.mp3`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

import audioengine as ae

_ROOT = Path(__file__).resolve().parent.parent
_CALL = _ROOT / "fixtures" / "demo-call.mp3"
PICTURE = _ROOT / "docs" / "assets" / "edit.svg"

_FROM_S, _TO_S = 16.0, 28.0
_MASK_S = (19.28, 24.838)
_WIDTH, _LANE, _LEFT, _TOP = 860, 54, 96, 26
_COLUMNS = _WIDTH - _LEFT - 20


def draw() -> str:
    """The picture as SVG, with the times of the mask and of the frames that were re-made."""
    modification = ae.Modification(mask={"caller": [ae.Interval(*_MASK_S)]}, guard_ms=(10, 40))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "masked.mp3"
        report = ae.store(_CALL, output, modification)
        before, after = (ae.decode(file, _FROM_S, _TO_S) for file in (_CALL, output))
    lanes = [
        ("caller, before", before.caller, "#3b6ea5"),
        ("caller, after", after.caller, "#b3541e"),
        ("callee, before", before.callee, "#3b6ea5"),
        ("callee, after", after.callee, "#3b6ea5"),
    ]
    start_ms, end_ms = report.masks[0].applied.ms
    under_mask = [
        part.interval.ms
        for part in report.remade
        if part.channel == "left"
        if part.interval.ms[0] < end_ms and start_ms < part.interval.ms[1]
    ]
    first_ms = min(start for start, _ in under_mask)
    last_ms = max(end for _, end in under_mask)
    height = _TOP + len(lanes) * _LANE + 40
    size = f'viewBox="0 0 {_WIDTH} {height}" role="img"'
    caption = (
        f"masked: {_MASK_S[0]:.3f} to {_MASK_S[1]:.3f} s, "
        f"frames re-made: {first_ms / 1000:.3f} to {last_ms / 1000:.3f} s"
    )
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        "<title>One edit: the caller's card number is replaced by a beep</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _band(first_ms / 1000, last_ms / 1000, len(lanes)),
        f'<text x="{_x(_MASK_S[0])}" y="18" fill="#7a3b12">{caption}</text>',
    ]
    for number, (name, pcm, colour) in enumerate(lanes):
        middle = _TOP + number * _LANE + _LANE // 2
        body.append(f'<text x="4" y="{middle + 4}" fill="#333333">{name}</text>')
        body.append(f'<path d="{_outline(pcm, middle)}" fill="{colour}"/>')
    bottom = _TOP + len(lanes) * _LANE
    for second in range(int(_FROM_S), int(_TO_S) + 1, 2):
        label = f'<text x="{_x(second)}" y="{bottom + 16}" text-anchor="middle" fill="#555555">'
        body.append(f"{label}{second} s</text>")
    count = report.frames
    copied = count.verbatim + count.slot_rewritten
    rest = count.spliced + count.reencoded + count.silent
    shared = report.masks[0].shared_frames
    summary = (
        f"{copied} of {copied + rest} frames are copied. "
        f"The callee keeps the source's bits, but for {shared} frames coded as mid/side."
    )
    body.append(f'<text x="{_LEFT}" y="{bottom + 34}" fill="#333333">{summary}</text>')
    return "\n".join([*body, "</svg>", ""])


def _x(second: float) -> int:
    return _LEFT + round((float(second) - _FROM_S) / (_TO_S - _FROM_S) * _COLUMNS)


def _band(start_s: float, end_s: float, lanes: int) -> str:
    width = _x(end_s) - _x(start_s)
    return (
        f'<rect x="{_x(start_s)}" y="{_TOP}" width="{width}" height="{lanes * _LANE}" '
        'fill="#f6e3d5"/>'
    )


def _outline(pcm: npt.NDArray[np.float32], middle: int) -> str:
    """The area between the highest and the lowest sample of each column."""
    edges = np.linspace(0, len(pcm), _COLUMNS // 2 + 1).astype(int)
    scale = (_LANE / 2 - 3) / 0.5
    tops: list[str] = []
    bottoms: list[str] = []
    for column, (start, end) in enumerate(pairwise(edges)):
        x = _LEFT + 2 * column
        tops.append(f"{x},{middle - _height(pcm[start:end].max(), scale)}")
        bottoms.append(f"{x},{middle - _height(pcm[start:end].min(), scale)}")
    return _path([*tops, *reversed(bottoms)])


def _height(value: float, scale: float) -> float:
    limit = _LANE / 2 - 2
    return round(float(np.clip(value * scale, -limit, limit)), 1)


def _path(points: Sequence[str]) -> str:
    return "M" + " L".join(points) + " Z"


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(), encoding="utf-8")
