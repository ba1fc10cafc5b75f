"""What is not Assistants goes to the upstream: what travels up and down, and what does not."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web
from tests.conftest import Service, running_service

from holdover.server import passthrough
from holdover.service import running

from . import talk

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[..., Service]


class Upstream:
    """An endpoint that answers as a test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.left = asyncio.Event()
        self.begun = asyncio.Event()
        self.base_url = ""
        self.answer: Answer = self.echo

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.begun.set()
        try:
            return await self.answer(request)
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def echo(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        return web.json_response({"path": request.raw_path, "method": request.method})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A port that stays ours: each test has an upstream of its own there."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.fixture(scope="module")
def service(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(
        tmp_path_factory.mktemp("service"),
        model_base_url=f"http://127.0.0.1:{port}/up/v1",
        model_api_key="sk-of-the-service",
        aliases={},
    ) as service:
        yield service


@pytest.fixture
async def upstream(port: int) -> AsyncIterator[Upstream]:
    made = Upstream()
    app = web.Application(client_max_size=1 << 40)
    app.router.add_route("*", "/{rest:.*}", made.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True).start()
    made.base_url = f"http://127.0.0.1:{port}/up/v1"
    yield made
    await runner.cleanup()


@pytest.fixture
def start(start_service: Start) -> Start:
    """Start a service whose table of names is empty, but for what the test says."""
    return lambda **flags: start_service(**{"aliases": {}, **flags})


@pytest.fixture
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=service.base_url, api_key="sk-of-the-caller", organization="org-of-the-caller", max_retries=0
    ) as made:
        yield made


async def ask(service: Service, method: str, path: str, body: Any = None, headers: talk.Headers = ()) -> talk.Answer:
    return await asyncio.to_thread(talk.ask, service, method, path, body, headers)


# -------------------------------------------------------------------------------------------- the official SDK


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}],
}
HELLO: Any = [{"role": "user", "content": "Hello."}]


async def test_the_official_sdk_asks_for_a_completion(upstream: Upstream, client: openai.AsyncOpenAI) -> None:
    async def answer(request: web.Request) -> web.Response:
        upstream.bodies.append(await request.read())
        return web.json_response(
            COMPLETION, headers={"x-ratelimit-remaining-tokens": "7", "x-request-id": "req_theirs"}
        )

    upstream.answer = answer
    raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.parse().choices[0].message.content == "Yes."
    assert json.loads(upstream.bodies[0]) == {"model": "gpt-4o", "messages": HELLO}
    assert raw.headers["x-ratelimit-remaining-tokens"] == "7"
    assert raw.headers["holdover-upstream-request-id"] == "req_theirs"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers.get_list("x-request-id") != ["req_theirs"]


async def test_the_official_sdk_hears_a_completion_as_it_comes(upstream: Upstream, client: openai.AsyncOpenAI) -> None:
    """Each piece is only sent when the one before it was heard: nothing waits for the end."""
    heard = asyncio.Semaphore(0)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for text in ("One", "two", "three"):
            piece = {
                **COMPLETION,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": text}}],
            }
            await response.write(b"data: %b\n\n" % json.dumps(piece).encode())
            await heard.acquire()
        await response.write(b"data: [DONE]\n\n")
        return response

    upstream.answer = answer
    texts = []
    async for chunk in await client.chat.completions.create(model="m", messages=HELLO, stream=True):
        texts.append(chunk.choices[0].delta.content)
        heard.release()
    assert texts == ["One", "two", "three"]


