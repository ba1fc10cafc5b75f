"""Runs that use the built-in tools: what is told, what is kept, and what the model is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from holdover.engine.acting import Made, Room, ToolFailure, Tools
from holdover.engine.objects import Engine, EventStream
from holdover.engine.references import FOLDER
from holdover.engine.turn import References
from holdover.models.catalog import Catalog, Names
from holdover.models.protocol import AssistantTurn, ForcedFunction, RefusalChunk, TextChunk, ToolTurn
from holdover.models.scripted import ScriptedModel
from holdover.store.blobs import FolderBlobs
from holdover.store.sqlite import SQLiteStore
from holdover.wire.accumulate import Snapshots
from holdover.wire.assistants import CreateAssistant
from holdover.wire.events import RECORDS
from holdover.wire.messages import Annotation, CreateMessage, FileCitation, FileCitationAnnotation, MessageQuery
from holdover.wire.runs import (
    CancelRun,
    CreateRun,
    CreateThreadAndRun,
    NamedFileSearch,
    Run,
    SubmitToolOutputs,
    ToolOutput,
)
from holdover.wire.sse import Parser
from holdover.wire.steps import (
    CodeImage,
    CodeImageFile,
    CodeLogs,
    FileSearchCallDetails,
    FileSearchRanking,
    FileSearchResult,
    FileSearchResultContent,
    IncludeQuery,
    StepPageQuery,
)
from holdover.wire.threads import CreateThread
from holdover.wire.tools import CodeInterpreterTool, FileSearchTool, FunctionDefinition, FunctionTool

FOUND = FileSearchCallDetails(
    ranking_options=FileSearchRanking(ranker="default_2024_08_21", score_threshold=0.0),
    results=[
        FileSearchResult(
            file_id="file-1",
            file_name="a.txt",
            score=0.5,
            attributes={},
            content=[FileSearchResultContent(text="Cake is good.")],
        )
    ],
)
MARKER = "【4:0†a.txt】"


class Marked:
    """Finds one marker, in one piece."""

    def __init__(self) -> None:
        self._place = 0

    def feed(self, text: str) -> Sequence[tuple[str, Annotation | None]]:
        start, self._place = self._place, self._place + len(text)
        if text.strip() != MARKER:
            return [(text, None)]
        cited = FileCitation(file_id="file-1")
        end = self._place
        return (
            [
                *([(text[0], None)] if text[0] == " " else []),
                (
                    MARKER,
                    FileCitationAnnotation(
                        text=MARKER, start_index=end - len(MARKER), end_index=end, file_citation=cited
                    ),
                ),
            ]
            if start < end
            else []
        )

    def skip(self, text: str, annotation: Annotation) -> Sequence[tuple[str, Annotation | None]]:
        raise AssertionError("it comes first")

    def end(self) -> Sequence[tuple[str, Annotation | None]]:
        return []


class Searching:
    def __init__(self, at_work: asyncio.Event) -> None:
        self._at_work = at_work
        self.queries: list[str] = []
        self.hangs = False

    async def search(self, run: Run, query: str, room: Room) -> FileSearchCallDetails:
        self.queries.append(query)
        if self.hangs:
            self._at_work.set()
            await asyncio.Event().wait()
        if query == "expired":
            raise ToolFailure("Vector store 'vs_1' has expired.")
        return FOUND

    def present(self, found: FileSearchCallDetails, ordinal: int) -> str:
        (result,) = found.results or ()
        (content,) = result.content or ()
        return f"{4 + ordinal}: {content.text}"

    def citations(self, searches: Sequence[FileSearchCallDetails]) -> References:
        assert list(searches) == [FOUND]
        return Marked()


class Interpreting:
    def __init__(self, at_work: asyncio.Event) -> None:
        self._at_work = at_work
        self.closed = 0
        self.forgotten: list[str] = []

    async def forget(self, thread_id: str) -> None:
        self.forgotten.append(thread_id)

    async def execute(self, run: Run, code: str) -> AsyncIterator[Made]:
        try:
            yield Made(outputs=[CodeLogs(logs="1\n")])
            if code == "hang":
                self._at_work.set()
                await asyncio.Event().wait()
            image = CodeImage(image=CodeImageFile(file_id="file-image"))
            yield Made(outputs=[image], files={"x.csv": "file-x"}, images=["file-image"])
        finally:
            self.closed += 1


class World:
    def __init__(self, store: SQLiteStore) -> None:
        self.at_work = asyncio.Event()
        self.search = Searching(self.at_work)
        self.interpreter = Interpreting(self.at_work)
        self.model = ScriptedModel()
        self._store = store
        self.engine = self.new_engine(self.model)

    def new_engine(self, model: ScriptedModel) -> Engine:
        return Engine(
            self._store,
            Catalog(Names(), lambda target: model, own={"*": model}),
            FolderBlobs(None),
            tools=Tools(self.search, self.interpreter),
        )

    async def begin(self, script: str, **options: Any) -> EventStream:
        tools = [FunctionTool(function=FunctionDefinition(name="f")), FileSearchTool(), CodeInterpreterTool()]
        made = await self.engine.create_assistant(CreateAssistant(model="m", instructions="x", tools=tools))
        thread = CreateThread(messages=[CreateMessage(role="user", content=script)])
        body = CreateThreadAndRun(assistant_id=msgspec.json.decode(made)["id"], thread=thread, stream=True, **options)
        stream = await self.engine.create_thread_and_run(body)
        assert isinstance(stream, EventStream)
        return stream

    async def told(self, stream: EventStream) -> Told:
        told = Told()
        async with asyncio.timeout(10):
            async for frames in stream:
                told.take(frames)
        return told

    async def run(self, script: str, **options: Any) -> Told:
        return await self.told(await self.begin(script, **options))

    async def steps(self, run: Run, *, include: Any = None) -> list[dict[str, Any]]:
        query = StepPageQuery(order="asc", **({"include": include} if include else {}))
        listed: list[dict[str, Any]] = msgspec.json.decode(
            await self.engine.list_run_steps(run.thread_id, run.id, query)
        )["data"]
        return listed


class Told:
    """What a stream told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.data: list[Any] = []
        self.snapshots = Snapshots()
        self._parser = Parser()

    def take(self, frames: bytes) -> None:
        for event in self._parser.feed(frames):
            if event.data == b"[DONE]":
                continue
            self.names.append(event.name.removeprefix("thread."))
            self.data.append(msgspec.json.decode(event.data))
            self.snapshots.take(msgspec.json.decode(event.data, type=RECORDS[event.name]))

    @property
    def ended(self) -> Run:
        assert self.snapshots.run is not None
        return self.snapshots.run

    def deltas(self) -> list[Any]:
        """The details of step deltas, without their frame."""
        return [
            call
            for name, data in zip(self.names, self.data, strict=True)
            if name == "run.step.delta"
            for call in data["delta"]["step_details"]["tool_calls"]
        ]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = await SQLiteStore.open(":memory:")
    made = World(store)
    yield made
    await made.engine.stop()
    await store.close()


