# SPDX-License-Identifier: Apache-2.0
"""Builds one HTML file from the parts of a page: frame, style, scripts and contents.

Its policy lets nothing run but these scripts, by their digests, and nothing be fetched at all. What
it shows stands in a block of JSON, in which no letter can end the block.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

_LIBRARIES = ("wavesurfer.min.js", "regions.min.js")
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


@cache
def _part(folder: str, name: str) -> str:
    return (files("audioengine.reviewing") / folder / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def in_script(values: Mapping[str, Any]) -> str:
    """JSON that is safe between script tags: ASCII without angle brackets."""
    return json.dumps(values, separators=(",", ":")).translate(_ESCAPES)


def page_html(values: Mapping[str, Any]) -> str:
    """The page that shows these values."""
    scripts = [_part("vendor", name) for name in _LIBRARIES] + [_part("assets", "page.js")]
    style = _part("assets", "page.css")
    shown = in_script(values)
    # wavesurfer.js makes a style element of its own, whose text depends on the page's size.
    nonce = hashlib.sha256(shown.encode()).hexdigest()[:32]
    policy = "; ".join(
        (
            "default-src 'none'",
            "script-src " + " ".join(f"'{_digest(one)}'" for one in scripts),
            f"style-src '{_digest(style)}' 'nonce-{nonce}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    places = {
        "policy": escape(policy),
        "nonce": nonce,
        "style": style,
        "licence": escape(_part("vendor", "LICENSE-wavesurfer.txt")),
        "values": shown,
        "scripts": "\n".join(f"<script>{one}</script>" for one in scripts),
    }
    pieces = _part("assets", "page.html").split("%%")
    # Names stand at odd places: what is put in is never looked through.
    return "".join(places[one] if at % 2 else one for at, one in enumerate(pieces))
