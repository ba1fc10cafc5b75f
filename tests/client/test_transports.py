"""The network itself: time running out, callers going away, proxies, certificates, connections, threads."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

import holdover
from holdover.client.transports import Request, TransportFailure, loops
from holdover.client.transports.http1 import HAS_HEAD, Routes
from holdover.client.transports.loops import LoopIncoming, LoopTransport
from holdover.client.transports.loops import _Connection as Connection
from holdover.client.transports.loops import _Pool as Pool

from .faces import Face
from .stub import HANG_UP, SILENCE, Answer, Stub

Starts = Callable[..., Stub]


# -------------------------------------------------------------------------------------------------- answers


def test_an_answer_comes_back_as_it_was_sent(face: Face, start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Answer(b"\x00\xff" * 50_000, 418, (("X-Team", "maths"),)))
    with face.client(base_url=stub.base_url) as client:
        answer = client.request("POST", "/anything?a=b", body=b'{"x": 1}', query={"c": "d e"})
    assert (answer.status, answer.body) == (418, b"\x00\xff" * 50_000)
    assert answer.headers["x-team"] == "maths"
    (asked,) = stub.asked
    assert (asked.method, asked.target, asked.body) == ("POST", "/v1/anything?a=b&c=d+e", b'{"x": 1}')
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD", "PUT"])
def test_every_method_travels(face: Face, stub: Stub, method: str) -> None:
    with face.client(base_url=stub.base_url, max_retries=0, timeout_s=5) as client:
        if method == "HEAD":
            stub.answers = lambda asked: Answer(b"")
        assert client.request(method, "/x").status == 200
    assert [each.method for each in stub.asked] == [method]


# ------------------------------------------------------------------------------------------------------ time


def test_time_runs_out_after_timeout_s(face: Face, start_stub: Starts) -> None:
    stub = start_stub(lambda asked: SILENCE)
    with face.client(base_url=stub.base_url, timeout_s=60, max_retries=0) as client:
        began = time.monotonic()
        with pytest.raises(holdover.APITimeoutError, match=r"^No answer within 0\.2 s to GET http://127"):
            client.get_assistant("asst_1", timeout_s=0.2)
    assert 0.15 < time.monotonic() - began < 5


def test_time_runs_out_while_the_answer_comes(face: Face, start_stub: Starts) -> None:
    """A body that is announced and does not come is late as well."""
    stub = start_stub(lambda asked: Answer(b"", headers=(("content-length", "100"),)))
    with (
        face.client(base_url=stub.base_url, timeout_s=0.2, max_retries=0) as client,
        pytest.raises(holdover.APITimeoutError),
    ):
        client.get_assistant("asst_1")


def test_every_attempt_has_its_own_time(face: Face, start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Answer() if len(stub.asked) > 1 else SILENCE)
    with face.client(base_url=stub.base_url, timeout_s=0.3) as client:
        assert client.get_assistant("asst_1").id == "asst_1"
    assert len(stub.asked) == 2


def test_a_connection_that_nobody_accepts_runs_out_of_time(face: Face) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with (
            face.client(base_url=f"http://127.0.0.1:{port}/v1", timeout_s=0.2, max_retries=0) as client,
            pytest.raises(holdover.APITimeoutError),
        ):
            client.get_assistant("asst_1")


# ------------------------------------------------------------------------- what may have reached the service


def test_only_a_connection_that_was_not_opened_counts_as_not_sent(
    face: Face, start_stub: Starts, free_port: int
) -> None:
    def failure(url: str, timeout_s: float = 5) -> TransportFailure:
        with face.client(base_url=url) as client:
            transport = (client._subject if face.is_async else client)._transport
            request = Request("POST", f"{url}/x", {}, b"{}", timeout_s)
            with pytest.raises(TransportFailure) as caught:
                face.settled(transport.send, request)
            return caught.value

    dropped = failure(start_stub(lambda asked: HANG_UP).base_url)
    assert (dropped.was_sent, dropped.timed_out) == (True, False)
    silent = failure(start_stub(lambda asked: SILENCE).base_url, timeout_s=0.2)
    assert (silent.was_sent, silent.timed_out) == (True, True)
    cut_short = failure(
        start_stub(lambda asked: Answer(b"x", 200, (("content-length", "9"),)) or HANG_UP).base_url, 0.2
    )
    assert cut_short.was_sent
    refused = failure(f"http://127.0.0.1:{free_port}")
    assert (refused.was_sent, refused.timed_out) == (False, False)
    unknown = failure("http://nowhere.invalid")
    assert (unknown.was_sent, unknown.timed_out) == (False, False)


class Letter:
    """A body in two blocks."""

    length = 2

    def blocks(self) -> Iterator[bytes]:
        yield b"a"
        yield b"b"


async def test_an_answer_may_come_before_it_is_waited_for() -> None:
    """The end of a long body is looked for on another thread; a quick service has answered by then."""

    line = Line(lambda data: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}" if data == b"b" else b"")
    asked = Request("POST", "http://127.0.0.1:1/", {}, Letter(), 600.0)
    async with asyncio.timeout(20):
        answer = await line.connection.exchange(asked, b"", asyncio.get_running_loop().time() + 600)
    assert answer.response().body == b"{}"


class Line:
    """What a connection writes to; ``answers`` says what comes back for what is written."""

    def __init__(self, answers: Callable[[bytes], bytes]) -> None:
        self._answers = answers
        self.is_paused = self.is_aborted = False
        self.written: list[bytes] = []
        route, _ = Routes().find("http://127.0.0.1:1/")
        self.connection = Connection(route, asyncio.get_running_loop())
        self.connection.connection_made(cast("asyncio.BaseTransport", self))

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if said := self._answers(data):
            self.connection.data_received(said)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self.is_aborted = True

    def stream(self) -> tuple[LoopIncoming, Pool]:
        """Ask, and return the answer that is to come."""
        answer = self.connection._ask("GET", b"", HAS_HEAD)
        return LoopIncoming(answer, self.connection, pool := Pool(), 600.0), pool


STREAMED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_what_is_refused_early_is_sent_no_further() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}"
    line = Line(lambda data: refusal if data == b"a" else b"")
    asked = Request("POST", "http://127.0.0.1:1/", {}, Letter(), 600.0)
    async with asyncio.timeout(20):
        answer = await line.connection.exchange(asked, b"", asyncio.get_running_loop().time() + 600)
    assert answer.status == 413
    assert line.written == [b"", b"a"]
    assert not answer.may_stay_open, "the rest of the request would be taken for another one"


async def test_a_connection_that_was_stopped_is_received_from_when_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "HELD_BYTES", 4)
    line = Line(lambda data: STREAMED)
    incoming, pool = line.stream()
    asked = asyncio.ensure_future(incoming.pour(lambda data: False))
    await asyncio.sleep(0)
    line.connection.data_received(b"1\r\na\r\n")
    assert await asked
    line.connection.data_received(b"6\r\nbcdefg\r\n0\r\n\r\n")
    assert line.is_paused
    assert not await incoming.pour(lambda data: True)
    assert pool.take(line.connection.route, 0.0) is line.connection
    assert not line.is_paused


async def test_what_breaks_off_behind_what_was_wanted_is_told_to_who_wants_more() -> None:
    line = Line(lambda data: STREAMED)
    incoming, _ = line.stream()
    poured: list[bytes] = []
    asked = asyncio.ensure_future(incoming.pour(lambda data: poured.append(data) is not None))
    await asyncio.sleep(0)
    line.connection.data_received(b"1\r\na\r\n")
    line.connection.eof_received()
    assert await asked
    assert poured == [b"a"]
    with pytest.raises(TransportFailure, match="before the answer was whole"):
        await incoming.pour(lambda data: True)
    assert line.is_aborted


async def test_a_proxy_that_refuses_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    left = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        with pytest.raises(TransportFailure, match="407"):
            await LoopTransport().send(Request("GET", "https://service.example/v1", {}, None, 10.0))
        async with asyncio.timeout(10):
            await left.wait()


# ------------------------------------------------------------------------------------------------ going away


async def test_cancelling_a_call_ends_it_at_once_and_leaves_the_client_usable(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: SILENCE)
    async with holdover.AsyncClient(base_url=stub.base_url) as client:
        call = asyncio.create_task(client.get_assistant("asst_1"))
        await asyncio.to_thread(stub.is_asked.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 5)
        stub.answers = lambda asked: Answer()
        assert (await client.get_assistant("asst_1")).id == "asst_1"
    assert len(stub.asked) == 2


async def test_cancelling_a_call_closes_its_connection(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: SILENCE)
    async with holdover.AsyncClient(base_url=stub.base_url) as client:
        call = asyncio.create_task(client.get_assistant("asst_1"))
        await asyncio.to_thread(stub.is_asked.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(stub.left.wait, 10)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other things there")
def test_ctrl_c_ends_a_call_at_once(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: SILENCE)
    program = """
