# SPDX-License-Identifier: Apache-2.0
"""A notebook shows a report's values, whatever text is in them."""

from __future__ import annotations

from io import BytesIO
from xml.etree import ElementTree as ET

import audioengine as ae
from audioengine.report.tables import ROWS_AT_MOST, report_html
from tests.support import fixture

EDIT = ae.Modification(mask={"caller": [ae.Interval(1.5, 2.25)]})
HOSTILE = "</td><script>alert(1)</script>\" ' &"


def parsed(html: str) -> ET.Element:
    return ET.fromstring(html.replace("<br>", "<br/>"))


def test_reports_are_tables() -> None:
    source = fixture("mpeg2-16k-48k")
    info, plan = ae.inspect(source), ae.plan_store(source, EDIT)
    report = ae.store(source, BytesIO(), EDIT)
    for one in (info, plan, report):
        tree = parsed(one._repr_html_())
        keys = [row[0].text for row in tree[-1]]
        assert keys == list(one.to_dict())
    text = "".join(parsed(report._repr_html_()).itertext())
    assert "1.500 to 2.250 s" in text
    assert report.output.sha256 in text


def test_a_merge_has_lanes() -> None:
    parts = [
        ae.MergePart(fixture(f"conference-{name}-8k"), start, recording_id=HOSTILE + name)
        for name, start in (("a", 1728890677283), ("b", 1728890680444))
    ]
    plan = ae.plan_merge(parts)
    svg, table = parsed(plan._repr_html_())
    titles = ["".join(one.itertext()) for one in svg]
    assert any(title.startswith(f"{HOSTILE}a: heard, 0.000 to ") for title in titles)
    assert len(svg) == sum(1 + len(part.heard) + len(part.silenced) for part in plan.parts)
    assert len(table) == len(plan.to_dict())


def test_text_stays_text_and_lists_end() -> None:
    tree = parsed(report_html({HOSTILE: [{HOSTILE: HOSTILE}] * (ROWS_AT_MOST + 3)}))
    text = list(tree.itertext())
    assert text.count(HOSTILE) == ROWS_AT_MOST + 2
    assert "and 3 more" in text
