# SPDX-License-Identifier: Apache-2.0
"""The options of verbs that edit, and how their text becomes a request.

Times stay exact: text becomes a Decimal, and no float is made of it on the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, get_args

import click
from click.core import ParameterSource

from audioengine.cli.declared import declared_options, read_number, read_options, read_seconds
from audioengine.cli.masking import MASKING_OPTIONS, silenced, take_masking, with_masking
from audioengine.declaration import Scope
from audioengine.edits import Dialect, Interval, Modification, Party, TranscriptFile
from audioengine.errors import InvalidRequestError
from audioengine.json_input import parse_json
from audioengine.operations.options import SharedOptions, StoreOptions
from audioengine.storage.options import S3Options
from audioengine.times import TIME, Number

if TYPE_CHECKING:
    from audioengine.custody.record import CustodyRecord
    from audioengine.settings import Settings

_Callback = TypeVar("_Callback", bound=Callable[..., Any])

# Still there is one way at most to read a text: between two numbers, one "-" is left over.
_INTERVAL = re.compile(rf"({TIME})?-({TIME})?")
_PARTIES = ("caller", "callee", "both")


@dataclass(frozen=True, slots=True)
class Request:
    """What to do with a recording."""

    modification: Modification
    options: StoreOptions
    places: Places


class Places(TypedDict):
    """Further arguments that `store`, `plan_store` and `verify` have in common."""

    start_time_ms: Number | None
    s3: S3Options | None
    raw: str | None


def _interval(text: str, origin: str) -> Interval:
    found = _INTERVAL.fullmatch(text)
    if found is None or text == "-":
        hint = "must be FROM-TO in seconds, for instance 10-50, 12.5-15 or 00:01:10-00:01:15.5"
        raise click.BadParameter(f"{text!r} {hint}; one end may be left out: 10- or -50.")
    start, end = (None if bound is None else read_seconds(bound) for bound in found.groups())
    return Interval(start, end, origin)


def _read_trim(
    _ctx: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> Interval | None:
    if len(texts) > 1:
        raise click.BadParameter("may be given once: one stretch of a recording is kept.")
    return _interval(texts[0], f"--trim {texts[0]}") if texts else None


def _read_masks(
    _ctx: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> dict[str, list[Interval]]:
    masks: dict[str, list[Interval]] = {}
    for text in texts:
        party, equals, bounds = text.partition("=")
        if not equals or party not in _PARTIES:
            hint = f"must be PARTY=FROM-TO, PARTY one of {', '.join(_PARTIES)}"
            raise click.BadParameter(f"{text!r} {hint}: for instance caller=12.5-15.")
        masks.setdefault(party, []).append(_interval(bounds, f"--mask {text}"))
    return masks


def _read_number(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Decimal | None:
    return None if text is None else read_number(text)


def read_json(_ctx: click.Context, _option: click.Parameter, text: str | None) -> object:
    """The JSON value itself, or that in the file after ``@``; what it means is judged later."""
    if text is None:
        return None
    text, where = text_of(text)
    try:
        value = parse_json(text, where)
    except InvalidRequestError as error:
        why = "; ".join(f"{one.path}: {one.rule}" for one in error.problems)
        raise click.BadParameter(f"is not the JSON of one object: {why}") from None
    return {} if value is None else value


def text_of(text: str) -> tuple[str, str]:
    """The text itself, or that in the file after ``@``; and what messages call it.

    Raises click.BadParameter where the file can't be read.
    """
    if not text.startswith("@"):
        return text, "it"
    where = text[1:]
    try:
        return Path(where).read_text(encoding="utf-8-sig"), where
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"can't read {where!r}: {error}") from None


def read_transcripts(
    _ctx: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> tuple[TranscriptFile, ...]:
    """The transcripts of a recording: PARTY=FILE where one party alone speaks in it."""
    return tuple(map(read_transcript_file, texts))


def read_transcript_file(text: str) -> TranscriptFile:
    """One transcript.

    Raises click.BadParameter where it names no file.
    """
    name, equals, place = text.partition("=")
    party: Party | None = "caller" if name == "caller" else "callee" if name == "callee" else None
    if not equals or party is None:
        party, place = None, text
    if not place:
        raise click.BadParameter(f"{text!r} must be FILE or PARTY=FILE.")
    return TranscriptFile(place, party)


transcript_option = click.option(
    "--transcript",
    "transcripts",
    multiple=True,
    callback=read_transcripts,
    metavar="[PARTY=]FILE",
    help="Mask what this transcript tells, of the kinds of --redact too; PARTY speaks all of it. "
    "May be repeated.",
)

_EDIT_OPTIONS = (
    click.option(
        "--trim",
        multiple=True,
        callback=_read_trim,
        metavar="FROM-TO",
        help="Keep this stretch, in seconds or hh:mm:ss.mmm; 10- and -50 leave one end open.",
    ),
    click.option(
        "--mask",
        multiple=True,
        callback=_read_masks,
        metavar="PARTY=FROM-TO",
        help="Mask caller, callee or both there, in seconds or hh:mm:ss.mmm; 12.5- to the end. "
        "May be repeated.",
    ),
    click.option(
        "--absolute",
        is_flag=True,
        help="Times of --trim and --mask are epoch milliseconds; needs --start-time-ms.",
    ),
    click.option(
        "--start-time-ms",
        callback=_read_number,
        metavar="MS",
        help="When the recording began, in epoch milliseconds.",
    ),
    click.option(
        "--params",
        callback=read_json,
        metavar="JSON|@FILE",
        help="The edit as modificationParams of a command, or decisions that a review page saved, "
        "in place of --trim and --mask.",
    ),
    click.option(
        "--dialect",
        type=click.Choice(get_args(Dialect)),
        help="Unit of relative times in --params: seconds (sqs, the default) or ms (rest).",
    ),
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; errors too."
)


S3_OPTIONS = (
    click.option(
        "--kms-key",
        metavar="KEY",
        help="Encrypt an output in S3 with this KMS key: an ARN, alias or id.",
    ),
    click.option("--s3-region", metavar="REGION", help="Region of buckets in S3."),
    click.option("--s3-endpoint", metavar="URL", help="A store that speaks like S3."),
)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads that decode and encode; default one a processor.",
)

pcm_option = click.option(
    "--pcm-digest", is_flag=True, help="Record the digest of outputs' samples too: decodes them."
)

_RECORD_OPTIONS = (
    click.option(
        "--record",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Append what was done to this custody record; its key is the setting record_key.",
    ),
    pcm_option,
)


raw_option = click.option(
    "--raw",
    metavar="CODEC:RATE:CHANNELS",
    help="What files without a header hold: ulaw:8000:1; also alaw, s16, s8, u8, s24, s32, f32.",
)


def edit_options(*scopes: Scope) -> Callable[[_Callback], _Callback]:
    """Give a verb all options from which `read_request` makes a request.

    scopes: in which options count beside those of any edit.
    """
    declared = declared_options(StoreOptions, ("edit", *scopes))
    of_one = () if "batch" in scopes else (transcript_option, *MASKING_OPTIONS, raw_option)
    own = (*_EDIT_OPTIONS, *of_one)
    return lambda verb: with_options(verb, (*own, *declared, *S3_OPTIONS))


def place_options(verb: _Callback) -> _Callback:
    """Give a verb the options that say how S3 is reached."""
    return with_options(verb, S3_OPTIONS[1:])


def s3_options(verb: _Callback) -> _Callback:
    """Give a verb the options of how S3 is reached."""
    return with_options(verb, S3_OPTIONS)


def record_options(verb: _Callback) -> _Callback:
    """Give a verb the options from which `read_record` makes a custody record."""
    return with_options(verb, _RECORD_OPTIONS)


def read_record(
    record: str | Path | None, pcm_digest: bool, settings: Settings | None = None
) -> CustodyRecord | None:
    """Make what options say a custody record, with the key that settings have for it.

    settings: by default those that `load_settings` finds.

    Raises click.UsageError, InvalidRequestError, and StorageError where settings can't be read.
    """
    if record is None:
        if pcm_digest:
            raise click.UsageError("--pcm-digest says what to record: --record is missing.")
        return None
    from audioengine.custody.record import CustodyRecord
    from audioengine.settings import load_settings

    return CustodyRecord(record, (settings or load_settings()).custody_key(), pcm_digest)


def check_redact(options: SharedOptions, transcripts: object) -> None:
    """Raise click.UsageError where the command line chooses kinds, and no transcript tells any."""
    context = click.get_current_context()
    is_said = context.get_parameter_source("redact") is not ParameterSource.DEFAULT
    if options.transcript.redact and is_said and not transcripts:
        raise click.UsageError("--redact says what to mask of a transcript: none is given.")


def read_s3(
    kms_key: str | None, s3_region: str | None, s3_endpoint: str | None
) -> S3Options | None:
    """Make what `s3_options` say a value; None where they say nothing."""
    if (kms_key, s3_region, s3_endpoint) == (None, None, None):
        return None
    return S3Options(region=s3_region, endpoint_url=s3_endpoint, kms_key=kms_key)


def with_options(verb: _Callback, options: Sequence[Callable[[_Callback], _Callback]]) -> _Callback:
    """Give a verb options, in this order."""
    return reduce(lambda inner, option: option(inner), reversed(options), verb)


def read_request(
    default: StoreOptions = StoreOptions(),  # noqa: B008 - frozen
    *,
    trim: Interval | None,
    mask: dict[str, list[Interval]],
    absolute: bool,
    params: object,
    dialect: Dialect | None,
    start_time_ms: Number | None,
    kms_key: str | None,
    s3_region: str | None,
    s3_endpoint: str | None,
    transcripts: tuple[TranscriptFile, ...] | None = None,
    raw: str | None = None,
    **asked: Any,
) -> Request:
    """Make a request of the values of `edit_options`.

    default: the options where the command line says nothing.

    Raises click.UsageError for options that exclude each other, InvalidRequestError.
    """
    if params is None:
        if dialect is not None:
            raise click.UsageError("--dialect says how to read --params, which is not given.")
        modification = Modification(trim, mask, absolute_times=absolute)
    else:
        if trim is not None or mask or absolute:
            raise click.UsageError(
                "--params holds the whole edit: --trim, --mask and --absolute can't be added."
            )
        # Not a mapping? Then this raises, with the rest of what is wrong with it.
        wire: Any = params
        if isinstance(params, dict) and params.keys() == {"review", "modificationParams"}:
            if dialect == "rest":
                raise click.UsageError(
                    "--dialect rest is for milliseconds: decisions have seconds."
                )
            wire = params["modificationParams"]
        modification = Modification.from_params(wire, dialect or "sqs")
    said = take_masking(asked)
    if start_time_ms is not None and not modification.absolute_times and said.events is None:
        raise click.UsageError(
            "--start-time-ms is for absolute times: --absolute is missing, or absoluteTimes in "
            "--params; without it, times count from the recording's start."
        )
    if transcripts:
        modification = replace(modification, transcripts=modification.transcripts + transcripts)
    options = read_options(asked, default)
    if transcripts is not None:
        check_redact(options, modification.transcripts)
    s3 = read_s3(kms_key, s3_region, s3_endpoint)
    modification = with_masking(modification, said, options, start_time_ms, s3)
    options = silenced(options, said)
    return Request(modification, options, {"start_time_ms": start_time_ms, "s3": s3, "raw": raw})
