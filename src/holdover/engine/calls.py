"""Calls as they grow: what a model calls becomes deltas, and the details of a step, by the kind of tool. Pure.

A model calls the built-in tools as it calls functions, by their names. On the wire they look different: the code of the
code interpreter is streamed as it is written, a search is told of when it is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from holdover.wire.runs import Run
from holdover.wire.steps import (
    CodeInterpreterCall,
    CodeInterpreterCallDetails,
    CodeLogs,
    CodeOutput,
    FileSearchCall,
    FileSearchCallDetails,
    FunctionCall,
    FunctionCallDetails,
    ToolCall,
)
from holdover.wire.tools import FunctionTool

FILE_SEARCH = "file_search"
CODE_INTERPRETER = "code_interpreter"

Member = dict[str, Any]


class GrowingCall:
    """A call of one of the application's functions, while the model writes it.

    Args:
        id: Its id on the wire.
        name: What the model calls.
    """

    kind: ClassVar[str] = "function"

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self._arguments: list[str] = []

    @property
    def arguments(self) -> str:
        """What the model gave so far, as it wrote it."""
        return "".join(self._arguments)

    def begin(self) -> Member | None:
        """Return what the first delta tells, ``None`` where nothing is told yet."""
        return {"name": self.name, "arguments": "", "output": None}

    def grow(self, arguments: str) -> Member | None:
        """Take a piece of the arguments and return what a delta tells of it."""
        self._arguments.append(arguments)
        return {"arguments": arguments}

    def end(self) -> Member | None:
        """Return what is still to be told when the model has written all."""
        return None if self._arguments else self.grow("{}")

    def details(self) -> ToolCall:
        """Return the call as a step shows it."""
        return FunctionCall(id=self.id, function=FunctionCallDetails(name=self.name, arguments=self.arguments))


class CodeCall(GrowingCall):
    """A call of the code interpreter: its code is told as it is written."""

    kind = CODE_INTERPRETER

    def __init__(self, id: str, name: str) -> None:
        super().__init__(id, name)
        self._code = CodeReader()
        self._outputs: list[CodeOutput] = []

    @property
    def code(self) -> str:
        """The code so far."""
        return self._code.text

    def begin(self) -> Member | None:
        return {"input": "", "outputs": []}

    def grow(self, arguments: str) -> Member | None:
        self._arguments.append(arguments)
        return self._told(self._code.feed(arguments))

    def end(self) -> Member | None:
        return self._told(self._code.end())

    def answer(self, outputs: Sequence[CodeOutput]) -> Member | None:
        """Take what the code came to and return what a delta tells of it. Logs that follow each other are one."""
        told = []
        for output in outputs:
            last = self._outputs[-1] if self._outputs else None
            if isinstance(output, CodeLogs) and isinstance(last, CodeLogs):
                self._outputs[-1] = CodeLogs(logs=last.logs + output.logs)
            else:
                self._outputs.append(output)
            told.append({"index": len(self._outputs) - 1, **msgspec.to_builtins(output)})
        return {"outputs": told} if told else None

    def details(self) -> ToolCall:
        return CodeInterpreterCall(
            id=self.id, code_interpreter=CodeInterpreterCallDetails(input=self.code, outputs=list(self._outputs))
        )

    @staticmethod
    def _told(code: str) -> Member | None:
        return {"input": code} if code else None


class SearchCall(GrowingCall):
    """A call of file search: nothing is told before it is done."""

    kind = FILE_SEARCH

    def __init__(self, id: str, name: str) -> None:
        super().__init__(id, name)
        self._found: FileSearchCallDetails | None = None

    @property
    def query(self) -> str:
        """What is to be searched for."""
        return query_of(self.arguments)

    def begin(self) -> Member | None:
        return None

    def grow(self, arguments: str) -> Member | None:
        self._arguments.append(arguments)
        return None

    def end(self) -> Member | None:
        return None

    def answer(self, found: FileSearchCallDetails) -> None:
        """Take what was found."""
        self._found = found

    def details(self) -> ToolCall:
        return FileSearchCall(id=self.id, file_search=self._found or FileSearchCallDetails())


#: What calls of the built-in tools are; all others are of the application's functions.
BUILT_IN: dict[str, type[GrowingCall]] = {CODE_INTERPRETER: CodeCall, FILE_SEARCH: SearchCall}


def built_in(run: Run) -> list[str]:
    """Return the names of the built-in tools that a run has; a function of the same name goes first."""
    functions = {tool.function.name for tool in run.tools if isinstance(tool, FunctionTool)}
    return [
        name for name in dict.fromkeys(tool.type for tool in run.tools) if name in BUILT_IN and name not in functions
    ]


def query_of(arguments: str) -> str:
    """Return the query of a search's arguments; models that give bare words mean those."""
    try:
        given = msgspec.json.decode(arguments)
    except msgspec.MsgspecError:
        return arguments.strip()
    if isinstance(given, dict):
        given = next((given[key] for key in ("query", "queries", "q") if key in given), "")
    if isinstance(given, list):
        given = " ".join(str(each) for each in given)
    return str(given).strip()


