"""The headers of every answer."""

from __future__ import annotations

import re

import pytest
from tests.conftest import Service

from .talk import Answer, ask, create


def answers(service: Service) -> list[Answer]:
    """One answer of each kind: done, not found, refused, not allowed, no such path."""
    return [
        create(service),
        ask(service, "GET", "/v1/assistants?limit=1"),
        ask(service, "GET", "/v1/assistants/asst_gone"),
        ask(service, "POST", "/v1/assistants", b"{"),
        ask(service, "PUT", "/v1/assistants"),
        ask(service, "GET", "/v1/foo"),
    ]


def test_every_answer_has_the_headers_of_the_hosted_api(shared_service: Service) -> None:
    seen = set()
    for answer in answers(shared_service):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["openai-version"] == "2020-10-01"
        assert re.fullmatch(r"\d+", answer.headers["openai-processing-ms"])
        assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        seen.add(answer.headers["x-request-id"])
    assert len(seen) == 6


def test_no_answer_says_what_the_service_is_made_of(shared_service: Service) -> None:
    for answer in answers(shared_service):
        assert "server" not in answer.headers


def test_organization_and_project_come_back(shared_service: Service) -> None:
    headers = {"OpenAI-Organization": "org-1", "OpenAI-Project": "proj_1"}
    for path in ("/v1/assistants?limit=1", "/v1/assistants/asst_gone"):
        answer = ask(shared_service, "GET", path, headers=headers)
        assert answer.headers["openai-organization"] == "org-1"
        assert answer.headers["openai-project"] == "proj_1"


@pytest.mark.parametrize("value", [None, "", " ", "a b", "\xe9", "a\tb", "x" * 256])
def test_without_an_organization_and_project_that_are_names_the_services_own_are_named(
    shared_service: Service, value: str | None
) -> None:
    headers = {} if value is None else {"OpenAI-Organization": value, "OpenAI-Project": value}
    answer = ask(shared_service, "GET", "/v1/models", headers=headers)
    assert answer.status == 200
    assert answer.headers["openai-organization"] == "holdover"
    assert answer.headers["openai-project"] == "proj_holdover"


def test_every_answer_says_that_creations_may_be_repeated(shared_service: Service) -> None:
    for answer in answers(shared_service):
        assert answer.headers["holdover-idempotency"] == "86400"


def test_errors_of_the_hosted_api_are_not_to_be_cached_or_retried_by_mistake(shared_service: Service) -> None:
    for answer in answers(shared_service):
        assert not answer.headers.keys() & {"retry-after", "x-should-retry", "cache-control", "etag"}
