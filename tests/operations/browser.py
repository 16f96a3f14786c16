# SPDX-License-Identifier: Apache-2.0
"""What a browser plays of a file: Chromium, without a window, driven by playwright."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Error, Page, sync_playwright

INSTALLED = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
"""What it is called where the system has one; else playwright may have its own."""
MISSING = (
    "there is no Chromium: install the system's (Debian: chromium-headless-shell), "
    "or run `playwright install chromium-headless-shell`"
)
TIMEOUT_MS = 60_000

# An offline context of the file's own rate: at any other, decodeAudioData would resample.
DECODE = """async ([data, rate]) => {
    const file = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const sound = await new OfflineAudioContext(2, 1, rate).decodeAudioData(file.buffer);
    const channels = [];
    for (let channel = 0; channel < sound.numberOfChannels; channel++) {
        const bytes = new Uint8Array(sound.getChannelData(channel).buffer);
        const pieces = [];
        for (let at = 0; at < bytes.length; at += 32768)
            pieces.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
        channels.push(btoa(pieces.join("")));
    }
    return channels;
}"""


@dataclass(frozen=True)
class Browser:
    """A page that decodes."""

    page: Page
    version: str

    def decode(self, data: bytes, rate: int) -> npt.NDArray[np.float32] | None:
        """[shape=(n, channels)] All that decodeAudioData plays; None where it refuses the file."""
        try:
            channels = self.page.evaluate(DECODE, [base64.b64encode(data).decode(), rate])
        except Error as error:
            if "EncodingError" in error.message:
                return None
            raise
        parts = [np.frombuffer(base64.b64decode(one), dtype=np.float32) for one in channels]
        return np.stack(parts, axis=1)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser with an empty page; skips the test where there is none."""
    with sync_playwright() as playwright:
        kind = playwright.chromium
        path = next(filter(None, map(shutil.which, INSTALLED)), None)
        if path is None and not Path(kind.executable_path).exists():
            pytest.skip(MISSING)
        with kind.launch(executable_path=path, timeout=TIMEOUT_MS) as browser:
            page = browser.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            yield Browser(page, browser.version)