import sys, holdover
try:
    holdover.Client(base_url=sys.argv[1]).get_assistant("asst_1")
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen([sys.executable, "-c", program, stub.base_url], stdout=subprocess.PIPE, text=True) as process:
        assert stub.is_asked.wait(20)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert (said, process.returncode) == ("interrupted\n", 0)


def test_a_signal_that_came_just_before_a_wait_ends_it_all_the_same(start_stub: Starts) -> None:
    """It is noted and breaks off nothing, as what `interrupt_main` does."""
    stub = start_stub(lambda asked: SILENCE)
    program = """
import _thread, sys, threading, holdover

def interrupt():
    sys.stdin.readline()
    _thread.interrupt_main()

threading.Thread(target=interrupt, daemon=True).start()
try:
    holdover.Client(base_url=sys.argv[1]).get_assistant("asst_1")
except KeyboardInterrupt:
    print("interrupted")
"""
    words = [sys.executable, "-c", program, stub.base_url]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert stub.is_asked.wait(20)
        said, _ = process.communicate("now\n", timeout=20)
    assert (said, process.returncode) == ("interrupted\n", 0)


async def test_a_callers_own_deadline_ends_a_call(start_stub: Starts) -> None:
    stub = start_stub(lambda asked: SILENCE)
    async with holdover.AsyncClient(base_url=stub.base_url) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.create_assistant("gpt-4o")
    assert [each.method for each in stub.asked] == ["POST"]