async def test_the_official_sdk_asks_for_embeddings_and_uploads_sound(
    upstream: Upstream, client: openai.AsyncOpenAI
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/embeddings"):
            return web.json_response({"object": "list", "model": "e", "data": [{"index": 0, "embedding": [0.5, 1.0]}]})
        form = await request.post()
        sound = form["file"]
        assert isinstance(sound, web.FileField)
        return web.json_response({"text": f"{form['model']}: {len(sound.file.read())} bytes"})

    upstream.answer = answer
    made = await client.embeddings.create(model="e", input="a", encoding_format="float")
    assert made.data[0].embedding == [0.5, 1.0]
    told = await client.audio.transcriptions.create(model="w", file=("a.wav", b"x" * 300_000))
    assert told.text == "w: 300000 bytes"
    assert [each.raw_path for each in upstream.asked] == ["/up/v1/embeddings", "/up/v1/audio/transcriptions"]


async def test_what_the_upstream_refuses_is_told_as_it_tells_it(upstream: Upstream, client: openai.AsyncOpenAI) -> None:
    async def answer(request: web.Request) -> web.Response:
        error = {"message": "Slow down.", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}
        return web.json_response({"error": error}, status=429, headers={"retry-after": "3"})

    upstream.answer = answer
    with pytest.raises(openai.RateLimitError, match="Slow down") as caught:
        await client.chat.completions.create(model="m", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "3"


# ---------------------------------------------------------------------------------------------- what travels


async def test_the_callers_key_cookies_and_address_stay_here_and_the_services_key_is_told(
    upstream: Upstream, service: Service
) -> None:
    secrets = {
        "authorization": "Bearer sk-of-the-caller",
        "cookie": "session=secret",
        "api-key": "secret",
        "x-api-key": "secret",
        "x-a-header-nobody-thought-of": "secret",
        "proxy-authorization": "Basic secret",
        "openai-organization": "secret",
        "openai-project": "secret",
        "x-forwarded-for": "10.1.2.3",
        "forwarded": "for=10.1.2.3",
        "te": "trailers",
        "x-stainless-lang": "python",
        "user-agent": "app/1",
        "accept": "application/json",
    }
    await ask(service, "POST", "/v1/embeddings?a=%20b&c[]=1", b"x", {**secrets, "content-type": "text/plain"})
    sent = upstream.asked[0].headers
    assert upstream.asked[0].raw_path == "/up/v1/embeddings?a=%20b&c[]=1"
    hop = sent["holdover-hop"]
    assert {name.lower(): value for name, value in sent.items()} == {
        "host": upstream.base_url.split("/")[2],
        "authorization": "Bearer sk-of-the-service",
        "content-type": "text/plain",
        "content-length": "1",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "app/1",
        "x-stainless-lang": "python",
        "holdover-hop": hop,
    }
    assert "secret" not in str(sent)


async def test_headers_of_one_connection_and_cookies_do_not_travel_down(upstream: Upstream, service: Service) -> None:
    async def answer(request: web.Request) -> web.Response:
        headers = {
            "set-cookie": "a=b",
            "connection": "x-hop, close",
            "x-hop": "1",
            "access-control-allow-origin": "*",
            "openai-organization": "org-of-the-service",
            "server": "theirs",
            "x-kept": "1",
        }
        return web.Response(body=b"audio", content_type="audio/mpeg", headers=headers)

    upstream.answer = answer
    said = await ask(service, "POST", "/v1/audio/speech", b"{}", {"content-type": "application/json"})
    assert (said.status, said.body, said.headers["content-type"]) == (200, b"audio", "audio/mpeg")
    assert said.headers["x-kept"] == "1"
    assert said.headers["openai-organization"] == "holdover"
    assert said.headers.keys().isdisjoint(
        {"set-cookie", "x-hop", "access-control-allow-origin", "server", "connection"}
    )


async def test_what_is_packed_stays_packed(upstream: Upstream, service: Service) -> None:
    packed = gzip.compress(b'{"a": 1}')

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["accept-encoding"] == "gzip"
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return web.Response(body=packed, headers=headers)

    upstream.answer = answer
    said = await ask(service, "GET", "/v1/responses/resp_1", headers={"accept-encoding": "gzip"})
    assert (said.body, said.headers["content-encoding"]) == (packed, "gzip")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_any_method_passes(upstream: Upstream, service: Service, method: str) -> None:
    said = await ask(service, method, "/v1/responses/resp_1")
    assert said.json() == {"path": "/up/v1/responses/resp_1", "method": method}


async def test_a_head_has_no_body_and_a_method_that_shows_headers_is_refused(
    upstream: Upstream, service: Service
) -> None:
    assert (await ask(service, "HEAD", "/v1/responses/resp_1")).status == 200
    assert (await ask(service, "TRACE", "/v1/responses")).status == 405
    assert len(upstream.asked) == 1


# ------------------------------------------------------------------------------------------------------ paths


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/file-1/nothing",
        "/v1/uploads/upload_1/nothing",
        "/v1/vector_stores/vs_1/nothing",
        "/v1/assistants/asst_1/files",
        "/v1/threads/thread_1/nothing",
        "/v1/models/a/b",
        "/v1/Files",
        "/v1/%66iles",
        "/v1/%2566iles",
        "/v1/files;a=b",
        "/v1/files%2F..",
        "/v1//files",
        "/v1/./files",
        "/v1/chat/../files",
        "/v1/chat/%2e%2e/files",
        "/v1/chat/%252e%252e/files",
        "/v1/chat/..%2ffiles",
        "/v1/chat%5c..%5cfiles",
        "/v1/chat/..",
        "/v1/../../admin",
        "/v1/@evil.example/x/../..",
        "/v1",
        "/v1/",
        "/v2/chat/completions",
        "/chat/completions",
    ],
)
async def test_what_is_holdovers_own_or_leads_elsewhere_does_not_pass(
    upstream: Upstream, service: Service, path: str
) -> None:
    said = await ask(service, "GET", path)
    assert (said.status, said.error["message"]) == (404, f"Invalid URL (GET {path})")
    assert upstream.asked == []


