"""``holdover chat``: a conversation on a terminal, or one answer in a pipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click
import msgspec

from holdover.errors import APIStatusError, HoldoverError, NotFoundError
from holdover.wire.runs import RequiredToolCall, Run

from . import exit_codes
from .connection import calls
from .interrupts import Interrupts
from .output import is_terminal, one_line, write_hint
from .remembered import Conversation, Memory, Remembered
from .talking import ShownText, Talk, called, nobody_answers, show_json
from .values import Text, read_stdin

if TYPE_CHECKING:
    from holdover.client import Client
    from holdover.wire.assistants import Assistant

#: The assistant that is made where none is named. Every service knows this name, or says what it knows instead.
MODEL = "gpt-4o"
NAME = "Chat"
INSTRUCTIONS = "You are a helpful assistant. Answer in a few sentences."

HISTORY_LINES = 1000
QUOTES = '"""'

#: What the exit status says of a run, by how it ended.
CODES: dict[str, int] = {
    "completed": exit_codes.OK,
    "incomplete": exit_codes.FAILURE,
    "cancelled": exit_codes.FAILURE,
    "expired": exit_codes.TIMEOUT,
    "failed": exit_codes.SERVER_FAULT,
}

NOBODY = (
    "holdover: Nobody answers for this model yet. A small one on the service's machine: holdover models pull. "
    "Any endpoint that speaks chat completions: HOLDOVER_MODEL_BASE_URL=… holdover serve."
)

HELP = """\
/new       begin a new conversation
/quit      leave, as Ctrl-D does; holdover chat -c goes on later
\"\"\"        begin a message of several lines, and end it
Ctrl-C     cancel the answer; twice: leave"""


@click.command()
@click.argument("message", type=Text(), required=False, metavar="[MESSAGE|@FILE]")
@click.option("-c", "--continue", "continues", is_flag=True, help="Go on with the last conversation.")
@click.option("--thread", "thread_id", metavar="ID", help="Go on with this one.")
@click.option("--assistant", "assistant_id", metavar="ID", help="Who answers.  [default: one is made]")
@click.option("--model", help="Model that answers, instead of the assistant's.")
@click.option("--instructions", type=Text(), help="What it is told beforehand, instead of the assistant's.")
@click.option("--json", "as_json", is_flag=True, help="Every event as a line of JSON.")
@calls
def chat(
    client: Client,
    *,
    message: str | None,
    continues: bool,
    thread_id: str | None,
    assistant_id: str | None,
    as_json: bool,
    **overrides: str | None,
) -> None:
    """Talk to an assistant.

    \b
    holdover chat
    holdover chat "Why is the sky blue?"
    holdover chat -c "And at sunset?"
    git diff | holdover chat "What does this change?"
    holdover chat --assistant asst_…

    On a terminal it is a conversation, in which /help tells what else there is; a MESSAGE gets one answer, and so does
    what is piped in. Ctrl-C cancels the answer, and pressed twice it leaves.
    """
    context = click.get_current_context()
    if continues and thread_id is not None:
        raise click.UsageError("--continue and --thread cannot both be given.", context)
    is_typed = sys.stdin is not None and sys.stdin.isatty()
    has_person = is_typed and is_terminal() and not as_json
    said = message if has_person or (is_typed and message) else _with_piped(message)
    if said is not None and not said.strip():
        raise click.UsageError("There is nothing to say: give a MESSAGE, or pipe one in.", context)
    memory = Memory()
    conversation, name = _begin(client, memory, continues, thread_id, assistant_id, overrides)
    with Interrupts() as interrupts:
        session = Session(client, memory, conversation, interrupts, as_json=as_json, has_person=has_person)
        code = session.converse(name) if said is None else session.answer(said)
    context.exit(code)


def _with_piped(message: str | None) -> str:
    """Return what is said: what is piped in, behind the message if there is one."""
    piped = read_stdin().decode("utf-8-sig", "replace").strip()
    return "\n\n".join(each for each in (message, piped) if each)


# ------------------------------------------------------------------------------------------- with whom


def _begin(
    client: Client,
    memory: Memory,
    continues: bool,
    thread_id: str | None,
    assistant_id: str | None,
    overrides: dict[str, str | None],
) -> tuple[Conversation, str]:
    """Return the conversation that is wished for, and the name of who answers in it."""
    given = {name: value for name, value in overrides.items() if value is not None}
    begun = Conversation(thread_id=thread_id, **given)
    if continues:
        last = memory.of(client.base_url).last
        if last is None:
            raise click.UsageError(
                f"No conversation with {client.base_url} is remembered.", click.get_current_context()
            )
        begun = msgspec.structs.replace(last, **given)
    elif thread_id is not None and assistant_id is None:
        newest = client.list_runs(thread_id, limit=1).data
        begun = msgspec.structs.replace(begun, assistant_id=newest[0].assistant_id if newest else None)
    assistant = _assistant(client, memory, assistant_id or begun.assistant_id)
    name = f"{assistant.name or assistant.id} ({begun.model or assistant.model})"
    return msgspec.structs.replace(begun, assistant_id=assistant.id), name


def _assistant(client: Client, memory: Memory, assistant_id: str | None) -> Assistant:
    """Return an assistant; where none is named, the one that was made for this, or a new one."""
    if assistant_id is not None:
        return client.get_assistant(assistant_id)
    remembered = memory.of(client.base_url)
    if remembered.assistant_id is not None:
        with suppress(NotFoundError):  # it was deleted
            return client.get_assistant(remembered.assistant_id)
    made = client.create_assistant(MODEL, name=NAME, instructions=INSTRUCTIONS)
    _keep(memory, client, msgspec.structs.replace(remembered, assistant_id=made.id))
    return made