async def test_a_search_is_told_of_whole_and_its_citation_comes_with_its_marker(world: World) -> None:
    told = await world.run(f'!call file_search {{"query": "cake"}}\n!then\n!say It is good {MARKER} and so on')
    assert world.search.queries == ["cake"]
    assert told.ended.status == "completed"
    assert [name for name in told.names if not name.endswith("delta")] == [
        *("created", "run.created", "run.queued", "run.in_progress"),
        *("run.step.created", "run.step.in_progress", "run.step.completed"),
        *("run.step.created", "run.step.in_progress", "message.created", "message.in_progress"),
        *("message.completed", "run.step.completed", "run.completed"),
    ]
    (delta,) = told.deltas()
    assert delta["index"] == 0
    assert delta["id"].startswith("call_")
    assert delta["file_search"] == {
        "ranking_options": {"ranker": "default_2024_08_21", "score_threshold": 0.0},
        "results": [{"file_id": "file-1", "file_name": "a.txt", "score": 0.5, "attributes": {}}],
    }
    parts = [data["delta"]["content"][0]["text"] for data in told.data if data["object"] == "thread.message.delta"]
    (cited,) = [part for part in parts if part.get("annotations")]
    assert cited["value"] == MARKER
    assert cited["annotations"] == [
        {
            "type": "file_citation",
            "index": 0,
            "text": MARKER,
            "start_index": 11,
            "end_index": 11 + len(MARKER),
            "file_citation": {"file_id": "file-1", "quote": ""},
        }
    ]
    (message,) = told.snapshots.messages
    text = message.content[0].text  # type: ignore[union-attr]
    assert text.value[11 : 11 + len(MARKER)] == MARKER
    search, _ = told.snapshots.steps
    assert search.usage is not None
    assert told.ended.usage is not None
    assert told.ended.usage.total_tokens == sum(step.usage.total_tokens for step in told.snapshots.steps if step.usage)


