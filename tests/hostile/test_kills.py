"""What was answered is kept, however the service ends."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.conftest import Service, running_service
from tests.server.talk import ask, conversation, request

# The bound: how often the service is killed, by how many callers it is called meanwhile, and after how many answers,
# which differs from round to round so that the kill meets different moments.
ROUNDS = 50
CALLERS = 16
ANSWERS_BEFORE_THE_KILL = range(5, 300)


def test_no_answered_creation_is_lost_when_the_service_is_killed(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    with ThreadPoolExecutor(CALLERS) as callers:
        for number in range(ROUNDS):
            with running_service(tmp_path) as service:
                if acknowledged:
                    last = ask(service, "GET", f"/v1/assistants/{acknowledged[-1]}")
                    assert last.status == 200, f"round {number}: the last answered creation of the round before"
                enough = ANSWERS_BEFORE_THE_KILL[number * 37 % len(ANSWERS_BEFORE_THE_KILL)]
                answered: list[str] = []
                calling = [callers.submit(_create_until_killed, service, answered, enough) for _ in range(CALLERS)]
                for each in calling:
                    each.result()
                acknowledged += answered
    with closing(sqlite3.connect(tmp_path / "holdover.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = dict(connection.execute("SELECT id, document FROM assistants"))
    assert len(acknowledged) == len(set(acknowledged)) > ROUNDS
    assert kept.keys() >= set(acknowledged)
    assert all(json.loads(document)["id"] == identifier for identifier, document in kept.items())
    assert (tmp_path / "service.log").read_text() == ""


def _create_until_killed(service: Service, answered: list[str], enough: int) -> None:
    """Create assistants until the service is gone; whoever is first to see enough answers kills it."""
    raw = request("POST", "/v1/assistants", b'{"model":"gpt-4o","name":"Tutor"}')
    try:
        with conversation(service) as talk:
            while True:
                talk.say(raw)
                answered.append(talk.hear().json()["id"])
                if len(answered) >= enough:
                    service.process.kill()
    except (TimeoutError, OSError, AssertionError, json.JSONDecodeError):
        assert len(answered) >= min(enough, 1)