async def test_a_path_cannot_name_another_host(upstream: Upstream, service: Service) -> None:
    said = await ask(service, "GET", "/v1/@evil.example:80/x:1")
    assert said.json()["path"] == "/up/v1/@evil.example:80/x:1"


async def test_without_an_upstream_there_is_nothing_else(shared_service: Service) -> None:
    said = await ask(shared_service, "POST", "/v1/chat/completions", {})
    assert (said.status, said.error["message"]) == (404, "Invalid URL (POST /v1/chat/completions)")


async def test_a_service_with_keys_passes_on_for_those_who_have_one(upstream: Upstream, start: Start) -> None:
    service = start(model_base_url=upstream.base_url, api_keys=("sk-1",))
    assert (await ask(service, "POST", "/v1/embeddings", {})).status == 401
    assert (await ask(service, "POST", "/v1/embeddings", {}, {"authorization": "Bearer sk-1"})).status == 200
    assert len(upstream.asked) == 1
    assert "authorization" not in upstream.asked[0].headers


# ------------------------------------------------------------------------------------------------------- names


def named(upstream: Upstream, other: str | None = None) -> dict[str, Any]:
    models = {"big": {"base_url": other or f"{upstream.base_url}/big", "api_key": "sk-big", "model": "big-7b"}}
    return {"models": models, "aliases": {"gpt-4o": "big", "gpt-*": "other", "demo": "scripted"}}


async def test_a_completion_goes_where_a_run_with_that_model_would(upstream: Upstream, start: Start) -> None:
    service = start(model_base_url=upstream.base_url, model_api_key="sk-ours", **named(upstream))
    body = b'{"temperature":1.0, "model":"%b","messages":[{"role":"user","content":"\\u00e4"}], "n": 1e2}'
    json_type = {"content-type": "application/json"}
    seen = []
    for name in (b"gpt-4o", b"gpt-3.5-turbo", b"big", b"else"):
        said = await ask(service, "POST", "/v1/chat/completions", body % name, json_type)
        seen.append((said.json()["path"], json.loads(upstream.bodies[-1])["model"]))
    assert seen == [
        ("/up/v1/big/chat/completions", "big-7b"),
        ("/up/v1/chat/completions", "other"),
        ("/up/v1/big/chat/completions", "big-7b"),
        ("/up/v1/chat/completions", "else"),
    ]
    keys = [each.headers["authorization"] for each in upstream.asked]
    assert keys == ["Bearer sk-big", "Bearer sk-ours", "Bearer sk-big", "Bearer sk-ours"]
    assert upstream.bodies[-1] == body % b"else", "what need not be changed is not touched"
    assert b'"n":1e2' in upstream.bodies[0], "a member is passed on as it was written"


async def test_names_decide_for_conversations_only(upstream: Upstream, start: Start) -> None:
    service = start(model_base_url=upstream.base_url, **named(upstream))
    said = await ask(service, "POST", "/v1/embeddings", {"model": "gpt-4o"}, {"content-type": "application/json"})
    assert said.json()["path"] == "/up/v1/embeddings"
    assert json.loads(upstream.bodies[0]) == {"model": "gpt-4o"}


async def test_a_model_without_an_endpoint_is_told_of(upstream: Upstream, start: Start) -> None:
    service = start(**named(upstream))
    json_type = {"content-type": "application/json"}
    said = await ask(service, "POST", "/v1/chat/completions", {"model": "demo"}, json_type)
    assert (said.status, said.error["code"]) == (400, "unsupported_model")
    assert (await ask(service, "POST", "/v1/chat/completions", {"model": "big"}, json_type)).status == 200
    assert (await ask(service, "POST", "/v1/embeddings", {"model": "big"}, json_type)).status == 404
    assert (await ask(service, "POST", "/v1/chat/completions", b"{", json_type)).status == 400
    assert len(upstream.asked) == 1


