"""Whom a call is for: arguments of the call beat the client's, the client's beat the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import holdover
from holdover.client import default

from .faces import Face
from .scripted import Scripted, answer
from .stub import Answer, Stub

PAGE = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def sent(face: Face, *, call: dict[str, Any] | None = None, **settings: Any) -> Any:
    """Return what a client with these settings sends."""
    script = Scripted(answer(PAGE))
    face.client(script, **settings).list_assistants(**(call or {}))
    return script.last


# --------------------------------------------------------------------------------------------- what is sent


def test_nothing_configured_is_the_service_on_this_machine_without_a_key(face: Face) -> None:
    request = sent(face)
    assert request.url == "http://127.0.0.1:8026/v1/assistants"
    assert request.timeout_s == 600
    assert request.headers == {
        "accept": "application/json",
        "user-agent": f"holdover-python/{holdover.__version__}",
        "openai-beta": "assistants=v2",
    }


def test_a_clients_settings_are_sent_with_every_call(face: Face) -> None:
    request = sent(
        face,
        api_key="sk-client",
        organization_key="org-client",
        project="proj-client",
        base_url="https://assistants.example/v1/",
        timeout_s=7,
    )
    assert request.url == "https://assistants.example/v1/assistants"
    assert request.timeout_s == 7
    assert request.headers["authorization"] == "Bearer sk-client"
    assert request.headers["openai-organization"] == "org-client"
    assert request.headers["openai-project"] == "proj-client"


CALL = {
    "openai_api_key": "sk-call",
    "openai_organization_key": "org-call",
    "base_url": "http://call.example/v1/",
    "timeout_s": 3,
}


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.create_assistant("gpt-4o", **CALL),
        lambda client: client.get_assistant("asst_1", **CALL),
        lambda client: client.modify_assistant("asst_1", **CALL),
    ],
    ids=["create", "get", "modify"],
)
def test_a_calls_own_settings_beat_the_clients(face: Face, ask: Callable[[Any], Any]) -> None:
    script = Scripted()
    own = {"Authorization": "Bearer sk-header", "OpenAI-Organization": "org-header"}
    ask(face.client(script, api_key="sk-client", organization_key="org-client", timeout_s=9, http_headers=own))
    request = script.last
    assert request.url.startswith("http://call.example/v1/assistants")
    assert request.timeout_s == 3
    assert request.headers["authorization"] == "Bearer sk-call"
    assert request.headers["openai-organization"] == "org-call"


def test_the_pages_that_follow_are_asked_for_with_the_calls_own_settings(face: Face) -> None:
    script = Scripted(
        answer({**PAGE, "data": [], "has_more": True}),
    )
    item = {"id": "asst_1", "object": "assistant", "created_at": 1, "model": "m", "tools": []}
    script.script = [
        answer({**PAGE, "data": [item], "last_id": "asst_1", "has_more": True}),
        answer({**PAGE, "data": [{**item, "id": "asst_2"}], "last_id": "asst_2"}),
    ]
    page = face.client(script, api_key="sk-client").list_assistants(limit=1, **CALL)
    assert [each.id for each in page] == ["asst_1", "asst_2"]
    assert [each.url for each in script.requests] == [
        "http://call.example/v1/assistants?limit=1",
        "http://call.example/v1/assistants?limit=1&after=asst_1",
    ]
    assert {each.headers["authorization"] for each in script.requests} == {"Bearer sk-call"}
    assert {each.timeout_s for each in script.requests} == {3}


def test_a_calls_settings_are_forgotten_after_it(face: Face) -> None:
    script = Scripted()
    client = face.client(script, api_key="sk-client", base_url="http://client.example/v1")
    client.get_assistant("asst_1", **CALL)
    client.get_assistant("asst_1")
    assert script.last.url == "http://client.example/v1/assistants/asst_1"
    assert script.last.headers["authorization"] == "Bearer sk-client"


def test_own_headers_beat_the_usual_ones_whatever_their_case(face: Face) -> None:
    script = Scripted()
    own = {
        "User-Agent": "tutor/1",
        "AUTHORIZATION": "Basic x",
        "OpenAI-Beta": "assistants=v3",
        "Content-Type": "application/json; charset=utf-8",
        "X-Team": "maths",
    }
    face.client(script, api_key="sk-client", http_headers=own).create_assistant("gpt-4o")
    headers = script.last.headers
    assert {name: headers[name.lower()] for name in own} == own
    assert all(name.islower() for name in headers)


def test_a_body_is_json_and_only_then_there_is_a_content_type(face: Face) -> None:
    script = Scripted()
    client = face.client(script)
    client.modify_assistant("asst_1")
    assert script.last.headers["content-type"] == "application/json"
    client.get_assistant("asst_1")
    assert "content-type" not in script.last.headers
    assert script.last.body is None


# ------------------------------------------------------------------------------------------ the environment


def test_the_environment_speaks_where_the_client_is_silent(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://environment.example/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-environment")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-environment")
    request = sent(face)
    assert request.url == "http://environment.example/v1/assistants"
    assert request.headers["authorization"] == "Bearer sk-environment"
    assert request.headers["openai-organization"] == "org-environment"
    assert request.headers["openai-project"] == "proj-environment"
    request = sent(face, api_key="sk-client", base_url="http://client.example/v1", organization_key="o", project="p")
    assert request.url == "http://client.example/v1/assistants"
    assert request.headers["authorization"] == "Bearer sk-client"
    assert request.headers["openai-organization"] == "o"
    assert request.headers["openai-project"] == "p"


@pytest.mark.parametrize(
    ("older", "newer", "header"),
    [
        ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID", "openai-organization"),
        ("OPENAI_ORGANIZATION_KEY", "OPENAI_ORGANIZATION", "openai-organization"),
        ("OPENAI_PROJECT", "OPENAI_PROJECT_ID", "openai-project"),
    ],
)
def test_older_names_of_variables_count_where_the_newer_are_not_set(
    face: Face, monkeypatch: pytest.MonkeyPatch, older: str, newer: str, header: str
) -> None:
    monkeypatch.setenv(older, "older")
    assert sent(face).headers[header] == "older"
    monkeypatch.setenv(newer, "newer")
    assert sent(face).headers[header] == "newer"


def test_the_older_name_of_the_base_url_counts_last(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "http://older.example/v1")
    assert sent(face).url == "http://older.example/v1/assistants"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://newer.example/v1")
    assert sent(face).url == "http://newer.example/v1/assistants"


def test_an_empty_variable_is_one_that_is_not_set(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    request = sent(face)
    assert request.url == "http://127.0.0.1:8026/v1/assistants"
    assert "authorization" not in request.headers


def test_an_empty_key_takes_away_the_environments(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    assert "authorization" not in sent(face, api_key="").headers


# ------------------------------------------------------------------------------------------------ configure


def answers_with_a_page(start_stub: Callable[..., Stub]) -> Stub:
    return start_stub(lambda asked: Answer(PAGE))


def test_configure_settles_what_the_functions_use(start_stub: Callable[..., Stub]) -> None:
    stub = answers_with_a_page(start_stub)
    holdover.configure(
        api_key="sk-1", organization_key="org-1", base_url=stub.base_url, http_headers={"x-team": "maths"}, timeout_s=5
    )
    holdover.list_assistants()
    headers = stub.asked[-1].headers
    assert (headers["authorization"], headers["openai-organization"]) == ("Bearer sk-1", "org-1")
    assert headers["x-team"] == "maths"
    assert default.default_client()._target.timeout_s == 5
    holdover.list_assistants(openai_api_key="sk-call")
    assert stub.asked[-1].headers["authorization"] == "Bearer sk-call"


def test_configure_again_begins_anew_with_the_environment(
    start_stub: Callable[..., Stub], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = answers_with_a_page(start_stub)
    holdover.configure(api_key="sk-1", base_url="http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", stub.base_url)
    holdover.configure()
    holdover.list_assistants()
    assert "authorization" not in stub.asked[-1].headers


def test_the_functions_need_no_configuration(start_stub: Callable[..., Stub], monkeypatch: pytest.MonkeyPatch) -> None:
    stub = answers_with_a_page(start_stub)
    monkeypatch.setenv("OPENAI_BASE_URL", stub.base_url)
    assert holdover.list_assistants().data == []


def test_settings_that_cannot_be_used_leave_those_before_in_force(start_stub: Callable[..., Stub]) -> None:
    stub = answers_with_a_page(start_stub)
    holdover.configure(base_url=stub.base_url)
    with pytest.raises(holdover.ConfigurationError, match="not a url"):
        holdover.configure(base_url="not a url")
    assert holdover.list_assistants().data == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "127.0.0.1:8026/v1"}, "'127.0.0.1:8026/v1' is not the address of a service"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "'ftp://127.0.0.1/v1' is not the address of a service"),
        ({"base_url": "http://"}, "'http://' is not the address of a service"),
        ({"base_url": ""}, "'' is not the address of a service"),
        ({"timeout_s": 0}, "timeout_s is a number of seconds above 0, not 0"),
        ({"timeout_s": -1}, "timeout_s is a number of seconds above 0, not -1"),
        ({"timeout_s": float("inf")}, "timeout_s is a number of seconds above 0, not inf"),
        ({"timeout_s": float("nan")}, "timeout_s is a number of seconds above 0, not nan"),
        ({"max_retries": -1}, "max_retries is 0 or more, not -1"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_refused_at_once(face: Face, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(holdover.ConfigurationError) as caught:
        face.client(Scripted(), **settings)
    assert str(caught.value).startswith(said)


def test_a_calls_own_settings_are_checked_as_well(face: Face) -> None:
    script = Scripted()
    client = face.client(script)
    with pytest.raises(holdover.ConfigurationError, match="not the address of a service"):
        client.get_assistant("asst_1", base_url="127.0.0.1:8026")
    with pytest.raises(holdover.ConfigurationError, match="timeout_s"):
        client.get_assistant("asst_1", timeout_s=0)
    assert script.requests == []


@pytest.mark.parametrize(
    "key", ["sk-0123456789abcdef\n", "sk-0123456789\r\nx-evil: 1", "sk-\u2028", "sk-\0"], ids=ascii
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(face: Face, stub: Stub, key: str) -> None:
    with pytest.raises(holdover.ConfigurationError, match="api_key") as caught:
        face.client(api_key=key, base_url=stub.base_url).get_assistant("asst_1")
    assert "0123456789" not in str(caught.value)
    assert "evil" not in str(caught.value)
    with pytest.raises(holdover.ConfigurationError), face.embedded(api_key=key) as client:
        client.list_assistants()
    with pytest.raises(holdover.ConfigurationError):
        face.client(base_url=stub.base_url).get_assistant("asst_1", openai_api_key=key)
    assert stub.asked == []


def test_a_header_that_cannot_be_sent_is_refused_at_once(face: Face) -> None:
    for headers in ({"x-team": "a\nb"}, {"x team": "maths"}, {"x-team": "数"}):
        with pytest.raises(holdover.ConfigurationError, match=r"x.team"):
            face.client(Scripted(), http_headers=headers).get_assistant("asst_1")


# ------------------------------------------------------------------------------------------------ how it shows


def test_a_clients_repr_is_short_and_shows_no_key(face: Face) -> None:
    secret = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz"
    client = face.client(Scripted(), api_key=secret, organization_key="org-secret")
    shown = repr(client)
    assert shown.startswith(("Client(base_url='http://127.0.0.1:8026/v1'", "AsyncClient(base_url='http://127.0.0.1"))
    assert len(shown) < 100
    assert secret[5:] not in shown
    assert "org-secret" not in shown
    assert "short-key" not in repr(face.client(Scripted(), api_key="short-key"))


def test_reprs_of_records_and_pages_are_short(face: Face) -> None:
    made = holdover.Assistant(id="asst_1", created_at=1, model="gpt-4o", tools=[], instructions="i" * 1000)
    assert repr(made) == "Assistant(id='asst_1', name=None, model='gpt-4o')"
    page = face.client(Scripted(answer({**PAGE, "data": [made.to_dict()] * 100}))).list_assistants()
    assert repr(page).endswith("Page(100 objects, first_id=None, has_more=False)")
