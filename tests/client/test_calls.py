"""The functions against a real service: one in a process of its own, and one in this process."""

from __future__ import annotations

import re
from typing import Any

import pytest

import holdover
from holdover.wire.models import KNOWN_MODELS

WEATHER = {
    "name": "get_weather",
    "description": "Gets the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}

#: Every option of the seed's create_assistant, and what comes back for it where that is more than what was said.
OPTIONS: list[tuple[str, Any, Any]] = [
    ("description", "Explains.", None),
    ("instructions", "You teach mathematics.", None),
    ("metadata", {"team": "maths"}, None),
    ("name", "Tutor", None),
    ("response_format", "auto", None),
    ("response_format", {"type": "text"}, None),
    ("response_format", {"type": "json_object"}, None),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}, None),
    ("temperature", 0.2, None),
    ("tool_resources", {"code_interpreter": {"file_ids": []}}, {}),
    ("tool_resources", {"file_search": {"vector_store_ids": []}}, {}),
    ("tools", [{"type": "code_interpreter"}], None),
    ("tools", [{"type": "function", "function": WEATHER}], None),
    ("top_p", 0.5, None),
    ("reasoning_effort", "low", None),
]
NAMES = [f"{name}-{number}" for number, (name, _, _) in enumerate(OPTIONS)]


def test_an_assistant_lives_from_create_to_delete(client: Any) -> None:
    made = client.create_assistant("gpt-4o", name="Tutor", tools=[{"type": "code_interpreter"}])
    assert isinstance(made, holdover.Assistant)
    assert re.fullmatch("asst_[A-Za-z0-9]{24}", made.id)
    assert client.get_assistant(made.id) == made
    changed = client.modify_assistant(made.id, temperature=0.2, metadata={"team": "maths"})
    assert (changed.id, changed.created_at, changed.name) == (made.id, made.created_at, "Tutor")
    assert (changed.temperature, changed.metadata) == (0.2, {"team": "maths"})
    assert client.get_assistant(made.id) == changed
    assert changed in client.list_assistants(limit=100).data
    gone = client.delete_assistant(made.id)
    assert gone == holdover.AssistantDeleted(id=made.id)
    with pytest.raises(holdover.NotFoundError, match=f"^No assistant found with id '{made.id}'.$"):
        client.get_assistant(made.id)


@pytest.mark.parametrize(("option", "value", "echo"), OPTIONS, ids=NAMES)
def test_create_takes_every_option_of_the_seed_by_its_name(client: Any, option: str, value: Any, echo: Any) -> None:
    made = client.create_assistant("gpt-4o", **{option: value})
    assert made.to_dict()[option] == (value if echo is None else echo)


@pytest.mark.parametrize(("option", "value", "echo"), [*OPTIONS, ("model", "gpt-4.1", None)], ids=[*NAMES, "model"])
def test_modify_takes_every_option_of_the_seed_by_its_name(client: Any, option: str, value: Any, echo: Any) -> None:
    made = client.create_assistant("gpt-4o")
    changed = client.modify_assistant(made.id, **{option: value})
    assert changed.to_dict() == {**made.to_dict(), option: value if echo is None else echo, **_implied(option, value)}


def _implied(option: str, value: Any) -> dict[str, Any]:
    if option == "tools" and {"type": "code_interpreter"} in value:
        return {"tool_resources": {"code_interpreter": {"file_ids": []}}}
    return {}


def test_a_file_search_tool_comes_back_with_its_defaults(client: Any) -> None:
    made = client.create_assistant("gpt-4o", tools=[{"type": "file_search", "file_search": {"max_num_results": 2}}])
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}
    assert made.to_dict()["tools"] == [
        {"type": "file_search", "file_search": {"max_num_results": 2, "ranking_options": ranking}}
    ]


def test_the_vector_store_helper_makes_a_store_that_can_then_be_named(client: Any) -> None:
    helper = {"vector_stores": [{"chunking_strategy": {"type": "auto"}, "metadata": {"shelf": "1"}}]}
    made = client.create_assistant("gpt-4o", tools=[{"type": "file_search"}], tool_resources={"file_search": helper})
    (store,) = made.tool_resources.file_search.vector_store_ids
    other = client.create_assistant("gpt-4o", tool_resources={"file_search": {"vector_store_ids": [store]}})
    assert other.tool_resources.file_search.vector_store_ids == [store]
    emptied = client.modify_assistant(other.id, tool_resources={"file_search": {"vector_store_ids": []}})
    assert emptied.tool_resources.to_dict() == {}


