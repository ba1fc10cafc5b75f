"""The table of operations, and the document that is made from it."""

from __future__ import annotations

import json
import re

import pytest

from holdover.wire.ids import PREFIXES
from holdover.wire.openapi import openapi_document
from holdover.wire.operations import BY_NAME, OPERATIONS, Operation

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)


def test_the_operations_on_assistants_are_the_published_ones() -> None:
    assert {each.operation_id: (each.method, each.path) for each in OPERATIONS if each.group == "assistants"} == {
        "createAssistant": ("POST", "/assistants"),
        "getAssistant": ("GET", "/assistants/{assistant_id}"),
        "listAssistants": ("GET", "/assistants"),
        "modifyAssistant": ("POST", "/assistants/{assistant_id}"),
        "deleteAssistant": ("DELETE", "/assistants/{assistant_id}"),
    }


def test_the_operations_on_messages_are_the_published_ones() -> None:
    assert {each.operation_id: (each.method, each.path) for each in OPERATIONS if each.group == "messages"} == {
        "createMessage": ("POST", "/threads/{thread_id}/messages"),
        "getMessage": ("GET", "/threads/{thread_id}/messages/{message_id}"),
        "listMessages": ("GET", "/threads/{thread_id}/messages"),
        "modifyMessage": ("POST", "/threads/{thread_id}/messages/{message_id}"),
        "deleteMessage": ("DELETE", "/threads/{thread_id}/messages/{message_id}"),
    }


def test_what_the_published_reference_does_not_have_is_marked() -> None:
    assert [each.name for each in OPERATIONS if each.is_extension] == ["list_threads", "stream_run"]


def test_names_commands_and_calls_are_unique() -> None:
    assert len(BY_NAME) == len(OPERATIONS)
    assert len({(each.group, each.command) for each in OPERATIONS}) == len(OPERATIONS)
    assert len({(each.method, re.sub("{.*?}", "{}", each.path)) for each in OPERATIONS}) == len(OPERATIONS)


@each_operation
def test_an_operation_is_complete(operation: Operation) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation.name)
    assert operation.method in ("GET", "POST", "DELETE")
    assert operation.path.startswith("/")
    assert not operation.path.endswith("/")
    assert operation.summary.endswith(".")
    assert operation.body is None or operation.method == "POST"
    assert operation.query is None or operation.method == "GET" or operation.streams
    if operation.kind is not None:
        assert operation.kind in PREFIXES
        assert all(name.removesuffix("_id") in PREFIXES for name in operation.arguments)


def test_what_makes_an_object_can_be_repeated_safely() -> None:
    assert [each.name for each in OPERATIONS if each.creates] == [
        "create_assistant",
        "create_thread",
        "create_message",
        "create_run",
        "create_thread_and_run",
        "submit_tool_outputs_to_run",
        "create_file",
        "create_upload",
        "add_upload_part",
        "complete_upload",
        "create_vector_store",
        "create_vector_store_file",
        "create_vector_store_file_batch",
    ]


@each_operation
def test_the_document_has_every_operation(operation: Operation) -> None:
    spec = openapi_document("0")["paths"][operation.path][operation.method.lower()]
    assert spec["operationId"] == operation.operation_id
    assert [each["name"] for each in spec["parameters"] if each["in"] == "path"] == list(operation.arguments)
    assert ("requestBody" in spec) == (operation.body is not None)


def test_the_document_has_nothing_else() -> None:
    paths = openapi_document("0")["paths"]
    assert sum(len(methods) for methods in paths.values()) == len(OPERATIONS)


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = openapi_document("0")
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]


def test_the_document_says_how_each_id_begins() -> None:
    document = openapi_document("0")
    listing = document["paths"]["/threads/{thread_id}/messages"]["get"]["parameters"]
    assert {each["name"]: each["schema"]["pattern"] for each in listing if "pattern" in each["schema"]} == {
        "thread_id": "^thread",
        "run_id": "^run",
        "after": "^msg",
        "before": "^msg",
    }
    showing = document["paths"]["/threads/{thread_id}/messages/{message_id}"]["get"]["parameters"]
    assert [each["schema"]["pattern"] for each in showing] == ["^thread", "^msg"]
    for name in ("Attachment", "ImageFile"):
        assert document["components"]["schemas"][name]["properties"]["file_id"]["pattern"] == "^file"


def test_the_document_says_that_unknown_keys_of_requests_are_refused_and_of_answers_are_not() -> None:
    schemas = openapi_document("0")["components"]["schemas"]
    assert schemas["CreateAssistant"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Assistant"]