async def test_the_names_of_the_settings_file_are_listed_and_the_upstream_is_not_asked(
    upstream: Upstream, start: Start
) -> None:
    service = start(model_base_url=upstream.base_url, **named(upstream))
    listed = (await ask(service, "GET", "/v1/models")).json()["data"]
    assert [each["id"] for each in listed if each["owned_by"] == "holdover"] == ["big", "demo"]
    assert [each["id"] for each in listed].count("gpt-4o") == 1
    shown = (await ask(service, "GET", "/v1/models/big")).json()
    assert shown == {"id": "big", "object": "model", "created": 0, "owned_by": "holdover"}
    assert (await ask(service, "DELETE", "/v1/models/big")).status == 403
    assert upstream.asked == []


# ------------------------------------------------------------------------------------------------------- trouble


async def test_an_upstream_that_is_the_service_itself_is_found_out(upstream: Upstream, service: Service) -> None:
    """Its address differs from the service's own, as behind a proxy: only what it passes on tells."""

    async def proxy(request: web.Request) -> web.Response:
        target = service.base_url + request.raw_path.removeprefix("/up/v1")
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, target, data=await request.read(), headers=dict(request.headers)) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    upstream.answer = proxy
    said = await ask(service, "POST", "/v1/responses", {"model": "m"}, {"content-type": "application/json"})
    assert (said.status, said.error["code"]) == (400, "upstream_is_itself")
    assert len(upstream.asked) == 1


async def test_services_that_are_each_others_upstream_do_not_go_round(upstream: Upstream, service: Service) -> None:
    hops = ", ".join(f"hop{number}" for number in range(passthrough.MAX_HOPS))
    said = await ask(service, "POST", "/v1/responses", {}, {"holdover-hop": hops})
    assert (said.status, said.error["code"]) == (400, "upstream_is_itself")
    await ask(service, "POST", "/v1/responses", {}, {"holdover-hop": "hop1, hop2"})
    assert upstream.asked[0].headers["holdover-hop"].startswith("hop1, hop2, ")