def _keep(memory: Memory, client: Client, remembered: Remembered) -> None:
    try:
        memory.keep(client.base_url, remembered)
    except OSError as error:
        write_hint(f"holdover: {error.filename}: {error.strerror}: this conversation cannot be remembered.")


# --------------------------------------------------------------------------------------------- talking


class Session:
    """A conversation, shown, and remembered.

    Args:
        as_json: Whether every event is shown as it is.
        has_person: Whether somebody can be asked.
    """

    def __init__(
        self,
        client: Client,
        memory: Memory,
        conversation: Conversation,
        interrupts: Interrupts,
        *,
        as_json: bool,
        has_person: bool,
    ) -> None:
        self._client = client
        self._memory = memory
        self._interrupts = interrupts
        self._as_json = as_json
        self._text = ShownText()
        self._talk = Talk(
            client,
            conversation,
            show=show_json if as_json else self._text,
            answer=self._ask_for_output if has_person else nobody_answers,
            interrupts=interrupts,
        )

    def answer(self, text: str) -> int:
        """Say something; return the exit status that tells how the run ended.

        Raises:
            HoldoverError: The service refused it, or the connection broke off.
        """
        self._text.is_silent = True
        try:
            run = self._talk.say(text)
            self._make_up(run)
        except APIStatusError as error:
            if error.code == "unsupported_model":
                write_hint(NOBODY)
            raise
        finally:
            self._text.end_line()
            self._remember()
        if run.status != "completed":
            write_hint(f"holdover: {_how_it_ended(run)}")
        if run.status == "cancelled" and self._interrupts.count:
            return exit_codes.INTERRUPTED
        return CODES.get(run.status, exit_codes.FAILURE)

    def _make_up(self, run: Run) -> None:
        """Show what a run said where its events did not: they tell of one attempt, which another may have ended."""
        is_lacking = self._text.is_silent or not self._talk.is_told_whole
        if run.status == "completed" and is_lacking and not self._as_json:
            for message in self._client.list_messages(run.thread_id, run_id=run.id, order="asc"):
                self._text.show(message)

    def converse(self, name: str) -> int:
        """Talk with the person at the terminal until they leave."""
        write_hint(f"{one_line(name)} listens. /help tells what there is; Ctrl-D leaves.")
        with _history(self._memory):
            while (line := self._read()) is not None:
                match line.strip():
                    case "":
                        continue
                    case "/quit" | "/exit":
                        break
                    case "/new":
                        self._talk.begin_anew()
                        write_hint("A new conversation.")
                    case "/help":
                        write_hint(HELP)
                    case command if re.fullmatch("/[a-z]+", command):
                        write_hint(f"There is no {command}; /help tells what there is.")
                    case _:
                        self._say(line)
        return exit_codes.OK

    def _say(self, text: str) -> None:
        try:
            self.answer(text)
        except HoldoverError as error:
            write_hint(f"holdover: {one_line(str(error))}")
        self._interrupts.forget()  # one that cancelled this answer is not the first of two that leave

    def _read(self) -> str | None:
        """Return what was typed, ``None`` when the person leaves."""
        while True:
            try:
                with self._interrupts.asking():
                    line = input("> ")
                    while line.startswith(QUOTES) and not (line.endswith(QUOTES) and len(line) >= 2 * len(QUOTES)):
                        line += "\n" + input(". ")
            except EOFError:
                click.echo(err=True)
                return None
            except KeyboardInterrupt:
                if self._interrupts.count > 1:
                    raise
                click.echo(err=True)
                write_hint("Ctrl-C again leaves.")
                continue
            self._interrupts.forget()
            return line.removeprefix(QUOTES).removesuffix(QUOTES) if line.startswith(QUOTES) else line

    def _ask_for_output(self, call: RequiredToolCall) -> str | None:
        """Ask the person what a call comes to."""
        self._text.end_line()
        write_hint(f"It calls {called(call)}. Type what this comes to, or cancel the run with Ctrl-C.")
        try:
            with self._interrupts.asking():
                return input(f"{one_line(call.function.name)}> ")
        except (EOFError, KeyboardInterrupt):
            click.echo(err=True)
            return None

    def _remember(self) -> None:
        if self._talk.conversation.thread_id is not None:
            remembered = self._memory.of(self._client.base_url)
            last = self._talk.conversation
            if remembered.last != last:
                _keep(self._memory, self._client, msgspec.structs.replace(remembered, last=last))


def _how_it_ended(run: Run) -> str:
    match run.status:
        case "failed" if run.last_error is not None:
            return f"The run failed: {one_line(run.last_error.message)} ({run.last_error.code})"
        case "incomplete" if run.incomplete_details is not None:
            return f"The answer is not whole: {run.incomplete_details.reason}."
        case "expired":
            return "The run took longer than it may."
        case status:
            return f"The run is {status}."


@contextmanager
def _history(memory: Memory) -> Iterator[None]:
    """Have lines edited and remembered, where there is readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    with suppress(OSError):
        readline.read_history_file(memory.history)
    readline.set_history_length(HISTORY_LINES)
    try:
        yield
    finally:
        with suppress(OSError):
            memory.history.touch(mode=0o600)
            readline.write_history_file(memory.history)
