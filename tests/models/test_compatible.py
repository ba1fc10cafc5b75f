"""A model behind an endpoint: what it is sent, what its answers become, and what is tried again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiohttp import web

from holdover.models import compatible
from holdover.models.compatible import CompatibleModel
from holdover.models.protocol import (
    AssistantTurn,
    CallChunk,
    CallInput,
    Chunk,
    FinishChunk,
    ForcedFunction,
    FunctionSpec,
    ImageInput,
    ModelError,
    ModelRequest,
    RefusalChunk,
    SchemaFormat,
    TextChunk,
    TextInput,
    ToolTurn,
    UsageChunk,
    UserTurn,
    pour,
)
from holdover.models.upstream import HOP_HEADER, Upstream
from holdover.service import UpstreamTransport

HELLO = UserTurn([TextInput("Hello.")])
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """An endpoint that answers as a test says, one answer for each request; the last one is repeated."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.pauses: list[float] = []
        self.answers: list[Answer] = []
        self.left = asyncio.Event()
        self.model: Any = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self.headers.append(request.headers)
        return await self.answers[min(len(self.bodies), len(self.answers)) - 1](request)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def chunks(self, request: ModelRequest) -> list[Chunk]:
        return [chunk async for batch in self.model.answer(request) for chunk in batch]


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", made.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    upstream = Upstream(UpstreamTransport())
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    made.model = CompatibleModel(upstream, base_url=url, model="m", api_key="sk-ours", sleep=made.pause)
    yield made
    await upstream.close()
    await runner.cleanup()


