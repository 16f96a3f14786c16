# SPDX-License-Identifier: Apache-2.0
"""Manifests that only name recordings: the same is done to all of them, and names are kept."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from numbers import Integral, Real
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from audioengine.batch.manifest_job import LINE_OPTIONS, BadLine, Job, digest, parse_job
from audioengine.batch.manifest_text import lines
from audioengine.edits import Modification, modification_of
from audioengine.errors import InvalidRequestError, Problem
from audioengine.operations.outputs import output_name
from audioengine.storage import S3Options, open_source
from audioengine.storage.listing import bucket_and_prefix, list_sizes
from audioengine.times import Number

_NAME = "{name}"


@dataclass(frozen=True, slots=True)
class ForAll:
    """What is done to each recording of a manifest that only names them."""

    to: str
    """``s3://bucket/prefix/`` or a local folder, with the slash: the source's name follows, and
    ``.mp3`` where that is the name of another kind of file."""
    modification: Modification | None = None
    start_time_ms: Number | None = None
    include: tuple[str, ...] = ()
    """Patterns of names that are recordings, as shells have them, in any case: of what follows the
    last slash, and with a slash in the pattern, of all. None at all: ``*.mp3`` of what is listed in
    a folder, under a prefix or by an inventory, and every row of a CSV."""
    transcripts: str | None = None
    """Where each recording's transcript is, which tells where to mask: a folder or prefix, with the
    slash, followed by the source's name with ``.json`` in place of its ending; or a place with
    ``{name}`` for that name without its ending."""

    def __post_init__(self) -> None:
        """Raise InvalidRequestError where a field is not of its type."""
        problems: list[Problem] = []
        if not isinstance(self.to, str):
            problems.append(Problem("to", self.to, "must be text that ends in a slash"))
        place: object = self.transcripts
        if place is not None and not (
            isinstance(place, str) and (place.endswith("/") or _NAME in place)
        ):
            rule = f"must be text that ends in a slash, or holds {_NAME}"
            problems.append(Problem("transcripts", place, rule))
        try:
            modification_of(self.modification)
        except InvalidRequestError as error:
            problems += error.problems
        patterns: object = self.include
        if isinstance(patterns, str) or not isinstance(patterns, Sequence):
            problems.append(Problem("include", patterns, 'must be a list of patterns: ("*.mp3",)'))
        if problems:
            raise InvalidRequestError(problems)


@dataclass(slots=True)
class Tally:
    """What was come to beside jobs."""

    left_out: int = 0
    """Names that are no recordings."""


class Maker:
    """Makes jobs that differ in their source, and so in their destination."""

    def __init__(self, for_all: ForAll) -> None:
        """Judge what is the same for all.

        Raises InvalidRequestError naming every wrong field.
        """
        self._to = for_all.to
        if not self._to.endswith("/"):
            rule = "must end in a slash: s3://bucket/prefix/ or a local folder"
            raise InvalidRequestError.of("to", self._to, rule)
        self._place = bucket_and_prefix(self._to, "to")
        self._include = for_all.include
        self._transcripts = for_all.transcripts
        self._same = _same(for_all)
        sample = json.dumps({"source": "a", "destination": "b", **self._same})
        parse_job(Job(0, "", frozenset(), deletes=False, data=sample.encode()))

    def refuse_inside(self, prefix: str) -> None:
        """Raise InvalidRequestError where outputs would lie under the prefix that is read."""
        source = bucket_and_prefix(prefix, "source")
        if source is None or self._place is None:
            local = source is None and self._place is None
            inside = local and _is_inside(self._to, os.path.realpath(prefix))
        else:
            # The whole key follows `to`, so a `to` above the prefix may lead back into it.
            inside = source[0] == self._place[0] and (self._place[1] + source[1]).startswith(
                source[1]
            )
        if inside:
            rule = f"must not lie under the source, {prefix}: outputs would be sources again"
            raise InvalidRequestError.of("to", self._to, rule)

    def is_under(self, bucket: str, key: str) -> bool:
        """Whether an object lies where outputs go."""
        return self._place is not None and (
            self._place[0] == bucket and key.startswith(self._place[1])
        )

    def of_object(
        self, line: int, bucket: str, key: str, version: str | None, size: int | None
    ) -> Job | BadLine:
        """The job of an object; its destination is `to` and the whole key, see `output_name`."""
        return self._job(line, f"s3://{bucket}/{key}", key, version, size)

    def of_file(self, line: int, folder: str, path: str, size: int) -> Job | BadLine:
        """The job of a file in a folder; its destination is `to` and the path inside, likewise."""
        source = str(Path(folder) / path)
        if self._place is None and _is_inside(self._to + path, os.path.realpath(folder)):
            rule = f"must not lead to an output in {folder!r}, which is read"
            return self.bad(line, source, InvalidRequestError.of("source", source, rule))
        return self._job(line, source, path, None, size)

    def takes(self, name: str, default: Sequence[str]) -> bool:
        """Whether a name is a recording's; default: the patterns where none is given."""
        patterns = [one.lower() for one in self._include or default]
        name = name.lower()
        base = name.rpartition("/")[2]
        return any(fnmatchcase(name if "/" in one else base, one) for one in patterns)

    def bad(self, line: int, text: str, error: InvalidRequestError) -> BadLine:
        """A line that can't be done; `text` is what it says."""
        data = text.encode(errors="surrogateescape")
        shown = data.decode(errors="backslashreplace")
        return BadLine(line, digest(data), frozenset(), error, shown)

    def _job(
        self, line: int, source: str, name: str, version: str | None, size: int | None
    ) -> Job | BadLine:
        makes_folders = self._place is None
        if makes_folders and ("\0" in name or {"", ".", ".."} & set(name.split("/"))):
            rule = "must have no empty segment, . or .. where its name is kept in a local folder"
            return self.bad(line, source, InvalidRequestError.of("source", source, rule))
        destination = self._to + output_name(name)
        value = {"source": source, "destination": destination, **self._same}
        if self._transcripts is not None:
            value["transcript"] = _transcript(self._transcripts, name)
        if version is not None:
            value["version"] = version
        data = json.dumps(value).encode()
        return Job(line, digest(data), frozenset(), False, data, makes_folders, destination, size)