class CodeReader:
    r"""Reads code out of ``{"code": "…"}`` while it is written, escape by escape.

    Models that write bare code, without JSON round it, are understood as well. Once the string is closed, nothing more
    is taken.
    """

    _BEGIN = re.compile(r'\s*\{\s*"(?:code|input)"\s*:\s*"')
    _BARE = re.compile(r"\s*[^\s{]")
    #: As much of a string as is whole: no half of an escape, and no half of a surrogate pair, at the end.
    _WHOLE = re.compile(
        r'(?:[^"\\]+|\\[^u]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\u[dD][89abAB][0-9a-fA-F]{2}'
        r"(?:\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?=\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F]|[^\\])))*",
        re.DOTALL,
    )

    def __init__(self) -> None:
        self._held = ""
        self._all: list[str] = []
        self._texts: list[str] = []
        self._state = "unknown"

    @property
    def text(self) -> str:
        """The code so far."""
        return "".join(self._texts)

    def feed(self, arguments: str) -> str:
        """Take a piece of the arguments and return the code that it completes."""
        self._all.append(arguments)
        self._held += arguments
        if self._state == "unknown":
            if (begun := self._BEGIN.match(self._held)) is not None:
                self._state, self._held = "string", self._held[begun.end() :]
            elif self._BARE.match(self._held):
                self._state = "bare"
        match self._state:
            case "bare":
                text, self._held = self._held, ""
            case "string":
                text = self._string()
            case _:
                text = ""
        if text:
            self._texts.append(text)
        return text

    def end(self) -> str:
        """Return the code that is still missing: JSON of another shape than expected is read whole."""
        if self._state == "string" and self._held:  # an escape that is none: what is left is taken as it is
            self._state = "closed"
            self._texts.append(self._held)
            return self._held
        if self._state != "unknown":
            return ""
        whole = "".join(self._all)
        try:
            given = msgspec.json.decode(whole)
        except msgspec.MsgspecError:
            text = whole.strip()
        else:
            strings = [value for value in given.values() if isinstance(value, str)] if isinstance(given, dict) else []
            code = given.get("code", given.get("input")) if isinstance(given, dict) else None
            text = code if isinstance(code, str) else strings[0] if len(strings) == 1 else ""
        self._state = "closed"
        if text:
            self._texts.append(text)
        return text

    def _string(self) -> str:
        whole = self._WHOLE.match(self._held)
        assert whole is not None  # it may be empty
        raw, self._held = whole[0], self._held[whole.end() :]
        if self._held.startswith('"'):
            self._state = "closed"
        return _unescaped(raw)


#: What a string in JSON must not have, and models sometimes write: it is meant as it is.
_MEANT = re.compile(r'[\x00-\x1f]|\\(?:["\\/bfnrtu]|(?P<unknown>.))', re.DOTALL)


def _unescaped(raw: str) -> str:
    text = str(json.loads(f'"{_MEANT.sub(_as_json, raw)}"'))
    # Half of a surrogate pair is no character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _as_json(match: re.Match[str]) -> str:
    if match["unknown"] is not None:
        return f"\\\\{match['unknown']}" if match["unknown"] >= " " else f"\\\\\\u{ord(match['unknown']):04x}"
    return match[0] if match[0][0] == "\\" else f"\\u{ord(match[0]):04x}"
