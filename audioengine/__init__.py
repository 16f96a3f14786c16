# SPDX-License-Identifier: Apache-2.0
"""Trims, masks and merges stereo MP3 call recordings, re-encoding only the frames that change.

``import audioengine as ae``; names are loaded when they are first used, so the import is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from audioengine import version

if TYPE_CHECKING:
    from audioengine.batch.manifest_all import ForAll as ForAll
    from audioengine.batch.plan import plan_batch as plan_batch
    from audioengine.batch.run import run_batch as run_batch
    from audioengine.commands.merge_command import merge_command as merge_command
    from audioengine.custody.record import CustodyRecord as CustodyRecord
    from audioengine.custody.verdict import EntryVerdict as EntryVerdict
    from audioengine.custody.verdict import RecordFinding as RecordFinding
    from audioengine.custody.verdict import RecordVerification as RecordVerification
    from audioengine.edits import Beep as Beep
    from audioengine.edits import IfUntagged as IfUntagged
    from audioengine.edits import Interval as Interval
    from audioengine.edits import Modification as Modification
    from audioengine.edits import TranscriptFile as TranscriptFile
    from audioengine.errors import AudioEngineError as AudioEngineError
    from audioengine.errors import InvalidRequestError as InvalidRequestError
    from audioengine.errors import LimitError as LimitError
    from audioengine.errors import MalformedAudioError as MalformedAudioError
    from audioengine.errors import NoRecordingError as NoRecordingError
    from audioengine.errors import NotAllowedError as NotAllowedError
    from audioengine.errors import Problem as Problem
    from audioengine.errors import StorageError as StorageError
    from audioengine.errors import UnsupportedAudioError as UnsupportedAudioError
    from audioengine.errors import VerificationError as VerificationError
    from audioengine.execution.context import Known as Known
    from audioengine.execution.execute import execute as execute
    from audioengine.execution.outcome import Outcome as Outcome
    from audioengine.notices import Notice as Notice
    from audioengine.operations.captured import CaptureFile as CaptureFile
    from audioengine.operations.codec import Audio as Audio
    from audioengine.operations.codec import decode as decode
    from audioengine.operations.codec import encode as encode
    from audioengine.operations.converting import convert as convert
    from audioengine.operations.inspection import inspect as inspect
    from audioengine.operations.label_files import read_events as read_events
    from audioengine.operations.label_files import read_labels as read_labels
    from audioengine.operations.legs import LegFile as LegFile
    from audioengine.operations.legs import Legs as Legs
    from audioengine.operations.merge import merge as merge
    from audioengine.operations.merge import plan_merge as plan_merge
    from audioengine.operations.merge_verification import verify_merge as verify_merge
    from audioengine.operations.options import MergeOptions as MergeOptions
    from audioengine.operations.options import StoreOptions as StoreOptions
    from audioengine.operations.record_verification import verify_record as verify_record
    from audioengine.operations.store import plan_store as plan_store
    from audioengine.operations.store import store as store
    from audioengine.operations.tones import find_dtmf as find_dtmf
    from audioengine.operations.transcripts import read_transcript as read_transcript
    from audioengine.operations.verification import verify as verify
    from audioengine.parts import ConferenceSegment as ConferenceSegment
    from audioengine.parts import MergePart as MergePart
    from audioengine.redaction.finding import Finding as Finding
    from audioengine.redaction.finding import Findings as Findings
    from audioengine.redaction.finding import Origin as Origin
    from audioengine.redaction.transcripts.options import TranscriptOptions as TranscriptOptions
    from audioengine.report import BatchPlanReport as BatchPlanReport
    from audioengine.report import BatchReport as BatchReport
    from audioengine.report import Check as Check
    from audioengine.report import ConvertReport as ConvertReport
    from audioengine.report import EncodeReport as EncodeReport
    from audioengine.report import MergePlanReport as MergePlanReport
    from audioengine.report import MergeReport as MergeReport
    from audioengine.report import PlanReport as PlanReport
    from audioengine.report import RecordingInfo as RecordingInfo
    from audioengine.report import StoreReport as StoreReport
    from audioengine.reviewing.audiowaveform import Peaks as Peaks
    from audioengine.reviewing.page import ReviewPage as ReviewPage
    from audioengine.reviewing.page import review as review
    from audioengine.reviewing.peaks import peaks as peaks
    from audioengine.settings import Settings as Settings
    from audioengine.settings import load_settings as load_settings
    from audioengine.storage.buckets import ObjectPlace as ObjectPlace
    from audioengine.storage.buckets import Storage as Storage
    from audioengine.storage.folder import FolderStorage as FolderStorage
    from audioengine.storage.memory import MemoryStorage as MemoryStorage
    from audioengine.storage.options import S3Options as S3Options
    from audioengine.storage.s3_storage import S3Storage as S3Storage
    from audioengine.verification.verdict import MergeVerification as MergeVerification
    from audioengine.verification.verdict import Verification as Verification

__version__ = version.VERSION

_HOMES = {
    "Audio": "operations.codec",
    "AudioEngineError": "errors",
    "BatchPlanReport": "report",
    "BatchReport": "report",
    "Beep": "edits",
    "CaptureFile": "operations.captured",
    "Check": "report",
    "ConferenceSegment": "parts",
    "ConvertReport": "report",
    "CustodyRecord": "custody.record",
    "EncodeReport": "report",
    "EntryVerdict": "custody.verdict",
    "Finding": "redaction.finding",
    "Findings": "redaction.finding",
    "FolderStorage": "storage.folder",
    "ForAll": "batch.manifest_all",
    "IfUntagged": "edits",
    "Interval": "edits",
    "InvalidRequestError": "errors",
    "Known": "execution.context",
    "LegFile": "operations.legs",
    "Legs": "operations.legs",
    "LimitError": "errors",
    "MemoryStorage": "storage.memory",
    "MalformedAudioError": "errors",
    "MergeOptions": "operations.options",
    "MergePart": "parts",
    "MergePlanReport": "report",
    "MergeReport": "report",
    "MergeVerification": "verification.verdict",
    "Modification": "edits",
    "NoRecordingError": "errors",
    "NotAllowedError": "errors",
    "Notice": "notices",
    "ObjectPlace": "storage.buckets",
    "Origin": "redaction.finding",
    "Outcome": "execution.outcome",
    "Peaks": "reviewing.audiowaveform",
    "PlanReport": "report",
    "Problem": "errors",
    "RecordFinding": "custody.verdict",
    "RecordVerification": "custody.verdict",
    "RecordingInfo": "report",
    "ReviewPage": "reviewing.page",
    "S3Options": "storage.options",
    "S3Storage": "storage.s3_storage",
    "Settings": "settings",
    "Storage": "storage.buckets",
    "StorageError": "errors",
    "StoreOptions": "operations.options",
    "StoreReport": "report",
    "TranscriptFile": "edits",
    "TranscriptOptions": "redaction.transcripts.options",
    "UnsupportedAudioError": "errors",
    "Verification": "verification.verdict",
    "VerificationError": "errors",
    "convert": "operations.converting",
    "decode": "operations.codec",
    "encode": "operations.codec",
    "execute": "execution.execute",
    "find_dtmf": "operations.tones",
    "inspect": "operations.inspection",
    "load_settings": "settings",
    "merge": "operations.merge",
    "peaks": "reviewing.peaks",
    "merge_command": "commands.merge_command",
    "plan_batch": "batch.plan",
    "plan_merge": "operations.merge",
    "plan_store": "operations.store",
    "review": "reviewing.page",
    "read_transcript": "operations.transcripts",
    "read_events": "operations.label_files",
    "read_labels": "operations.label_files",
    "run_batch": "batch.run",
    "store": "operations.store",
    "verify": "operations.verification",
    "verify_record": "operations.record_verification",
    "verify_merge": "operations.merge_verification",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - tests pin the names


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