async def test_the_model_is_told_what_was_found_and_offered_what_there_is(world: World) -> None:
    await world.run('!call file_search {"query": "cake"}\n!then\n!say done')
    first, second = world.model.requests
    assert [each.name for each in first.functions] == ["file_search", "code_interpreter", "f"]
    asked, answered = second.turns[-2:]
    assert isinstance(asked, AssistantTurn)
    assert isinstance(answered, ToolTurn)
    assert asked.calls[0].arguments == '{"query":"cake"}'
    assert answered.output == "4: Cake is good."


async def test_passages_are_shown_only_to_who_asks_for_them(world: World) -> None:
    told = await world.run('!call file_search {"query": "cake"}\n!then\n!say done')
    search, _ = await world.steps(told.ended)
    (result,) = search["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert "content" not in result
    include = ["step_details.tool_calls[*].file_search.results[*].content"]
    search, _ = await world.steps(told.ended, include=include)
    (result,) = search["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert result["content"] == [{"type": "text", "text": "Cake is good."}]
    one = await world.engine.get_run_step(told.ended.thread_id, told.ended.id, search["id"], IncludeQuery())
    assert b"Cake" not in one


async def test_code_is_told_as_it_is_written_then_what_it_comes_to(world: World) -> None:
    told = await world.run(
        f'!call code_interpreter {{"code": "print(1)"}}\n!then\n!say Here: {FOLDER}x.csv and {FOLDER}y.csv'
    )
    assert told.ended.status == "completed"
    first, *rest = [delta["code_interpreter"] for delta in told.deltas()]
    assert first == {"input": "", "outputs": []}
    assert "".join(each["input"] for each in rest if "input" in each) == "print(1)"
    outputs = [each["outputs"] for each in rest if "outputs" in each]
    assert outputs == [
        [{"index": 0, "type": "logs", "logs": "1\n"}],
        [{"index": 1, "type": "image", "image": {"file_id": "file-image"}}],
    ]
    step, _ = await world.steps(told.ended)
    assert step["step_details"]["tool_calls"][0]["code_interpreter"] == {
        "input": "print(1)",
        "outputs": [{"type": "logs", "logs": "1\n"}, {"type": "image", "image": {"file_id": "file-image"}}],
    }
    (message,) = told.snapshots.messages
    image, text = msgspec.to_builtins(message.content)
    assert image["image_file"]["file_id"] == "file-image"
    (annotation,) = text["text"]["annotations"]
    assert annotation["text"] == f"{FOLDER}x.csv"
    assert annotation["file_path"] == {"file_id": "file-x"}
    assert text["text"]["value"][annotation["start_index"] : annotation["end_index"]] == annotation["text"]
    (stored,) = msgspec.json.decode(
        await world.engine.get_message(told.ended.thread_id, message.id), type=dict[str, Any]
    )["content"][1:]
    assert stored == text


async def test_an_image_is_shown_though_the_message_that_showed_it_was_taken_away(world: World) -> None:
    """The service stopped in the middle of it, and another went on."""
    stream = await world.begin('!call code_interpreter {"code": "draw"}\n!then\n!say look\n!hang')
    told = Told()
    async with asyncio.timeout(10):
        while "message.delta" not in told.names:
            told.take(await anext(stream))
    assert told.snapshots.run is not None
    ids = told.snapshots.run.thread_id, told.snapshots.run.id
    stream.close()
    await world.engine.stop(0)
    other = world.new_engine(ScriptedModel([[TextChunk("look here")]]))
    await other.start()
    async with asyncio.timeout(10):
        while (await run_of(other, ids))["status"] != "completed":  # noqa: ASYNC110
            await asyncio.sleep(0)
    listed = msgspec.json.decode(await other.list_messages(ids[0], MessageQuery(run_id=ids[1])))["data"]
    assert [part["type"] for part in listed[0]["content"]] == ["image_file", "text"]
    await other.stop()


async def test_parts_of_a_message_stand_in_the_order_in_which_they_began(world: World) -> None:
    world.engine = world.new_engine(ScriptedModel([[RefusalChunk("No."), TextChunk("But"), RefusalChunk(" No.")]]))
    told = await world.run("hi")
    deltas = [
        data["delta"]["content"][0] for name, data in zip(told.names, told.data, strict=True) if name == "message.delta"
    ]
    assert [(each["index"], each["type"]) for each in deltas] == [(0, "refusal"), (1, "text"), (0, "refusal")]
    (message,) = [data for name, data in zip(told.names, told.data, strict=True) if name == "message.completed"]
    assert [part["type"] for part in message["content"]] == ["refusal", "text"]
    assert message["content"][0]["refusal"] == "No. No."


async def run_of(engine: Engine, ids: tuple[str, str]) -> dict[str, Any]:
    run: dict[str, Any] = msgspec.json.decode(await engine.get_run(*ids))
    return run


async def test_functions_beside_built_in_tools_wait_for_their_outputs_alone(world: World) -> None:
    told = await world.run(
        '!call file_search {"query": "cake"}\n!call f {"a": 1}\n!call code_interpreter {"code": "1"}\n!then\n!say ok'
    )
    assert told.ended.status == "requires_action"
    assert [delta["index"] for delta in told.deltas() if "id" in delta] == [0, 1, 2], "in the order they are told"
    assert told.ended.required_action is not None
    (call,) = told.ended.required_action.submit_tool_outputs.tool_calls
    assert call.function.name == "f"
    outputs = SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=call.id, output="F")], stream=True)
    stream = await world.engine.submit_tool_outputs_to_run(told.ended.thread_id, told.ended.id, outputs)
    assert isinstance(stream, EventStream)
    told = await world.told(stream)
    assert told.ended.status == "completed"
    assert sorted(turn.output for turn in world.model.requests[-1].turns if isinstance(turn, ToolTurn)) == [
        "1\n[An image was drawn; the user sees it.]\n",
        "4: Cake is good.",
        "F",
    ]
    (message,) = told.snapshots.messages
    assert message.content[0].type == "image_file", "what was drawn before is not forgotten while it waits"


