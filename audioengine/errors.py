# SPDX-License-Identifier: Apache-2.0
"""The errors that leave this package: one root, one class per category.

::

    AudioEngineError
    ├── InvalidRequestError   (ValueError)    the request can't be honoured as written
    ├── MalformedAudioError   (ValueError)    the source breaks its own format, at a byte
    ├── UnsupportedAudioError (ValueError)    legal audio that this engine does not edit
    ├── LimitError            (ValueError)    the work would exceed a stated bound
    ├── NotAllowedError       (PermissionError) the caller has no right to the recording
    ├── StorageError          (OSError)       a source can't be read, an output can't be written
    ├── NoRecordingError      (both above)    a command's recording is missing, or another tenant's
    └── VerificationError     (RuntimeError)  an output breaks a promise

Callers branch on the class and on `retryable`, never on the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN_KEY = "is not a known key"
"""The start of the rule for an unknown key; its value may be a secret under a wrong name."""

# A message shows this much of a wrong value: enough to recognise it.
_SHOWN_CHARACTERS = 200


class AudioEngineError(Exception):
    """Root of all errors that this package raises on purpose."""

    retryable = False
    """Whether the same call may succeed later without being changed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One field of a request that can't be honoured."""

    path: str
    """Where the field is, for instance ``mask.caller[0].from``."""
    value: object
    """What was given."""
    rule: str
    """What would be right."""

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[:_SHOWN_CHARACTERS] + "…"
        return f"{self.path} = {shown}: {self.rule}"


class InvalidRequestError(AudioEngineError, ValueError):
    """The request can't be honoured as written; `problems` names every wrong field at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[InvalidRequestError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)

    @classmethod
    def of(cls, path: str, value: object, rule: str) -> InvalidRequestError:
        """The error for a single wrong field."""
        return cls([Problem(path, value, rule)])


class MalformedAudioError(AudioEngineError, ValueError):
    """The source breaks its own format; `offset` is the byte of the fault, if known."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        self.offset = offset
        super().__init__(message if offset is None else f"{message} (byte {offset})")


class UnsupportedAudioError(AudioEngineError, ValueError):
    """Legal audio that this engine does not edit; `offset` is the byte of the cause, if known."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        self.offset = offset
        super().__init__(message if offset is None else f"{message} (byte {offset})")


class LimitError(AudioEngineError, ValueError):
    """The work would exceed a stated bound."""


class NotAllowedError(AudioEngineError, PermissionError):
    """The caller has no right to the recording: an invalid token, or another tenant's recording."""


class StorageError(AudioEngineError, OSError):
    """A source can't be read or an output can't be written."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        self.retryable = retryable
        super().__init__(message)


class NoRecordingError(NotAllowedError, StorageError):
    """A command's recording is missing, belongs to another domain, or has no known owner.

    The message is the same in all three cases, so that no tenant learns of another's recordings.
    The cause (`__cause__`), which only the operator's log shows, says which case it was.
    """

    def __init__(self, recording_id: str, domain: str) -> None:
        self.recording_id = recording_id
        self.domain = domain
        message = f"recording {recording_id!r} can't be had: it is not there, or not proven to be"
        super().__init__(f"{message} of {domain!r}")

    def __reduce__(self) -> tuple[type[NoRecordingError], tuple[str, str]]:
        return type(self), (self.recording_id, self.domain)


class VerificationError(AudioEngineError, RuntimeError):
    """An output breaks a promise."""
