# SPDX-License-Identifier: Apache-2.0
"""The verb `schema`: the form of commands, events and alarms, for other programs."""

from __future__ import annotations

import json

import click

from audioengine.cli.options import json_option


@click.command(epilog="Example: audioengine schema STORERECORDING")
@click.argument("name")
@json_option
def schema(name: str, as_json: bool) -> None:
    """Print the JSON Schema of the command, event or alarm NAME.

    Any other NAME is answered with the list of names.
    """
    from audioengine.commands.schema import NAMES, json_schema

    if name not in NAMES:
        raise click.UsageError(f"{name} has no schema. There are those of {', '.join(NAMES)}.")
    click.echo(json.dumps(json_schema(name), indent=None if as_json else 2))