async def test_an_async_client_makes_many_calls_at_once(start_stub: Starts) -> None:
    stub = start_stub()
    async with holdover.AsyncClient(base_url=stub.base_url) as client:
        made = await asyncio.gather(*(client.get_assistant(f"asst_{number}") for number in range(50)))
    assert len(made) == 50
    assert {each.target for each in stub.asked} == {f"/v1/assistants/asst_{number}" for number in range(50)}


def test_an_async_client_serves_one_loop_after_another(stub: Stub) -> None:
    client = holdover.AsyncClient(base_url=stub.base_url)
    for _ in range(2):
        assert asyncio.run(client.get_assistant("asst_1")).id == "asst_1"
    asyncio.run(client.close())


def test_a_program_that_ends_after_its_last_answer_ends_well(stub: Stub) -> None:
    """A transport with threads of its own may abort it; one that did, did so once in eight times."""
    program = (
        "import asyncio, sys, holdover\n"
        "async def main():\n"
        "    async with holdover.AsyncClient(base_url=sys.argv[1]) as client:\n"
        "        await client.get_assistant('asst_1')\n"
        "asyncio.run(main())\n"
    )

    def run(_: int) -> int:
        return subprocess.run([sys.executable, "-c", program, stub.base_url], stderr=subprocess.DEVNULL).returncode

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(run, range(12))) == {0}


# ----------------------------------------------------------------------------------------------- connections


def test_calls_share_a_connection(face: Face, stub: Stub) -> None:
    with face.client(base_url=stub.base_url) as client:
        for _ in range(5):
            client.get_assistant("asst_1")
    assert (len(stub.asked), stub.connections) == (5, 1)


def test_a_connection_that_the_service_closed_meanwhile_is_opened_anew(face: Face, start_stub: Starts) -> None:
    answers: list[Any] = [Answer(headers=(("connection", "close"),)), Answer(), HANG_UP, Answer()]
    stub = start_stub(lambda asked: answers.pop(0))
    with face.client(base_url=stub.base_url) as client:
        for _ in range(3):
            assert client.get_assistant("asst_1").id == "asst_1"


def test_a_closed_client_can_be_used_again(face: Face, stub: Stub) -> None:
    client = face.client(base_url=stub.base_url)
    client.get_assistant("asst_1")
    client.close()
    client.get_assistant("asst_1")
    client.close()
    client.close()
    assert stub.connections == 2