def test_none_puts_a_field_back_to_its_default_and_unset_keeps_it(client: Any) -> None:
    made = client.create_assistant("gpt-4o", name="Tutor", temperature=0.2, metadata={"a": "b"})
    kept = client.modify_assistant(made.id, name=holdover.UNSET, temperature=holdover.UNSET)
    assert kept == made
    reset = client.modify_assistant(made.id, name=None, temperature=None, metadata=None)
    assert (reset.name, reset.temperature, reset.metadata) == (None, 1.0, {})


def test_records_of_an_answer_can_be_given_as_options(client: Any) -> None:
    made = client.create_assistant(
        "gpt-4o",
        tools=[{"type": "function", "function": WEATHER}, {"type": "file_search"}],
        response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        tool_resources={"file_search": {"vector_stores": [{}]}},
    )
    copy = client.create_assistant(
        made.model, tools=made.tools, response_format=made.response_format, tool_resources=made.tool_resources
    )
    assert (copy.tools, copy.response_format) == (made.tools, made.response_format)
    assert copy.tool_resources == made.tool_resources


def test_an_object_that_is_named_and_does_not_exist_is_not_found(client: Any) -> None:
    nowhere = "vs_00000000000000000000000000000000"
    with pytest.raises(holdover.NotFoundError, match=f"^No vector store found with id '{nowhere}'.$"):
        client.create_assistant("gpt-4o", tool_resources={"file_search": {"vector_store_ids": [nowhere]}})
    with pytest.raises(holdover.NotFoundError, match=r"^No such File object: file-nowhere$"):
        client.create_assistant("gpt-4o", tool_resources={"code_interpreter": {"file_ids": ["file-nowhere"]}})


def test_models_are_listed_and_looked_up(client: Any) -> None:
    listed = client.list_models()
    assert [each.id for each in listed.data] == list(KNOWN_MODELS)
    found = client.retrieve_model("gpt-4o-mini")
    assert found.to_dict() == {"id": "gpt-4o-mini", "object": "model", "created": 1721172741, "owned_by": "system"}
    with pytest.raises(holdover.NotFoundError, match=r"^The model 'gpt-99' does not exist$") as caught:
        client.retrieve_model("gpt-99")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_a_hosted_model_is_not_ours_to_delete(client: Any) -> None:
    with pytest.raises(holdover.PermissionDeniedError, match="gpt-4o"):
        client.delete_model("gpt-4o")
    with pytest.raises(holdover.NotFoundError):
        client.delete_model("gpt-99")


@pytest.mark.parametrize("name", ["a/b", "a b?c#d", "ä", "%41", "...", "../models"])
def test_whatever_a_model_is_called_only_it_is_asked_for(client: Any, name: str) -> None:
    with pytest.raises(holdover.NotFoundError, match=re.escape(f"The model '{name}' does not exist")):
        client.retrieve_model(name)


def test_any_request_can_be_made_as_it_is(client: Any) -> None:
    answer = client.request("post", "/assistants", body=b'{"model": "gpt-4o", "name": "Raw"}')
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert b'"name":"Raw"' in answer.body
    listed = client.request("GET", "assistants", query={"limit": 1, "order": "desc"})
    assert b'"name":"Raw"' in listed.body
    refused = client.request("GET", "/assistants?limit=1", query={"order": "upwards"})
    assert refused.status == 400
    assert b"'upwards'" in refused.body


def test_text_travels_as_it_is(client: Any) -> None:
    name = 'Tütör "日本語" \\ \u2028 🧮'
    made = client.create_assistant("gpt-4o", name=name, metadata={"ключ": "\x7f\n"})
    assert (made.name, made.metadata) == (name, {"ключ": "\x7f\n"})
    assert client.get_assistant(made.id) == made


def test_the_functions_are_the_default_clients(shared_url: str) -> None:
    holdover.configure(base_url=shared_url, timeout_s=30)
    made = holdover.create_assistant("gpt-4o", name="Tutor")
    assert holdover.get_assistant(made.id) == made
    assert holdover.modify_assistant(made.id, name="Teacher").name == "Teacher"
    assert made.id in [each.id for each in holdover.list_assistants(limit=100)]
    assert holdover.assistants.delete_assistant(made.id).deleted
    assert holdover.retrieve_model("gpt-4o").id == "gpt-4o"
    assert "gpt-4o" in [each.id for each in holdover.list_models().data]
    with pytest.raises(holdover.PermissionDeniedError):
        holdover.delete_model("gpt-4o")
