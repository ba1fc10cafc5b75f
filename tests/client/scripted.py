"""Transports whose answers are written beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from holdover.client.transports import Request, Response, TransportFailure

#: What comes of a body, piece by piece; at a failure it breaks off.
Pieces = Sequence[bytes | TransportFailure]


class Streamed(msgspec.Struct, frozen=True):
    """An answer that comes piece by piece."""

    pieces: Pieces
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({"content-type": "text/event-stream; charset=utf-8"})


Outcome = Response | TransportFailure | Streamed

ASSISTANT = {
    "id": "asst_1",
    "object": "assistant",
    "created_at": 1,
    "name": None,
    "description": None,
    "model": "gpt-4o",
    "instructions": None,
    "tools": [],
    "top_p": 1.0,
    "temperature": 1.0,
    "reasoning_effort": None,
    "tool_resources": {},
    "metadata": {},
    "response_format": "auto",
}


def answer(body: Any = ASSISTANT, status: int = 200, **headers: str) -> Response:
    """Return an answer; underscores in the names of headers become dashes."""
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, encoded)


def refusal(status: int, **headers: str) -> Response:
    """Return an error in the wire's envelope."""
    error = {"message": f"Said {status}.", "type": "invalid_request_error", "param": "name", "code": "a_code"}
    return answer({"error": error}, status, **headers)


#: The request went out, and then nothing came back.
LOST = TransportFailure("connection closed before message completed", was_sent=True)
#: No connection was opened.
REFUSED = TransportFailure("Connection refused (os error 111)", was_sent=False)
#: The request went out, and time ran out.
LATE = TransportFailure("operation timed out", was_sent=True, timed_out=True)


class Scripted:
    """A transport that gives one outcome of its script for each request, and keeps the requests.

    The script may also be a function of the request. When it is at its end, its last outcome is given again.
    """

    def __init__(self, *script: Outcome, by: Callable[[Request], Outcome] | None = None) -> None:
        self.script = list(script or (answer(),))
        self.by = by
        self.requests: list[Request] = []
        #: The bodies that were asked for as streams.
        self.incoming: list[ScriptedIncoming] = []

    def send(self, request: Request) -> Response:
        outcome = self._next(request)
        assert isinstance(outcome, Response), "a stream is not asked for"
        return outcome

    def stream(self, request: Request) -> ScriptedIncoming:
        outcome = self._next(request)
        if isinstance(outcome, Response):
            outcome = Streamed([outcome.body], outcome.status, dict(outcome.headers))
        self.incoming.append(ScriptedIncoming(outcome))
        return self.incoming[-1]

    def _next(self, request: Request) -> Response | Streamed:
        self.requests.append(request)
        if self.by is not None:
            outcome = self.by(request)
        else:
            outcome = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(outcome, TransportFailure):
            raise outcome
        return outcome

    def close(self) -> None:
        return None

    @property
    def last(self) -> Request:
        return self.requests[-1]

    @property
    def sent(self) -> list[str]:
        """What was asked, as ``METHOD path``."""
        return [f"{each.method} /{each.url.split('/', 3)[3]}" for each in self.requests]


class ScriptedIncoming:
    """A body that comes piece by piece."""

    def __init__(self, streamed: Streamed) -> None:
        self.status = streamed.status
        self.headers = streamed.headers
        self.is_closed = False
        self.timeouts: list[float | None] = []
        self._pieces = [piece for piece in streamed.pieces if piece]

    def read(self, timeout_s: float | None = None) -> bytes:
        self.timeouts.append(timeout_s)
        piece = self._pieces.pop(0) if self._pieces and not self.is_closed else b""
        if isinstance(piece, TransportFailure):
            raise piece
        return piece

    def close(self) -> None:
        self.is_closed = True


class AsyncScriptedIncoming:
    """The same for an async client."""

    def __init__(self, incoming: ScriptedIncoming) -> None:
        self._incoming = incoming
        self.status = incoming.status
        self.headers = incoming.headers

    async def read(self, timeout_s: float | None = None) -> bytes:
        return self._incoming.read(timeout_s)

    async def close(self) -> None:
        self._incoming.close()


class AsyncScripted:
    """The same script for an async client."""

    def __init__(self, script: Scripted) -> None:
        self._script = script

    async def send(self, request: Request) -> Response:
        return self._script.send(request)

    async def stream(self, request: Request) -> AsyncScriptedIncoming:
        return AsyncScriptedIncoming(self._script.stream(request))

    async def close(self) -> None:
        return None
