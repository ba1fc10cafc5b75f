"""The pages beside the API."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tests.conftest import Service

from holdover import __version__
from holdover.wire.operations import OPERATIONS

from .talk import ask


def test_health_says_ok_and_which_version(shared_service: Service) -> None:
    answer = ask(shared_service, "GET", "/health")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "version": __version__})


def test_a_service_that_takes_requests_is_ready(shared_service: Service) -> None:
    answer = ask(shared_service, "GET", "/health/ready")
    assert (answer.status, answer.json()) == (200, {"status": "ready"})


def test_the_root_leads_to_the_reference(shared_service: Service) -> None:
    answer = ask(shared_service, "GET", "/")
    assert (answer.status, answer.headers["location"]) == (307, "/reference")


def test_the_document_is_openapi_with_every_operation(shared_service: Service) -> None:
    answer = ask(shared_service, "GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == __version__
    assert {each["operationId"] for path in document["paths"].values() for each in path.values()} == {
        each.operation_id for each in OPERATIONS
    }


class Page(HTMLParser):
    """What a page asks a browser to fetch, where its links lead, and its anchors."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str | None] = []
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.fetched += [given[name] for name in ("src", "srcset", "data", "action", "poster") if name in given]
        if "id" in given:
            self.anchors.append(given["id"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        elif "href" in given:
            self.fetched.append(given["href"])


@pytest.fixture(scope="module")
def page(shared_service: Service) -> str:
    return ask(shared_service, "GET", "/reference").body.decode()


def test_the_reference_fetches_nothing_and_runs_nothing(page: str) -> None:
    parsed = Page(page)
    assert parsed.fetched == []
    assert not {"script", "link", "iframe", "img", "object", "embed", "form"} & set(parsed.tags)
    assert not re.search(r"@import|url\(", page)


def test_every_link_of_the_reference_leads_to_a_place_in_it_or_beside_it(page: str) -> None:
    parsed = Page(page)
    assert len(set(parsed.anchors)) == len(parsed.anchors)
    assert {each for each in parsed.links if each.removeprefix("#") not in parsed.anchors} == {"/openapi.json"}


def test_the_reference_has_every_operation_and_nothing_unfilled(page: str) -> None:
    for operation in OPERATIONS:
        assert f'id="{operation.name}"' in page
    assert "{{" not in page


def test_a_browser_is_told_to_fetch_nothing_for_the_reference(shared_service: Service) -> None:
    headers = ask(shared_service, "GET", "/reference").headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "script-src" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
