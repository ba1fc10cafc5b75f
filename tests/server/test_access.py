"""Who is let in: keys, and on loopback the Host and Origin headers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import Service, running_service

from holdover.errors import ConfigurationError
from holdover.server.access import is_loopback
from holdover.service import serve
from holdover.settings import ServiceSettings

from .talk import Answer, ask, create, listed

KEY = "sk-first-key-0123456789abcdef"
OTHER_KEY = "sk-2nd-key"
WRONG = "not-a-real-key-that-anyone-recognized"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for a key and logs all it can."""
    with running_service(tmp_path_factory.mktemp("guarded"), api_keys=[KEY, OTHER_KEY], log_level="debug") as service:
        yield service


def knock(service: Service, authorization: str | None, path: str = "/v1/assistants") -> Answer:
    return ask(service, "GET", path, headers={} if authorization is None else {"Authorization": authorization})


def basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


# ----------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {KEY}", f"Bearer {OTHER_KEY}", f"bearer {KEY}", f"Bearer  {KEY} ", basic(f":{KEY}"), basic(f"me:{KEY}")],
)
def test_a_known_key_lets_in(guarded: Service, authorization: str) -> None:
    assert knock(guarded, authorization).status == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", KEY, f"Token {KEY}", "Basic", "Basic !!!", basic("me"), basic(":")],
)
def test_without_a_key_one_is_asked_for_in_the_hosted_words(guarded: Service, authorization: str | None) -> None:
    answer = knock(guarded, authorization)
    assert (answer.status, answer.error) == (
        401,
        {
            "message": "You didn't provide an API key. You need to provide your API key in an Authorization header "
            "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) "
            "if you're accessing the API from your browser and are prompted for a username and password. You can "
            "obtain an API key from https://platform.openai.com/account/api-keys.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
    )


@pytest.mark.parametrize("authorization", [f"Bearer {WRONG}", basic(f":{WRONG}")])
def test_a_wrong_key_is_told_with_its_middle_masked(guarded: Service, authorization: str) -> None:
    answer = knock(guarded, authorization)
    assert (answer.status, answer.error) == (
        401,
        {
            "message": f"Incorrect API key provided: not-a-re{'*' * 25}ized. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        },
    )


@pytest.mark.parametrize("key", ["x", "sk-almost-12", KEY[:-1], KEY + "x", KEY.upper(), f"{KEY},{OTHER_KEY}", "\xff"])
def test_a_key_is_right_or_wrong(guarded: Service, key: str) -> None:
    answer = knock(guarded, f"Bearer {key}")
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_of_a_short_key_nothing_is_shown(guarded: Service) -> None:
    assert "provided: ************. You" in knock(guarded, "Bearer sk-almost-12").error["message"]


@pytest.mark.parametrize("path", ["/v1/assistants/asst_1", "/v1/models", "/v1/nowhere", "/v1"])
def test_nothing_of_the_api_is_told_without_a_key(guarded: Service, path: str) -> None:
    assert knock(guarded, None, path).status == 401
    assert knock(guarded, f"Bearer {WRONG}", path).status == 401


def test_without_a_key_nothing_is_written(guarded: Service) -> None:
    before = listed(guarded, {"Authorization": f"Bearer {KEY}"})
    assert create(guarded).status == 401
    assert listed(guarded, {"Authorization": f"Bearer {KEY}"}) == before


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/openapi.json", "/reference"])
def test_the_pages_need_no_key_and_tell_none(guarded: Service, path: str) -> None:
    answer = knock(guarded, None, path)
    assert answer.status == 200
    assert KEY.encode() not in answer.body
    assert OTHER_KEY.encode() not in answer.body


def test_no_key_is_ever_in_the_log(guarded: Service) -> None:
    for key in (KEY, WRONG):
        knock(guarded, f"Bearer {key}")
        knock(guarded, basic(f":{key}"))
        ask(guarded, "POST", "/v1/assistants", b"{", {"Authorization": f"Bearer {key}"})
        ask(guarded, "GET", f"/v1/assistants?api_key={key}", headers={"Authorization": f"Bearer {key}"})
    log = guarded.log.read_text()
    assert "GET /v1/assistants 200" in log
    for key in (KEY, OTHER_KEY, WRONG):
        assert key not in log
        assert basic(f":{key}")[6:] not in log


def test_without_keys_any_caller_is_let_in(shared_service: Service) -> None:
    for authorization in (None, f"Bearer {WRONG}", "nonsense"):
        assert knock(shared_service, authorization).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_a_service_that_others_can_reach_does_not_start_without_keys(host: str, tmp_path: Path) -> None:
    settings = ServiceSettings(host=host, port=0, data_dir=str(tmp_path), database_url=str(tmp_path / "holdover.db"))
    with pytest.raises(ConfigurationError) as refused:
        serve(settings)
    assert str(refused.value) == (
        f"{host} can be reached from other machines, so callers must have keys. Make one with: "
        "python3 -c \"import secrets; print('sk-' + secrets.token_urlsafe(32))\" and pass it with --api-key or "
        "HOLDOVER_API_KEYS; or listen on 127.0.0.1."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_others_can_reach_asks_for_keys_and_not_for_a_host(
    start_service: Callable[..., Service],
) -> None:
    service = start_service(host="0.0.0.0", api_keys=[KEY])
    headers = {"Host": "assistants.example.com", "Origin": "https://app.example.com"}
    assert ask(service, "GET", "/v1/assistants", headers=headers).status == 401
    assert ask(service, "GET", "/v1/assistants", headers={**headers, "Authorization": f"Bearer {KEY}"}).status == 200


# -------------------------------------------------------------------------------------------- browsers

HERE = ["localhost", "localhost:8026", "LOCALHOST", "127.0.0.1", "127.0.0.1:1", "127.1.2.3", "[::1]", "[::1]:8026"]
ELSEWHERE = [
    "example.com",
    "example.com:8026",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "127.0.0.1@example.com",
    "192.168.0.1",
    "0.0.0.0",
    "[::2]:80",
    "localhost:80:80",
    "",
    "\xff",
]


@pytest.mark.parametrize("host", [*HERE, "app.localhost"])
def test_a_host_that_is_this_machine_is_answered(shared_service: Service, host: str) -> None:
    assert ask(shared_service, "GET", "/v1/models/gpt-4o", headers={"Host": host}).status == 200


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("path", ["/v1/assistants", "/health", "/reference"])
def test_a_host_that_is_another_is_refused(shared_service: Service, host: str, path: str) -> None:
    """So a page whose name was made to resolve to 127.0.0.1 learns nothing."""
    answer = ask(shared_service, "GET", path, headers={"Host": host})
    assert (answer.status, answer.error["param"], answer.error["code"]) == (403, "Host", "invalid_host")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8026"])
def test_a_page_of_this_machine_is_answered(shared_service: Service, origin: str) -> None:
    assert create(shared_service, {"Origin": origin}).status == 200


@pytest.mark.parametrize(
    "origin", ["https://example.com", "null", "http://localhost.example.com", "localhost", "", "file://"]
)
def test_a_page_from_elsewhere_is_refused_and_writes_nothing(shared_service: Service, origin: str) -> None:
    before = listed(shared_service)
    answer = create(shared_service, {"Origin": origin})
    assert (answer.status, answer.error["param"], answer.error["code"]) == (403, "Origin", "invalid_origin")
    assert listed(shared_service) == before


def test_no_page_is_given_leave_to_read_an_answer(shared_service: Service) -> None:
    answer = ask(shared_service, "OPTIONS", "/v1/assistants", headers={"Origin": "http://localhost:3000"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_name_that_the_user_gave_this_machine_is_answered(start_service: Callable[..., Service]) -> None:
    service = start_service(allowed_hosts=["box.example", "Other.example"])
    for host in ("box.example", "box.example:8026", "BOX.example", "other.example", "localhost"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert ask(service, "GET", "/health", headers=headers).status == 200
    assert ask(service, "GET", "/health", headers={"Host": "a.box.example"}).status == 403


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_names_of_this_machine_alone(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["0.0.0.0", "::", "", "localhost.", "notlocalhost", "10.0.0.1", "example.com"])
def test_names_of_more_than_this_machine(name: str) -> None:
    assert not is_loopback(name)
