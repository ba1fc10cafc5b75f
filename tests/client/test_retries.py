"""What is repeated, when, and what must not be."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import holdover
from holdover.client import exchange
from holdover.client.exchange import IDEMPOTENCY_HEADER

from .faces import Face
from .scripted import LATE, LOST, REFUSED, Scripted, answer, refusal
from .stub import HANG_UP, Answer, Stub

NOW = 1_800_000_000
#: What a service that remembers keys says in every answer.
REMEMBERS = {IDEMPOTENCY_HEADER.replace("-", "_"): "86400"}
MODELS = answer({"object": "list", "data": []})


def get(client: Any) -> Any:
    return client.get_assistant("asst_1")


def create(client: Any) -> Any:
    return client.create_assistant("gpt-4o")


@pytest.fixture(autouse=True)
def middling_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "random", lambda: 0.0)


# ---------------------------------------------------------------------------------------- what may be repeated


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520])
def test_trouble_that_may_pass_is_met_by_asking_again(face: Face, status: int) -> None:
    script = Scripted(refusal(status), refusal(status), answer())
    client = face.client(script)
    assert get(client).id == "asst_1"
    assert len(script.requests) == 3
    assert script.requests[0] == script.requests[1] == script.requests[2]
    assert client.pauses == [0.5, 1.0]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 413, 422])
def test_a_refusal_is_final(face: Face, status: int) -> None:
    script = Scripted(refusal(status), answer())
    client = face.client(script)
    with pytest.raises(holdover.APIStatusError):
        get(client)
    assert len(script.requests) == 1
    assert client.pauses == []


@pytest.mark.parametrize("trouble", [LOST, REFUSED, LATE], ids=["lost", "refused", "late"])
def test_without_an_answer_it_is_asked_again(face: Face, trouble: Any) -> None:
    script = Scripted(trouble, answer())
    assert get(face.client(script)).id == "asst_1"
    assert len(script.requests) == 2


@pytest.mark.parametrize(("max_retries", "attempts"), [(None, 3), (0, 1), (1, 2), (5, 6)])
def test_a_call_is_repeated_twice_at_most_or_as_often_as_the_client_says(
    face: Face, max_retries: int | None, attempts: int
) -> None:
    script = Scripted(refusal(500))
    client = face.client(script, **({} if max_retries is None else {"max_retries": max_retries}))
    with pytest.raises(holdover.InternalServerError):
        get(client)
    assert len(script.requests) == attempts
    assert client.pauses == [min(0.5 * 2**n, 8.0) for n in range(attempts - 1)]


def test_the_last_trouble_is_the_one_that_is_raised(face: Face) -> None:
    with pytest.raises(holdover.RateLimitError):
        get(face.client(Scripted(refusal(500), LOST, refusal(429))))
    with pytest.raises(holdover.APIConnectionError):
        get(face.client(Scripted(refusal(500), refusal(429), LOST)))


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.modify_assistant("asst_1", name="x"),
        lambda client: client.delete_assistant("asst_1"),
        lambda client: client.request("DELETE", "/anything"),
    ],
    ids=["modify", "delete", "request"],
)
def test_what_makes_no_object_may_be_repeated(face: Face, ask: Any) -> None:
    deleted = answer({"id": "asst_1", "object": "assistant.deleted", "deleted": True})
    script = Scripted(by=lambda r: LOST if len(script.requests) < 3 else deleted if r.method == "DELETE" else answer())
    ask(face.client(script))
    assert len(script.requests) == 3
    assert "idempotency-key" not in script.last.headers


def test_every_page_of_a_list_may_be_repeated(face: Face) -> None:
    item = {"id": "asst_1", "created_at": 1, "model": "m", "tools": []}
    first = {"object": "list", "data": [item], "first_id": "asst_1", "last_id": "asst_1", "has_more": True}
    script = Scripted(LOST, answer(first), LOST, answer({**first, "has_more": False}))
    assert len(list(face.client(script).list_assistants())) == 2


# ---------------------------------------------------------------------------------------------- x-should-retry


def test_a_service_may_forbid_a_repetition(face: Face) -> None:
    script = Scripted(refusal(500, x_should_retry="false"))
    with pytest.raises(holdover.InternalServerError):
        get(face.client(script))
    assert len(script.requests) == 1


def test_a_service_may_ask_for_a_repetition(face: Face) -> None:
    script = Scripted(refusal(400, x_should_retry="true"), answer())
    assert get(face.client(script)).id == "asst_1"


def test_a_good_answer_is_taken_whatever_else_it_says(face: Face) -> None:
    script = Scripted(answer(x_should_retry="true"))
    assert get(face.client(script)).id == "asst_1"
    assert len(script.requests) == 1


# ------------------------------------------------------------------------------------------------------ pauses


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry_after_ms": "150"}, 0.15),
        ({"retry_after_ms": "150", "retry_after": "7"}, 0.15),
        ({"retry_after": "7"}, 7),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "60"}, 60),
        ({"retry_after": formatdate(NOW + 12, usegmt=True)}, 12),
        ({"retry_after": formatdate(NOW - 12, usegmt=True)}, 0),
        ({"retry_after": "61"}, 0.5),
        ({"retry_after": formatdate(NOW + 3600, usegmt=True)}, 0.5),
        ({"retry_after": "-1"}, 0.5),
        ({"retry_after": "nan"}, 0.5),
        ({"retry_after": "inf"}, 0.5),
        ({"retry_after": "soon"}, 0.5),
        ({"retry_after_ms": "soon", "retry_after": "7"}, 7),
        ({"retry_after": "Mon, 01 Jan 0001 00:00:00 -0000"}, 0),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 -2359"}, 0.5),
        ({}, 0.5),
    ],
    ids=str,
)
def test_the_pause_is_as_long_as_the_service_asks_within_reason(
    face: Face, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], pause: float
) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    client = face.client(Scripted(refusal(429, **headers), answer()))
    get(client)
    assert client.pauses == [pytest.approx(pause)]


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [-+]?\d{4}", fullmatch=True))
def test_no_retry_after_is_an_error(told: str) -> None:
    client = holdover.Client(transport=Scripted(refusal(429, retry_after=told), answer()))
    pauses: list[float] = []
    client._sleep = pauses.append  # type: ignore[method-assign]
    get(client)
    assert 0 <= pauses[0] <= 60


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 8))
def test_a_pause_doubles_up_to_eight_seconds_and_is_cut_by_up_to_a_quarter(chance: float, attempt: int) -> None:
    script = Scripted(*[refusal(500)] * attempt, answer())
    client = holdover.Client(transport=script, max_retries=attempt)
    pauses: list[float] = []
    client._sleep = pauses.append  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "random", lambda: chance)
        get(client)
    longest = min(0.5 * 2 ** (attempt - 1), 8.0)
    assert longest * 0.75 <= pauses[-1] <= longest


# ----------------------------------------------------------------------------------------------------- creates


def keys(script: Scripted) -> set[str | None]:
    return {each.headers.get("idempotency-key") for each in script.requests if each.method == "POST"}


def test_every_attempt_of_a_create_carries_the_same_key(face: Face) -> None:
    script = Scripted(refusal(429), REFUSED, answer())
    client = face.client(script)
    create(client)
    (key,) = keys(script)
    assert re.fullmatch("holdover-[0-9a-f]{32}", key or "")
    create(client)
    assert len(keys(script)) == 2


def test_a_key_of_the_callers_own_is_kept(face: Face) -> None:
    script = Scripted()
    create(face.client(script, http_headers={"Idempotency-Key": "mine"}))
    assert keys(script) == {"mine"}


@pytest.mark.parametrize(
    "trouble",
    [REFUSED, refusal(429), refusal(500, x_should_retry="true"), refusal(500, **REMEMBERS)],
    ids=["never opened", "too soon", "asked to", "remembered"],
)
def test_a_create_is_repeated_where_that_cannot_make_a_second_object(face: Face, trouble: Any) -> None:
    script = Scripted(trouble, answer())
    assert create(face.client(script)).id == "asst_1"
    assert script.sent == ["POST /v1/assistants"] * 2


@pytest.mark.parametrize("status", [408, 409, 500, 503])
def test_a_create_that_a_forgetful_service_failed_is_not_repeated(face: Face, status: int) -> None:
    script = Scripted(refusal(status, retry_after="30"), answer())
    client = face.client(script)
    with pytest.raises(holdover.APIStatusError):
        create(client)
    assert script.sent == ["POST /v1/assistants"]
    assert client.pauses == [], "an error that is final is not waited with"


@pytest.mark.parametrize("trouble", [LOST, LATE], ids=["lost", "late"])
def test_a_create_without_an_answer_is_repeated_where_the_service_remembers_keys(face: Face, trouble: Any) -> None:
    models = answer({"object": "list", "data": []}, **REMEMBERS)
    script = Scripted(trouble, models, answer())
    client = face.client(script)
    assert create(client).id == "asst_1"
    assert script.sent == ["POST /v1/assistants", "GET /v1/models", "POST /v1/assistants"]
    assert len(keys(script)) == 1
    script.script = [LOST, answer()]
    assert create(client).id == "asst_1"
    assert script.sent[3:] == ["POST /v1/assistants"] * 2, "it is asked once"


@pytest.mark.parametrize("trouble", [LOST, LATE], ids=["lost", "late"])
def test_a_create_without_an_answer_is_not_repeated_where_the_service_does_not(face: Face, trouble: Any) -> None:
    script = Scripted(trouble, MODELS, answer())
    client = face.client(script)
    with pytest.raises(holdover.APIConnectionError):
        create(client)
    assert script.sent == ["POST /v1/assistants", "GET /v1/models"]
    script.script = [trouble, answer()]
    with pytest.raises(holdover.APIConnectionError):
        create(client)
    assert script.sent[2:] == ["POST /v1/assistants"], "it is asked once"


def test_a_create_is_not_repeated_where_the_service_cannot_be_asked(face: Face) -> None:
    script = Scripted(LOST, REFUSED, answer({}, **REMEMBERS))
    client = face.client(script)
    with pytest.raises(holdover.APIConnectionError, match="broke off"):
        create(client)
    assert script.sent == ["POST /v1/assistants", "GET /v1/models"]
    script.script = [LOST, answer({}, **REMEMBERS), answer()]
    assert create(client).id == "asst_1", "it is asked anew once it answers"


def test_the_failure_of_a_proxy_in_between_teaches_nothing_of_the_service(face: Face) -> None:
    script = Scripted(LOST, refusal(502), answer())
    client = face.client(script)
    with pytest.raises(holdover.APIConnectionError):
        create(client)
    script.script = [LOST, answer({}, **REMEMBERS), answer()]
    assert create(client).id == "asst_1"


def test_each_service_is_asked_for_itself(face: Face) -> None:
    script = Scripted(LOST, answer({}, **REMEMBERS), answer())
    client = face.client(script)
    create(client)
    script.script = [LOST, MODELS, answer()]
    with pytest.raises(holdover.APIConnectionError):
        client.create_assistant("gpt-4o", base_url="http://forgetful.example/v1")


def test_asking_sends_no_content_and_no_key_of_the_create(face: Face) -> None:
    script = Scripted(LOST, MODELS)
    with pytest.raises(holdover.APIConnectionError):
        create(face.client(script, api_key="sk-1"))
    asked = script.last
    assert (asked.method, asked.body) == ("GET", None)
    assert asked.headers["authorization"] == "Bearer sk-1"
    assert not asked.headers.keys() & {"idempotency-key", "content-type"}


def test_any_post_made_as_it_is_counts_as_a_create(face: Face) -> None:
    script = Scripted(refusal(500), answer())
    assert face.client(script).request("POST", "/chat/completions", body=b"{}").status == 500
    assert len(script.requests) == 1
    assert keys(script) != {None}


# -------------------------------------------------------------------------------------------------- end to end


@contextmanager
def proxy_that_drops_the_first_answer(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A relay in front of a service: the first answer to a POST is read and thrown away, its connection closed."""
    asked: list[bytes] = []
    is_dropping = threading.Event()

    def relay(caller: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as service:
            back = threading.Thread(target=bring_back, args=(service, caller))
            back.start()
            with suppress(OSError):
                while part := caller.recv(65536):
                    if part.startswith((b"GET", b"POST")):
                        asked.append(part.split(b"\r\n", 1)[0])
                    service.sendall(part)
            with suppress(OSError):
                service.shutdown(socket.SHUT_RDWR)
            back.join()
            caller.close()

    def bring_back(service: socket.socket, caller: socket.socket) -> None:
        with suppress(OSError):
            while part := service.recv(65536):
                if asked[-1].startswith(b"POST") and not is_dropping.is_set():
                    is_dropping.set()
                    caller.shutdown(socket.SHUT_RDWR)
                    return
                caller.sendall(part)

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=relay, args=(listener.accept()[0],))
                thread.start()
                threads.append(thread)

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1], asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
    for thread in threads:
        thread.join()


def test_a_create_whose_answer_is_lost_makes_one_assistant_and_returns_it(face: Face, service: Any) -> None:
    with (
        proxy_that_drops_the_first_answer(service.port) as (port, asked),
        face.client(base_url=f"http://127.0.0.1:{port}/v1", timeout_s=10) as client,
    ):
        made = client.create_assistant("gpt-4o", name="Only")
    with face.client(base_url=service.base_url) as direct:
        assert direct.list_assistants().data == [made]
    assert asked == [b"POST /v1/assistants HTTP/1.1", b"GET /v1/models HTTP/1.1", b"POST /v1/assistants HTTP/1.1"]


def test_a_create_whose_answer_a_forgetful_service_lost_is_an_error(
    face: Face, start_stub: Callable[..., Stub]
) -> None:
    stub = start_stub(lambda asked: HANG_UP if asked.method == "POST" else Answer({"object": "list", "data": []}))
    with (
        face.client(base_url=stub.base_url, timeout_s=10) as client,
        pytest.raises(holdover.APIConnectionError, match="broke off"),
    ):
        client.create_assistant("gpt-4o")
    assert [each.method for each in stub.asked] == ["POST", "GET"]
