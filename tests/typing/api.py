"""What a type checker knows of the package. Checked by mypy, never executed.

A line that must be an error says so with ``type: ignore``: one that is not needed is an error itself.
"""

# mypy: warn-unused-ignores
from __future__ import annotations

import asyncio
import queue
from types import MappingProxyType
from typing import Any, assert_type

import holdover
from holdover import (
    UNSET,
    Assistant,
    AssistantDeleted,
    AsyncClient,
    Client,
    Data,
    Failure,
    Finish,
    Message,
    MessageDeleted,
    Thread,
    ThreadDeleted,
)
from holdover.client.pages import AsyncPage, Page
from holdover.models.protocol import TextChunk
from holdover.testing import HoldoverServer
from holdover.wire.messages import ModifiedMessage
from holdover.wire.models import ModelDeleted, ModelList, ModelObject
from holdover.wire.tools import CodeInterpreterTool, FunctionDefinition, FunctionTool

# ---------------------------------------------------------------------------------- what functions return

assert_type(holdover.create_assistant("gpt-4o"), Assistant)
assert_type(holdover.get_assistant("asst_1"), Assistant)
assert_type(holdover.modify_assistant("asst_1"), Assistant)
assert_type(holdover.delete_assistant("asst_1"), AssistantDeleted)
assert_type(holdover.list_assistants(), Page[Assistant])
assert_type(holdover.assistants.create_assistant("gpt-4o"), Assistant)
assert_type(holdover.create_thread(messages=[{"role": "user", "content": "Hello."}]), Thread)
assert_type(holdover.get_thread("thread_1"), Thread)
assert_type(holdover.list_threads(limit=3), Page[Thread])
assert_type(holdover.modify_thread("thread_1", metadata=None), Thread)
assert_type(holdover.delete_thread("thread_1"), ThreadDeleted)
assert_type(holdover.create_message("thread_1", "user", "Hello."), Message)
assert_type(holdover.get_message("thread_1", "msg_1"), Message)
assert_type(holdover.list_messages("thread_1", run_id="run_1"), Page[Message])
assert_type(holdover.modify_message("thread_1", "msg_1", metadata={"a": "b"}), ModifiedMessage)
assert_type(holdover.delete_message("thread_1", "msg_1"), MessageDeleted)
assert_type(holdover.list_models(), ModelList)
assert_type(holdover.retrieve_model("gpt-4o"), ModelObject)
assert_type(holdover.delete_model("gpt-4o"), ModelDeleted)


def sync_client(client: Client) -> None:
    assert_type(client.create_assistant("gpt-4o"), Assistant)
    assert_type(client.list_assistants(limit=3), Page[Assistant])
    for each in client.list_assistants().all_pages():
        assert_type(each, Assistant)
    for each in client.list_assistants():
        assert_type(each, Assistant)
    assert_type(client.list_assistants().next_page(), Page[Assistant] | None)
    assert_type(client.list_assistants().data, list[Assistant])


async def async_client(client: AsyncClient) -> None:
    assert_type(await client.create_assistant("gpt-4o"), Assistant)
    assert_type(await client.get_assistant("asst_1"), Assistant)
    assert_type(await client.modify_assistant("asst_1"), Assistant)
    assert_type(await client.delete_assistant("asst_1"), AssistantDeleted)
    assert_type(await client.create_thread(), Thread)
    assert_type(await client.create_message("thread_1", "user", "Hello."), Message)
    assert_type(await client.list_messages("thread_1"), AsyncPage[Message])
    assert_type(await client.retrieve_model("gpt-4o"), ModelObject)
    page = await client.list_assistants()
    assert_type(page, AsyncPage[Assistant])
    async for each in page.all_pages():
        assert_type(each, Assistant)
    async for each in page:
        assert_type(each, Assistant)
    assert_type(await page.next_page(), AsyncPage[Assistant] | None)
    print(client.create_assistant("gpt-4o").id)  # type: ignore[attr-defined]
    for _ in page:  # type: ignore[attr-defined]
        pass


def embedded() -> None:
    with holdover.embedded("data.db", timeout_s=3) as client:
        assert_type(client, Client)
    with Client() as same:
        assert_type(same, Client)