def events(*pieces: Any, done: bool = True, cut: int | None = None) -> Answer:
    """Answer with a stream of these pieces; ``cut`` sends so many bytes at a time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        data = b"".join(b"data: %b\n\n" % json.dumps(piece).encode() for piece in pieces)
        data += b"data: [DONE]\n\n" if done else b""
        for start in range(0, len(data), cut or len(data)):
            await response.write(data[start : start + (cut or len(data))])
        if not done:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


def refusal(status: int, message: str = "No.", code: str | None = None, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)

    return answer


def says(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def ends(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}


def asked(**more: Any) -> ModelRequest:
    return ModelRequest(model="m", turns=[HELLO], **more)


@pytest.mark.parametrize("cut", [None, 1, 7])
async def test_a_stream_becomes_chunks_however_it_is_cut(endpoint: Endpoint, cut: int | None) -> None:
    endpoint.answers = [
        events(says(role="assistant", content=""), says(content="Hé"), says(content="llo"), ends(), USAGE, cut=cut)
    ]
    assert await endpoint.chunks(asked()) == [TextChunk("Hé"), TextChunk("llo"), FinishChunk("stop"), UsageChunk(5, 2)]


async def test_all_that_one_read_brings_is_one_batch(endpoint: Endpoint) -> None:
    endpoint.answers = [events(says(content="a"), says(content="b"), ends())]
    batches = [batch async for batch in endpoint.model.answer(asked())]
    assert batches == [[TextChunk("a"), TextChunk("b"), FinishChunk("stop")]]


async def test_calls_come_by_their_place(endpoint: Endpoint) -> None:
    first = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}
    endpoint.answers = [
        events(
            says(tool_calls=[first]),
            says(tool_calls=[{"index": 0, "function": {"arguments": '{"a"'}}]),
            says(tool_calls=[{"index": 1, "id": "call_2", "function": {"name": "g", "arguments": "{}"}}]),
            says(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ":1}"}}]),
            ends("tool_calls"),
        )
    ]
    assert await endpoint.chunks(asked()) == [
        CallChunk(0, "call_1", "f", ""),
        CallChunk(0, arguments='{"a"'),
        CallChunk(1, "call_2", "g", "{}"),
        CallChunk(0, arguments=":1}"),
        FinishChunk("tool_calls"),
    ]


async def test_calls_without_a_place_are_told_apart_by_their_ids(endpoint: Endpoint) -> None:
    calls = [{"id": f"call_{name}", "function": {"name": name, "arguments": "{}"}} for name in "fg"]
    endpoint.answers = [events(says(tool_calls=calls), ends("tool_calls"))]
    chunks = await endpoint.chunks(asked())
    assert chunks[:2] == [CallChunk(0, "call_f", "f", "{}"), CallChunk(1, "call_g", "g", "{}")]


async def test_a_refusal_and_a_filter_are_told(endpoint: Endpoint) -> None:
    endpoint.answers = [events(says(refusal="I cannot."), ends("content_filter"))]
    assert await endpoint.chunks(asked()) == [RefusalChunk("I cannot."), FinishChunk("content_filter")]


async def test_an_answer_that_is_no_stream_is_taken_whole(endpoint: Endpoint) -> None:
    async def whole(request: web.Request) -> web.StreamResponse:
        message = {"role": "assistant", "content": "Hello."}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})

    endpoint.answers = [whole]
    assert await endpoint.chunks(asked()) == [TextChunk("Hello."), FinishChunk("stop")]


async def test_what_is_sent(endpoint: Endpoint) -> None:
    endpoint.answers = [events(ends())]
    await endpoint.chunks(
        ModelRequest(
            model="m",
            instructions="Be kind.",
            turns=[
                UserTurn([TextInput("See:"), ImageInput("https://x.example/a.png", "low")]),
                AssistantTurn("I look."),
                AssistantTurn(calls=[CallInput("call_1", "f", "{}")]),
                ToolTurn("call_1", "out"),
            ],
            functions=[FunctionSpec("f", "does", {"type": "object"}, strict=True)],
            tool_choice=ForcedFunction("f"),
            parallel_tool_calls=False,
            temperature=0.5,
            max_completion_tokens=9,
            response_format=SchemaFormat("place", schema={"type": "object"}, strict=True),
        )
    )
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}
    called = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert endpoint.bodies == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": [{"type": "text", "text": "See:"}, image]},
                {"role": "assistant", "content": "I look.", "tool_calls": called},
                {"role": "tool", "tool_call_id": "call_1", "content": "out"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"type": "object"}, "description": "does", "strict": True},
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": False,
            "temperature": 0.5,
            "max_tokens": 9,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "place", "schema": {"type": "object"}, "strict": True},
            },
        }
    ]
    assert endpoint.headers[0]["authorization"] == "Bearer sk-ours"
    assert HOP_HEADER in endpoint.headers[0]


async def test_a_model_that_reasons_is_told_its_limit_by_the_newer_name(endpoint: Endpoint) -> None:
    endpoint.answers = [events(ends())]
    await endpoint.chunks(asked(reasoning_effort="low", max_completion_tokens=9))
    assert endpoint.bodies[0]["max_completion_tokens"] == 9
    assert "max_tokens" not in endpoint.bodies[0]


async def test_an_endpoint_that_cannot_tell_usage_is_asked_without(endpoint: Endpoint) -> None:
    endpoint.answers = [refusal(400, "Unknown parameter: 'stream_options'."), events(ends())]
    await endpoint.chunks(asked())
    await endpoint.chunks(asked())
    assert ["stream_options" in body for body in endpoint.bodies] == [True, False, False]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_trouble_that_may_pass_is_tried_again(endpoint: Endpoint, status: int) -> None:
    endpoint.answers = [refusal(status), refusal(status), events(says(content="a"), ends())]
    assert await endpoint.chunks(asked()) == [TextChunk("a"), FinishChunk("stop")]
    assert len(endpoint.pauses) == 2
    assert endpoint.pauses[0] < endpoint.pauses[1]


async def test_as_much_patience_is_had_as_is_asked_for(endpoint: Endpoint) -> None:
    endpoint.answers = [refusal(429, **{"retry-after": "3"}), refusal(429, **{"retry-after-ms": "40"}), events(ends())]
    await endpoint.chunks(asked())
    assert endpoint.pauses == [3.0, 0.04]


@pytest.mark.parametrize(
    ("answer", "code", "message", "requests"),
    [
        (refusal(429, "Slow down."), "rate_limit_exceeded", "Slow down.", 3),
        (refusal(429, "Out of quota.", **{"retry-after": "900"}), "rate_limit_exceeded", "Out of quota.", 1),
        (refusal(500, "inner secret"), "server_error", "Sorry, something went wrong.", 3),
        (refusal(400, "Not that.", "content_filter"), "invalid_prompt", "Not that.", 1),
        (refusal(400, "Bad."), "server_error", "The model's endpoint refused the request: Bad.", 1),
        (refusal(401, "sk-ours is wrong"), "server_error", "The model's endpoint refused the service's key.", 1),
        (events(says(content="a"), done=False), "server_error", "Sorry, something went wrong.", 1),
        (events(done=False), "server_error", "Sorry, something went wrong.", 3),
    ],
)
async def test_what_cannot_be_answered_is_told(
    endpoint: Endpoint, answer: Answer, code: str, message: str, requests: int
) -> None:
    endpoint.answers = [answer]
    with pytest.raises(ModelError) as caught:
        await endpoint.chunks(asked())
    assert (caught.value.code, caught.value.message) == (code, message)
    assert len(endpoint.bodies) == requests


async def test_an_answer_that_nobody_wants_any_more_is_ended(endpoint: Endpoint) -> None:
    async def for_ever(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
                await asyncio.sleep(0.001)
        except (ConnectionError, asyncio.CancelledError):
            endpoint.left.set()
            raise

    endpoint.answers = [for_ever]
    batches = endpoint.model.answer(asked())
    await anext(batches)
    await batches.aclose()
    async with asyncio.timeout(5):
        await endpoint.left.wait()


async def poured(endpoint: Endpoint, *, wants_more: bool = True) -> list[Sequence[Chunk]]:
    """Have an answer handed on; a sink that wants no more is asked again until there is no more."""
    batches: list[Sequence[Chunk]] = []

    def take(batch: Sequence[Chunk]) -> bool:
        batches.append(batch)
        return wants_more

    answer = endpoint.model.answer(asked())
    try:
        while await pour(answer, take):
            assert not wants_more
    finally:
        await answer.aclose()
    return batches


@pytest.mark.parametrize("wants_more", [True, False])
@pytest.mark.parametrize("cut", [None, 1, 7, 50])
async def test_an_answer_is_handed_on_as_it_comes(endpoint: Endpoint, cut: int | None, wants_more: bool) -> None:
    endpoint.answers = [events(says(content="Hé"), says(content="llo"), ends(), USAGE, cut=cut)]
    for _ in range(2):  # the second one goes through the connection of the first
        batches = await poured(endpoint, wants_more=wants_more)
        told = [chunk for batch in batches for chunk in batch]
        assert told == [TextChunk("Hé"), TextChunk("llo"), FinishChunk("stop"), UsageChunk(5, 2)]


async def test_what_an_answer_is_handed_to_may_fail(endpoint: Endpoint) -> None:
    def broken(batch: Sequence[Chunk]) -> bool:
        raise RuntimeError("cannot take it")

    endpoint.answers = [events(says(content="a"), says(content="b"), ends(), cut=60)]
    answer = endpoint.model.answer(asked())
    with pytest.raises(RuntimeError, match="cannot take it"):
        await pour(answer, broken)
    await answer.aclose()
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("says_so", [True, False])
async def test_what_was_said_is_not_asked_for_again(endpoint: Endpoint, says_so: bool) -> None:
    """Neither where the endpoint says in the middle that it fails, nor where the connection breaks off."""

    async def failing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
        await endpoint.left.wait()
        if says_so:
            await response.write(b'data: {"error":{"message":"overloaded"}}\n\n')
        else:
            assert request.transport is not None
            request.transport.abort()
        return response

    def take(batch: Sequence[Chunk]) -> bool:
        said.extend(batch)
        endpoint.left.set()
        return True

    endpoint.answers = [failing, events(says(content="b"), ends())]
    said: list[Chunk] = []
    with pytest.raises(ModelError):
        await pour(endpoint.model.answer(asked()), take)
    assert said == [TextChunk("a")]
    assert len(endpoint.bodies) == 1


async def test_an_endpoint_that_wants_to_be_asked_at_once_is_not_asked_for_ever(endpoint: Endpoint) -> None:
    endpoint.answers = [refusal(429, "Busy.", **{"retry-after": "0"})]
    with pytest.raises(ModelError, match="Busy."):
        await endpoint.chunks(asked())
    assert endpoint.pauses == [0.0, 0.0]


async def test_all_that_are_asked_at_once_learn_that_usage_is_not_told(endpoint: Endpoint) -> None:
    answered: list[asyncio.Event] = []

    async def older(request: web.Request) -> web.StreamResponse:
        if "stream_options" not in await request.json():
            return await events(says(content="a"), ends())(request)
        answered.append(asyncio.Event())
        if len(answered) == 3:
            for each in answered:
                each.set()
        await answered[-1].wait()
        return await refusal(400, "unknown field stream_options")(request)

    endpoint.answers = [older]
    told = await asyncio.gather(*(endpoint.chunks(asked()) for _ in range(3)))
    assert told == [[TextChunk("a"), FinishChunk("stop")]] * 3


async def test_a_last_piece_without_its_blank_line_is_a_batch_of_its_own(endpoint: Endpoint) -> None:
    async def brief(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        pieces = [json.dumps(each).encode() for each in (says(content="a"), says(content="b"), ends())]
        await response.write(b"data: %b\n\ndata: %b\n\ndata: %b" % tuple(pieces))
        return response

    endpoint.answers = [brief]
    batches = [batch async for batch in endpoint.model.answer(asked())]
    assert batches == [[TextChunk("a"), TextChunk("b")], [FinishChunk("stop")]]


@pytest.mark.parametrize("index", [-1, 900_000_000])
async def test_a_call_in_a_place_that_none_can_have_is_no_answer(endpoint: Endpoint, index: int) -> None:
    call = {"index": index, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    endpoint.answers = [events(says(tool_calls=[call]), ends("tool_calls"))]
    with pytest.raises(ModelError):
        await endpoint.chunks(asked())


async def test_an_answer_without_end_that_is_no_stream_is_given_up(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compatible, "ANSWER_LIMIT_BYTES", 1000)

    async def endless(request: web.Request) -> web.StreamResponse:
        return web.json_response({"choices": [{"message": {"content": "a" * 2000}, "finish_reason": "stop"}]})

    endpoint.answers = [endless]
    with pytest.raises(ModelError):
        await endpoint.chunks(asked())


async def test_an_endpoint_that_falls_silent_is_given_up(endpoint: Endpoint) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
        await endpoint.left.wait()
        return response

    endpoint.answers = [silent]
    endpoint.model._timeout_s = 0.05
    with pytest.raises(ModelError):
        await poured(endpoint)
    endpoint.left.set()
