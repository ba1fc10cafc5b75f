"""Streams over the network: pieces as they come, silence, leaving early, connections, and in-process applications."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdover
from holdover.client.transports import Request, TransportFailure
from holdover.client.transports.asgi import HELD_BYTES, ASGITransport, ThreadedASGITransport
from holdover.wire.events import PING

from .faces import Face
from .scripted import ASSISTANT
from .stub import HANG_UP, SILENCE, Answer, Streamed, Stub
from .told import ANSWERING, ANSWERING_NAMES, BEGINNING

Starts = Callable[..., Stub]

#: Without a length and without chunks a body ends with its connection.
UNTIL_THE_END = (("content-type", "text/event-stream"), ("connection", "close"))


@pytest.fixture(params=["own", "httpx2"])
def connect(face: Face, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make a client that travels on the way of our own, or through httpx2."""
    made: list[Any] = []

    def client(stub: Stub, **options: Any) -> Any:
        if request.param == "httpx2":
            made.append(httpx2.AsyncClient() if face.is_async else httpx2.Client())
            options["http_client"] = made[-1]
        return face.client(base_url=stub.base_url, **{"timeout_s": 20, **options})

    yield client
    for each in made:
        face.settled(each.aclose if face.is_async else each.close)


def begin(client: Any, **options: Any) -> Any:
    return client.create_run("thread_1", "asst_1", stream=True, **options)


def names(events: Any) -> list[str]:
    return [event.name for event in events]


# --------------------------------------------------------------------------------------------------- pieces


def test_a_stream_travels_however_it_is_cut(connect: Callable[..., Any], start_stub: Starts) -> None:
    data = b"".join(ANSWERING)
    stub = start_stub(lambda asked: Streamed([data[at : at + 1] for at in range(len(data))]))
    assert names(begin(connect(stub))) == ANSWERING_NAMES
    assert stub.asked[0].headers["accept"] == "text/event-stream"


def test_a_stream_that_ends_with_its_connection_is_whole(connect: Callable[..., Any], start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed(ANSWERING, UNTIL_THE_END))
    assert names(begin(connect(stub))) == ANSWERING_NAMES


def test_an_event_arrives_while_the_service_has_not_told_the_next(
    connect: Callable[..., Any], start_stub: Starts
) -> None:
    gate = threading.Event()
    stub = start_stub(lambda asked: Streamed([*ANSWERING[:4], gate, *ANSWERING[4:]]))
    with begin(connect(stub)) as events:
        assert [next(events).name for _ in range(4)] == ANSWERING_NAMES[:4]
        gate.set()
        assert names(events) == ANSWERING_NAMES[4:]


def test_the_head_is_enough_for_the_call_to_return(connect: Callable[..., Any], start_stub: Starts) -> None:
    gate = threading.Event()
    stub = start_stub(lambda asked: Streamed([gate, *ANSWERING]))
    with begin(connect(stub)) as events:
        gate.set()
        assert names(events) == ANSWERING_NAMES


def test_a_refusal_of_a_stream_is_read_whole(connect: Callable[..., Any], start_stub: Starts) -> None:
    error = {"error": {"message": "No." * 50_000, "type": "invalid_request_error", "param": None, "code": None}}
    stub = start_stub(lambda asked: Answer(error, 400))
    with pytest.raises(holdover.BadRequestError, match=r"^(No\.)+$"):
        begin(connect(stub))


# ----------------------------------------------------------------------------------------------------- time


def test_time_runs_out_when_no_head_comes(connect: Callable[..., Any], start_stub: Starts) -> None:
    stub = start_stub(lambda asked: SILENCE)
    with pytest.raises(holdover.APITimeoutError, match=r"^No answer within 0\.2 s"):
        begin(connect(stub, max_retries=0), timeout_s=0.2)


