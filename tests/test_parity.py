"""The table of operations and all that is made of it say the same."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_overloads, get_type_hints

import click
import msgspec
import pytest

import holdover
from holdover import AsyncClient, AsyncRunStream, Client, RunStream
from holdover.client import calls, functions
from holdover.client.pages import AsyncPage, Page
from holdover.client.transports import Request, Response
from holdover.engine.objects import Engine
from holdover.server.router import PREFIX, MethodNotAllowed, Router
from holdover.wire.openapi import openapi_document
from holdover.wire.operations import BY_NAME, OPERATIONS, Operation
from holdover.wire.pages import ListPage

MANUAL = Path(__file__).parent.parent / "docs" / "reference" / "operations.md"

NAMES = {operation.name for operation in OPERATIONS}
GROUPS = dict.fromkeys(operation.group for operation in OPERATIONS)

#: What clients have besides operations.
OF_CLIENTS = {"close", "request"}
#: What is made of several operations, and is there as a function and as a method like these.
HELPERS = {"run_and_wait", "save_file", "upload_in_parts", "wait_for_file", "wait_for_run", "wait_for_vector_store"}
#: Commands that are no operations.
BESIDE = {("models", "pull")}

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
each_answered_operation = pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if not each.always_streams], ids=lambda operation: operation.name
)
each_streamed_operation = pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.streams and each.body], ids=lambda operation: operation.name
)


def public_methods(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")} - OF_CLIENTS


# -------------------------------------------------------------------------------------------------- the client


def test_clients_have_a_method_for_every_operation_and_no_other() -> None:
    assert public_methods(Client) == public_methods(AsyncClient) == NAMES | HELPERS


def test_the_package_has_a_function_for_every_operation_and_no_other() -> None:
    of_groups = {
        name: getattr(module, name)
        for group in GROUPS
        for module in [importlib.import_module(f"{functions.__name__}.{group}")]
        for name in module.__all__
    }
    assert of_groups.keys() == NAMES | HELPERS
    assert {name: getattr(holdover, name) for name in of_groups} == of_groups
    assert set(holdover.__all__) >= NAMES | HELPERS


def check_alike(function: Any, method: Any, async_method: Any) -> None:
    """Check that a function and the methods of both clients are called alike."""
    signatures = [inspect.signature(each) for each in (function, method, async_method)]
    shapes = [
        [(each.name, each.kind, each.annotation) for each in signature.parameters.values() if each.name != "self"]
        for signature in signatures
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    returned = [str(signature.return_annotation) for signature in signatures]
    assert returned[0] == returned[1] == returned[2].replace("Async", "")
    assert inspect.iscoroutinefunction(async_method)


def everywhere(name: str) -> tuple[Any, Any, Any]:
    return tuple(getattr(each, name) for each in (holdover, Client, AsyncClient))  # type: ignore[return-value]


@pytest.mark.parametrize("name", sorted(NAMES | HELPERS))
def test_an_operation_is_called_alike_everywhere(name: str) -> None:
    check_alike(*everywhere(name))


@each_operation
def test_what_an_operation_requires_is_positional(operation: Operation) -> None:
    parameters = inspect.signature(getattr(holdover, operation.name)).parameters.values()
    positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == [*operation.arguments, *required(operation)]
    named = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    # What says whether events or a run are returned is an argument that checkers see.
    assert named == ([] if not operation.streams else ["stream_to"] if operation.always_streams else ["stream"])


@each_streamed_operation
def test_a_checker_knows_that_an_operation_returns_a_run_or_with_stream_its_events(operation: Operation) -> None:
    overloads = [get_overloads(each) for each in everywhere(operation.name)]
    for alike in zip(*overloads, strict=True):
        assert len({str(inspect.signature(each)).replace("(self, ", "(").replace("Async", "") for each in alike}) == 1
    for found, events in zip(overloads, (RunStream, RunStream, AsyncRunStream), strict=True):
        said = [(get_type_hints(each)["stream"], get_type_hints(each)["return"]) for each in found]
        assert said == [(Literal[False] | None, operation.reply), (Literal[True], events)]


@pytest.mark.parametrize("name", sorted(HELPERS))
def test_a_helper_has_one_docstring(name: str) -> None:
    assert len({inspect.getdoc(each) for each in everywhere(name)} - {None}) == 1


@each_operation
def test_an_operations_function_and_methods_have_one_docstring_that_says_its_endpoint(operation: Operation) -> None:
    docs = {inspect.getdoc(getattr(each, operation.name)) for each in (holdover, Client, AsyncClient)}
    (doc,) = docs
    assert doc is not None
    assert f"Endpoint: ``{operation.method} {operation.path}``" in doc
    assert f"Source: {'an extension' if operation.is_extension else operation.operation_id}." in doc


def required(operation: Operation) -> list[str]:
    """Return the members of the body without which it is refused, the file of a form first."""
    if operation.body is None:
        return []
    file = [operation.file.name] if operation.file else []
    return file + [each.encode_name for each in msgspec.structs.fields(operation.body) if each.required]


def options_of(operation: Operation) -> set[str]:
    """Return the options that an operation takes according to the table."""
    records = [record for record in (operation.query, operation.body) if record]
    # Whether the answer is a stream says what is returned, so it is an argument that checkers see.
    own = {each.encode_name for record in records for each in msgspec.structs.fields(record)} - {"stream"}
    streamed = set(calls.OF_EVENTS) if operation.streams else {"stream_to"} if records else set()
    streamed -= {"stream_to"} if operation.always_streams else set()
    if operation.file is not None:
        streamed |= {"filename", "on_progress"}  # what the file is called, and who is told how far it has got
    return (own - set(required(operation))) | streamed | set(calls.CALL_OPTIONS)


@each_operation
def test_the_options_declared_for_checkers_are_the_fields_of_the_record_and_those_of_every_call(
    operation: Operation,
) -> None:
    declared = get_type_hints(getattr(Client, operation.name))["options"]
    (typed_dict,) = get_args(declared)
    assert set(get_type_hints(typed_dict)) == options_of(operation)
    assert not typed_dict.__required_keys__


@each_operation
def test_an_operation_refuses_any_other_option(operation: Operation) -> None:
    arguments = sample_arguments(operation)
    with pytest.raises(holdover.UnknownOptionError):
        getattr(Client(transport=Recorder(operation)), operation.name)(*arguments, nonsense=1)


SAMPLES: dict[str, Any] = {
    "assistant_id": "asst_1",
    "thread_id": "thread_1",
    "message_id": "msg_1",
    "run_id": "run_1",
    "step_id": "step_1",
    "tool_outputs": [],
    "vector_store_id": "vs_1",
    "batch_id": "vsfb_1",
    "query": "food",
    "attributes": {},
    "model": "gpt-4o",
    "role": "user",
    "content": "Hello.",
    "file_id": "file-1",
    "upload_id": "upload_1",
    "file": b"Hello.",
    "data": b"Hello.",
    "purpose": "assistants",
    "filename": "a.txt",
    "bytes": 6,
    "mime_type": "text/plain",
    "part_ids": ["part_1"],
}


def sample_arguments(operation: Operation) -> list[Any]:
    return [SAMPLES[name] for name in [*operation.arguments, *required(operation)]]


#: Options without which an operation is refused although none of them alone is required.
SAMPLE_OPTIONS: dict[str, dict[str, Any]] = {"create_vector_store_file_batch": {"file_ids": ["file-1"]}}


def sample(record: Any) -> Any:
    """Return the plainest JSON that a record is decoded from."""
    plain: dict[str, Any] = {}
    for each in msgspec.structs.fields(record):
        kind = get_origin(each.type) or each.type
        if each.required and each.encode_name == "step_details":
            plain["step_details"] = {"type": "tool_calls", "tool_calls": []}
        elif each.required:
            first = get_args(each.type)[0] if kind is Literal else "x"
            plain[each.encode_name] = [] if kind is list else 1 if kind is int else first
    return plain


class Recorder:
    """A transport that answers every request as the table says that the operation is answered."""

    def __init__(self, operation: Operation) -> None:
        self.reply = b"Hello." if operation.reply is bytes else sample(operation.reply)
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, {}, self.reply if isinstance(self.reply, bytes) else msgspec.json.encode(self.reply))

    def close(self) -> None:
        return None


class AsyncRecorder(Recorder):
    async def send(self, request: Request) -> Response:  # type: ignore[override]
        return super().send(request)

    async def close(self) -> None:  # type: ignore[override]
        return None


@each_answered_operation
def test_a_method_sends_and_decodes_what_the_table_says(operation: Operation) -> None:
    recorder, async_recorder = Recorder(operation), AsyncRecorder(operation)
    arguments, options = sample_arguments(operation), SAMPLE_OPTIONS.get(operation.name, {})
    replies = [
        getattr(Client(transport=recorder), operation.name)(*arguments, **options),
        asyncio.run(getattr(AsyncClient(transport=async_recorder), operation.name)(*arguments, **options)),
    ]
    path = operation.path
    for name in operation.arguments:
        path = path.replace(f"{{{name}}}", SAMPLES[name])
    for request in (*recorder.requests, *async_recorder.requests):
        assert (request.method, request.url) == (operation.method, f"http://127.0.0.1:8026/v1{path}")
        assert (request.body is None) is (operation.body is None)
        assert ("idempotency-key" in request.headers) is operation.creates
    if operation.reply is bytes:
        assert replies == [recorder.reply] * 2
        return
    expected = (Page, AsyncPage) if get_origin(operation.reply) is ListPage else (operation.reply, operation.reply)
    assert tuple(type(reply) for reply in replies) == expected
    assert [reply.to_dict()["object"] for reply in replies] == [
        msgspec.convert(recorder.reply, operation.reply).object
    ] * 2


@each_operation
def test_what_a_method_is_said_to_return_is_what_the_table_says(operation: Operation) -> None:
    said = get_type_hints(getattr(Client, operation.name))["return"]
    if operation.streams:
        assert said == operation.reply | RunStream
    elif get_origin(operation.reply) is ListPage:
        assert (get_origin(said), get_args(said)) == (Page, get_args(operation.reply))
    else:
        assert said is operation.reply


#: The options that the documentation of ExOpenAI.Assistants gives each function, required arguments apart.
SEED: dict[str, set[str]] = {
    "create_assistant": {
        "stream_to", "openai_api_key", "openai_organization_key", "base_url",
        "description", "instructions", "metadata", "name", "reasoning_effort", "response_format", "temperature",
        "tool_resources", "tools", "top_p",
    },
    "modify_assistant": {
        "stream_to", "openai_api_key", "openai_organization_key", "base_url",
        "description", "instructions", "metadata", "model", "name", "reasoning_effort", "response_format",
        "temperature", "tool_resources", "tools", "top_p",
    },
    "list_assistants": {
        "stream_to", "openai_api_key", "openai_organization_key", "base_url", "after", "before", "limit", "order",
    },
    "get_assistant": {"openai_api_key", "openai_organization_key", "base_url"},
    "delete_assistant": {"openai_api_key", "openai_organization_key", "base_url"},
}  # fmt: skip


@pytest.mark.parametrize("name", SEED)
def test_every_documented_option_of_the_seed_is_taken_by_its_name(name: str) -> None:
    operation = BY_NAME[name]
    assert options_of(operation) == SEED[name] | {"timeout_s"}
    values: dict[str, Any] = {
        "stream_to": lambda event: None,
        "base_url": "http://x.example/v1",
        "metadata": {"a": "b"},
        "reasoning_effort": "low",
        "response_format": "auto",
        "temperature": 1,
        "tool_resources": {"code_interpreter": {"file_ids": []}},
        "tools": [],
        "top_p": 1,
        "after": "asst_1",
        "before": "asst_2",
        "limit": 3,
        "order": "asc",
    }
    for option in SEED[name]:
        client = Client(transport=Recorder(operation))
        getattr(client, name)(*sample_arguments(operation), **{option: values.get(option, "text")})


# -------------------------------------------------------------------------------------------------- the service


@each_operation
def test_the_router_finds_every_operation(operation: Operation) -> None:
    path = re.sub(r"{\w+}", "x%20y", operation.path).encode()
    found, arguments = Router(OPERATIONS).find(operation.method, path)
    assert found is operation
    assert arguments == ["x y"] * len(operation.arguments)


def test_the_router_knows_no_other_methods() -> None:
    router = Router(OPERATIONS)
    for path in {operation.path for operation in OPERATIONS}:
        known = {each.method for each in OPERATIONS if each.path == path}
        for method in {"GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"} - known:
            with pytest.raises(MethodNotAllowed) as caught:
                router.find(method, re.sub(r"{\w+}", "x", path).encode())
            assert set(caught.value.allowed.split(", ")) == known


@each_operation
def test_the_engine_has_a_method_for_every_operation(operation: Operation) -> None:
    method = getattr(Engine, operation.name)
    assert inspect.iscoroutinefunction(method)
    names = list(inspect.signature(method).parameters)[1:]
    given = [*operation.arguments, *([operation.file.name] if operation.file else [])]
    # Beside a body, a query says what is shown.
    given += ["body"] if operation.body else ["query"] if operation.query else []
    given += ["retry_key"] if operation.creates else []
    assert names == [*given, *(["shows_found"] if operation.streams and operation.body else [])]


def test_the_engine_has_no_other_operations() -> None:
    assert public_methods(Engine) - {"start", "stop", "receive", "sweep"} == NAMES


# ------------------------------------------------------------------------------------- the document, the manual


def test_the_openapi_document_has_every_operation_and_no_other() -> None:
    document = openapi_document(holdover.__version__)
    described = {
        (method.upper(), path, operation["operationId"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert described == {(each.method, each.path, each.operation_id) for each in OPERATIONS}
    assert [each["url"] for each in document["servers"]] == [PREFIX]


@each_operation
def test_the_openapi_document_names_every_parameter(operation: Operation) -> None:
    described = openapi_document(holdover.__version__)["paths"][operation.path][operation.method.lower()]
    by_place: dict[str, set[str]] = {"path": set(), "query": set(), "header": set()}
    for each in described["parameters"]:
        by_place[each["in"]].add(each["name"])
    assert by_place["path"] == set(operation.arguments)
    fields = {each.encode_name for each in msgspec.structs.fields(operation.query)} if operation.query else set()
    assert by_place["query"] == fields
    header = "Idempotency-Key" if operation.creates else "Last-Event-ID" if operation.always_streams else None
    assert by_place["header"] == {header} - {None}
    assert ("requestBody" in described) is (operation.body is not None)


@pytest.mark.skipif(not MANUAL.exists(), reason="docs/reference/operations.md is not written yet")
def test_the_manual_has_a_heading_for_every_operation_and_no_other() -> None:
    headings = re.findall(r"^## (\w+)$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
    operations = [each for each in headings if "_" in each]
    assert operations == [each.name for each in OPERATIONS]


# ---------------------------------------------------------------------------------------------- the command line


def commands(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


@pytest.fixture(scope="module")
def groups() -> dict[str, click.Group]:
    try:
        from holdover.cli.main import main
    except ImportError as error:
        pytest.skip(f"holdover.cli.main is not there yet: {error}")
    groups = {name.replace("-", "_"): each for name, each in commands(main).items() if isinstance(each, click.Group)}
    return {name: each for name, each in groups.items() if name in GROUPS}


def test_the_command_line_has_a_command_for_every_operation_and_no_other(groups: dict[str, click.Group]) -> None:
    known = {(group, name) for group, each in groups.items() for name in commands(each)}
    assert known - BESIDE == {(each.group, each.command) for each in OPERATIONS}


@each_operation
def test_a_command_takes_the_options_of_its_operation(groups: dict[str, click.Group], operation: Operation) -> None:
    command = commands(groups[operation.group])[operation.command]
    names = {name for parameter in command.params for name in [parameter.name, *parameter.opts] if name}
    flags = {name.lstrip("-").replace("-", "_") for name in names}
    #: On the command line the receiver is the terminal, and a key's name is shorter.
    said_otherwise = dict.fromkeys([*calls.OF_EVENTS, "on_progress"]) | {
        "openai_api_key": "api_key",
        "openai_organization_key": "organization_key",
    }
    expected = {said_otherwise.get(name, name) for name in options_of(operation)} - {None}
    assert expected <= flags


def test_every_summary_is_one_sentence() -> None:
    for operation in OPERATIONS:
        assert re.fullmatch(r"[A-Z][^.]+\.", operation.summary), operation.summary


def test_operations_are_called_by_the_names_of_the_specification() -> None:
    assert [BY_NAME[name].operation_id for name in ("create_assistant", "list_models")] == [
        "createAssistant",
        "listModels",
    ]
