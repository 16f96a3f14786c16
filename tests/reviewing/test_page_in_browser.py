# SPDX-License-Identifier: Apache-2.0
"""A browser shows the page, plays what it says, and gives back what was decided on it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page

import audioengine as ae
from tests.operations.browser import Browser, open_browser
from tests.reviewing.test_page import EDIT, HOSTILE, spoken
from tests.support import fixture

SOURCE = fixture("mpeg2-16k-48k")
RATE = 16_000
# What is started is kept: its samples, and through which of them it plays where.
WATCH = """
    window.started = [];
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (when, offset, seconds) {
        const rate = this.context.sampleRate;
        const first = Math.round(offset * rate);
        const channels = [];
        for (let channel = 0; channel < this.buffer.numberOfChannels; channel++) {
            const whole = this.buffer.getChannelData(channel);
            const part = whole.slice(first, first + Math.round(seconds * rate));
            let text = "";
            for (const byte of new Uint8Array(part.buffer)) text += String.fromCharCode(byte);
            channels.push(btoa(text));
        }
        window.started.push({ rate, seconds, channels });
        return start.call(this, when, offset, seconds);
    };
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
        window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class Shown:
    """A page in a browser, of which nothing may be wrong."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.add_init_script(WATCH)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text))

    def open(self, review: ae.ReviewPage) -> None:
        place = self.folder / "page.html"
        review.write(place)
        self.page.goto(place.as_uri())
        self.page.wait_for_selector("body[data-ready]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def status(self) -> str:
        return self.page.inner_text("#status")

    def title(self) -> str:
        return self.page.inner_text("#mask-title")

    def saved(self, button: str) -> str:
        with self.page.expect_download() as download:
            self.page.click(f"#{button}")
        return Path(download.value.path()).read_text()

    def played(self, count: int) -> npt.NDArray[np.float32]:
        """[shape=(n, channels)] What the last of so many plays."""
        self.page.wait_for_function(f"window.started.length >= {count}")
        last: dict[str, Any] = self.page.evaluate("window.started.at(-1)")
        assert last["rate"] == RATE
        parts = [np.frombuffer(base64.b64decode(one), np.float32) for one in last["channels"]]
        assert len(parts[0]) == round(last["seconds"] * RATE)
        return np.stack(parts, axis=1)

    def assert_clean(self) -> None:
        assert len(self.requests) == 1
        assert self.page.evaluate("window.violations") == []
        assert self.errors == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Shown]:
    """What opens pages and looks at them."""
    context = browser.page.context.browser
    assert context is not None
    page = context.new_page()
    yield Shown(page, tmp_path)
    page.close()


def made(edit: ae.Modification) -> bytes:
    buffer = BytesIO()
    ae.store(SOURCE, buffer, edit)
    return buffer.getvalue()


def test_it_plays_what_decoders_decode(shown: Shown) -> None:
    """Around the first mask: before, after, and the preview of the same masks."""
    shown.open(ae.review(SOURCE, modification=EDIT))
    assert shown.title() == "Mask 1: caller, 0:01.500 – 0:02.250, open"
    wanted = {"before": ae.decode(SOURCE), "after": ae.decode(made(EDIT))}
    start, end = round(0.49 * RATE), round(3.29 * RATE)
    for number, version in enumerate(("before", "after"), 1):
        assert shown.page.input_value("#version") == version
        shown.press("Space")
        samples = shown.played(number)
        shown.press("Space", "b")
        whole = np.asarray(wanted[version])[start:end]
        assert len(samples) == len(whole)
        # 5 ms aside would be another sound; the frames at the clip's ends are coded anew.
        error = np.sqrt(np.mean((samples - whole) ** 2))
        assert error < 0.05 * np.sqrt(np.mean(whole**2))
    shown.press("Space")
    preview = shown.played(3)
    after = np.asarray(wanted["after"])[start:end]
    beep = slice(round(1.1 * RATE), round(1.7 * RATE))
    levels = [20 * np.log10(np.sqrt(np.mean(one[beep, 0] ** 2))) for one in (preview, after)]
    assert levels[0] == pytest.approx(-23.01, abs=0.1)
    assert levels[1] == pytest.approx(levels[0], abs=1)
    shown.press("m")
    shown.page.wait_for_function("window.started.length >= 4")
    assert shown.page.input_value("#solo") == "caller"
    shown.assert_clean()


def test_every_key_does_what_it_says(shown: Shown) -> None:
    shown.open(ae.review(SOURCE, modification=EDIT))
    shown.press("j")
    assert shown.title() == "Mask 2: both, 0:04.000 – 0:04.500, open"
    shown.press("k", "a")
    assert shown.title() == "Mask 1: caller, 0:01.500 – 0:02.250, approved"
    shown.press("r")
    assert shown.title().endswith("rejected")
    shown.press("r")
    assert shown.title().endswith("open")
    shown.press("[")
    assert "0:01.490 – 0:02.250" in shown.title()
    assert len(shown.played(1)) == 2 * RATE
    shown.press("Shift+BracketRight", "Shift+BracketRight", "]")
    assert "0:01.502 – 0:02.250" in shown.title()
    shown.press("e", "]", "Shift+BracketLeft")
    assert "0:01.502 – 0:02.259" in shown.title()
    assert shown.page.input_value("#version") == "preview"
    for party in ("caller", "callee", ""):
        shown.press("m")
        assert shown.page.input_value("#solo") == party
    shown.press("+", "+", "-")
    assert shown.page.input_value("#zoom") == "10"
    shown.press("-", "n")
    assert shown.page.get_attribute("#new", "aria-pressed") == "true"
    box = shown.page.locator("#wave").bounding_box()
    assert box is not None
    shown.page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.75)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + box["height"] * 0.75, steps=4)
    shown.page.mouse.up()
    shown.page.wait_for_function("document.querySelectorAll('#rows tr').length === 3")
    assert shown.title().startswith("Mask 3: callee, 0:05.")
    shown.page.click("#reset")
    assert shown.page.locator("#rows tr").count() == 2
    shown.page.locator("#reset").blur()
    shown.press("n", "Shift+Enter")
    assert shown.page.locator("#rows tr").count() == 3
    shown.assert_clean()


# How much is drawn in each row of a clip, between two shares of its width.
ROWS = """([kind, left, right]) => {
    const drawn = document.querySelector(`figure[data-kind=${kind}] canvas`);
    const [first, width] = [left * drawn.width, (right - left) * drawn.width];
    const { data } = drawn.getContext("2d").getImageData(first, 0, width, drawn.height);
    const rows = new Array(drawn.height).fill(0);
    for (let at = 0; at < data.length; at += 4)
        rows[Math.floor(at / 4 / Math.floor(width))] += data[at + 3];
    return rows;
}"""


def test_a_spectrogram_shows_the_beep_at_its_frequency(shown: Shown) -> None:
    """Of the caller alone, in the upper half: at 1 kHz of 8."""
    edit = ae.Modification(mask={"caller": [ae.Interval(1.5, 3.5)]})
    shown.open(ae.review(SOURCE, modification=edit))
    shown.page.wait_for_selector("figure.chosen")
    shown.press("s")
    assert shown.page.get_attribute("#spectral", "aria-pressed") == "true"
    rows = np.array(shown.page.evaluate(ROWS, ["after", 0.4, 0.6]), float)
    half = len(rows) // 2
    upper = rows[: half - 3]
    assert np.argmax(upper) == pytest.approx(half * 7 / 8, abs=3)
    shown.press("s")
    assert shown.page.get_attribute("#spectral", "aria-pressed") == "false"
    shown.assert_clean()


def test_what_is_decided_comes_back(shown: Shown, tmp_path: Path) -> None:
    """Saved, loaded, stored and shown again it is the same, to the sample."""
    edit = ae.Modification(trim=ae.Interval(0.1, 5.7), mask=EDIT.mask, guard_ms=(10, 40))
    shown.open(ae.review(SOURCE, modification=edit))
    shown.page.fill("#reviewer", HOSTILE)
    shown.page.locator("#reviewer").blur()
    shown.press("[", "e", "Shift+BracketRight", "a", "j", "r", "n", "Shift+Enter")
    title = shown.title()
    decisions = shown.saved("save-decisions")
    params = json.loads(shown.saved("save-params"))
    labels = shown.saved("save-labels")
    read = json.loads(decisions)
    assert read["review"]["reviewer"] == HOSTILE
    assert [one["decision"] for one in read["review"]["masks"]].count("rejected") == 1
    assert read["modificationParams"] == params
    assert "both" not in params["mask"]
    again = ae.Modification.from_params(params)
    options = ae.StoreOptions(guard_ms=(10, 40))
    second = ae.review(SOURCE, modification=again, options=options)
    spans = {(one.party, one.asked.samples) for one in second.report.masks}
    moved = (round(1.49 * RATE), round(2.251 * RATE))
    assert ("caller", moved) in spans
    assert {party for party, _ in spans} == {"caller", "callee"}
    applied = {one.applied.samples for one in second.report.masks}
    masked = ae.plan_store(SOURCE, ae.read_labels(labels.encode()).modification()).masks
    outward = {(one.applied.samples[0], one.applied.samples[1]) for one in masked}
    assert len(outward) == len(applied)
    for label, mask in zip(sorted(outward), sorted(applied), strict=True):
        assert mask[0] - 1 <= label[0] <= mask[0]
        assert mask[1] <= label[1] <= mask[1] + 1
    place = tmp_path / "decisions.json"
    place.write_text(decisions)
    shown.page.reload()
    shown.requests.pop()
    shown.page.set_input_files("#load", place)
    shown.page.wait_for_function("document.querySelectorAll('#rows tr').length === 3")
    loaded = json.loads(shown.saved("save-decisions"))
    assert loaded["review"].pop("time") >= read["review"].pop("time")
    assert loaded == read
    shown.press("j", "j")
    assert shown.title() == title
    shown.open(second)
    shown.requests.pop()
    assert json.loads(shown.saved("save-params")) == params
    shown.assert_clean()


def test_hostile_names_and_ten_thousand_masks(shown: Shown, tmp_path: Path) -> None:
    place = tmp_path / HOSTILE.replace("/", "")
    place.write_bytes(SOURCE)
    intervals = [ae.Interval(at / 20_000, (at + 9) / 20_000) for at in range(10_000)]
    told = spoken(tmp_path, "before", HOSTILE)
    edit = ae.Modification(mask=EDIT.mask, transcripts=(told,), redact=("ALL",))
    shown.open(ae.review(place, modification=edit, with_words=True))
    assert shown.page.inner_text("#name") == place.name
    assert shown.page.locator("#words mark").all_inner_texts() == ["before"]
    assert shown.page.locator("#words bdi").inner_text() == HOSTILE
    shown.open(ae.review(SOURCE, modification=ae.Modification(mask={"callee": intervals})))
    shown.requests.pop()
    assert shown.page.locator("#rows tr").count() == 100
    shown.page.click("#later")
    assert "page 2 of 100" in shown.page.inner_text("#count")
    shown.press("j", "a")
    assert shown.title().startswith("Mask 2:")
    assert len(json.loads(shown.saved("save-params"))["mask"]["callee"]) == 10_000
    shown.assert_clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_after_only_plays_the_output(shown: Shown, scheme: str) -> None:
    shown.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    shown.open(ae.review(SOURCE, modification=EDIT, after_only=True))
    assert shown.page.locator("#version option").all_inner_texts() == ["after"]
    shown.press("Space")
    samples = shown.played(1)
    whole = np.asarray(ae.decode(made(EDIT)))[round(0.49 * RATE) : round(3.29 * RATE)]
    assert np.sqrt(np.mean((samples - whole) ** 2)) < 0.05 * np.sqrt(np.mean(whole**2))
    # Narrow as a page of 1,280 at 400 %: nothing is wider than the window but what scrolls itself.
    shown.page.set_viewport_size({"width": 320, "height": 640})
    wide = shown.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320
    shown.assert_clean()
