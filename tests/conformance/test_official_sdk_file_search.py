"""Assistants that answer from files, as the official SDK asks for them, with real embeddings and real documents.

The model does what the user's message tells it to (`holdover.models.scripted`). As `test_official_sdk.py`, this is run
with the newest SDK and, by `test_old_sdk.py`, with one of 2024, which does not know searches of stores.
"""

from __future__ import annotations

import io
import json
import time
import warnings
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.tools import documents

from holdover.service import running
from holdover.store.sqlite import SQLiteStore

DAY_S = 86_400
FAST = {"poll_interval_ms": 10}
CONTENT: Any = ["step_details.tool_calls[*].file_search.results[*].content"]

FOODS = {"Anna": "olives", "Bruno": "noodles", "Clara": "cake", "Dario": "figs", "Emma": "soup", "Felix": "plums"}
SAID = {name: f"The favourite food of {name} is {food}." for name, food in FOODS.items()}


def files() -> dict[str, bytes]:
    """Twenty files of as many kinds as fit: six of people and what they like, the others of their villages."""
    anna, bruno, clara, dario, emma, felix = SAID.values()
    people = {
        "anna.docx": documents.docx(anna),
        "bruno.pptx": documents.pptx(bruno, "Speak up."),
        "clara.pdf": documents.pdf(clara),
        "dario.xlsx": documents.xlsx(["name", "note"], ["Dario", dario]),
        "emma.html": f"<html><body><h1>Emma</h1><p>{emma}</p></body></html>".encode(),
        "felix.json": json.dumps({"note": felix}).encode(),
    }
    endings = ("md", "txt", "csv", "py", "js", "ts", "css", "c", "cpp", "java", "rb", "go", "sh", "tex")
    villages = {
        f"village.{ending}": f"Village {number} has {number * 7} houses by a lake.\n".encode()
        for number, ending in enumerate(endings)
    }
    return people | villages


@pytest.fixture(autouse=True)
def quiet_deprecations() -> Iterator[None]:
    """The newest SDK marks the Assistants methods as deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.fixture
def sdk(shared_url: str) -> Iterator[OpenAI]:
    pytest.importorskip("onnxruntime", reason='files cannot be searched without pip install "holdover[search]"')
    with OpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as client:
        yield client


def stores(sdk: Any) -> Any:
    """The vector stores of this SDK, wherever it keeps them."""
    return sdk.vector_stores if hasattr(sdk, "vector_stores") else sdk.beta.vector_stores


def named(name: str, content: bytes) -> Any:
    return name, io.BytesIO(content)


def new_store(sdk: Any, contents: dict[str, bytes], **options: Any) -> str:
    store = stores(sdk).create(**options)
    batch = stores(sdk).file_batches.upload_and_poll(
        store.id, files=[named(*each) for each in contents.items()], poll_interval_ms=20
    )
    counts = batch.file_counts
    assert (batch.status, counts.completed, counts.total) == ("completed", len(contents), len(contents))
    return str(store.id)


def new_assistant(sdk: Any, *store_ids: str, **options: Any) -> Any:
    tool = {"type": "file_search", **({"file_search": options} if options else {})}
    resources = {"file_search": {"vector_store_ids": list(store_ids)}} if store_ids else None
    return sdk.beta.assistants.create(model="gpt-4o", tools=[tool], tool_resources=resources)


def told(query: str, answer: str) -> str:
    """What makes the scripted model search, and then answer."""
    return f"!call file_search {json.dumps({'query': query})}\n!then\n!say {answer}"


def ask(sdk: Any, assistant: Any, text: str, **options: Any) -> Any:
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": text}])
    return sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, **FAST, **options)


def answered(sdk: Any, run: Any) -> Any:
    """The text of the message that a run ended with."""
    assert run.status == "completed", run.last_error
    (part,) = sdk.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0].content
    return part.text


def searched(sdk: Any, run: Any, **options: Any) -> Any:
    """What a run's one search shows."""
    steps = sdk.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc", **options).data
    assert [step.type for step in steps] == ["tool_calls", "message_creation"]
    (call,) = steps[0].step_details.tool_calls
    assert (call.type, call.id[:5]) == ("file_search", "call_")
    return call.file_search


def check_citations(text: Any, file_ids: list[str]) -> None:
    """Each citation names its file, and stands where it says, in characters."""
    assert [each.file_citation.file_id for each in text.annotations] == file_ids
    for each in text.annotations:
        assert each.type == "file_citation"
        assert text.value[each.start_index : each.end_index] == each.text


