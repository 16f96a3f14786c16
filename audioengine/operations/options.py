# SPDX-License-Identifier: Apache-2.0
"""The options of `store` and `merge`, each declared once.

The library, the command line, settings, manifests, custody records and the documentation take them
from here. To add one, declare it here and use it.
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
    """How recordings are edited, alone and in a merge."""

    render: Annotated[
        Render, Option("smart re-encodes what the edit changes, full everything.")
    ] = "smart"
    beep: Annotated[Beep, Option("What is heard under a mask.", effect="heard")] = Beep()  # noqa: RUF009 - frozen
    caller_channel: Annotated[
        CallerChannel, Option("The channel that holds the caller.", effect="heard")
    ] = "left"
    shared_frames: Annotated[
        SharedFrames,
        Option(
            "The other party in frames coded as mid/side under a mask of one: re-encode it, or "
            "mask it too.",
            effect="heard",
        ),
    ] = "keep"
    allow_truncated: Annotated[bool, Option("Take a recording that its tag says is cut off.")] = (
        False
    )
    guard_ms: Annotated[
        NumberPair,
        Option(
            "Widen every mask on both sides, or before and after: for card numbers 10 and 40. A "
            "modification with a guard of its own keeps that.",
            unit="ms",
            at_least=0,
            effect="heard",
            by_line=True,
        ),
    ] = 0
    clip_tolerance_s: Annotated[
        Number,
        Option(
            "Clip a time that lies so much beyond the recording's end; refuse one beyond that.",
            unit="s",
            at_least=0,
            effect="none",
            by_line=True,
        ),
    ] = CLIP_TOLERANCE_S
    mask_dtmf: Annotated[
        bool,
        Option(
            "Mask the keys of telephones (DTMF) that are heard, and their echo on the other "
            "party's channel: decodes all of the recording.",
            effect="heard",
        ),
    ] = False
    min_keys: Annotated[
        int,
        Option(
            "Leave out keys in strings of fewer; a pause of more than 3 s ends a string.",
            unit="keys",
            at_least=1,
            effect="heard",
        ),
    ] = 3
    transcript: Annotated[
        TranscriptOptions,
        Option("How transcripts that tell where to mask are read.", effect="none"),
    ] = TranscriptOptions()  # noqa: RUF009 - frozen
    fail_on_crosstalk: Annotated[
        bool,
        Option(
            "Fail where a masked voice seems to be on the other party's channel too.",
            scope="publish",
        ),
    ] = False
    refuse: Annotated[
        tuple[WarningCode, ...],
        Option(
            "Fail, and publish nothing, where there is a warning with one of these codes.",
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
        """A modification with the guard and the tolerance, where it says none of its own."""
        guard, tolerance = modification.guard_ms, modification.clip_tolerance_s
        return replace(
            modification,
            guard_ms=self.guard_ms if guard is None else guard,
            clip_tolerance_s=self.clip_tolerance_s if tolerance is None else tolerance,
        )


@declared
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions(SharedOptions):
    """How a recording is edited. Raises InvalidRequestError where an option is wrong."""

    fallback: Annotated[
        Fallback, Option("Where frames can't be copied: re-encode everything, or fail.")
    ] = "full"
    encoder_delay: Annotated[int, ENCODER_DELAY] = 0
    allow_short_masks: Annotated[
        bool,
        Option(
            "Let commands and manifests mask less than 50 ms; the library only warns of it.",
            scope="batch",
            effect="none",
        ),
    ] = False

    def for_many(self) -> StoreOptions:
        """The same for recordings of which nothing is known: the delay counts where it can."""
        return replace(self, encoder_delay=IfUntagged(self.encoder_delay))

    def check_masks(self, modification: Modification, path: str = "") -> None:
        """Raise InvalidRequestError where a command or manifest masks less than it may.

        path: of the modification, before the paths of its fields.
        """
        problems = [] if self.allow_short_masks else short_mask_problems(modification)
        if problems:
            at = f"{path}." if path else ""
            raise InvalidRequestError([replace(one, path=at + one.path) for one in problems])


@declared
@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions(SharedOptions):
    """How recordings are merged. Raises InvalidRequestError where an option is wrong."""

    align: Annotated[
        Align,
        Option(
            "sample puts every recording where its start says; frame moves those that overlap no "
            "other by less than a frame, to copy them too."
        ),
    ] = "sample"
    missing: Annotated[
        Missing, Option("What becomes of recordings that are not there or can't be decoded.")
    ] = "fail"
    mask_scope: Annotated[
        MaskScope,
        Option(
            "part masks the recording that says so; conference applies each mask to every "
            "recording that lists a conference there."
        ),
    ] = "part"
    max_timeline_s: Annotated[
        Number,
        Option("Refuse a longer timeline: it means a wrong start time.", unit="s", above=0),
    ] = 86_400
    max_gap_s: Annotated[
        Number,
        Option(
            "Warn of a longer silence between recordings: it may mean a wrong start time.",
            unit="s",
            above=0,
            effect="none",
        ),
    ] = 3600

    def over(self, store: StoreOptions) -> MergeOptions:
        """The same with what `store` says of editing: commands have both from the settings."""
        return replace(
            self, **{one.name: getattr(store, one.name) for one in fields(SharedOptions)}
        )


OWN_OF_MERGE = tuple(
    one.name
    for one in fields(MergeOptions)
    if one.name not in {shared.name for shared in fields(SharedOptions)}
)
"""The options that only a merge has."""

_Options = TypeVar("_Options", StoreOptions, MergeOptions)


def options_of(given: object, kind: type[_Options]) -> _Options:
    """Return options that are given. Raises InvalidRequestError where they are none of the kind."""
    if not isinstance(given, kind):
        raise InvalidRequestError.of("options", given, f"must be {kind.__name__}")
    return given


def texts(options: object, effects: Iterable[Effect]) -> dict[str, str]:
    """The options that have one of these effects, by their paths, the same however given."""
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
    """A word, a number or some of them, the same however it is given."""
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else plain(exact(value, ""))
