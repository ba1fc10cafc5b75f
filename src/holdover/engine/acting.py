"""What built-in tools do for a run: file search looks things up, the code interpreter runs code.

Which of the two there are is decided where the service is wired. A run that has a tool that is not there is told so in
the words of whoever could mend it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from holdover.wire.runs import Run
from holdover.wire.steps import CodeLogs, CodeOutput, FileSearchCall, FileSearchCallDetails, RunStep, ToolCalls

from .references import Chain, Paths
from .turn import References


class ToolFailure(Exception):
    """A tool cannot work, and the run cannot go on without it; the message is for the run's owner."""

    code: Literal["server_error"] = "server_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What code came to, or part of it.

    Attributes:
        outputs: What it printed and drew, as a step shows it.
        files: Files that it wrote, by their names in its folder.
        images: Files of images that the next message shows.
    """

    outputs: Sequence[CodeOutput] = ()
    files: Mapping[str, str] = {}
    images: Sequence[str] = ()


class Room(msgspec.Struct, frozen=True):
    """How many tokens passages may take, and how they are counted."""

    tokens: int
    count: Callable[[str], int]


class Search(Protocol):
    """Searches the files that a run may see."""

    async def search(self, run: Run, query: str, room: Room) -> FileSearchCallDetails:
        """Return what was found, the best first, with its passages, as much of it as there is room for.

        Raises:
            ToolFailure: It cannot be searched.
        """

    def present(self, found: FileSearchCallDetails, ordinal: int) -> str:
        """Return what the model is told of it; ``ordinal`` counts the run's searches from 0."""

    def citations(self, searches: Sequence[FileSearchCallDetails]) -> References:
        """Return what finds the citations of a run's searches in a text."""


class Interpreter(Protocol):
    """Runs code for a run's thread."""

    async def forget(self, thread_id: str) -> None:
        """Let go of what is kept for a thread: it was deleted."""

    def execute(self, run: Run, code: str) -> AsyncIterator[Made]:
        """Run code and give what it comes to, as it comes. Closing the iterator early stops the code."""


class Tools:
    """The built-in tools that there are."""

    def __init__(self, search: Search | None = None, interpreter: Interpreter | None = None) -> None:
        self._search = search
        self._interpreter = interpreter

    async def search(self, run: Run, query: str, room: Room) -> FileSearchCallDetails:
        """Search the files that a run may see. See `Search.search`."""
        if self._search is None:
            raise ToolFailure("This service cannot search files: it was started without file search.")
        return await self._search.search(run, query, room)

    def present(self, found: FileSearchCallDetails, ordinal: int) -> str:
        """Return what the model is told of a search. See `Search.present`."""
        return self._search.present(found, ordinal) if self._search is not None else ""

    async def execute(self, run: Run, code: str) -> AsyncIterator[Made]:
        """Run code for a run's thread. See `Interpreter.execute`."""
        if self._interpreter is None:
            yield Made(outputs=[CodeLogs(logs="This service cannot run code: it was started without a sandbox.\n")])
            return
        running = self._interpreter.execute(run, code)
        try:
            async for made in running:
                yield made
        finally:
            await running.aclose()  # type: ignore[attr-defined]

    async def forget(self, thread_id: str) -> None:
        """Let go of what is kept for a thread. See `Interpreter.forget`."""
        if self._interpreter is not None:
            await self._interpreter.forget(thread_id)

    def references(self, searches: Sequence[FileSearchCallDetails], files: Mapping[str, str]) -> References:
        """Return what finds the citations of these searches, and the paths of these files, in a text."""
        finders: list[References] = []
        if searches and self._search is not None:
            finders.append(self._search.citations(searches))
        if files:
            finders.append(Paths(files))
        return Chain(finders)


def found_in(steps: Sequence[RunStep]) -> list[FileSearchCallDetails]:
    """Return what the searches of a run found, in their order."""
    return [
        call.file_search
        for step in steps
        if isinstance(step.step_details, ToolCalls)
        for call in step.step_details.tool_calls
        if isinstance(call, FileSearchCall)
    ]


def printed(outputs: Sequence[CodeOutput]) -> str:
    """Return what the model is told of what its code came to."""
    said = "".join(
        output.logs if isinstance(output, CodeLogs) else "[An image was drawn; the user sees it.]\n"
        for output in outputs
    )
    return said or "[The code printed nothing.]"