@pytest.fixture(scope="module")
def library(shared_url: str) -> Any:
    """A store of twenty files, and the ids of these by their names."""
    pytest.importorskip("onnxruntime", reason='files cannot be searched without pip install "holdover[search]"')
    with OpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as sdk, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        store_id = new_store(sdk, files())
        ids = [each.id for each in stores(sdk).files.list(store_id, limit=100)]
        return store_id, {sdk.files.retrieve(each).filename: each for each in ids}


# ------------------------------------------------------------------------------------------------- polling


@pytest.mark.parametrize(
    ("person", "file"),
    list(zip(FOODS, ["anna.docx", "bruno.pptx", "clara.pdf", "dario.xlsx", "emma.html", "felix.json"], strict=True)),
)
def test_every_kind_of_document_is_answered_from_and_cited(sdk: Any, library: Any, person: str, file: str) -> None:
    store_id, ids = library
    assert len(ids) == 20
    assistant = new_assistant(sdk, store_id)
    run = ask(sdk, assistant, told(f"What does {person} like to eat?", "🍽️ Well: 【4:0†source】."), include=CONTENT)
    text = answered(sdk, run)
    assert text.value == f"🍽️ Well: 【4:0†{file}】."
    check_citations(text, [ids[file]])
    best = searched(sdk, run, include=CONTENT).results[0]
    assert (best.file_id, best.file_name) == (ids[file], file)
    assert SAID[person] in best.content[0].text


def test_passages_are_shown_only_to_those_who_ask(sdk: Any, library: Any) -> None:
    run = ask(sdk, new_assistant(sdk, library[0]), told("the food of Clara", "Cake【4:0†x】."))
    bare, full = searched(sdk, run), searched(sdk, run, include=CONTENT)
    assert all(each.content is None for each in bare.results)
    assert all(each.content[0].type == "text" and each.content[0].text for each in full.results)
    assert [each.score for each in bare.results] == [each.score for each in full.results]
    assert [each.score for each in full.results] == sorted((each.score for each in full.results), reverse=True)
    assert all(0 <= each.score <= 1 for each in full.results)
    step = sdk.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data[-1]
    for included, expected in ((openai.NOT_GIVEN, bare), (CONTENT, full)):
        alone = sdk.beta.threads.runs.steps.retrieve(step.id, thread_id=run.thread_id, run_id=run.id, include=included)
        assert alone.step_details.tool_calls[0].file_search == expected


def test_only_markers_that_were_shown_become_citations(sdk: Any, library: Any) -> None:
    store_id, ids = library
    query = told("the food of Anna", "A 【4:0†a】 b 【4:999†b】 c 【9:0†c】 d【4:0】【4:0†d】 x[4:0]")
    text = answered(sdk, ask(sdk, new_assistant(sdk, store_id), query))
    marker = "【4:0†anna.docx】"
    assert text.value == f"A {marker} b 【4:999†b】 c 【9:0†c】 d{marker}{marker} x[4:0]"
    check_citations(text, [ids["anna.docx"]] * 3)


def test_two_searches_of_a_run_are_cited_by_their_numbers(sdk: Any, library: Any) -> None:
    store_id, ids = library
    first, second = (f"!call file_search {json.dumps({'query': f'the food of {name}'})}" for name in ("Emma", "Felix"))
    run = ask(sdk, new_assistant(sdk, store_id), f"{first}\n!then\n{second}\n!then\n!say Soup【4:0†x】, plums【5:0†x】")
    text = answered(sdk, run)
    assert text.value == "Soup【4:0†emma.html】, plums【5:0†felix.json】"
    check_citations(text, [ids["emma.html"], ids["felix.json"]])


def test_how_much_is_found_is_as_the_tool_says(sdk: Any, library: Any) -> None:
    store_id = library[0]
    default = searched(sdk, ask(sdk, new_assistant(sdk, store_id), told("the food of Bruno", "x")))
    assert len(default.results) == 20
    assert (default.ranking_options.ranker, default.ranking_options.score_threshold) == ("default_2024_08_21", 0.0)
    few = searched(sdk, ask(sdk, new_assistant(sdk, store_id, max_num_results=2), told("the food of Bruno", "x")))
    assert few.results == default.results[:2]
    threshold = (default.results[0].score + default.results[1].score) / 2
    ranked = new_assistant(sdk, store_id, ranking_options={"score_threshold": threshold})
    best = searched(sdk, ask(sdk, ranked, told("the food of Bruno", "x")))
    assert best.results == default.results[:1]
    assert best.ranking_options.score_threshold == threshold
    none = searched(
        sdk,
        ask(sdk, new_assistant(sdk, store_id, ranking_options={"score_threshold": 1.0}), told("xyzzy", "No【4:0†x】.")),
    )
    assert none.results == []


