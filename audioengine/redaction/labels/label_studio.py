# SPDX-License-Identifier: Apache-2.0
"""Label Studio's JSON export: regions of an Audio tag with labels such as ``caller: card number``.

A label may name the party alone, beside one that names the kind. Where none names a party, the
right channel is what `caller_channel` does not say, and the left one is both: an unsplit waveform
counts as channel 0 too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeGuard

from audioengine.json_input import parse_json
from audioengine.redaction.labels.label import Gathering, Label
from audioengine.redaction.parties import PARTIES
from audioengine.times import Number

_DIGITS = 6


def is_export(text: str) -> bool:
    """Whether a text may be JSON."""
    return text.lstrip()[:1] in ("[", "{")


def read(text: str, found: Gathering, right: str) -> None:
    """Take all annotations of the one task that there is; predictions are nobody's labels.

    right: who is on the right channel.
    """
    tasks = parse_json(text, "the labels", "JSON as Label Studio exports it")
    if isinstance(tasks, dict):
        tasks = [tasks]
    if not isinstance(tasks, list) or len(tasks) != 1 or not isinstance(tasks[0], dict):
        found.wrong("the labels", "must be one task: a file of labels is of one recording")
        return
    annotations = tasks[0].get("annotations")
    if not isinstance(annotations, list):
        found.wrong("[0].annotations", "must be a list: export as JSON, not as JSON_MIN")
        return
    for number, annotation in enumerate(annotations):
        path = f"[0].annotations[{number}]"
        results = annotation.get("result") if isinstance(annotation, dict) else None
        if not isinstance(results, list):
            found.wrong(f"{path}.result", "must be a list of regions")
            continue
        for place, result in enumerate(results):
            _region(f"{path}.result[{place}]", result, found, right)


def _region(path: str, result: Any, found: Gathering, right: str) -> None:
    value = result.get("value") if isinstance(result, dict) else None
    if not isinstance(value, dict):
        found.wrong(f"{path}.value", "must be an object")
        return
    if "labels" not in value:
        # What was written of a region, or chosen of the whole recording.
        return
    labels, start, end = value["labels"], value.get("start"), value.get("end")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        found.wrong(f"{path}.value.labels", "must be a list of texts")
        return
    if not _is_number(start) or not _is_number(end):
        found.wrong(f"{path}.value", "must have start and end, in seconds")
        return
    parties = [label.strip().lower() for label in labels if label.strip().lower() in PARTIES]
    kinds = [label for label in labels if label.strip().lower() not in PARTIES]
    default = parties[0] if len(parties) == 1 else "both"
    if not parties and value.get("channel") == 1:
        default = right
    for label in kinds or [""]:
        if ":" in label:
            found.add_text(path, start, end, label)
        else:
            found.add_named(path, default, start, end, label)


def _is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, Number) and not isinstance(value, bool)


def write(labels: Iterable[Label]) -> str:
    """One task with one annotation; its audio is for the importer to name."""
    regions = []
    for number, label in enumerate(labels):
        start, end = label.rounded(_DIGITS)
        regions.append(
            {
                "id": f"mask-{number}",
                "from_name": "label",
                "to_name": "audio",
                "type": "labels",
                "origin": "manual",
                "value": {
                    "start": float(start),
                    "end": float(end),
                    "channel": int(label.party == "callee"),
                    "labels": [label.text],
                },
            }
        )
    tasks = [{"data": {"audio": ""}, "annotations": [{"result": regions}]}]
    return json.dumps(tasks, indent=1) + "\n"
