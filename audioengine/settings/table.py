# SPDX-License-Identifier: Apache-2.0
"""What all tables of the settings have in common, and the kinds of value that several use."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict

# A local bucket is a folder's name, and must not lead out of the root.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def _bucket(name: str | None) -> str | None:
    if name is not None and not _BUCKET.fullmatch(name):
        raise ValueError("must be a bucket's name: letters, digits, dots, hyphens, underscores")
    return name


Bucket: TypeAlias = Annotated[str, AfterValidator(_bucket)]
OptionalBucket: TypeAlias = Annotated[str | None, AfterValidator(_bucket)]


class Table(BaseModel):
    """A table of the settings: frozen, and it knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