async def async_embedded() -> None:
    async with holdover.embedded() as client:
        assert_type(client, AsyncClient)
    async with AsyncClient() as same:
        assert_type(same, AsyncClient)


# -------------------------------------------------------------------------------------------------- options

holdover.create_assistant(
    "a-model-of-our-own",
    description=None,
    instructions="You teach mathematics.",
    metadata=MappingProxyType({"team": "maths"}),
    name="Tutor",
    response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True}},
    temperature=1,
    tool_resources={
        "code_interpreter": {"file_ids": ("file-1",)},
        "file_search": {"vector_stores": [{"file_ids": [], "chunking_strategy": {"type": "auto"}, "metadata": None}]},
    },
    tools=(
        {"type": "code_interpreter"},
        {"type": "file_search", "file_search": {"ranking_options": {"score_threshold": 0.5}}},
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": None}},
        CodeInterpreterTool(),
        FunctionTool(function=FunctionDefinition(name="f")),
    ),
    top_p=0.5,
    reasoning_effort="low",
    openai_api_key="sk-1",
    openai_organization_key=None,
    base_url="http://127.0.0.1:8026/v1",
    timeout_s=3,
)
made = holdover.create_assistant("gpt-4o", response_format="auto")
holdover.create_assistant(
    made.model, tools=made.tools, response_format=made.response_format, tool_resources=made.tool_resources
)
holdover.modify_assistant("asst_1", model="gpt-4.1", name=None, metadata=None, response_format=None)
holdover.list_assistants(after="asst_1", before=None, limit=100, order="asc")

# An option that does not exist.
holdover.create_assistant("gpt-4o", instruction="…")  # type: ignore[call-arg]
holdover.list_assistants(model="gpt-4o")  # type: ignore[call-arg]
holdover.get_assistant("asst_1", stream_to=print)  # type: ignore[call-arg]
holdover.modify_assistant("asst_1", api_key="sk-1")  # type: ignore[call-arg]
Client().create_assistant("gpt-4o", temprature=1)  # type: ignore[call-arg]
AsyncClient().create_assistant("gpt-4o", temprature=1)  # type: ignore[call-arg, unused-coroutine]

# Arguments that are missing, or not where they belong.
holdover.create_assistant()  # type: ignore[call-arg]
holdover.create_assistant("gpt-4o", "Tutor")  # type: ignore[call-arg]
holdover.get_assistant(5)  # type: ignore[arg-type]
Client("sk-1")  # type: ignore[call-arg]

# Values of another type.
holdover.create_assistant("gpt-4o", temperature="1")  # type: ignore[arg-type]
holdover.create_assistant("gpt-4o", metadata={"team": 1})  # type: ignore[dict-item]
holdover.create_assistant("gpt-4o", tools=[{"type": "retrieval"}])  # type: ignore[list-item]
holdover.create_assistant("gpt-4o", tools=[{"type": "function"}])  # type: ignore[list-item]
holdover.create_assistant("gpt-4o", tools=None)  # type: ignore[arg-type]
holdover.create_assistant("gpt-4o", reasoning_effort="huge")  # type: ignore[arg-type]
holdover.create_assistant("gpt-4o", response_format="json")  # type: ignore[arg-type]
holdover.create_assistant("gpt-4o", response_format={"type": "xml"})  # type: ignore[arg-type]
holdover.create_message("thread_1", "system", "Hello.")  # type: ignore[arg-type]
holdover.create_message("thread_1", "user", [{"type": "text", "text": "Hello."}])
holdover.create_message("thread_1", "user", [{"type": "text"}])  # type: ignore[list-item]
holdover.create_message("thread_1", "user", "Hello.", attachments=[{"file_id": "file-1", "tools": []}])
holdover.create_thread(messages=[{"role": "user"}])  # type: ignore[list-item]
holdover.list_assistants(order="newest")  # type: ignore[arg-type]
holdover.list_assistants(limit="3")  # type: ignore[arg-type]
holdover.modify_assistant("asst_1", model=None)  # type: ignore[arg-type]
holdover.modify_assistant("asst_1", tool_resources={"file_search": {"vector_stores": [{}]}})  # type: ignore[arg-type]
holdover.get_assistant("asst_1", timeout_s="3")  # type: ignore[arg-type]

