"""A loopback HTTP server that answers as it is told and remembers what it was asked."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from email.message import Message
from email.parser import BytesParser
from typing import Any, NamedTuple

import msgspec

from .scripted import ASSISTANT


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: Message
    body: bytes


class Answer(NamedTuple):
    """What is sent back."""

    body: Any = ASSISTANT
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Streamed(NamedTuple):
    """What is sent back piece by piece, each as soon as it is there: bytes; an event that is waited for; or the words
    below. Behind the last piece the body ends, unless it breaks off.
    """

    pieces: Iterable[Any]
    headers: tuple[tuple[str, str], ...] = (
        ("content-type", "text/event-stream; charset=utf-8"),
        ("transfer-encoding", "chunked"),
    )


#: Say nothing, and keep the connection.
SILENCE = "silence"
#: Say nothing, and close the connection.
HANG_UP = "hang up"

Answers = Callable[[Asked], Answer | Streamed | str]


class Stub:
    """The server, on a loop in a thread of its own.

    Attributes:
        asked: All requests that came.
        connections: How many connections were opened.
        left: Set when a caller goes away from a request that is met with silence, or from a stream.
    """

    def __init__(self, answers: Answers = lambda asked: Answer(), *, tls: ssl.SSLContext | None = None) -> None:
        self.answers = answers
        self.asked: list[Asked] = []
        self.connections = 0
        self.is_asked = threading.Event()
        self.left = threading.Event()
        self._tls = tls
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="stub")

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def __enter__(self) -> Stub:
        self._thread.start()
        assert self._is_ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = server.sockets[0].getsockname()[1]
        self._is_ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        except ConnectionError:
            self.left.set()
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        method, target, _ = first.decode().split()
        headers = BytesParser().parsebytes(rest)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        asked = Asked(method, target, headers, body)
        self.asked.append(asked)
        self.is_asked.set()
        answer = self.answers(asked)
        if isinstance(answer, str):
            return await self._say_no_more(answer, reader)
        if isinstance(answer, Streamed):
            return await self._stream(answer, reader, writer)
        content = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
        headers = {"content-length": str(len(content)), "content-type": "application/json"} | dict(answer.headers)
        head = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*head, "", ""]).encode() + content)
        await writer.drain()
        return True

    async def _say_no_more(self, how: str, reader: asyncio.StreamReader) -> bool:
        if how == SILENCE:
            await reader.read()
            self.left.set()
        return False

    async def _stream(self, answer: Streamed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write("\r\n".join(["HTTP/1.1 200 Said", *map(": ".join, answer.headers), "", ""]).encode())
        is_chunked = ("transfer-encoding", "chunked") in answer.headers
        for piece in answer.pieces:
            if isinstance(piece, str):
                await writer.drain()
                return await self._say_no_more(piece, reader)
            if isinstance(piece, threading.Event):
                await asyncio.to_thread(piece.wait, 20)
            else:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            await writer.drain()
        if is_chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return is_chunked
