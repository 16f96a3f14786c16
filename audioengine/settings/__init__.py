# SPDX-License-Identifier: Apache-2.0
"""What a deployment decides once: one TOML file, and environment variables over it.

Importing this package imports nothing heavy; the first of its names that is used imports pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audioengine.settings.sources import are_named

if TYPE_CHECKING:
    from audioengine.settings.deployment import Settings, load_settings
    from audioengine.settings.rest import RestSettings
    from audioengine.settings.storage import StorageSettings
    from audioengine.settings.tenants import DomainSettings, FallbackSettings

__all__ = [
    "DomainSettings",
    "FallbackSettings",
    "RestSettings",
    "Settings",
    "StorageSettings",
    "are_named",
    "load_settings",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from audioengine.settings import deployment

    return getattr(deployment, name)