def _transcript(place: str, name: str) -> str:
    """Where the transcript of a recording is."""
    folder, slash, base = name.rpartition("/")
    stem = folder + slash + (base.rpartition(".")[0] or base)
    return f"{place}{stem}.json" if _NAME not in place else place.replace(_NAME, stem)


def _same(for_all: ForAll) -> dict[str, Any]:
    """What each line would say but for its source."""
    from audioengine.commands.modification import params_of

    same: dict[str, Any] = {}
    if (modification := for_all.modification) is not None:
        if modification.relative_unit != "s":
            rule = 'must be "s": relative times of a batch are seconds'
            raise InvalidRequestError.of("relative_unit", modification.relative_unit, rule)
        same["modification"] = params_of(modification)
        same |= {
            key: own
            for key, one in LINE_OPTIONS.items()
            if (own := getattr(modification, one.name, None)) is not None
        }
    if for_all.start_time_ms is not None:
        same["startTime"] = for_all.start_time_ms
    plain: dict[str, Any] = json.loads(json.dumps(same, default=_as_json))
    return plain


def _as_json(value: object) -> int | float | str:
    """A number that JSON's writer does not know; text where it is none, which is refused."""
    from audioengine.commands.redaction import number

    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else repr(value)


def _is_inside(path: str, folder: str) -> bool:
    """Whether a path, which need not be there, is a folder or in it."""
    return os.path.commonpath((os.path.realpath(path), folder)) == folder


_LISTED = ("*.mp3",)
_ALL = ("*",)

# How the columns of a CSV may be called in a header, in lower case without what is no letter.
_HEADINGS = {"bucket": "Bucket", "key": "Key", "versionid": "VersionId", "version": "VersionId"}


def _headings(cells: Sequence[str]) -> tuple[str, ...] | None:
    """The columns that a header names, in its order; None where a row is none."""
    words = ("".join(filter(str.isalpha, cell)).lower() for cell in cells)
    named = tuple(_HEADINGS.get(word, "") for word in words)
    is_header = {"Bucket", "Key"} <= set(named) and "" not in named
    return named if is_header and len(set(named)) == len(named) else None


def is_no_recording(name: str) -> bool:
    """Whether a listed name is no recording: a folder's own object, or what we keep beside one."""
    return name.endswith(("/", ".meta.json"))


def prefix_jobs(
    prefix: str, s3: S3Options | None, for_all: ForAll, tally: Tally
) -> Iterator[Job | BadLine]:
    """The jobs of all that lies under a prefix or in a local folder, sorted.

    Raises InvalidRequestError at once where `to` is wrong or lies under it; StorageError later.
    """
    maker = Maker(for_all)
    maker.refuse_inside(prefix)
    place = bucket_and_prefix(prefix, "manifest")

    def listed() -> Iterator[Job | BadLine]:
        line = 0
        for name, size in list_sizes(prefix, s3):
            if is_no_recording(name):
                continue
            if not maker.takes(name, _LISTED):
                tally.left_out += 1
                continue
            line += 1
            if place is None:
                yield maker.of_file(line, prefix, name, size)
            else:
                yield maker.of_object(line, place[0], name, None, size)

    return listed()