def test_nothing_is_cited_where_there_is_nothing_to_search(sdk: Any) -> None:
    run = ask(sdk, new_assistant(sdk), told("anything", "No【4:0†x】."))
    assert searched(sdk, run).results == []
    text = answered(sdk, run)
    assert (text.value, text.annotations) == ("No【4:0†x】.", [])


# ------------------------------------------------------------------------------------------------ streaming


class Heard(openai.AssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.text = ""
        self.annotations: list[Any] = []
        self.calls: list[Any] = []

    def on_event(self, event: Any) -> None:
        self.events.append(event.event)

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value or ""
        for each in delta.annotations or []:
            assert self.text[each.start_index : each.end_index] == each.text
            self.annotations.append(each)

    def on_tool_call_done(self, tool_call: Any) -> None:
        self.calls.append(tool_call)


@pytest.mark.parametrize("shown", [True, False])
def test_a_stream_tells_of_the_search_and_of_every_citation(sdk: Any, library: Any, shown: bool) -> None:
    store_id, ids = library
    thread = sdk.beta.threads.create(
        messages=[{"role": "user", "content": told("the food of Dario", "é 【4:0†x】 and 【4:0†y】!")}]
    )
    heard = Heard()
    with sdk.beta.threads.runs.stream(
        thread_id=thread.id,
        assistant_id=new_assistant(sdk, store_id, max_num_results=3).id,
        event_handler=heard,
        # Not as ``include``: of a stream the SDK of 2024 writes that into the body, where nobody knows it.
        extra_query={"include": CONTENT} if shown else None,
    ) as stream:
        stream.until_done()
    (message,) = heard.get_final_messages()
    (part,) = message.content
    assert heard.text == part.text.value == "é 【4:0†dario.xlsx】 and 【4:0†dario.xlsx】!"
    check_citations(part.text, [ids["dario.xlsx"]] * 2)
    assert [(each.index, each.text, each.start_index, each.end_index) for each in heard.annotations] == [
        (number, each.text, each.start_index, each.end_index) for number, each in enumerate(part.text.annotations)
    ]
    assert [event for event in heard.events if event.startswith("thread.run.step")] == [
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.delta",
        "thread.run.step.completed",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.completed",
    ]
    assert heard.events[-1] == "thread.run.completed"
    step = heard.get_final_run_steps()[0]
    (call,) = step.step_details.tool_calls
    assert call.file_search.results[0].file_name == "dario.xlsx"
    assert [each.content is not None for each in call.file_search.results] == [shown] * 3
    # The SDK tells of a finished call when its step is over, and once more at the end.
    assert heard.calls
    assert all(each.to_dict()["file_search"] == call.file_search.to_dict() for each in heard.calls)
    stored = sdk.beta.threads.messages.retrieve(message.id, thread_id=thread.id)
    assert stored.content == message.content


async def test_the_async_client_streams_the_same(shared_url: str, library: Any) -> None:
    async with AsyncOpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as sdk:
        assistant: Any = await sdk.beta.assistants.create(
            model="gpt-4o",
            tools=[{"type": "file_search"}],
            tool_resources={"file_search": {"vector_store_ids": [library[0]]}},
        )
        thread: Any = {"messages": [{"role": "user", "content": told("the food of Clara", "Cake【4:0†x】")}]}
        async with sdk.beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=thread) as stream:
            (message,) = await stream.get_final_messages()
        part: Any = message.content[0]
        assert part.text.value == "Cake【4:0†clara.pdf】"
        check_citations(part.text, [library[1]["clara.pdf"]])


# ----------------------------------------------------------------------------------------- where files are


def test_a_file_attached_to_a_message_is_answered_from(sdk: Any) -> None:
    """Also while it is indexed still: a run waits for it."""
    file = sdk.files.create(file=named("note.md", b"# Harbour\n\nThe ferry leaves at noon."), purpose="assistants")
    attached = [{"file_id": file.id, "tools": [{"type": "file_search"}]}]
    message = {
        "role": "user",
        "content": told("When does the ferry leave?", "At noon【4:0†x】."),
        "attachments": attached,
    }
    thread = sdk.beta.threads.create(messages=[message])
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=new_assistant(sdk).id, **FAST)
    text = answered(sdk, run)
    assert text.value == "At noon【4:0†note.md】."
    check_citations(text, [file.id])
    assert "The ferry leaves at noon." in searched(sdk, run, include=CONTENT).results[0].content[0].text


