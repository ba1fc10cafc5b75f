"""One conversation as the command line has it: what is said, and what is shown of each run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from holdover.errors import HoldoverError
from holdover.wire.events import MessageDelta, RefusalPartDelta, TextPartDelta
from holdover.wire.messages import ImageFilePart, ImageURLPart, Message
from holdover.wire.runs import RequiredToolCall, Run, ToolOutput

from .interrupts import Interrupts
from .output import is_terminal, write_hint, write_piece
from .remembered import Conversation

if TYPE_CHECKING:
    from holdover.client import Client
    from holdover.client.run_streams import RunEvent, RunStream

Show = Callable[["RunEvent"], None]
#: Returns the output of a call, ``None`` where nobody has one.
Answer = Callable[[RequiredToolCall], str | None]


class Talk:
    """A conversation with an assistant.

    Args:
        conversation: With whom, and in which thread; where it names none, one is made with the first message.
        show: Is given every event.
        answer: Answers the calls of functions.

    Attributes:
        conversation: The same, with its thread as soon as there is one.
        is_told_whole: Whether the events of the last run went on to its end.
    """

    def __init__(
        self,
        client: Client,
        conversation: Conversation,
        *,
        show: Show,
        answer: Answer,
        interrupts: Interrupts,
    ) -> None:
        self.conversation = conversation
        self.is_told_whole = True
        self._client = client
        self._show = show
        self._answer = answer
        self._interrupts = interrupts
        self._run: Run | None = None
        self._is_unwanted = False
        self._is_known = threading.Event()
        self._cancelling: threading.Thread | None = None

    def say(self, text: str) -> Run:
        """Say something; return the run that answered, as it ended.

        Raises:
            HoldoverError: The service refused it, or the connection broke off.
            KeyboardInterrupt: Ctrl-C came twice.
        """
        self._run, self._is_unwanted, self._cancelling = None, False, None
        self._is_known.clear()
        run = self._follow(lambda: self._begin(text))
        while run.required_action is not None and not self._is_unwanted:
            outputs = self._outputs(run.required_action.submit_tool_outputs.tool_calls)
            if outputs is None:
                run = self._client.cancel_run(run.thread_id, run.id)
                break
            run = self._follow(
                lambda run=run, outputs=outputs: self._client.submit_tool_outputs_to_run(  # type: ignore[misc]
                    run.thread_id, run.id, outputs, stream=True
                )
            )
        self.is_told_whole = run.is_terminal
        if run.is_terminal:
            return run
        # It is being cancelled; or the process that told of it lost it, and another one goes on.
        return self._client.wait_for_run(run.thread_id, run.id)

    def begin_anew(self) -> None:
        """Go on in a new thread."""
        self.conversation = msgspec.structs.replace(self.conversation, thread_id=None)

    def _begin(self, text: str) -> RunStream:
        message: Any = {"role": "user", "content": text}
        with_whom = self.conversation
        overrides: Any = {"model": with_whom.model, "instructions": with_whom.instructions}
        assert with_whom.assistant_id is not None
        if with_whom.thread_id is None:
            return self._client.create_thread_and_run(
                with_whom.assistant_id, thread={"messages": [message]}, stream=True, **overrides
            )
        return self._client.create_run(
            with_whom.thread_id, with_whom.assistant_id, additional_messages=[message], stream=True, **overrides
        )

    def _follow(self, begin: Callable[[], RunStream]) -> Run:
        """Show a stream's events; return the run as last told."""
        try:
            with self._interrupts.ending(self._cancel), begin() as stream:
                for event in stream:
                    if stream.run is not None:
                        self._know(stream.run)
                    self._show(event)
                run = stream.until_done()
        finally:
            self._is_known.set()
        if self._cancelling is not None:
            self._cancelling.join()
        return run

    def _know(self, run: Run) -> None:
        self._run = run
        if self.conversation.thread_id is None:
            self.conversation = msgspec.structs.replace(self.conversation, thread_id=run.thread_id)
        self._is_known.set()

    def _cancel(self) -> None:
        """Cancel the run as soon as it is known; its events tell of it as of anything else.

        That is done in a thread, because a signal may come in the middle of anything that this one does.
        """
        if self._is_unwanted:
            return
        self._is_unwanted = True
        self._cancelling = threading.Thread(target=self._cancel_when_known, daemon=True)
        self._cancelling.start()

    def _cancel_when_known(self) -> None:
        write_hint(("\n" if is_terminal() else "") + "Cancelling; Ctrl-C again leaves.")
        self._is_known.wait()
        if self._run is not None:
            with suppress(HoldoverError):  # it has just ended, or the stream has the same trouble and tells of it
                self._client.cancel_run(self._run.thread_id, self._run.id)

    def _outputs(self, calls: Sequence[RequiredToolCall]) -> list[ToolOutput] | None:
        outputs = []
        for call in calls:
            output = self._answer(call)
            if output is None:
                return None
            outputs.append(ToolOutput(tool_call_id=call.id, output=output))
        return outputs


class ShownText:
    """Shows what is said, as it comes: every message ends with a line break."""

    def __init__(self) -> None:
        #: Whether nothing was shown yet.
        self.is_silent = True
        self._ends_line = True

    def __call__(self, event: RunEvent) -> None:
        data = event.data
        if isinstance(data, MessageDelta):
            self._write(_said(data))
        elif isinstance(data, Message) and event.name in ("thread.message.completed", "thread.message.incomplete"):
            self.end_line()
            for part in data.content:
                if isinstance(part, ImageFilePart):
                    self._write(f"[image {part.image_file.file_id}]\n")
                elif isinstance(part, ImageURLPart):
                    self._write(f"[image {part.image_url.url}]\n")

    def show(self, message: Message) -> None:
        """Show a whole message."""
        self.end_line()
        self._write(message.text)
        self.end_line()

    def end_line(self) -> None:
        """Begin a line, if none has just begun."""
        if not self._ends_line:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            write_piece(text)
            self.is_silent = False
            self._ends_line = text.endswith("\n")


def _said(delta: MessageDelta) -> str:
    said = []
    for part in delta.delta.content or ():
        if isinstance(part, TextPartDelta) and part.text:
            said.append(part.text.value or "")
        elif isinstance(part, RefusalPartDelta):
            said.append(part.refusal or "")
    return "".join(said)


def show_json(event: RunEvent) -> None:
    """Show an event as a line of JSON."""
    write_piece(msgspec.json.encode({"event": event.name, "data": event.data}).decode() + "\n")


def nobody_answers(call: RequiredToolCall) -> None:
    """Say that a call has no answer here: there is nobody to ask."""
    write_hint(
        f"holdover: The assistant calls {called(call)}, which nobody here can answer. "
        "A program can, with run_and_wait(functions=…), and a person on a terminal."
    )


def called(call: RequiredToolCall) -> str:
    """Return a call as one writes it."""
    return f"{call.function.name}({' '.join(call.function.arguments.split())})"
