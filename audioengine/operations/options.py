# SPDX-License-Identifier: Apache-2.0
"""The options of `store` and `merge`, each declared once.

The library, the command line, settings, manifests, custody records and the documentation take
options from here. To add an option, declare it here and use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, TypeVar

from audioengine.choices import (
    Align,
    CallerChannel,
    Fallback,
    MaskScope,
    Missing,
    Render,
    SharedFrames,
    WarningCode,
)
from audioengine.declaration import (
    Effect,
    NumberPair,
    Option,
    check_options,
    declarations,
    declared,
    leaves,
)
from audioengine.edits import (
    CLIP_TOLERANCE_S,
    ENCODER_DELAY,
    Beep,
    IfUntagged,
    Modification,
    short_mask_problems,
)
from audioengine.errors import InvalidRequestError
from audioengine.redaction.transcripts.options import TranscriptOptions
from audioengine.times import Number, exact, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedOptions:
    """The options that `store` and `merge` share."""

    render: Annotated[
        Render, Option("smart re-encodes only what the edit changes, full re-encodes everything.")
    ] = "smart"
    beep: Annotated[Beep, Option("What is heard under a mask.", effect="heard")] = Beep()  # noqa: RUF009 - frozen
    caller_channel: Annotated[
        CallerChannel, Option("The channel that holds the caller.", effect="heard")
    ] = "left"
    shared_frames: Annotated[
        SharedFrames,
        Option(
            "Where a mask covers frames that code both parties together (mid/side): keep the other "
            "party by re-encoding it, or mask it too.",
            effect="heard",
        ),
    ] = "keep"
    allow_truncated: Annotated[bool, Option("Accept a recording that is cut off, by its tag.")] = (
        False
    )
    guard_ms: Annotated[
        NumberPair,
        Option(
            "Widen every mask on both sides, or by two values before and after; for card numbers, "
            "10 and 40. A modification's own guard takes precedence.",
            unit="ms",
            at_least=0,
            effect="heard",
            by_line=True,
        ),
    ] = 0
    clip_tolerance_s: Annotated[
        Number,
        Option(
            "Clip times up to this far beyond the recording's end; refuse later ones.",
            unit="s",
            at_least=0,
            effect="none",
            by_line=True,
        ),
    ] = CLIP_TOLERANCE_S
    mask_dtmf: Annotated[
        bool,
        Option(
            "Mask telephone keys (DTMF), and their echo on the other party's channel. This decodes "
            "the whole recording.",
            effect="heard",
        ),
    ] = False
    min_keys: Annotated[
        int,
        Option(
            "Ignore strings of fewer keys; a pause of more than 3 s ends a string.",
            unit="keys",
            at_least=1,
            effect="heard",
        ),
    ] = 3
    transcript: Annotated[
        TranscriptOptions,
        Option("How to read transcripts that say what to mask.", effect="heard"),
    ] = TranscriptOptions()  # noqa: RUF009 - frozen
    fail_on_crosstalk: Annotated[
        bool,
        Option(
            "Fail if a masked voice seems to be on the other party's channel too.",
            scope="publish",
        ),
    ] = False
    refuse: Annotated[
        tuple[WarningCode, ...],
        Option(
            "Fail, and publish nothing, on a warning with one of these codes.",
            scope="publish",
            effect="none",
        ),
    ] = ()
    verify: Annotated[
        bool,
        Option(
            "Publish the output only if it passes verification; needs audioengine[verify].",
            scope="publish",
            effect="none",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_options(self)

    def completed(self, modification: Modification) -> Modification:
        """The modification with these options' guard and tolerance where it has none of its own."""
        guard, tolerance = modification.guard_ms, modification.clip_tolerance_s
        return replace(
            modification,
            guard_ms=self.guard_ms if guard is None else guard,
            clip_tolerance_s=self.clip_tolerance_s if tolerance is None else tolerance,
        )


@declared
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions(SharedOptions):
    """How to edit a recording. Raises InvalidRequestError naming every wrong option."""

    fallback: Annotated[
        Fallback, Option("Where frames can't be copied: re-encode everything, or fail.")
    ] = "full"
    encoder_delay: Annotated[int, ENCODER_DELAY] = 0
    allow_short_masks: Annotated[
        bool,
        Option(
            "Let commands and manifests mask less than 50 ms; the library only warns.",
            scope="batch",
            effect="none",
        ),
    ] = False

    def for_many(self) -> StoreOptions:
        """The same for a batch of recordings: the delay applies only to untagged ones."""
        return replace(self, encoder_delay=IfUntagged(self.encoder_delay))

    def check_masks(self, modification: Modification, path: str = "") -> None:
        """Raise InvalidRequestError for a mask that is too short for a command or manifest.

        path: the path of the modification, before the paths of its fields.
        """
        problems = [] if self.allow_short_masks else short_mask_problems(modification)
        if problems:
            at = f"{path}." if path else ""
            raise InvalidRequestError([replace(one, path=at + one.path) for one in problems])


@declared
@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions(SharedOptions):
    """How to merge recordings. Raises InvalidRequestError naming every wrong option."""

    align: Annotated[
        Align,
        Option(
            "sample places every recording exactly; frame moves a recording that overlaps no other "
            "by less than a frame, so that its frames can be copied too."
        ),
    ] = "sample"
    missing: Annotated[
        Missing, Option("Fail if a recording is missing or can't be decoded, or omit it.")
    ] = "fail"
    mask_scope: Annotated[
        MaskScope,
        Option(
            "part applies a mask to its own recording; conference also applies it to every "
            "recording that lists a conference at that time."
        ),
    ] = "part"
    max_timeline_s: Annotated[
        Number,
        Option("Refuse a longer timeline, as a sign of a wrong start time.", unit="s", above=0),
    ] = 86_400
    max_gap_s: Annotated[
        Number,
        Option(
            "Warn of a longer gap between recordings, which may be a sign of a wrong start time.",
            unit="s",
            above=0,
            effect="none",
        ),
    ] = 3600

    def over(self, store: StoreOptions) -> MergeOptions:
        """The same with the shared options of `store`: commands get both from the settings."""
        return replace(
            self, **{one.name: getattr(store, one.name) for one in fields(SharedOptions)}
        )


OWN_OF_MERGE = tuple(
    one.name
    for one in fields(MergeOptions)
    if one.name not in {shared.name for shared in fields(SharedOptions)}
)
"""The options of a merge alone."""

_Options = TypeVar("_Options", StoreOptions, MergeOptions)


def options_of(given: object, kind: type[_Options]) -> _Options:
    """Return the given options. Raises InvalidRequestError if they are not of the kind."""
    if not isinstance(given, kind):
        raise InvalidRequestError.of("options", given, f"must be {kind.__name__}")
    return given


def texts(options: object, effects: Iterable[Effect]) -> dict[str, str]:
    """The options with one of these effects, by their paths, as text in one form."""
    wanted = {
        one.name for one in declarations(type(options)) if one.option.effect in tuple(effects)
    }
    return {
        path: _text(value)
        for path, one in leaves(type(options))
        if path.partition(".")[0] in wanted
        for value in [_at(options, path)]
    }


def _at(options: object, path: str) -> Any:
    value: Any = options
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _text(value: object) -> str:
    """The one form of a value: 50, 50.0 and Decimal("50") give the same text."""
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else plain(exact(value, ""))
