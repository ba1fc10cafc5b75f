"""Clients that take their time: each has a deadline, made short here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.server.talk import request

from holdover.engine.objects import Engine
from holdover.models.catalog import Catalog, Names
from holdover.models.scripted import ScriptedModel
from holdover.server import app as app_module
from holdover.server import http
from holdover.server.access import Access
from holdover.server.app import App
from holdover.store.blobs import FolderBlobs
from holdover.store.sqlite import SQLiteStore
from holdover.wire.assistants import CreateAssistant

SOON_S = 0.05


class Served:
    """A service on this loop."""

    def __init__(self, port: int, engine: Engine, server: http.Server) -> None:
        self.port = port
        self.engine = engine
        self.server = server


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    store = await SQLiteStore.open(":memory:")
    engine = Engine(store, Catalog(Names(), lambda target: ScriptedModel()), FolderBlobs(None))
    started = asyncio.Event()
    with http.listen("127.0.0.1", 0) as listening:
        server = http.server(App(engine, Access(local_only=True)), drain_s=5, on_ready=started.set)
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        await started.wait()
        yield Served(listening.getsockname()[1], engine, server)
        server.should_exit = True
        await serving
    await store.close()


async def answer_to(served: Served, *parts: bytes) -> bytes:
    """Send what is given and nothing more; return all that comes until the service closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for each in parts:
        writer.write(each)
    answer = await reader.read()
    writer.close()
    return answer


LATE_HEAD = b'{"error":{"message":"The head of your request did not arrive in time."'
LATE_BODY = b'{"error":{"message":"The body of your request did not arrive in time."'


@pytest.mark.parametrize("head", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_head_has_its_time(served: Served, head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_TIMEOUT_S", SOON_S)
    answer = await answer_to(served, head)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert LATE_HEAD in answer


async def test_a_second_head_has_its_time_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_TIMEOUT_S", SOON_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request("GET", "/v1/models/gpt-4o"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    await reader.readuntil(b"}")
    writer.write(b"GET /v1/mod")
    assert LATE_HEAD in await reader.read()
    writer.close()


@pytest.mark.parametrize(
    "body",
    [
        request("POST", "/v1/assistants", b"", {"Content-Length": "9"}),
        request("POST", "/v1/assistants", b'{"mo', {"Content-Length": "9"}),
        request("POST", "/v1/assistants", b"2\r\n{}\r\n", {"Transfer-Encoding": "chunked"}),
    ],
    ids=["none of it", "some of it", "no last chunk"],
)
async def test_a_body_has_its_time(served: Served, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "BODY_PART_TIMEOUT_S", SOON_S)
    answer = await answer_to(served, body)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert LATE_BODY in answer
    assert b"connection: close" in answer


async def test_a_body_that_drips_has_its_time_as_a_whole(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "BODY_TIMEOUT_S", SOON_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request("POST", "/v1/assistants", headers={"Content-Length": str(10**6)}))
    answering = asyncio.ensure_future(reader.readuntil(b"}}"))
    while not answering.done():
        writer.write(b" ")
        await asyncio.wait([answering], timeout=SOON_S / 5)
    assert LATE_BODY in answering.result()
    writer.close()


async def test_an_answer_that_is_not_read_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WRITE_TIMEOUT_S", SOON_S)
    for _ in range(100):
        await served.engine.create_assistant(CreateAssistant(model="m", instructions="x" * 200_000))
    ended = asyncio.Event()
    connection_lost = http.Protocol.connection_lost

    def lost(self: http.Protocol, exc: Exception | None) -> None:
        connection_lost(self, exc)
        ended.set()

    monkeypatch.setattr(http.Protocol, "connection_lost", lost)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    asking: Any = request("GET", "/v1/assistants?limit=100")
    writer.write(asking + asking)  # that another request has come is no reason to wait longer
    async with asyncio.timeout(10):
        await ended.wait()
    writer.transport.abort()
    del reader
