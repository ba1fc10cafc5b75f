"""The front door of the command line: its commands, loaded when called, and every error in one sentence."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import click

from holdover import __version__
from holdover.errors import HoldoverError

from . import exit_codes
from .groups import LazyGroup
from .output import one_line

#: In the order of the help. A noun's own commands follow the table of operations.
COMMANDS: dict[str, str] = {
    "serve": "holdover.cli.serve:serve",
    "worker": "holdover.cli.serve:worker",
    "chat": "holdover.cli.chat:chat",
    "assistants": "holdover.cli.assistants:assistants",
    "threads": "holdover.cli.threads:threads",
    "messages": "holdover.cli.messages:messages",
    "runs": "holdover.cli.runs:runs",
    "files": "holdover.cli.files:files",
    "uploads": "holdover.cli.uploads:uploads",
    "vector-stores": "holdover.cli.vector_stores:vector_stores",
    "models": "holdover.cli.models:models",
    "api": "holdover.cli.api:api",
    "sandbox": "holdover.cli.sandbox:sandbox",
    "doctor": "holdover.cli.doctor:doctor",
    "completion": "holdover.cli.completion:completion",
}


class Main(LazyGroup):
    """The outermost group: renders what its commands raise."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        try:
            with _ended_by_interrupts():
                code: Any = run()
        except click.Abort:
            sys.exit(exit_codes.INTERRUPTED)
        except click.ClickException as error:
            _fail(_usage(error), error.exit_code)
        except HoldoverError as error:
            _fail(str(error), exit_codes.of_error(error))
        except OSError as error:
            place = error.filename or "Input or output failed"
            _fail(f"{place}: {error.strerror or error}.", exit_codes.FAILURE)
        except Exception as error:
            if sys.flags.dev_mode:
                raise
            # Its text stays out: it may quote what must not be seen, a key for one.
            _fail(
                f"This is a bug in Holdover ({type(error).__name__}), please report it; to see where it is, run "
                "python -X dev -m holdover with the same arguments.",
                exit_codes.FAILURE,
            )
        sys.exit(code or exit_codes.OK)


def _fail(sentence: str, code: int) -> NoReturn:
    click.echo(f"holdover: {one_line(sentence)}", err=True)
    sys.exit(code)


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message}{'' if message.endswith(('.', '?', '!')) else '.'} See: {context.command_path} --help"


@contextmanager
def _ended_by_interrupts() -> Iterator[None]:
    """Let Ctrl-C end the process at once: a call that waits for its answer would hold Python's own handler back."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, or another's
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@click.group(cls=Main, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="holdover %(version)s")
def main() -> None:
    """The Assistants API, on your own machine.

    \b
    holdover serve                                  start the service
    holdover chat                                   talk to it
    holdover assistants create gpt-4o --name Tutor  make an assistant
    holdover chat --assistant asst_…                talk to this one
    holdover threads list                           see what was talked about
    holdover doctor                                 when something is wrong

    A terminal gets tables, a pipe gets the API's JSON. Exit codes: 0 done, 1 failed, 2 misused, 3 no answer in
    time, 4 refused by the service, 5 failed in the service.
    """
