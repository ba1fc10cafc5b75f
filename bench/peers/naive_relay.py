"""The relay as most would write it: FastAPI, the openai package for the upstream, pydantic for every event.

It answers createThreadAndRun with the events that Holdover sends, in their order, and stores nothing.

python -m bench.peers.naive_relay UPSTREAM_URL
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from openai.types.beta import Thread
from openai.types.beta.threads import Message, MessageDelta, MessageDeltaEvent, Run, TextDelta, TextDeltaBlock
from openai.types.beta.threads.runs import MessageCreationStepDetails, RunStep
from pydantic import BaseModel

from holdover.server import http


class NewMessage(BaseModel):
    """A message of the new thread."""

    role: str
    content: str


class NewThread(BaseModel):
    """The new thread."""

    messages: list[NewMessage] = []


class CreateThreadAndRun(BaseModel):
    """The body of createThreadAndRun, as far as it is used."""

    assistant_id: str
    model: str
    thread: NewThread
    stream: bool = False


def application(upstream_url: str) -> FastAPI:
    """Return the relay in front of an upstream."""
    app = FastAPI()
    client = AsyncOpenAI(api_key="sk-bench", base_url=upstream_url)

    @app.post("/v1/threads/runs")
    async def create_thread_and_run(body: CreateThreadAndRun) -> StreamingResponse:
        return StreamingResponse(_events(client, body), media_type="text/event-stream")

    return app


def _new_id(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(18)


def _event(name: str, data: BaseModel) -> str:
    return f"event: {name}\ndata: {data.model_dump_json(exclude_unset=True)}\n\n"


async def _events(client: AsyncOpenAI, body: CreateThreadAndRun) -> AsyncIterator[str]:
    now = int(time.time())
    thread = Thread(id=_new_id("thread_"), created_at=now, metadata={}, object="thread")
    run = Run.model_construct(
        id=_new_id("run_"),
        object="thread.run",
        created_at=now,
        assistant_id=body.assistant_id,
        thread_id=thread.id,
        status="queued",
        expires_at=now + 600,
        model=body.model,
        instructions="",
        tools=[],
        metadata={},
        parallel_tool_calls=True,
    )
    yield _event("thread.created", thread)
    yield _event("thread.run.created", run)
    yield _event("thread.run.queued", run)
    run = run.model_copy(update={"status": "in_progress", "started_at": now})
    yield _event("thread.run.in_progress", run)
    message = Message.model_construct(
        id=_new_id("msg_"),
        object="thread.message",
        created_at=now,
        thread_id=thread.id,
        run_id=run.id,
        assistant_id=body.assistant_id,
        role="assistant",
        status="in_progress",
        content=[],
        attachments=[],
        metadata={},
    )
    step = RunStep.model_construct(
        id=_new_id("step_"),
        object="thread.run.step",
        created_at=now,
        run_id=run.id,
        thread_id=thread.id,
        assistant_id=body.assistant_id,
        type="message_creation",
        status="in_progress",
        step_details=MessageCreationStepDetails.model_validate(
            {"type": "message_creation", "message_creation": {"message_id": message.id}}
        ),
    )
    asked: Any = [{"role": each.role, "content": each.content} for each in body.thread.messages]
    text = ""
    async for chunk in await client.chat.completions.create(model=body.model, messages=asked, stream=True):
        if not chunk.choices or not chunk.choices[0].delta.content:
            continue
        if not text:
            yield _event("thread.run.step.created", step)
            yield _event("thread.run.step.in_progress", step)
            yield _event("thread.message.created", message)
            yield _event("thread.message.in_progress", message)
        piece = chunk.choices[0].delta.content
        text += piece
        part = TextDeltaBlock(index=0, type="text", text=TextDelta(value=piece))
        delta = MessageDelta(content=[part])
        yield _event(
            "thread.message.delta", MessageDeltaEvent(id=message.id, delta=delta, object="thread.message.delta")
        )
    yield _event("thread.message.completed", message.model_copy(update={"status": "completed"}))
    yield _event("thread.run.step.completed", step.model_copy(update={"status": "completed"}))
    yield _event("thread.run.completed", run.model_copy(update={"status": "completed"}))
    yield "event: done\ndata: [DONE]\n\n"


def serve(upstream_url: str) -> None:
    """Serve on a free port of loopback and say its number."""
    with http.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(application(upstream_url), log_config=None, access_log=False))
        print(port, flush=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listening]))


if __name__ == "__main__":
    serve(sys.argv[1])
