"""Starting and stopping a service."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Service, running_service

from holdover.errors import ConfigurationError
from holdover.server.http import listen

from .talk import ask, conversation, create, listed, request

BODY = b'{"model": "gpt-4o", "name": "Tutor"}'


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_before_the_service_stops(service: Service, told: signal.Signals) -> None:
    with conversation(service) as talk:
        head = request("POST", "/v1/assistants", headers={"Expect": "100-continue", "Content-Length": str(len(BODY))})
        talk.say(head)
        assert talk.hear_continue(), "the service waits for the body"
        talk.say(BODY[:9])
        service.process.send_signal(told)
        _wait_until_refused(service)
        talk.say(BODY[9:])
        answer = talk.hear()
        assert (answer.status, answer.json()["name"]) == (200, "Tutor")
        assert answer.headers["connection"] == "close"
        assert talk.is_over()
    assert service.process.wait(20) == 0
    assert service.log.read_text() == ""


def _wait_until_refused(service: Service) -> None:
    """Return when the service takes no new connection: it has heard that it should stop."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=20).close()
        except OSError:
            return


def test_a_connection_without_a_request_does_not_keep_a_service_from_stopping(service: Service) -> None:
    with conversation(service) as silent, conversation(service) as half_said, conversation(service) as kept_alive:
        half_said.say(b"GET /v1/assist")
        kept_alive.say(request("GET", "/health"))
        assert kept_alive.hear().status == 200
        assert service.stop() == 0
        assert silent.is_over()
        assert half_said.is_over()
        assert kept_alive.is_over()


def test_a_request_that_does_not_end_is_given_up_after_its_time(start_service: Callable[..., Service]) -> None:
    service = start_service(drain_s=0.3)
    with conversation(service) as talk:
        talk.say(request("POST", "/v1/assistants", headers={"Expect": "100-continue", "Content-Length": "9"}))
        assert talk.hear_continue()
        service.process.send_signal(signal.SIGTERM)
        answer = talk.hear()
        assert (answer.status, answer.error["type"]) == (503, "server_error")
        assert talk.is_over()
    assert service.process.wait(20) == 0
    assert service.log.read_text() == ""


def test_a_service_that_starts_again_has_what_it_had(tmp_path: Path) -> None:
    with running_service(tmp_path) as first:
        made = create(first, name="Tutor").json()
        assert first.stop() == 0
    with running_service(tmp_path) as second:
        assert ask(second, "GET", f"/v1/assistants/{made['id']}").json() == made
        assert listed(second) == [made["id"]]


def test_a_port_that_is_taken_is_named(shared_service: Service) -> None:
    with pytest.raises(ConfigurationError) as refused:
        listen("127.0.0.1", shared_service.port)
    assert str(refused.value) == (
        f"Port {shared_service.port} of 127.0.0.1 cannot be listened on: Address already in use. Another service may "
        "be running there; choose another port with --port."
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "999.0.0.1"])
def test_an_address_that_is_none_is_named(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{host} is not an address to listen on"):
        listen(host, 0)


def test_an_address_of_another_machine_is_not_listened_on() -> None:
    with pytest.raises(ConfigurationError, match=r"^Port 0 of 192\.0\.2\.1 cannot be listened on"):
        listen("192.0.2.1", 0)
