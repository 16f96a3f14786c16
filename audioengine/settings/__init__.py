# SPDX-License-Identifier: Apache-2.0
"""What a deployment decides once: one TOML file, and environment variables over it.

Importing this package imports pydantic, so do it where settings are used.
"""

from audioengine.settings.rest import RestSettings
from audioengine.settings.values import (
    DomainSettings,
    FallbackSettings,
    Settings,
    StorageSettings,
    load_settings,
)

__all__ = [
    "DomainSettings",
    "FallbackSettings",
    "RestSettings",
    "Settings",
    "StorageSettings",
    "load_settings",
]