def test_threads_share_a_client(stub: Stub) -> None:
    with holdover.Client(base_url=stub.base_url) as client, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(client.get_assistant, [f"asst_{number}" for number in range(80)]))
    assert len(found) == len(stub.asked) == 80
    assert stub.connections < 40


def test_threads_share_an_embedded_service() -> None:
    with holdover.embedded() as client, ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: client.create_assistant("gpt-4o", name=str(number)), range(40)))
        assert {each.id for each in client.list_assistants(limit=7)} == {each.id for each in made}


def test_configuring_anew_does_not_disturb_calls_under_way(start_stub: Starts) -> None:
    may_answer = threading.Event()

    def answers(asked: Any) -> Answer:
        may_answer.wait(10)
        return Answer()

    stub = start_stub(answers)
    holdover.configure(base_url=stub.base_url, max_retries=0)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(holdover.get_assistant, "asst_1")
        assert stub.is_asked.wait(10)
        holdover.configure(base_url="http://127.0.0.1:9/v1")
        may_answer.set()
        assert under_way.result(10).id == "asst_1"


# --------------------------------------------------------------------------------------------------- proxies


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used(
    face: Face, stub: Stub, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, stub.url)
    with face.client(base_url="http://assistants.invalid/v1", timeout_s=10) as client:
        assert client.get_assistant("asst_1").id == "asst_1"
    (asked,) = stub.asked
    assert asked.target == "http://assistants.invalid/v1/assistants/asst_1"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.10"])
def test_the_way_to_this_machine_goes_round_proxies(
    face: Face, start_stub: Starts, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    proxy, service = start_stub(), start_stub()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with face.client(base_url=f"http://{host}:{service.port}/v1", timeout_s=5, max_retries=0) as client:
        if host in ("127.0.0.1", "localhost"):
            assert client.get_assistant("asst_1").id == "asst_1"
        else:  # the stub listens at 127.0.0.1 alone
            with pytest.raises(holdover.APIConnectionError):
                client.get_assistant("asst_1")
    assert proxy.connections == 0


def test_hosts_named_in_no_proxy_are_reached_directly(face: Face, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", stub.url)
    monkeypatch.setenv("NO_PROXY", "assistants.invalid")
    with (
        face.client(base_url="http://assistants.invalid/v1", timeout_s=5, max_retries=0) as client,
        pytest.raises(holdover.APIConnectionError),
    ):
        client.get_assistant("asst_1")
    assert stub.connections == 0


def test_one_client_calls_this_machine_directly_and_others_through_the_proxy(
    face: Face, start_stub: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, service = start_stub(), start_stub()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with face.client(base_url="http://assistants.invalid/v1") as client:
        client.get_assistant("asst_1")
        client.get_assistant("asst_2", base_url=service.base_url)
    assert [each.target for each in proxy.asked] == ["http://assistants.invalid/v1/assistants/asst_1"]
    assert [each.target for each in service.asked] == ["/v1/assistants/asst_2"]


# ---------------------------------------------------------------------------------------------- certificates


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_of_an_authority_in_ssl_cert_file_is_trusted(
    face: Face,
    start_stub: Starts,
    authority: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    stub = start_stub(tls=authority[1])
    with face.client(base_url=f"https://{host}:{stub.port}/v1", timeout_s=10) as client:
        assert client.get_assistant("asst_1").id == "asst_1"


def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    face: Face, start_stub: Starts, authority: tuple[Path, ssl.SSLContext]
) -> None:
    stub = start_stub(tls=authority[1])
    with (
        face.client(base_url=stub.base_url, timeout_s=10, max_retries=0) as client,
        pytest.raises(holdover.APIConnectionError, match="(?i)certificate|issuer"),
    ):
        client.get_assistant("asst_1")
    assert stub.asked == []


def test_an_environment_that_is_odd_is_told_of_as_a_setting(
    face: Face, monkeypatch: pytest.MonkeyPatch, start_stub: Starts
) -> None:
    """A proxy that is no address fails the calls that would go through it, as our own error."""
    monkeypatch.setenv("HTTP_PROXY", "http://[nonsense")
    with (
        face.client(base_url="http://assistants.invalid/v1", timeout_s=2, max_retries=0) as client,
        pytest.raises(holdover.HoldoverError),
    ):
        client.get_assistant("asst_1")