async def test_an_upstream_that_is_not_there_is_told_of_with_502(start: Start) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        service = start(model_base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        said = await ask(service, "POST", "/v1/embeddings", {})
    assert (said.status, said.error["type"], said.error["code"]) == (502, "server_error", "upstream_failed")
    assert "127.0.0.1" not in said.error["message"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-huge: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 999 Strange\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ],
    ids=["nothing", "garbage", "a huge header", "a strange status", "two lengths", "half a head"],
)
async def test_an_answer_that_cannot_be_read_is_told_of_with_502(start: Start, raw: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        service = start(model_base_url=f"http://127.0.0.1:{port}/v1")
        said = await ask(service, "GET", "/v1/responses/resp_1")
        assert (said.status, said.error["type"]) == (502, "server_error")


@pytest.mark.parametrize(("status", "code"), [(401, "upstream_refused_key"), (307, "upstream_moved")])
async def test_what_is_between_the_service_and_its_upstream_stays_there(
    upstream: Upstream, service: Service, status: int, code: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        error = {"message": "Incorrect API key provided: sk-of-th*********vice."}
        return web.json_response({"error": error}, status=status, headers={"location": "http://evil.example/"})

    upstream.answer = answer
    said = await ask(service, "POST", "/v1/responses", {})
    assert (said.status, said.error["code"]) == (502, code)
    assert "sk-" not in said.error["message"]
    assert "location" not in said.headers


async def test_an_answer_that_breaks_off_breaks_off(upstream: Upstream, service: Service) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await heard.wait()
        assert request.transport is not None
        request.transport.abort()
        return response

    heard = asyncio.Event()
    upstream.answer = answer
    async with aiohttp.ClientSession() as session, session.get(f"{service.base_url}/responses/resp_1") as said:
        assert await said.content.readany() == b"data: 1\n\n"
        heard.set()
        with pytest.raises(aiohttp.ClientError):
            await said.content.read()


async def test_a_caller_that_hangs_up_ends_the_request_upstream(upstream: Upstream, service: Service) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    upstream.answer = answer
    async with aiohttp.ClientSession() as session:
        asked = asyncio.ensure_future(session.post(f"{service.base_url}/responses", json={}))
        await upstream.begun.wait()
        asked.cancel()
        await asyncio.wait_for(upstream.left.wait(), 10)


async def test_a_caller_that_hangs_up_in_the_middle_of_an_answer_ends_it(upstream: Upstream, service: Service) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"1")
        await asyncio.Event().wait()
        return response

    upstream.answer = answer
    async with aiohttp.ClientSession() as session, session.post(f"{service.base_url}/responses", json={}) as said:
        assert await said.content.readany() == b"1"
    await asyncio.wait_for(upstream.left.wait(), 10)


async def test_an_upstream_that_never_answers_is_told_of_with_504(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passthrough, "PATIENCE_S", 0.2)

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    upstream.answer = answer
    service = running(model_base_url=upstream.base_url)
    url = await asyncio.to_thread(service.__enter__)
    try:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/responses", json={}) as said:
            assert said.status == 504
            assert (await said.json())["error"]["code"] == "upstream_timeout"
    finally:
        await asyncio.to_thread(service.__exit__, None, None, None)


async def test_an_upstream_that_reads_nothing_is_told_of_with_504(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passthrough, "PATIENCE_S", 0.2)
    monkeypatch.setattr(passthrough, "BODY_PART_TIMEOUT_S", 60.0)

    async def read_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        writer.close()

    over = asyncio.Event()
    async with await asyncio.start_server(read_nothing, "127.0.0.1", 0, limit=1) as server:
        service = running(model_base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        url = await asyncio.to_thread(service.__enter__) + "/audio/transcriptions"
        try:
            async with aiohttp.ClientSession() as session, session.post(url, data=endless(64)) as said:
                assert said.status == 504
        finally:
            over.set()
            await asyncio.to_thread(service.__exit__, None, None, None)


async def endless(megabytes: int) -> AsyncIterator[bytes]:
    for _ in range(megabytes):
        yield b"x" * (1 << 20)


async def test_a_body_that_is_too_large_is_refused_as_soon_as_that_is_known(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passthrough, "BODY_LIMIT_BYTES", 3 << 20)
    service = running(model_base_url=upstream.base_url)
    url = await asyncio.to_thread(service.__enter__)
    try:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/responses", data=endless(3)) as said:
                assert said.status == 200
            for body in (endless(4), io.BytesIO(b"x" * ((3 << 20) + 1))):
                async with session.post(f"{url}/responses", data=body) as said:
                    assert (said.status, (await said.json())["error"]["code"]) == (413, "request_too_large")
    finally:
        await asyncio.to_thread(service.__exit__, None, None, None)
    assert [len(each) for each in upstream.bodies] == [3 << 20]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells how much memory a process took")
async def test_a_large_body_and_a_large_answer_are_not_collected(upstream: Upstream, service: Service) -> None:
    """Neither side is read faster than the other takes it: the service holds a little, whatever passes."""
    size = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal size
        async for part in request.content.iter_any():
            size += len(part)
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(96):
            await response.write(b"y" * (1 << 20))
        return response

    upstream.answer = answer
    before = peak_memory(service)
    url = f"{service.base_url}/audio/transcriptions"
    received = 0
    async with aiohttp.ClientSession() as session, session.post(url, data=endless(96)) as said:
        async for part in said.content.iter_any():
            received += len(part)
    assert (size, received) == (96 << 20, 96 << 20)
    assert peak_memory(service) - before < 32 << 20


def peak_memory(service: Service) -> int:
    """Return how much memory a service has had at most, in bytes."""
    with open(f"/proc/{service.process.pid}/status") as status:
        (line,) = [each for each in status if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


async def test_a_body_that_ends_too_early_is_told_of(upstream: Upstream, service: Service) -> None:
    def cut() -> talk.Answer:
        with talk.conversation(service) as conversation:
            conversation.say(talk.request("POST", "/v1/responses", b"x" * 10, {"content-length": "100"}))
            conversation.say_no_more()
            return conversation.hear()

    said = await asyncio.to_thread(cut)
    assert (said.status, said.error["message"]) == (400, "The body of your request ended too early.")
    assert upstream.bodies == []


async def test_a_connection_is_used_again_after_every_kind_of_answer(upstream: Upstream, service: Service) -> None:
    def several() -> list[int]:
        with talk.conversation(service) as conversation:
            statuses = []
            for path in ("/v1/responses", "/v1/models", "/v1/threads/nothing/nothing", "/v1/responses"):
                conversation.say(talk.request("GET", path))
                statuses.append(conversation.hear().status)
            return statuses

    assert await asyncio.to_thread(several) == [200, 200, 404, 200]
