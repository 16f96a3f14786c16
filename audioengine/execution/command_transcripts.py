# SPDX-License-Identifier: Apache-2.0
"""Transcripts that a command names: read where its domain's settings allow the place, else never.

A command chooses what is read with the service's own rights, and its failure would tell of it.
"""

from __future__ import annotations

from audioengine.edits import Modification
from audioengine.errors import NotAllowedError
from audioengine.execution.context import CommandContext
from audioengine.operations.options import SharedOptions
from audioengine.operations.transcripts import with_transcripts
from audioengine.storage import Source
from audioengine.storage.buckets import Location


def with_command_transcripts(
    modification: Modification | None, options: SharedOptions, context: CommandContext
) -> Modification | None:
    """Return a command's edit with the masks that its transcripts tell.

    Raises NotAllowedError for a place that is not under one of the domain's `transcripts`, and what
    `with_transcripts` raises.
    """

    def opened(place: str) -> Source:
        return context.storage.source(_allowed(place, context))

    return with_transcripts(modification, options, opened=opened)


def _allowed(place: str, context: CommandContext) -> Location:
    own = context.settings.domains.get(context.domain)
    allowed = own.transcripts if own else ()
    segments = place.split("/")
    if ".." in segments or "." in segments or not place.startswith(tuple(allowed) or ("\0",)):
        raise NotAllowedError(
            f"modificationParams.transcript = {place!r}: must be under one of the places that the "
            f"setting domains.{context.domain}.transcripts names"
        )
    return Location.parse(place, "modificationParams.transcript")
