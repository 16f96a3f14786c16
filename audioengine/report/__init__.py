# SPDX-License-Identifier: Apache-2.0
"""Reports of operations: frozen values with the same keys in Python and JSON.

Samples count on the recording's clock, as players play it; milliseconds give the same positions
for people. All intervals are half-open. `str` of a report is the text that the command line
prints, `repr` one line of its figures.
"""

from audioengine.report.base import Report
from audioengine.report.batch_reports import BatchPlanReport, BatchReport
from audioengine.report.details import (
    BitratesReport,
    Check,
    FailedJobReport,
    Figure,
    FileReport,
    FramesReport,
    IntervalReport,
    KeysReport,
    LegReport,
    MaskReport,
    MixedReport,
    OmittedReport,
    PartMaskReport,
    PartReport,
    PartyReport,
    PlaceReport,
    RecordedReport,
    RemadeReport,
    StreamPartReport,
    StreamReport,
    StretchReport,
    TrimReport,
    VerdictReport,
)
from audioengine.report.merge_reports import MergePlanReport, MergeReport
from audioengine.report.sound_reports import ConvertReport, DtmfReport, EncodeReport, RecordingInfo
from audioengine.report.store_reports import PlanReport, StoreReport

__all__ = [
    "BatchPlanReport",
    "BatchReport",
    "BitratesReport",
    "Check",
    "ConvertReport",
    "DtmfReport",
    "EncodeReport",
    "FailedJobReport",
    "Figure",
    "FileReport",
    "FramesReport",
    "IntervalReport",
    "KeysReport",
    "LegReport",
    "MaskReport",
    "MergePlanReport",
    "MergeReport",
    "MixedReport",
    "OmittedReport",
    "PartMaskReport",
    "PartReport",
    "PartyReport",
    "PlaceReport",
    "PlanReport",
    "RecordedReport",
    "RecordingInfo",
    "RemadeReport",
    "Report",
    "StoreReport",
    "StreamPartReport",
    "StreamReport",
    "StretchReport",
    "TrimReport",
    "VerdictReport",
]
