"""``http_client=``: travelling through an ``httpx`` or ``httpx2`` client that the application has already."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdover

from .faces import Face
from .stub import HANG_UP, SILENCE, Answer, Stub

Starts = Callable[..., Stub]

#: The 2024 SDK's folder has httpx, which the environment itself has not.
OLD_PACKAGES = Path(sys.prefix) / "openai-2024"


def through(face: Face, **options: Any) -> Any:
    return httpx2.AsyncClient(**options) if face.is_async else httpx2.Client(**options)


def close(face: Face, http_client: Any) -> None:
    face.settled(http_client.aclose if face.is_async else http_client.close)


def test_calls_travel_through_it_with_all_its_settings(face: Face, stub: Stub) -> None:
    http_client = through(face, headers={"x-team": "maths", "user-agent": "application/1"})
    with face.client(base_url=stub.base_url, api_key="sk-1", http_client=http_client) as client:
        made = client.create_assistant("gpt-4o", name="Tütor")
    assert made.id == "asst_1"
    (asked,) = stub.asked
    assert asked.headers["x-team"] == "maths"
    assert asked.headers["authorization"] == "Bearer sk-1"
    assert asked.headers["user-agent"].startswith("holdover-python/")
    assert asked.body == '{"model":"gpt-4o","name":"Tütor"}'.encode()
    assert not http_client.is_closed, "closing it is its owner's business"
    close(face, http_client)


def test_errors_and_their_request_ids_come_back(face: Face, start_stub: Starts) -> None:
    error = {"error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": None}}
    stub = start_stub(lambda asked: Answer(error, 404, (("X-Request-Id", "req_7"),)))
    http_client = through(face)
    with pytest.raises(holdover.NotFoundError) as caught:
        face.client(base_url=stub.base_url, http_client=http_client).get_assistant("asst_1")
    assert (str(caught.value), caught.value.request_id) == ("No.", "req_7")
    close(face, http_client)


def test_redirects_are_not_followed_even_where_it_follows_them(face: Face, start_stub: Starts) -> None:
    stub = start_stub(lambda asked: Answer(b"", 302, (("location", "/elsewhere"),)))
    http_client = through(face, follow_redirects=True)
    with pytest.raises(holdover.APIStatusError):
        face.client(base_url=stub.base_url, http_client=http_client).get_assistant("asst_1")
    assert len(stub.asked) == 1
    close(face, http_client)


def test_trouble_is_told_apart_as_on_the_way_of_our_own(face: Face, start_stub: Starts, free_port: int) -> None:
    http_client = through(face, trust_env=False)

    def client(base_url: str, timeout_s: float = 5.0) -> Any:
        return face.client(base_url=base_url, http_client=http_client, timeout_s=timeout_s)

    with pytest.raises(holdover.APITimeoutError, match=r"No answer within 0\.2 s"):
        client(start_stub(lambda asked: SILENCE).base_url, 0.2).get_assistant("asst_1")
    with pytest.raises(holdover.APIConnectionError, match="broke off"):
        client(start_stub(lambda asked: HANG_UP).base_url).get_assistant("asst_1")
    with pytest.raises(holdover.APIConnectionError, match=r"^Nothing is listening at .* run: holdover serve$"):
        client(f"http://127.0.0.1:{free_port}/v1").create_assistant("gpt-4o")
    close(face, http_client)


def test_a_create_that_broke_off_is_not_repeated_blindly(face: Face, start_stub: Starts) -> None:
    stub = start_stub(lambda asked: HANG_UP if asked.method == "POST" else Answer({"object": "list", "data": []}))
    http_client = through(face)
    with pytest.raises(holdover.APIConnectionError):
        face.client(base_url=stub.base_url, http_client=http_client).create_assistant("gpt-4o")
    assert [each.method for each in stub.asked] == ["POST", "GET"]
    close(face, http_client)


def test_a_transport_of_its_own_is_used() -> None:
    """An application's tests may already have a handler in place of the network."""
    page = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    with httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=page))) as http_client:
        assert holdover.Client(base_url="http://x.example/v1", http_client=http_client).list_assistants().data == []


@pytest.mark.skipif(not (OLD_PACKAGES / "httpx").is_dir(), reason="there is no httpx: `make install` brings one")
def test_httpx_will_do_as_well(stub: Stub) -> None:
    program = """
import asyncio, sys, httpx, holdover
async def ask():
    async with httpx.AsyncClient() as http_client:
        client = holdover.AsyncClient(base_url=sys.argv[1], http_client=http_client)
        return await client.get_assistant("asst_1")
with httpx.Client() as http_client:
    client = holdover.Client(base_url=sys.argv[1], http_client=http_client)
    assert client.create_assistant("gpt-4o") == asyncio.run(ask())
    try:
        client.get_assistant("asst_1", base_url="http://127.0.0.1:9/v1")
    except holdover.APIConnectionError as error:
        assert "holdover serve" in str(error), error
"""
    environment = {**os.environ, "PYTHONPATH": str(OLD_PACKAGES)}
    subprocess.run([sys.executable, "-c", program, stub.base_url], check=True, env=environment, timeout=60)
    assert [each.method for each in stub.asked] == ["POST", "GET"]