def test_time_runs_out_when_nothing_comes_for_timeout_s(connect: Callable[..., Any], start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    events = begin(connect(stub), timeout_s=0.2)
    assert [next(events).name for _ in range(3)] == ANSWERING_NAMES[:3]
    began = time.monotonic()
    with pytest.raises(holdover.APITimeoutError, match=r"for 0\.2 s\. The run goes on"):
        next(events)
    assert 0.1 < time.monotonic() - began < 5
    assert stub.left.wait(10)


def test_a_stream_may_last_longer_than_timeout_s_as_long_as_something_comes(
    connect: Callable[..., Any], start_stub: Starts
) -> None:
    gates = [threading.Event() for _ in range(12)]
    pieces = [piece for gate in gates for piece in (gate, PING)]
    stub = start_stub(lambda asked: Streamed([*ANSWERING[:3], *pieces, *ANSWERING[3:]]))

    def open_gates() -> None:
        for gate in gates:
            time.sleep(0.05)
            gate.set()

    opener = threading.Thread(target=open_gates)
    opener.start()
    assert names(begin(connect(stub), timeout_s=0.4)) == ANSWERING_NAMES
    opener.join()


# ------------------------------------------------------------------------------------------------- breaking


def test_a_stream_that_breaks_off_is_told_of(connect: Callable[..., Any], start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, HANG_UP]))
    seen: list[Any] = []
    with pytest.raises(
        holdover.APIConnectionError, match=r"broke off: .*The run goes on: get_run\('thread_1', 'run_1'"
    ):
        seen.extend(begin(connect(stub)))
    assert names(seen) == ANSWERING_NAMES[:3]
    assert len(stub.asked) == 1