def test_the_stores_of_assistant_and_thread_are_searched_together(sdk: Any) -> None:
    of_assistant = new_store(sdk, {"a.txt": b"The lighthouse is red."})
    of_thread = new_store(sdk, {"b.txt": b"The lighthouse is tall."})
    thread = sdk.beta.threads.create(
        messages=[{"role": "user", "content": told("the lighthouse", "x")}],
        tool_resources={"file_search": {"vector_store_ids": [of_thread]}},
    )
    run = sdk.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=new_assistant(sdk, of_assistant).id, **FAST
    )
    assert {each.file_name for each in searched(sdk, run).results} == {"a.txt", "b.txt"}


def test_a_citation_outlives_its_file(sdk: Any) -> None:
    store_id = new_store(sdk, {"a.txt": b"The bell rings at nine."})
    run = ask(sdk, new_assistant(sdk, store_id), told("When does the bell ring?", "At nine【4:0†x】."))
    text = answered(sdk, run)
    sdk.files.delete(text.annotations[0].file_citation.file_id)
    assert answered(sdk, run) == text
    assert searched(sdk, ask(sdk, new_assistant(sdk, store_id), told("the bell", "x"))).results == []


def test_a_store_that_expired_is_searched_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that the test moves: each use gives a store its days anew, and then it ends."""
    pytest.importorskip("onnxruntime", reason='files cannot be searched without pip install "holdover[search]"')
    ahead_s = 0.0
    opened = SQLiteStore.open
    monkeypatch.setattr(SQLiteStore, "open", lambda path: opened(path, clock=lambda: time.time() + ahead_s))
    with running(aliases={"*": "scripted"}) as url, OpenAI(base_url=url, api_key="sk-any", max_retries=0) as sdk:
        after = {"anchor": "last_active_at", "days": 2}
        store_id = new_store(sdk, {"a.txt": b"The bridge is closed."}, expires_after=after)
        assistant = new_assistant(sdk, store_id)
        for _ in range(3):
            ahead_s += 1.5 * DAY_S
            assert answered(sdk, ask(sdk, assistant, told("the bridge", "It is closed【4:0†x】."))).annotations
        store = stores(sdk).retrieve(store_id)
        assert (store.status, store.expires_at - store.last_active_at) == ("completed", 2 * DAY_S)
        ahead_s += 2.1 * DAY_S
        assert stores(sdk).retrieve(store_id).status == "expired"
        run = ask(sdk, assistant, told("the bridge", "x"))
        assert run.status == "failed"
        assert (run.last_error.code, store_id in run.last_error.message) == ("server_error", True)
        if hasattr(sdk, "vector_stores"):
            with pytest.raises(openai.BadRequestError, match="has expired"):
                sdk.vector_stores.search(store_id, query="bridge")
        # Who pays attention gives the assistant another store, and goes on.
        sdk.beta.assistants.update(
            assistant.id,
            tool_resources={"file_search": {"vector_store_ids": [new_store(sdk, {"b.txt": b"The bridge is open."})]}},
        )
        assert answered(sdk, ask(sdk, assistant, told("the bridge", "Open【4:0†x】."))).annotations


# --------------------------------------------------------------------------------------------- searching


def test_searches_of_a_store_are_filtered_before_they_are_ranked(sdk: Any) -> None:
    if not hasattr(sdk, "vector_stores"):
        return
    store = sdk.vector_stores.create()
    for year in range(2020, 2026):
        file = sdk.files.create(file=named(f"{year}.md", b"The harvest was good."), purpose="assistants")
        sdk.vector_stores.files.create_and_poll(
            file.id, vector_store_id=store.id, attributes={"year": year, "even": year % 2 == 0}, **FAST
        )

    def found(**options: Any) -> list[str]:
        return sorted(each.filename for each in sdk.vector_stores.search(store.id, query="harvest", **options))

    late: Any = {"type": "gt", "key": "year", "value": 2023}
    even: Any = {"type": "eq", "key": "even", "value": True}
    assert found(filters=late, max_num_results=2) == ["2024.md", "2025.md"]
    assert found(filters={"type": "and", "filters": [late, even]}) == ["2024.md"]
    assert found(filters={"type": "or", "filters": [late, even]}) == ["2020.md", "2022.md", "2024.md", "2025.md"]
    assert found(filters={"type": "nin", "key": "year", "value": [2020, 2021, 2022]}) == [
        "2023.md",
        "2024.md",
        "2025.md",
    ]
    assert found(ranking_options={"score_threshold": 1.0}) == []
    (first,) = sdk.vector_stores.search(store.id, query=["harvest", "good"], max_num_results=1, filters=even)
    assert first.attributes["even"] is True