def csv_jobs(
    manifest: str, s3: S3Options | None, for_all: ForAll, tally: Tally
) -> Iterator[Job | BadLine]:
    """The jobs of a CSV as S3 Batch Operations takes it: bucket, key and perhaps the version.

    Its keys are URL-encoded. A first row that names these columns is passed over.

    Raises InvalidRequestError at once where `to` is wrong; StorageError and LimitError later.
    """
    maker = Maker(for_all)

    def read() -> Iterator[Job | BadLine]:
        rows = Rows(maker, tally)
        with closing(open_source(manifest, s3)) as source:
            for line, data in enumerate(lines(source), 1):
                if data.strip() and (found := rows.job(line, data)) is not None:
                    yield found

    return read()


class Rows:
    """Makes jobs of rows; all must name objects of the first one's bucket, each once.

    Objects of two buckets may have the same key, and versions of an object do: so would their
    outputs. Versions are seen where they follow each other, as in any list that S3 writes; of
    others, the last one's output stays.
    """

    def __init__(self, maker: Maker, tally: Tally, columns: tuple[str, ...] | None = None) -> None:
        """Take the names of an inventory's columns; None: a row is bucket, key and version."""
        self._maker = maker
        self._tally = tally
        self._is_listed = columns is not None
        self._is_first = True
        self._columns = columns
        self._bucket: str | None = None
        self._before: tuple[int, str] = (0, "")

    def job(self, line: int, data: bytes) -> Job | BadLine | None:
        """The job of a row, without its end; None where an inventory lists no recording."""
        text = data.decode(errors="backslashreplace").strip()
        try:
            row = self._row(data)
            if row is None:
                return None
            bucket, key, version, size = row
            if not self._maker.takes(key, _LISTED if self._is_listed else _ALL):
                self._tally.left_out += 1
                return None
        except InvalidRequestError as error:
            return self._maker.bad(line, text, error)
        except (ValueError, csv.Error) as error:
            rule = f"must be CSV in UTF-8 with a URL-encoded key: {error}"
            return self._maker.bad(line, text, InvalidRequestError.of("row", text, rule))
        self._bucket = self._bucket or bucket
        if bucket != self._bucket:
            rule = (
                f"must be {self._bucket!r} as in the first row: "
                "outputs of two buckets could share a name"
            )
            return self._maker.bad(line, text, InvalidRequestError.of("bucket", bucket, rule))
        if self._maker.is_under(bucket, key):
            rule = "must not lie under the destination: it may be, or become, another row's output"
            return self._maker.bad(line, text, InvalidRequestError.of("key", key, rule))
        before, self._before = self._before, (line, key)
        if before[1] == key:
            self._before = before
            rule = f"must not be that of row {before[0]}, which is done: both would have one output"
            return self._maker.bad(line, text, InvalidRequestError.of("key", key, rule))
        return self._maker.of_object(line, bucket, key, version, size)

    def _row(self, data: bytes) -> tuple[str, str, str | None, int | None] | None:
        text = data.decode("utf-8-sig").rstrip("\r")
        # Line by line: in a URL-encoded key there is no line's end, and a quote without an end
        # takes no other lines with it.
        cells = next(csv.reader([text], strict=True))
        is_first, self._is_first = self._is_first, False
        if is_first and not self._is_listed and (headings := _headings(cells)) is not None:
            self._columns = headings
            return None
        columns = self._columns or ("Bucket", "Key", "VersionId")[: max(2, len(cells))]
        if len(cells) != len(columns):
            rule = f"must have the columns {', '.join(columns)}"
            raise InvalidRequestError.of("row", text, rule)
        row = dict(zip(columns, cells, strict=True))
        bucket, key = row["Bucket"], unquote_plus(row["Key"], errors="strict")
        if not bucket or not key:
            raise InvalidRequestError.of("row", text, "must have a bucket and a key")
        if self._is_listed and (
            row.get("IsLatest", "true").lower() == "false"
            or row.get("IsDeleteMarker", "false").lower() == "true"
            or is_no_recording(key)
        ):
            return None
        size = row.get("Size", "")
        size_known = size.isascii() and size.isdigit()
        return bucket, key, row.get("VersionId") or None, int(size) if size_known else None
