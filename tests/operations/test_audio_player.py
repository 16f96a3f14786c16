# SPDX-License-Identifier: Apache-2.0
"""A notebook draws and plays the samples of an Audio."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile

import audioengine as ae
from audioengine.operations import audio_player
from tests.support import fixture


def shown(audio: ae.Audio) -> tuple[str, ET.Element]:
    """What a notebook shows, and its drawing."""
    html = audio._repr_html_()
    (svg,) = re.findall(r"<svg.*?</svg>", html)
    return html, ET.fromstring(svg)


def test_it_plays_and_draws_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = ae.decode(fixture("mpeg2-16k-48k"))
    html, svg = shown(audio)
    (data,) = re.findall(r"data:audio/wav;base64,([^\"]+)", html)
    pcm, rate = soundfile.read(BytesIO(base64.b64decode(data)))
    assert rate == audio.rate_hz
    assert np.abs(pcm - np.asarray(audio)).max() <= 1 / 32_768
    for group, samples in zip(svg, (audio.caller, audio.callee), strict=True):
        strokes = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", group[1].attrib["d"])
        assert len(strokes) == 800
        highest = min(float(top) for _, top, _ in strokes)
        assert highest == pytest.approx(30 * (1 - samples.max()), abs=0.06)
    monkeypatch.setattr(audio_player, "PLAYED_AT_MOST_S", 1)
    cut, _ = shown(audio)
    assert "The first 1 s can be played." in cut
    assert len(cut) < len(html) / 3


def test_silence_and_nothing_are_shown() -> None:
    for length in (0, 1, 5):
        silence = np.zeros(length, np.float32)
        _, svg = shown(ae.Audio(silence, silence, 8000))
        assert svg[0][1].attrib["d"].count("M") == length