def test_garbage_in_place_of_a_chunk_is_told_of(connect: Callable[..., Any], start_stub: Starts) -> None:
    as_written = (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
    stub = start_stub(lambda asked: Streamed([b"no size of a chunk\r\n"], as_written))
    with pytest.raises(holdover.APIConnectionError):
        list(begin(connect(stub, max_retries=0)))


# -------------------------------------------------------------------------------------------------- leaving


def test_leaving_early_closes_the_connection(connect: Callable[..., Any], start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    with begin(connect(stub)) as events:
        next(events)
    assert stub.left.wait(10)


def test_a_stream_that_is_closed_unread_closes_the_connection(connect: Callable[..., Any], start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    begin(connect(stub)).close()
    assert stub.left.wait(10)


def closed_under_a_reader(face: Face, events: Any) -> list[str]:
    """Close a stream of which another thread, or task, waits for more than its beginning; return what that one had."""
    if face.is_async:
        return face.wait_for(_closed_under_a_task(events._subject))  # type: ignore[no-any-return]
    heard: Future[list[str]] = Future()

    def read() -> None:
        try:
            heard.set_result(names(events))
        except Exception as error:
            heard.set_exception(error)

    threading.Thread(target=read, daemon=True).start()
    while not (events.run and events.run.status == "in_progress" and events._events.gi_running):
        time.sleep(0.001)
    events.close()
    return heard.result(5)


async def _closed_under_a_task(events: holdover.AsyncRunStream) -> list[str]:
    async def read() -> list[str]:
        return [event.name async for event in events]

    async with asyncio.timeout(5):
        reading = asyncio.create_task(read())
        while events.run is None or events.run.status != "in_progress":  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await events.close()
        return await reading


def test_a_stream_may_be_closed_while_another_reads(
    face: Face, connect: Callable[..., Any], start_stub: Starts
) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    events = begin(connect(stub))
    assert closed_under_a_reader(face, events) == ANSWERING_NAMES[: len(BEGINNING)]
    assert stub.left.wait(5)
    assert names(events) == []
    events.close()


def test_an_encrypted_stream_may_be_closed_while_another_reads(
    face: Face, start_stub: Starts, authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]), tls=authority[1])
    with face.client(base_url=stub.base_url, timeout_s=20) as client:
        assert closed_under_a_reader(face, begin(client)) == ANSWERING_NAMES[: len(BEGINNING)]


def test_a_sync_stream_that_is_forgotten_closes_the_connection(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    client = holdover.Client(base_url=stub.base_url)
    for _ in begin(client):
        break
    gc.collect()
    assert stub.left.wait(10)


async def test_an_async_stream_that_is_forgotten_closes_the_connection(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    client = holdover.AsyncClient(base_url=stub.base_url)
    async for _ in await begin(client):
        break
    gc.collect()
    assert await asyncio.to_thread(stub.left.wait, 10)


def test_the_end_of_a_loop_closes_streams_that_were_not_read(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    kept = []

    async def leave() -> None:
        kept.append(await begin(holdover.AsyncClient(base_url=stub.base_url)))

    asyncio.run(leave())
    assert stub.left.wait(10)


async def test_cancelling_an_iteration_closes_the_connection_and_leaves_the_client_usable(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    async with holdover.AsyncClient(base_url=stub.base_url) as client:
        events = await begin(client)
        for _ in range(3):
            await anext(events)
        reading = asyncio.create_task(events.until_done())
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await asyncio.to_thread(stub.left.wait, 10)
        stub.answers = lambda asked: Streamed(ANSWERING)
        assert (await (await begin(client)).until_done()).status == "completed"


async def test_cancelling_a_call_that_waits_for_the_head_closes_the_connection(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: SILENCE)
    async with holdover.AsyncClient(base_url=stub.base_url) as client:
        call = asyncio.create_task(begin(client))
        await asyncio.to_thread(stub.is_asked.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(stub.left.wait, 10)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other things there")
def test_ctrl_c_ends_a_stream_at_once(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed([*BEGINNING, SILENCE]))
    program = """
import sys, holdover
try:
    for event in holdover.Client(base_url=sys.argv[1]).create_run("thread_1", "asst_1", stream=True):
        print(event.name, flush=True)
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen([sys.executable, "-c", program, stub.base_url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(3)] == ANSWERING_NAMES[:3]
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert (said, process.returncode) == ("interrupted\n", 0)
    assert stub.left.wait(10)


# ---------------------------------------------------------------------------------------------- connections


def test_a_stream_that_was_read_to_its_end_leaves_its_connection_to_others(face: Face, start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed(ANSWERING) if asked.method == "POST" else Answer())
    with face.client(base_url=stub.base_url) as client:
        for _ in range(3):
            assert begin(client).until_done().status == "completed"
            client.get_assistant("asst_1")
    assert (len(stub.asked), stub.connections) == (6, 1)


def test_calls_go_on_beside_a_stream(face: Face, start_stub: Starts) -> None:
    gate = threading.Event()
    stub = start_stub(
        lambda asked: Streamed([*BEGINNING, gate, *ANSWERING[3:]]) if asked.method == "POST" else Answer(ASSISTANT)
    )
    with face.client(base_url=stub.base_url) as client, begin(client) as events:
        next(events)
        assert client.get_assistant("asst_1").id == "asst_1"
        gate.set()
        assert len(list(events)) == len(ANSWERING_NAMES) - 1
    assert stub.connections == 2


def test_a_stream_is_not_asked_for_again_on_a_connection_that_was_closed_meanwhile(
    face: Face, start_stub: Starts
) -> None:
    """It may have begun a run, and this service does not say that it remembers keys."""
    stub = start_stub(lambda asked: HANG_UP if asked.method == "POST" else Answer())
    with face.client(base_url=stub.base_url) as client:
        client.get_assistant("asst_1")
        with pytest.raises(holdover.APIConnectionError, match="broke off"):
            begin(client, timeout_s=5)
    assert [each.method for each in stub.asked].count("POST") == 1


async def test_a_stream_that_nobody_reads_is_not_received_without_end(start_stub: Starts) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(2000):
            sent += 64 * 1024
            yield PING * (64 * 1024 // len(PING))

    stub = start_stub(lambda asked: Streamed(pieces()))
    async with holdover.AsyncClient(base_url=stub.base_url) as client, await begin(client):
        before = -1
        while sent != before:  # until the service waits for us
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 32 * 1024 * 1024


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_streams_work_in_forked_processes(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Streamed(ANSWERING))
    program = """
import os, sys, holdover
client = holdover.Client(base_url=sys.argv[1], timeout_s=10)
def read():
    assert client.create_run("thread_1", "asst_1", stream=True).text() == "Hello there."
read()
child = os.fork()
if child == 0:
    read()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
read()
"""
    done = subprocess.run([sys.executable, "-c", program, stub.base_url], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# ----------------------------------------------------------------------------------------------- in-process


class Application:
    """An ASGI application that sends the pieces of a stream and keeps what happened to it."""

    def __init__(self, *pieces: bytes, ends: bool = True, hangs: bool = False) -> None:
        self.pieces = pieces
        self.ends = ends
        self.hangs = hangs
        self.sent = 0
        self.gate = threading.Event()
        self.gate.set()
        self.was_left = threading.Event()
        self.is_done = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        leaving = asyncio.create_task(self.wait_for_disconnect(receive))
        try:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for piece in self.pieces:
                if self.was_left.is_set():
                    return
                await asyncio.to_thread(self.gate.wait, 20)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent += 1
            if self.hangs:
                await leaving
            if self.ends:
                await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self.is_done.set()

    async def wait_for_disconnect(self, receive: Any) -> None:
        assert (await receive())["type"] == "http.disconnect"
        self.was_left.set()


@contextmanager
def inside(face: Face, application: Application) -> Iterator[Any]:
    """Give a client of an application in this process, as an embedded service has it."""
    if face.is_async:
        with face.client(transport=ASGITransport(application)) as client:
            yield client
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with face.client(transport=ThreadedASGITransport(application, loop)) as client:
            yield client
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_an_event_arrives_while_the_application_sends(face: Face) -> None:
    application = Application(*ANSWERING)
    with inside(face, application) as client, begin(client) as events:
        next(events)
        assert application.sent < len(ANSWERING)
        assert names(events) == ANSWERING_NAMES[1:]
    assert not application.was_left.is_set()


def test_leaving_early_is_a_disconnect_to_the_application(face: Face) -> None:
    application = Application(*BEGINNING, hangs=True)
    with inside(face, application) as client:
        with begin(client) as events:
            next(events)
            assert not application.was_left.is_set()
        assert application.was_left.wait(10)
        assert application.is_done.wait(10)


def test_a_stream_inside_a_process_may_be_closed_while_another_reads(face: Face) -> None:
    application = Application(*BEGINNING, hangs=True)
    with inside(face, application) as client:
        assert closed_under_a_reader(face, begin(client)) == ANSWERING_NAMES[: len(BEGINNING)]
        assert application.was_left.wait(5)


def test_closing_the_client_leaves_all_streams(face: Face) -> None:
    application = Application(*BEGINNING, hangs=True)
    with inside(face, application) as client:
        events = begin(client)
        next(events)
    assert application.was_left.is_set()
    assert application.is_done.is_set()


def test_an_application_waits_for_those_who_do_not_read(face: Face) -> None:
    application = Application(*[PING * (16 * 1024 // len(PING))] * 1000, *ANSWERING)
    with inside(face, application) as client, begin(client) as events:
        face.wait_for(asyncio.sleep(0.2)) if face.is_async else time.sleep(0.2)
        assert 0 < application.sent <= HELD_BYTES // (16 * 1024) + 1
        assert names(events) == ANSWERING_NAMES


def test_an_application_that_ends_too_early_broke_off(face: Face) -> None:
    with (
        inside(face, Application(*BEGINNING, ends=False)) as client,
        pytest.raises(holdover.APIConnectionError, match="ended its answer too early"),
    ):
        list(begin(client))


def test_time_runs_out_inside_a_process_as_well(face: Face) -> None:
    application = Application(*BEGINNING, hangs=True)
    with inside(face, application) as client:
        with pytest.raises(holdover.APITimeoutError):
            list(begin(client, timeout_s=0.1))
        assert application.was_left.wait(10)


def test_an_application_that_fails_before_the_head_broke_off(face: Face) -> None:
    class Failing(Application):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("out of order")

    with (
        inside(face, Failing()) as client,
        pytest.raises(holdover.APIConnectionError) as caught,
    ):
        begin(client, timeout_s=5)
    failure = caught.value.__cause__
    assert isinstance(failure, TransportFailure)
    assert isinstance(failure.__cause__, ValueError)


async def test_cancelling_inside_a_process_is_a_disconnect_to_the_application() -> None:
    application = Application(*BEGINNING, hangs=True)
    async with holdover.AsyncClient(transport=ASGITransport(application)) as client:
        events = await begin(client)
        reading = asyncio.create_task(events.until_done())
        while events.run is None or events.run.status != "in_progress":  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert application.was_left.is_set()


async def test_many_streams_go_on_at_once() -> None:
    async with holdover.AsyncClient(transport=ASGITransport(Application(*ANSWERING))) as client:
        streams = await asyncio.gather(*(begin(client) for _ in range(50)))
        assert await asyncio.gather(*(each.text() for each in streams)) == ["Hello there."] * 50


async def test_an_answer_that_is_no_stream_is_read_like_any_other() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    incoming = await ASGITransport(application).stream(Request("GET", "http://embedded/v1/x", {}, None, 5.0))
    assert (incoming.status, await incoming.read(), await incoming.read()) == (200, b"{}", b"")
    await incoming.close()
