"""What a model is asked: which messages of a thread it sees, and what is left out where not all fit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.engine import reading
from holdover.engine.context import ANSWER_TOKENS, TURN_TOKENS, NoRoom, fitted, size_of
from holdover.models.protocol import (
    AssistantTurn,
    CallChunk,
    CallInput,
    Chunk,
    FunctionSpec,
    ModelRequest,
    TextChunk,
    TextInput,
    ToolTurn,
    Turn,
    UserTurn,
)
from holdover.wire.assistants import CreateAssistant
from holdover.wire.messages import CreateMessage
from holdover.wire.runs import CreateRun, CreateThreadAndRun, NewTruncationStrategy
from holdover.wire.threads import CreateThread
from holdover.wire.tools import FunctionDefinition, FunctionTool

from .conftest import World


def count(text: str) -> int:
    return len(text)


def says(text: str) -> UserTurn:
    return UserTurn([TextInput(text)])


def asked(*turns: Turn, **more: Any) -> ModelRequest:
    return ModelRequest(model="m", turns=list(turns), **more)


def fit(request: ModelRequest, context_tokens: int, limit: int | None = None) -> list[Turn]:
    return list(fitted(request, context_tokens=context_tokens, limit=limit, count=count).turns)


# ----------------------------------------------------------------------------------------------- what fits


def test_what_fits_is_asked_as_it_is() -> None:
    request = asked(says("a" * 100), AssistantTurn("b" * 100), says("c" * 100))
    size = sum(size_of(turn, count) for turn in request.turns)
    assert fitted(request, context_tokens=size + ANSWER_TOKENS + size, limit=size, count=count) is request


def test_the_middle_goes_first_and_the_first_turn_stays() -> None:
    turns = [says(letter * 50) for letter in "abcdef"]
    room = 4 * size_of(turns[0], count)
    assert fit(asked(*turns), 100_000, limit=room) == [turns[0], *turns[3:]]


def test_a_first_turn_that_is_too_long_goes_with_the_middle() -> None:
    first, *others = turns = [says("a" * 500), *(says(letter * 50) for letter in "bcdef")]
    room = 3 * size_of(others[0], count)
    assert fit(asked(*turns), 100_000, limit=room) == others[-3:]
    assert first not in fit(asked(*turns), 100_000, limit=room)


def test_a_call_and_its_outputs_stay_or_go_together() -> None:
    calls = AssistantTurn(calls=[CallInput("call_1", "f", "{}"), CallInput("call_2", "f", "{}")])
    outputs = [ToolTurn("call_1", "x" * 50), ToolTurn("call_2", "y" * 50)]
    turns = [says("a"), says("b" * 200), calls, *outputs, says("c" * 20)]
    together = sum(size_of(turn, count) for turn in (calls, *outputs))
    rest = size_of(turns[0], count) + size_of(turns[-1], count)
    assert fit(asked(*turns), 100_000, limit=rest + together) == [turns[0], calls, *outputs, turns[-1]]
    assert fit(asked(*turns), 100_000, limit=rest + together - 1) == [turns[0], turns[-1]]


def test_instructions_functions_and_the_answer_take_room_too() -> None:
    turns = [says(letter * 100) for letter in "abcd"]
    size = size_of(turns[0], count)
    function = FunctionSpec("f", "d" * 40, {}, False)
    fixed = 30 + count("f" + "d" * 40 + "{}")
    request = asked(*turns, instructions="i" * 30, functions=[function])
    for limit, kept in ((fixed + 4 * size, 4), (fixed + 4 * size - 1, 3)):
        assert len(fit(request, 100_000, limit=limit)) == kept
    reserving = asked(*turns, max_completion_tokens=50)
    for context_tokens, kept in ((4 * size + 50, 4), (4 * size + 49, 3)):
        assert len(fit(reserving, context_tokens)) == kept


def test_the_newest_turn_is_asked_however_long_unless_the_run_itself_has_a_limit() -> None:
    turns = [says("a"), says("b" * 10_000)]
    assert fit(asked(*turns), 1000) == [turns[1]]
    with pytest.raises(NoRoom):
        fit(asked(*turns), 100_000, limit=1000)


TURNS = st.lists(
    st.one_of(
        st.integers(0, 200).map(lambda size: says("u" * size)),
        st.integers(0, 200).map(lambda size: AssistantTurn("a" * size)),
        st.integers(0, 200).map(lambda size: ToolTurn("call_1", "t" * size)),
    ),
    min_size=1,
    max_size=12,
)


@given(TURNS, st.integers(0, 1000))
def test_what_is_left_out_is_one_stretch_and_what_stays_fits(turns: list[Turn], limit: int) -> None:
    groups: list[list[Turn]] = []
    for turn in turns:
        if isinstance(turn, ToolTurn) and groups:
            groups[-1].append(turn)
        else:
            groups.append([turn])
    last = sum(size_of(turn, count) for turn in groups[-1])
    if last > limit:
        with pytest.raises(NoRoom):
            fit(asked(*turns), 100_000, limit=limit)
        return
    kept = fit(asked(*turns), 100_000, limit=limit)
    assert sum(size_of(turn, count) for turn in kept) <= limit
    possible = [
        [turn for group in (*groups[:start], *groups[end:]) for turn in group]
        for start in (0, 1)
        for end in range(start, len(groups))
    ]
    assert kept in possible
    if sum(size_of(turn, count) for turn in turns) <= limit:
        assert kept == turns


# ------------------------------------------------------------------------------ which messages a run sees


class Listening:
    """A model that keeps what it is asked; it calls a function first where it is offered one."""

    def __init__(self, context_tokens: int = 100_000) -> None:
        self.context_tokens = context_tokens
        self.requests: list[ModelRequest] = []

    def count_tokens(self, text: str) -> int:
        return len(text)

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        self.requests.append(request)
        if request.functions and not any(isinstance(turn, ToolTurn) for turn in request.turns):
            yield [CallChunk(0, "call_1", "f", "{}")]
        else:
            yield [TextChunk(f"answer {len(self.requests)}")]

    def texts(self) -> list[str]:
        """Return what the newest request says."""
        said = []
        for turn in self.requests[-1].turns:
            match turn:
                case UserTurn(content=content):
                    said.append("".join(part.text for part in content if isinstance(part, TextInput)))
                case AssistantTurn(text=text, calls=calls):
                    said.append(text or "".join(call.name for call in calls))
                case ToolTurn(output=output):
                    said.append(output)
        return said


class Talk:
    """A thread, and runs on it: the first made with it, or on its own."""

    def __init__(self, world: World, model: Listening, *, with_thread: bool, has_function: bool = False) -> None:
        self._engine = world.new_engine(model)
        self._world = world
        self._with_thread = with_thread
        self._tools = [FunctionTool(function=FunctionDefinition(name="f"))] if has_function else []
        self.thread_id = ""

    async def begin(self, *texts: str, **options: Any) -> dict[str, Any]:
        """Make a thread with messages and a run."""
        made = await self._engine.create_assistant(CreateAssistant(model="m", instructions="x", tools=[*self._tools]))
        self._assistant_id = msgspec.json.decode(made)["id"]
        thread = CreateThread(messages=[CreateMessage(role="user", content=text) for text in texts])
        if self._with_thread:
            body = CreateThreadAndRun(assistant_id=self._assistant_id, thread=thread, **options)
            return await self._ended(await self._engine.create_thread_and_run(body))
        self.thread_id = msgspec.json.decode(await self._engine.create_thread(thread))["id"]
        return await self.go_on(**options)

    async def go_on(self, *texts: str, **options: Any) -> dict[str, Any]:
        """Make a further run, with further messages."""
        more = [CreateMessage(role="user", content=text) for text in texts]
        body = CreateRun(assistant_id=self._assistant_id, additional_messages=more, **options)
        return await self._ended(await self._engine.create_run(self.thread_id, body))

    async def add(self, message: CreateMessage) -> None:
        await self._engine.create_message(self.thread_id, message)

    async def answer_calls(self, run: dict[str, Any]) -> None:
        waiting = await self._world.until(run, "requires_action")
        await self._world.until_idle()
        outputs = self._world.outputs(waiting, "an output")
        await self._ended(await self._engine.submit_tool_outputs_to_run(run["thread_id"], run["id"], outputs))

    async def _ended(self, run: Any) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(run)
        self.thread_id = decoded["thread_id"]
        await self._world.until(decoded, "completed", "requires_action", "incomplete")
        async with asyncio.timeout(10):
            await self._engine._worker._idle.wait()
        return decoded


LAST = NewTruncationStrategy
both_ways = pytest.mark.parametrize("with_thread", [True, False], ids=["thread-and-run", "run"])


@both_ways
async def test_a_run_sees_the_whole_thread_in_order(world: World, with_thread: bool) -> None:
    model = Listening()
    talk = Talk(world, model, with_thread=with_thread)
    await talk.begin("one", "two", "three")
    assert model.texts() == ["one", "two", "three"]
    await talk.go_on("four", "five")
    assert model.texts() == ["one", "two", "three", "answer 1", "four", "five"]


@both_ways
async def test_a_run_may_want_the_newest_messages_only(world: World, with_thread: bool) -> None:
    model = Listening()
    talk = Talk(world, model, with_thread=with_thread)
    strategy = LAST(type="last_messages", last_messages=2)
    await talk.begin("one", "two", "three", truncation_strategy=strategy)
    assert model.texts() == ["two", "three"]
    await talk.go_on("four", truncation_strategy=strategy)
    assert model.texts() == ["answer 1", "four"]
    await talk.go_on(truncation_strategy=LAST(type="last_messages", last_messages=100))
    assert len(model.texts()) == 6


@both_ways
async def test_what_does_not_fit_goes_out_of_the_middle(world: World, with_thread: bool) -> None:
    size = 1 + TURN_TOKENS
    reserved = 2
    model = Listening(context_tokens=len("x") + 4 * size + reserved)
    talk = Talk(world, model, with_thread=with_thread)
    await talk.begin(*"abcdefgh", max_completion_tokens=reserved)
    assert model.texts() == ["a", "f", "g", "h"]


@both_ways
async def test_calls_and_their_outputs_come_behind_the_messages_that_are_wanted(
    world: World, with_thread: bool
) -> None:
    model = Listening()
    talk = Talk(world, model, with_thread=with_thread, has_function=True)
    run = await talk.begin("one", "two", truncation_strategy=LAST(type="last_messages", last_messages=1))
    await talk.answer_calls(run)
    assert model.texts() == ["two", "f", "an output"]


async def test_of_a_long_thread_only_as_much_is_read_as_could_fit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE", 3)
    monkeypatch.setattr(reading, "CHARACTERS_PER_TOKEN", 1)
    pages: list[int] = []
    page = world.store.page

    async def counted(kind: Any, **options: Any) -> Any:
        found = await page(kind, **options)
        if kind == "message":
            pages.append(len(found.ids))
        return found

    model = Listening(context_tokens=400)
    talk = Talk(world, model, with_thread=False)
    monkeypatch.setattr(world.store, "page", counted)
    size = len("message 00") + TURN_TOKENS
    await talk.begin(*(f"message {n:02}" for n in range(40)))
    kept = (400 - 400 // 4 - len("x")) // size
    assert model.texts() == ["message 00", *(f"message {n:02}" for n in range(41 - kept, 40))]
    assert pages == [3] * (400 // size // 3 + 1) + [1]  # the last is the first message


async def test_metadata_takes_no_room(world: World) -> None:
    """The model does not see it."""
    model = Listening(context_tokens=2000)
    talk = Talk(world, model, with_thread=False)
    await talk.begin("one")
    for n in range(150):
        body = CreateMessage(role="user", content=f"{n:03}", metadata={"note": "x" * 512})
        await talk.add(body)
    await talk.go_on()
    assert len(model.texts()) == 152
