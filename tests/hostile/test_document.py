"""The service against its own OpenAPI document: thousands of requests made from it, valid and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import hypothesis
import msgspec
import pytest
import requests
import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from tests.conftest import Service
from tests.server.talk import ask, create

from holdover import __version__
from holdover.wire.openapi import openapi_document

#: No NUL is sent: it is refused in every string, which no schema says of each, and tested in `test_requests`.
#: A body that breaks a schema by its length may be refused for that alone (413).
REFUSALS = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"]
CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {"mode": "all", "database": "none", "allow-x00": False},
        "checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}},
    }
)
DOCUMENT = schemathesis.openapi.from_dict(openapi_document(__version__), config=CONFIG)

#: Requests that are made to each operation.
MAX_EXAMPLES = 60

INTEGERS = ("max_num_results", "max_chunk_size_tokens", "chunk_overlap_tokens", "bytes", "days", "seconds")

#: Nobody is asked for a key here, so nothing can be said of ignoring it.
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
]


#: Those that cannot be asked of runs: some answers are streams, and some requests come at the wrong time.
OF_NO_RUN = [checks.positive_data_acceptance, checks.content_type_conformance, checks.response_schema_conformance]


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


@pytest.fixture(scope="module")
def there(suffering_service: Service) -> dict[str, str]:
    """Arguments of paths, by name, that lead to something."""
    thread = ask(suffering_service, "POST", "/v1/threads", {}).json()["id"]
    said = {"role": "user", "content": "of the document"}
    return {
        "assistant_id": create(suffering_service, name="of the document").json()["id"],
        "thread_id": thread,
        "message_id": ask(suffering_service, "POST", f"/v1/threads/{thread}/messages", said).json()["id"],
    }


@pytest.fixture(scope="module")
def run_there(suffering_service: Service, there: dict[str, str]) -> dict[str, str]:
    """The same for runs, which have a thread of their own: they lock it."""
    body = {"assistant_id": there["assistant_id"], "thread": {"messages": [{"role": "user", "content": "Hello."}]}}
    run = ask(suffering_service, "POST", "/v1/threads/runs", body).json()
    return {**there, "thread_id": run["thread_id"], "run_id": run["id"]}


@DOCUMENT.parametrize()
@hypothesis.settings(
    max_examples=MAX_EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_what_the_document_says_is_so(
    case: schemathesis.Case,
    suffering_service: Service,
    session: requests.Session,
    there: dict[str, str],
    run_there: dict[str, str],
) -> None:
    is_of_run = "/runs" in case.operation.path
    leading = run_there if is_of_run else there
    is_valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    # In a query all is text: a pair of metadata whose value is `false`, not "false", cannot be sent.
    hypothesis.assume(is_valid or "metadata" not in (case.query or {}))
    if is_valid:
        if case.method != "DELETE":
            case.path_parameters.update({name: leading[name] for name in case.path_parameters if name in leading})
        if "Idempotency-Key" in case.headers:  # a key is one request's: no document can say which were used
            case.headers["Idempotency-Key"] = str(uuid4())
        hypothesis.assume(_is_as_no_schema_can_say(case.body))
    # Whether a run takes what a schema allows is a matter of its status, and of ids that are in its body.
    wanted = [each for each in CHECKS if not (is_of_run and each in OF_NO_RUN)]
    case.call_and_validate(base_url=suffering_service.base_url, session=session, checks=wanted)


def _is_as_no_schema_can_say(body: Any) -> bool:
    """Whether a body keeps the four rules that are beyond JSON Schema, or beyond what makes requests of it.

    Chunks share at most half of their tokens: a schema cannot compare two numbers.
    An integer is written as one: to a schema `1.0` is the same.
    An upload has each of its parts once: what makes lists of things that differ puts NUL in them.
    A message says something: the hosted API's words for one that does not are not those for a text that is too short.
    """
    if isinstance(body, list):
        return all(map(_is_as_no_schema_can_say, body))
    if not isinstance(body, dict):
        return True
    if any(isinstance(body.get(name), float) for name in INTEGERS):
        return False
    if len(set(body.get("part_ids", ()))) < len(body.get("part_ids", ())):
        return False
    if "max_chunk_size_tokens" in body and body["chunk_overlap_tokens"] > body["max_chunk_size_tokens"] // 2:
        return False
    if "role" in body and "content" in body and not _says_something(body["content"]):
        return False
    return all(map(_is_as_no_schema_can_say, body.values()))


def _says_something(content: Any) -> bool:
    return bool(content) if isinstance(content, str) else any(part.get("text", True) for part in content)


def test_nothing_of_this_was_a_failure_of_the_service(suffering_service: Service) -> None:
    assert suffering_service.log.read_text() == ""


def test_the_document_that_is_served_is_the_one_that_is_tested(suffering_service: Service) -> None:
    served = ask(suffering_service, "GET", "/openapi.json").body
    assert served == msgspec.json.encode(openapi_document(__version__))