# ------------------------------------------------------------------------------------------------- receivers

events: queue.Queue[Any] = queue.Queue()
later: asyncio.Queue[Any] = asyncio.Queue()
received: list[Any] = []


def receive(event: Data[Any] | Finish | Failure) -> None:
    match event:
        case Data(value):
            print(value)
        case Failure(error):
            raise error
        case Finish():
            pass


async def receive_async(event: Data[Any] | Finish | Failure) -> None: ...


class OnlyPut:
    def put(self, item: Any) -> None: ...


holdover.create_assistant("gpt-4o", stream_to=receive)
holdover.create_assistant("gpt-4o", stream_to=events)
holdover.list_assistants(stream_to=later)
holdover.list_assistants(stream_to=received.append)
holdover.list_assistants(stream_to=OnlyPut())
holdover.list_assistants(stream_to=None)
holdover.list_assistants(stream_to=receive_async)
holdover.list_assistants(stream_to=5)  # type: ignore[arg-type]
holdover.list_assistants(stream_to="queue")  # type: ignore[arg-type]

# --------------------------------------------------------------------------------------------- vector stores

found = holdover.search_vector_store(
    "vs_1",
    ["a", "b"],
    filters={"type": "and", "filters": [{"type": "in", "key": "year", "value": [2024, 2025]}]},
    ranking_options={"score_threshold": 0.5, "hybrid_search": {"embedding_weight": 1, "text_weight": 0}},
)
assert_type(found, holdover.SearchResults)
assert_type(holdover.list_vector_store_files("vs_1", filter="failed").data, list[holdover.VectorStoreFile])
holdover.list_vector_store_files("vs_1", filter="done")  # type: ignore[arg-type]
holdover.create_vector_store(expires_after={"anchor": "last_active_at", "days": 7})
holdover.create_vector_store(expires_after={"anchor": "created_at", "days": 7})  # type: ignore[arg-type]
holdover.create_vector_store_file("vs_1", "file-1", attributes={"a": 1, "b": "x", "c": True})
holdover.create_vector_store_file_batch("vs_1", files=[{"file_id": "file-1", "attributes": {"a": 1.5}}])
holdover.create_vector_store_file_batch("vs_1", files=[{"attributes": {}}])  # type: ignore[list-item]
holdover.wait_for_vector_store("vs_1", on_progress=lambda store: print(store.file_counts.total))

# --------------------------------------------------------------------------------------- records and errors

assert_type(made.id, str)
assert_type(made.name, str | None)
assert_type(made.metadata, dict[str, str] | None)
assert_type(made.created_at, int)
made.name = "frozen"  # type: ignore[misc]
if made.tool_resources and made.tool_resources.code_interpreter:
    assert made.tool_resources.code_interpreter.file_ids is not UNSET

try:
    holdover.get_assistant("asst_1")
except holdover.NotFoundError as error:
    assert_type(error.status, int)
    assert_type(error.status_code, int)
    assert_type(error.code, str | None)
    assert_type(error.param, str | None)
    assert_type(error.request_id, str | None)
except holdover.APIConnectionError as error:
    print(error.status)  # type: ignore[attr-defined]


def uses_the_fixture(holdover_server: HoldoverServer) -> None:
    assert_type(holdover_server.base_url, str)
    assert_type(holdover_server.client(timeout_s=3).base_url, str)
    assert_type(holdover_server.async_client(), holdover.AsyncClient)
    holdover_server.reply("It is 4.", '!call f {"a": 1}', [TextChunk("It "), 0.1, TextChunk("is")])
    holdover_server.reply(5)  # type: ignore[arg-type]
    holdover_server.model.script = lambda request: f"It is {request.model}."


holdover.configure(api_key="sk-1", organization_key="org", base_url="http://x/v1", http_headers={"a": "b"}, timeout_s=3)
holdover.configure(openai_api_key="sk-1")  # type: ignore[call-arg]
