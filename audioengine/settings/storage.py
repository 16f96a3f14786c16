# SPDX-License-Identifier: Apache-2.0
"""Where buckets are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from audioengine.commands.wire import OptionalText
from audioengine.errors import InvalidRequestError, Problem
from audioengine.settings.table import Table, not_empty, web_url
from audioengine.storage import S3Options

_MODE = re.compile("0?6[0246]{2}", re.ASCII)


def _mode(value: object) -> str:
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise ValueError("must be octal text from 0600 to 0666: who else may read and write files")
    return value


class StorageSettings(Table):
    """Where buckets are: in a local folder, or in S3."""

    root: Annotated[Path | None, BeforeValidator(not_empty)] = None
    """A bucket is a folder in it. None: buckets are S3's."""
    mode: Annotated[str, BeforeValidator(_mode)] = "0600"
    """The permissions of files in it, in octal, whatever the umask."""
    endpoint_url: Annotated[str | None, AfterValidator(web_url("endpoint_url"))] = None
    """Of a store that speaks like S3."""
    region: Annotated[OptionalText, Field(min_length=1)] = None
    bucket_owner: Annotated[OptionalText, Field(min_length=1)] = None
    """The account that must own all buckets."""
    request_payer: bool = False
    """Whether this account pays for requests on buckets whose owner does not."""
    dual_layer: bool = False
    """Whether KMS keys that commands name encrypt in two layers (DSSE-KMS)."""

    @property
    def file_mode(self) -> int:
        """The permissions of files in `root`, as a number."""
        return int(self.mode, 8)

    @property
    def s3(self) -> S3Options | None:
        """How S3 is reached; None where nothing is said of it."""
        said = S3Options(
            self.region,
            self.endpoint_url,
            bucket_owner=self.bucket_owner,
            request_payer=self.request_payer,
            dual_layer=self.dual_layer,
        )
        return None if said == S3Options() else said

    @model_validator(mode="after")
    def _is_one_place(self) -> StorageSettings:
        names = ("endpoint_url", "region", "bucket_owner", "request_payer", "dual_layer")
        given = {name: getattr(self, name) for name in names}
        rule = "can't be set together with root: buckets are folders in it, or S3's"
        problems = [Problem(name, value, rule) for name, value in given.items() if value]
        if self.root is not None and problems:
            raise InvalidRequestError(problems)
        return self