async def test_a_search_that_cannot_be_made_ends_the_run_with_its_reason(world: World) -> None:
    told = await world.run('!call file_search {"query": "expired"}')
    assert told.ended.status == "failed"
    assert told.ended.last_error is not None
    assert told.ended.last_error.message == "Vector store 'vs_1' has expired."
    assert [step.status for step in told.snapshots.steps] == ["failed"]


@pytest.mark.parametrize("script", ['!call file_search {"query": "x"}', '!call code_interpreter {"code": "hang"}'])
async def test_a_tool_at_work_is_stopped_when_its_run_is_cancelled(world: World, script: str) -> None:
    world.search.hangs = True
    stream = await world.begin(script)
    listening = asyncio.create_task(world.told(stream))
    async with asyncio.timeout(10):
        await world.at_work.wait()
    (run,) = world.engine._worker._drivers.values()
    await world.engine.cancel_run(run._thread_id, run.run_id, CancelRun())
    assert (await listening).ended.status == "cancelled"
    assert world.interpreter.closed == ("code" in script)


async def test_a_tool_that_is_not_there_says_so(world: World) -> None:
    world.engine._worker._work.tools = Tools()
    told = await world.run('!call code_interpreter {"code": "1"}\n!then\n!say ok')
    assert told.ended.status == "completed"
    assert "without a sandbox" in str(told.deltas())
    told = await world.run('!call file_search {"query": "1"}')
    assert told.ended.status == "failed"
    assert "without file search" in str(told.ended.last_error)


async def test_a_thread_that_is_deleted_leaves_no_sandbox(world: World) -> None:
    told = await world.run('!call code_interpreter {"code": "1"}\n!then\n!say ok')
    await world.engine.delete_thread(told.ended.thread_id)
    assert world.interpreter.forgotten == [told.ended.thread_id]


async def test_a_tool_that_must_be_used_is_used(world: World) -> None:
    told = await world.run("hello", tool_choice=NamedFileSearch())
    assert world.model.requests[0].tool_choice == ForcedFunction("file_search")
    assert world.search.queries == [""], "the least that fits its parameters"
    assert told.ended.status == "completed"


async def test_citations_of_earlier_runs_are_not_shown_to_the_model(world: World) -> None:
    told = await world.run(f'!call file_search {{"query": "cake"}}\n!then\n!say Good {MARKER} !')
    thread_id, assistant_id = told.ended.thread_id, told.ended.assistant_id
    await world.engine.create_message(thread_id, CreateMessage(role="user", content="And now?"))
    stream = await world.engine.create_run(thread_id, CreateRun(assistant_id=assistant_id, stream=True))
    assert isinstance(stream, EventStream)
    await world.told(stream)
    said = [turn.text for turn in world.model.requests[-1].turns if isinstance(turn, AssistantTurn)]
    assert said == ["Good  !"]
