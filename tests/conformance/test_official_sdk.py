"""The official ``openai`` package, unmodified, as the client: it is the judge of compatibility.

The same file is run with the newest SDK and, by `test_old_sdk.py`, with one of 2024.
"""

from __future__ import annotations

import asyncio
import os
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

COUNT = 250


@pytest.fixture(autouse=True)
def quiet_deprecations() -> Iterator[None]:
    """The newest SDK marks the Assistants methods as deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.fixture
def sdk(shared_url: str) -> Iterator[OpenAI]:
    """The SDK as a program has it: another base URL, everything else as it was."""
    with OpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A service with 250 assistants made at once, many in the same second, and their ids, oldest first."""
    from tests.conftest import running_service

    with running_service(tmp_path_factory.mktemp("crowd")) as service:

        async def create() -> None:
            async with AsyncOpenAI(base_url=service.base_url, api_key="sk-any") as client:
                make = client.beta.assistants.create
                await asyncio.gather(*(make(model="gpt-4o", name=str(number)) for number in range(COUNT)))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.run(create())
        yield service.base_url, stored_ids(service.database)


def stored_ids(database: Any) -> list[str]:
    """Return the ids in the order in which the service wrote them."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM assistants ORDER BY rowid")]


def test_the_sdk_is_the_one_that_is_meant() -> None:
    """Run for an older SDK, these tests must not quietly find the newest."""
    assert openai.__version__.startswith(os.environ.get("SDK_UNDER_TEST", ""))


# ------------------------------------------------------------------------------------------- one assistant


def test_an_assistant_lives_from_create_to_delete(sdk: OpenAI) -> None:
    made = sdk.beta.assistants.create(
        model="gpt-4o",
        name="Tutor",
        description="Explains.",
        instructions="You teach mathematics.",
        tools=[{"type": "code_interpreter"}],
        metadata={"team": "maths"},
        temperature=0.3,
        top_p=0.9,
    )
    assert re.fullmatch("asst_[A-Za-z0-9]{24}", made.id)
    assert (made.object, made.model, made.name) == ("assistant", "gpt-4o", "Tutor")
    assert (made.description, made.instructions) == ("Explains.", "You teach mathematics.")
    assert (made.temperature, made.top_p, made.metadata) == (0.3, 0.9, {"team": "maths"})
    assert [each.type for each in made.tools] == ["code_interpreter"]
    assert made.tool_resources is not None
    assert made.tool_resources.code_interpreter is not None
    assert made.tool_resources.code_interpreter.file_ids == []
    assert made.response_format == "auto"

    assert sdk.beta.assistants.retrieve(made.id) == made

    changed = sdk.beta.assistants.update(made.id, name="Teacher", metadata={}, tools=[])
    assert (changed.id, changed.created_at) == (made.id, made.created_at)
    assert (changed.name, changed.metadata, changed.tools) == ("Teacher", {}, [])
    assert changed.instructions == "You teach mathematics."
    assert sdk.beta.assistants.retrieve(made.id) == changed

    gone = sdk.beta.assistants.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "assistant.deleted", True)
    with pytest.raises(openai.NotFoundError):
        sdk.beta.assistants.retrieve(made.id)


def test_answers_have_no_field_that_the_sdk_does_not_know_and_lack_none(sdk: OpenAI) -> None:
    made = sdk.beta.assistants.create(model="gpt-4o", tools=[{"type": "file_search"}])
    known = set(type(made).model_fields)
    assert set(made.model_dump(exclude_unset=True)) - known <= {"reasoning_effort"}
    assert known - set(made.model_dump(exclude_unset=True)) <= {"_request_id"}
    assert type(made).model_validate(made.model_dump()) == made


def test_every_kind_of_tool_comes_back_as_the_sdk_types_it(sdk: OpenAI) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    made = sdk.beta.assistants.create(
        model="gpt-4o",
        tools=[
            {"type": "code_interpreter"},
            {"type": "file_search", "file_search": {"max_num_results": 3}},
            {"type": "function", "function": {"name": "weather", "parameters": parameters, "strict": True}},
        ],
    )
    interpreter, search, function = made.tools
    assert (interpreter.type, search.type, function.type) == ("code_interpreter", "file_search", "function")
    assert search.file_search.max_num_results == 3  # type: ignore[union-attr]
    assert search.file_search.ranking_options.score_threshold == 0.0  # type: ignore[union-attr]
    assert function.function.parameters == parameters  # type: ignore[union-attr]
    assert function.function.strict is True  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "response_format",
    [
        "auto",
        {"type": "text"},
        {"type": "json_object"},
        {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "description": "An answer.",
                "schema": {"type": "object", "properties": {"x": {"type": "number"}}, "additionalProperties": False},
                "strict": True,
            },
        },
    ],
    ids=["auto", "text", "json_object", "json_schema"],
)
def test_response_formats_come_back_as_they_were_given(sdk: OpenAI, response_format: Any) -> None:
    made = sdk.beta.assistants.create(model="gpt-4o", response_format=response_format)
    shown = made.response_format
    assert (shown if isinstance(shown, str) else shown.to_dict()) == response_format  # type: ignore[union-attr]
    assert sdk.beta.assistants.update(made.id, response_format={"type": "text"}).response_format.type == "text"  # type: ignore[union-attr]


def test_the_vector_stores_helper_makes_a_store(sdk: OpenAI) -> None:
    made = sdk.beta.assistants.create(
        model="gpt-4o",
        tools=[{"type": "file_search"}],
        tool_resources={
            "file_search": {
                "vector_stores": [
                    {
                        "chunking_strategy": {
                            "type": "static",
                            "static": {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 200},
                        },
                        "metadata": {"shelf": "1"},
                    }
                ]
            }
        },
    )
    assert made.tool_resources is not None
    assert made.tool_resources.file_search is not None
    (store,) = made.tool_resources.file_search.vector_store_ids or []
    assert re.fullmatch("vs_[0-9a-f]{32}", store)
    again = sdk.beta.assistants.create(model="gpt-4o", tool_resources={"file_search": {"vector_store_ids": [store]}})
    assert again.tool_resources == made.tool_resources


def test_explicit_nones_are_defaults(sdk: OpenAI) -> None:
    made = sdk.beta.assistants.create(
        model="gpt-4o", name=None, description=None, instructions=None, metadata=None, temperature=None, top_p=None,
        response_format=None, tool_resources=None,
    )  # fmt: skip
    assert (made.name, made.metadata, made.temperature, made.top_p) == (None, {}, 1.0, 1.0)
    assert made.response_format == "auto"


def test_unknown_things_in_extra_body_are_refused(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'instruction'") as caught:
        sdk.beta.assistants.create(model="gpt-4o", extra_body={"instruction": "…"})
    assert (caught.value.param, caught.value.code) == ("instruction", "unknown_parameter")


# --------------------------------------------------------------------------------------------------- errors


def test_an_unknown_assistant_is_not_found(sdk: OpenAI) -> None:
    asks: list[Callable[[], Any]] = [
        lambda: sdk.beta.assistants.retrieve("asst_nowhere"),
        lambda: sdk.beta.assistants.update("asst_nowhere", name="x"),
        lambda: sdk.beta.assistants.delete("asst_nowhere"),
        lambda: sdk.beta.assistants.list(after="asst_nowhere"),
    ]
    for ask in asks:
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        error = caught.value
        assert error.status_code == 404
        assert error.body == {
            "message": "No assistant found with id 'asst_nowhere'.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        assert re.fullmatch("req_[0-9a-f]{32}", error.request_id or "")


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
        ({"name": "n" * 257}, "name", "string_above_max_length"),
        ({"tools": [{"type": "retrieval"}]}, "tools[0].type", "invalid_value"),
        ({"metadata": {"team": 1}}, "metadata.team", "invalid_type"),
        ({"tools": [{"type": "code_interpreter"}] * 129}, "tools", "array_above_max_length"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
    ],
    ids=["range", "length", "enumeration", "type", "count", "missing"],
)
def test_a_bad_request_names_the_part_at_fault(sdk: OpenAI, options: Any, param: str, code: str) -> None:
    for ask in (sdk.beta.assistants.create, lambda **rest: sdk.beta.assistants.update("asst_nowhere", **rest)):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(model="gpt-4o", **options)
        assert (caught.value.param, caught.value.code) == (param, code)
        assert caught.value.type == "invalid_request_error"


def test_a_limit_out_of_range_is_a_bad_request(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Expected a value <= 100, but got 1000 instead") as caught:
        sdk.beta.assistants.list(limit=1000)
    assert (caught.value.param, caught.value.code) == ("limit", "integer_above_max_value")


def test_the_id_of_something_else_is_a_bad_request(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Expected an ID that begins with 'asst'") as caught:
        sdk.beta.assistants.retrieve("thread_1")
    assert (caught.value.param, caught.value.code) == ("assistant_id", "invalid_value")


def test_a_wrong_key_is_an_authentication_error(start_service: Callable[..., Any]) -> None:
    service = start_service(api_keys=["sk-the-right-key-0123456789"])
    with OpenAI(base_url=service.base_url, api_key="sk-the-wrong-key-0123456789", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided: sk-the-w") as caught:
            client.beta.assistants.list()
        assert (caught.value.status_code, caught.value.code) == (401, "invalid_api_key")
        assert "wrong-key-01234" not in str(caught.value)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    with OpenAI(base_url=service.base_url, api_key="sk-the-right-key-0123456789") as client:
        assert client.beta.assistants.list().data == []


# ---------------------------------------------------------------------------------------------------- lists


def test_two_hundred_and_fifty_made_at_once_stand_within_a_few_seconds(crowd: tuple[str, list[str]]) -> None:
    base_url, made = crowd
    with OpenAI(base_url=base_url, api_key="sk-any") as client:
        seconds = [each.created_at for each in client.beta.assistants.list(limit=100, order="asc")]
    assert len(seconds) == len(made) == COUNT
    assert seconds == sorted(seconds)
    assert len(set(seconds)) < COUNT / 10, "most of them share their second with others"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [100, 20, 7])
def test_paging_gives_every_assistant_once_in_the_order_of_creation(
    crowd: tuple[str, list[str]], order: Any, limit: int
) -> None:
    base_url, made = crowd
    expected = made if order == "asc" else made[::-1]
    with OpenAI(base_url=base_url, api_key="sk-any") as client:
        assert [each.id for each in client.beta.assistants.list(limit=limit, order=order)] == expected


def test_a_list_is_newest_first_and_twenty_long(crowd: tuple[str, list[str]]) -> None:
    base_url, made = crowd
    with OpenAI(base_url=base_url, api_key="sk-any") as client:
        page = client.beta.assistants.list()
        assert [each.id for each in page.data] == made[::-1][:20]
        assert page.has_next_page()
        assert [each.id for each in page.get_next_page().data] == made[::-1][20:40]
        last = client.beta.assistants.list(after=made[3], limit=3)
        assert ([each.id for each in last.data], last.has_more) == (made[2::-1], False)
        before = client.beta.assistants.list(before=made[-4], limit=100)
        assert [each.id for each in before.data] == made[:-4:-1]


async def test_the_async_sdk_pages_alike(crowd: tuple[str, list[str]]) -> None:
    base_url, made = crowd
    async with AsyncOpenAI(base_url=base_url, api_key="sk-any") as client:
        assert [each.id async for each in client.beta.assistants.list(limit=60, order="asc")] == made


def test_deleting_while_paging_skips_and_repeats_nothing(service_url: str) -> None:
    with OpenAI(base_url=service_url, api_key="sk-any") as client:
        with ThreadPoolExecutor(8) as pool:
            made = {each.id for each in pool.map(lambda _: client.beta.assistants.create(model="gpt-4o"), range(50))}
        met = []
        for each in client.beta.assistants.list(limit=7):
            client.beta.assistants.delete(each.id)
            met.append(each.id)
        assert len(met) == 50
        assert set(met) == made
        assert client.beta.assistants.list().data == []


# --------------------------------------------------------------------------------------------- everything else


async def test_the_async_sdk_does_all_of_it(shared_url: str) -> None:
    async with AsyncOpenAI(base_url=shared_url, api_key="sk-any") as client:
        made = await client.beta.assistants.create(model="gpt-4o", name="Tutor")
        assert await client.beta.assistants.retrieve(made.id) == made
        changed = await client.beta.assistants.update(made.id, temperature=0.1)
        assert changed.temperature == 0.1
        assert (await client.beta.assistants.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.beta.assistants.retrieve(made.id)
        assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"


def test_models_are_listed_retrieved_and_not_deleted(sdk: OpenAI) -> None:
    models = list(sdk.models.list())
    assert {"gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "gpt-3.5-turbo"} <= {each.id for each in models}
    assert {each.object for each in models} == {"model"}
    found = sdk.models.retrieve("gpt-4o-mini")
    assert found in models
    assert found.owned_by == "system"
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.models.retrieve("fake_id")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
    with pytest.raises(openai.PermissionDeniedError):
        sdk.models.delete("gpt-4o")


def test_raw_and_streamed_responses_show_the_headers(sdk: OpenAI) -> None:
    raw = sdk.beta.assistants.with_raw_response.create(model="gpt-4o")
    assert raw.status_code == 200
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["openai-processing-ms"].isdigit()
    made = raw.parse()
    assert made._request_id == raw.headers["x-request-id"]
    with sdk.beta.assistants.with_streaming_response.retrieve(made.id) as response:
        assert response.parse() == made


def test_organization_and_project_are_echoed(shared_url: str) -> None:
    with OpenAI(base_url=shared_url, api_key="sk-any", organization="org-1", project="proj_1") as client:
        headers = client.beta.assistants.with_raw_response.list(limit=1).headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj_1")


def test_own_headers_queries_and_timeouts_do_no_harm(sdk: OpenAI) -> None:
    made = sdk.beta.assistants.create(model="gpt-4o", extra_headers={"X-Team": "maths"}, timeout=20)
    assert sdk.beta.assistants.retrieve(made.id, timeout=20).id == made.id
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'api-version'"):
        sdk.beta.assistants.list(extra_query={"api-version": "2024-05-01"})
