# SPDX-License-Identifier: Apache-2.0
"""What surrounds every verb: stopping in an orderly way, and turning failures into exit codes."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import click

from audioengine.cli.failures import Failure
from audioengine.errors import AudioEngineError

# Whoever stops the command leaves no output, however it is done, short of SIGKILL.
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Keys of click's meta: whether an option is on the command line, valid or not.
_JSON = "audioengine.json"
_PARAMS = "audioengine.params"


class Verb(NamedTuple):
    """Where a verb is, and what the list of verbs says of it, without its module."""

    module: str
    """Below `audioengine.cli`."""
    help: str
    """The first sentence of its own help."""


class Program(click.Group):
    """The group of verbs; each one's module is imported when it is asked for.

    Failures are handled around the verbs and not in `main`, so that click's own runner for tests
    sees the same as a shell.
    """

    verbs: Mapping[str, Verb] = {}
    """By name; a verb's name with _ for - is what its module calls it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the verbs."""
        return sorted({*self.verbs, *super().list_commands(ctx)})

    def get_command(
        self,
        ctx: click.Context,
        cmd_name: str,
    ) -> click.Command | None:
        """A verb by its name; None where there is none."""
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"audioengine.cli.{verb.module}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click gives it
        formatter: click.HelpFormatter,
    ) -> None:
        """List the verbs as click does, but import none."""
        room = formatter.width - 6 - max(map(len, self.verbs))
        lines = [
            (name, click.Command(name, help=verb.help).get_short_help_str(room))
            for name, verb in sorted(self.verbs.items())
        ]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note how the command line is written, for messages about it."""
        # An argument that can't be parsed is answered in JSON too, so this can't wait for parsing.
        ctx.meta[_JSON] = "--json" in args
        ctx.meta[_PARAMS] = any(arg.split("=")[0] == "--params" for arg in args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; raise click.UsageError where an option is repeated that counts once."""
        name, verb, rest = super().resolve_command(ctx, args)
        if verb is not None:
            _refuse_repeats(verb, click.Context(verb, ctx, name), rest)
        return name, verb, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; what it raises becomes a message and an exit code."""
        try:
            with _orderly_stop() as asked:
                try:
                    return super().invoke(ctx)
                except Exception:
                    # An interrupt may break what it meets, a lock being taken for instance.
                    if asked():
                        raise KeyboardInterrupt from None
                    raise
        except click.UsageError as error:
            self._fail(ctx, Failure.of_usage(error))
        except AudioEngineError as error:
            self._fail(ctx, Failure.of_error(error, params=ctx.meta[_PARAMS]))
        except KeyboardInterrupt:
            self._fail(ctx, Failure.of_interrupt())
        except click.exceptions.Exit:
            raise
        except Exception as error:
            # A bug: machines still get their object, people get the traceback.
            if ctx.meta[_JSON]:
                click.echo(Failure.of_bug(error).to_json())
            raise

    def _fail(self, ctx: click.Context, failure: Failure) -> NoReturn:
        if ctx.meta[_JSON]:
            click.echo(failure.to_json())
        click.echo(failure.text, err=True)
        raise click.exceptions.Exit(failure.exit_code)


def _refuse_repeats(verb: click.Command, ctx: click.Context, args: list[str]) -> None:
    """Raise click.UsageError where an option with one value is given twice.

    Click takes the last one: of two --params the masks of the first would silently be lost.
    """
    order: list[click.Parameter] = []
    with suppress(click.UsageError):  # the verb's own reading says so too
        _, _, order = verb.make_parser(ctx).parse_args(list(args))
    for option, count in Counter(order).items():
        if not isinstance(option, click.Option) or option.multiple or option.is_flag:
            continue
        if count > 1:
            raise click.UsageError(f"{option.opts[0]} must be given once, not {count} times.", ctx)


@contextmanager
def _orderly_stop() -> Iterator[Callable[[], bool]]:
    """Let the first signal that asks to stop raise KeyboardInterrupt, and no further one.

    A second Ctrl-C must not interrupt the removal of what was half written, nor the message.
    Yields a function that tells whether a signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            raise KeyboardInterrupt

    # A signal that the parent had us ignore (nohup, a shell's background job) stays ignored.
    before = {
        number: handler
        for number in _STOPPING
        if (handler := signal.getsignal(number)) in (signal.SIG_DFL, signal.default_int_handler)
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield lambda: stopped
    finally:
        # The process is about to end when it was stopped; Python gives up handlers before it does.
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stopped else handler)
