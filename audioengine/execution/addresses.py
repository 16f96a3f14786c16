# SPDX-License-Identifier: Apache-2.0
"""Where events, alarms and callbacks of a tenant go: decided here for all of them."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.settings import Settings


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where events, alarms and callbacks of one domain go; None: nowhere."""

    event_topic: str | None
    alarm_topic: str | None
    callback_url: str | None
    """What the paths of callbacks are under, without a slash at its end."""


def addresses_of(
    domain: str | None,
    settings: Settings,
    *,
    event_topic: str | None = None,
    alarm_topic: str | None = None,
) -> Addresses:
    """Return where events, alarms and callbacks of a domain go.

    Topics are the token's, else those of the domain's settings, else the fallbacks. Callbacks go
    where the domain's settings say, and nowhere else.

    event_topic, alarm_topic: as a verified token names them.
    """
    tenant = settings.domains.get(domain or "")
    fallbacks = settings.fallbacks
    own: tuple[str | None, str | None, str | None] = (None, None, None)
    if tenant is not None:
        url = tenant.callback_url
        own = tenant.event_topic, tenant.alarm_topic, url and url.rstrip("/")
    return Addresses(
        event_topic or own[0] or fallbacks.event_topic,
        alarm_topic or own[1] or fallbacks.alarm_topic,
        own[2],
    )
