# SPDX-License-Identifier: Apache-2.0
"""The verb `settings`: what is in effect, of the file, the environment and defaults together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audioengine.cli.options import json_option

if TYPE_CHECKING:
    from audioengine.settings import Settings


@click.command(epilog="Example: audioengine settings --settings audioengine.toml")
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The TOML file; default that of AUDIOENGINE_SETTINGS, or audioengine.toml if it is there.",
)
@json_option
def settings(path: Path | None, as_json: bool) -> None:
    """Print the settings in effect, secrets as ***.

    Environment variables AUDIOENGINE_… come before the file, and that before defaults.
    """
    from audioengine.settings import load_settings

    loaded = load_settings(path)
    click.echo(loaded.to_json() if as_json else _toml(loaded))


def _toml(loaded: Settings) -> str:
    """TOML that could be the file, but for secrets; it has no word for what is not set."""
    import tomli_w

    unset: list[str] = []
    text = tomli_w.dumps(_given(loaded.to_dict(), "", unset))
    return f"{text}\n# Not set: {', '.join(unset)}" if unset else text.rstrip()


def _given(table: dict[str, Any], path: str, unset: list[str]) -> dict[str, Any]:
    out = {}
    for key, value in table.items():
        place = path + (json.dumps(key) if "." in key else key)
        if value is None:
            unset.append(place)
        else:
            out[key] = _given(value, f"{place}.", unset) if isinstance(value, dict) else value
    return out
