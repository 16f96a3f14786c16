# SPDX-License-Identifier: Apache-2.0
"""What is in deploy/ fits what it deploys."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import botocore.session
import click
import pytest

from audioengine.cli import main
from audioengine.settings.worker import WorkerSettings
from tests.support import FIXTURES

DEPLOY = FIXTURES.parent / "deploy"
UNIT = (DEPLOY / "audioengine-worker.service").read_text()
CONTAINER = (DEPLOY / "Containerfile").read_text()
DOCUMENTS = [
    json.loads(block)
    for block in re.findall(
        r"^```json\n(.*?)^```", (DEPLOY / "aws.md").read_text(), re.MULTILINE | re.DOTALL
    )
]
POLICIES = [one for one in DOCUMENTS if "Statement" in one]
LIFECYCLES = [one for one in DOCUMENTS if "Rules" in one]


def verb(words: list[str]) -> click.Command:
    """The verb of a command line, which its options parse."""
    context = click.Context(main)
    name, command, rest = main.resolve_command(context, words)
    assert command is not None
    command.make_context(name, list(rest), resilient_parsing=True)
    options = {one for param in command.params for one in param.opts}
    assert {word for word in rest if word.startswith("--")} <= options
    return command


def value(key: str) -> str:
    """Of a key of the unit that is there once."""
    (found,) = re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def test_the_unit_runs_the_worker_and_lets_it_drain() -> None:
    program, *words = shlex.split(value("ExecStart"))
    assert program.endswith("/audioengine")
    assert verb(words).name == "worker"
    table = WorkerSettings()
    assert int(value("TimeoutStopSec")) > table.drain_s + table.wait_s
    assert value("KillMode") == "mixed"
    assert (value("NoNewPrivileges"), value("ProtectSystem")) == ("yes", "strict")


def test_the_outbox_is_where_it_lasts() -> None:
    assert value("Environment") == "AUDIOENGINE_WORKER__OUTBOX=/var/lib/audioengine/outbox.db"
    assert value("StateDirectory") == "audioengine"
    (volume,) = re.findall(r"^VOLUME (.*)$", CONTAINER, re.MULTILINE)
    assert f"AUDIOENGINE_WORKER__OUTBOX={volume}/outbox.db" in CONTAINER
    assert "outbox" in WorkerSettings.model_fields


def test_the_container_runs_as_nobody_in_particular() -> None:
    (user,) = re.findall(r"^USER (.*)$", CONTAINER, re.MULTILINE)
    assert int(user) > 0
    entry, default = (
        json.loads(found[0])
        for found in (
            re.findall(rf"^{key} (.*)$", CONTAINER, re.MULTILINE) for key in ("ENTRYPOINT", "CMD")
        )
    )
    assert entry == ["audioengine"]
    assert verb(default).name == "worker"
    for path in re.findall(r"^COPY ([^-].*) \S+$", CONTAINER, re.MULTILINE):
        assert all((FIXTURES.parent / name).exists() for name in path.split())


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_name_what_there_is(policy: Any) -> None:
    session = botocore.session.get_session()
    known = {
        f"{service}:{operation}"
        for service in ("sqs", "sns", "kms")
        for operation in session.get_service_model(service).operation_names
    }
    names = [one["Sid"] for one in policy["Statement"]]
    assert len(set(names)) == len(names)
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action
            assert action.startswith("s3:") or action in known
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            assert re.fullmatch(r"arn:aws:(s3:::|(sqs|sns|kms):REGION:ACCOUNT:)[\w./*-]+", resource)


def test_roles_and_rules_are_all_there() -> None:
    assert (len(POLICIES), len(LIFECYCLES)) == (3, 2)
    for lifecycle in LIFECYCLES:
        keys = {key for rule in lifecycle["Rules"] for key in rule}
        assert {"AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"} <= keys
