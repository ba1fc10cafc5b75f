"""Looks into the database while it all happens, and says at the end what is wrong."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from .users import BY_SCRIPT, Asked, Kind, Users

TERMINAL = ("completed", "incomplete", "failed", "cancelled", "expired")
ACTIVE = "('queued', 'in_progress', 'requires_action', 'cancelling')"


class Database(Protocol):
    """Reads past all processes under test."""

    async def rows(self, question: str) -> list[tuple[Any, ...]]:
        """Return what a question is answered with; nothing while the database is away."""

    def close(self) -> None:
        """Look no more."""


class SQLite:
    def __init__(self, path: Path) -> None:
        self._path = path

    def close(self) -> None:
        pass

    async def rows(self, question: str) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
                return connection.execute(question).fetchall()
        except sqlite3.OperationalError:
            return []  # nobody has it open, and its log is still to be read in


class Postgres:
    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def rows(self, question: str) -> list[tuple[Any, ...]]:
        import asyncpg  # type: ignore[import-untyped]

        async with self._one_at_a_time:
            try:
                if self._connection is None:
                    self._connection = await asyncpg.connect(self._url, timeout=5)
                return [tuple(row) for row in await self._connection.fetch(question, timeout=5)]
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                self.close()
                return []

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class Witness:
    """Sees every run that there is, again and again."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ends: dict[str, str] = {}
        self.wrong: list[str] = []
        self.looks = 0
        #: Seconds from the death of a process until each run that it drove was taken from it.
        self.recoveries: list[float] = []
        #: When the database was maltreated last: what is measured around that tells of it, not of workers.
        self.disturbed_at = float("-inf")
        #: Set while nobody drives on behalf of the dead.
        self.no_orphans = asyncio.Event()
        self._orphans: dict[tuple[str, int], float] = {}

    async def watch(self) -> None:
        """Look all the time."""
        while True:
            await self.look()
            await self._look_after_orphans()
            await asyncio.sleep(0.1)

    async def look(self) -> None:
        """Take in how each run is: what has ended stays as it ended, and no thread has two that have not."""
        rows = await self.database.rows("SELECT id, owner, status FROM runs")
        self.looks += bool(rows)
        active = Counter(owner for _, owner, status in rows if status not in TERMINAL)
        self.wrong += [f"{thread} has {count} active runs" for thread, count in active.items() if count > 1]
        for run_id, _, status in rows:
            before = self.ends.get(run_id)
            if before is not None and before != status:
                self.wrong.append(f"{run_id} was {before}, then {status}")
            if status in TERMINAL:
                self.ends[run_id] = status

    async def note_death(self, pid: int, at: float) -> None:
        """Remember what a process drove when it died."""
        rows = await self.database.rows(
            f"SELECT id, epoch FROM runs WHERE worker LIKE 'worker-{pid}-%' "
            "AND lease_until IS NOT NULL AND status IN ('in_progress', 'cancelling')"
        )
        self._orphans |= dict.fromkeys(rows, at)
        self.no_orphans.clear()

    async def _look_after_orphans(self) -> None:
        if not self._orphans:
            self.no_orphans.set()
            return
        ids = ", ".join(f"'{run_id}'" for run_id, _ in self._orphans)
        rows = await self.database.rows(
            f"SELECT id, epoch, lease_until IS NOT NULL AND status IN {ACTIVE} FROM runs WHERE id IN ({ids})"
        )
        held = {(run_id, epoch) for run_id, epoch, is_held in rows if is_held}
        for orphan, died_at in list(self._orphans.items()):
            if rows and orphan not in held:
                del self._orphans[orphan]
                if died_at - self.disturbed_at > 5 and died_at > self.disturbed_at:
                    self.recoveries.append(time.monotonic() - died_at)

    async def list_active(self) -> list[tuple[str, str, str]]:
        """Return the runs that have not ended: id, thread, status."""
        rows = await self.database.rows(f"SELECT id, owner, status FROM runs WHERE status IN {ACTIVE}")
        return [(run_id, owner, status) for run_id, owner, status in rows]


async def what_is_wrong(users: Users, witness: Witness) -> list[str]:
    """Return everything that is not as it must be, once all is quiet."""
    await witness.look()
    rows = witness.database.rows
    runs = {row[0]: row for row in await rows("SELECT id, owner, status, document, lease_until, expires_at FROM runs")}
    steps = _by_owner(await rows("SELECT document FROM steps ORDER BY seq"), "run_id")
    messages = await rows("SELECT document FROM messages ORDER BY seq")
    written, threads = _by_owner(messages, "run_id"), _by_owner(messages, "thread_id")
    questions = {
        thread_id: [_text(each) for each in messages if each["role"] == "user"]
        for thread_id, messages in threads.items()
    }
    wrong = [*users.wrong, *witness.wrong]
    wrong += [f"{each} is lost" for each in users.runs if each not in runs]
    wrong += [f"{thread_id} has {len(asked)} questions" for thread_id, asked in questions.items() if len(asked) != 1]
    for run_id, (_, thread_id, status, document, lease_until, expires_at) in runs.items():
        run = _decoded(document)
        if run["status"] != status or status not in TERMINAL or lease_until is not None or expires_at is not None:
            wrong.append(f"{run_id} is left {status}, its document {run['status']}, lease {lease_until}")
        script = questions[thread_id][0]
        problems = _problems(run, BY_SCRIPT[script], steps.get(run_id, []), written.get(run_id, []))
        if run_id in users.runs:
            problems += _broken_promises(users.runs[run_id], run)
        wrong += [f"{run_id} ({script!r}, {status}): {each}" for each in problems]
    return wrong


def _problems(
    run: dict[str, Any], kind: Kind, steps: list[dict[str, Any]], messages: list[dict[str, Any]]
) -> list[str]:
    """Return what cannot be, whoever asked for the run: something twice, half-done, or without its other half."""
    found = []
    said = [_text(each) for each in messages]
    begun = list(zip(said, kind.says, strict=False))
    if len(said) > len(kind.says) or not all(whole.startswith(text) for text, whole in begun):
        found.append(f"it said {said}")
    if run["status"] == "completed" and said != [*kind.says]:
        found.append(f"it said only {said}")
    types = [step["type"] for step in steps]
    if types.count("tool_calls") > 1 or (run["status"] == "completed" and types != _types(kind)):
        found.append(f"its steps are {types}")
    if any(each["status"] == "in_progress" for each in (*steps, *messages)):
        found.append("something is left half-done")
    told = [step["step_details"]["message_creation"]["message_id"] for step in steps if step["type"] != "tool_calls"]
    if told != [message["id"] for message in messages]:
        found.append(f"its steps tell of messages {told}, it has {[message['id'] for message in messages]}")
    total = sum(step["usage"]["total_tokens"] for step in steps if step["usage"])
    if run["status"] == "completed" and run["usage"]["total_tokens"] != total:
        found.append(f"it used {run['usage']['total_tokens']} tokens, its steps {total}")
    if run["status"] == "completed" and any(step["status"] != "completed" for step in steps):
        found.append("it is complete, a step is not")
    return found


def _types(kind: Kind) -> list[str]:
    first, *_ = kind.script.split("!then")
    words, calls = ["message_creation"], ["tool_calls"]
    if "!call" not in kind.script:
        return words
    return words + calls + words if "!say" in first else calls + words


def _broken_promises(asked: Asked, run: dict[str, Any]) -> list[str]:
    """Return what its user was told, or may expect, and is not so."""
    found = []
    status = run["status"]
    # Where no run has a short life, its user does not wait for the end of it.
    others = {"expired": asked.is_brief, "cancelled": asked.may_be_cancelled, "completed": not asked.is_brief}
    is_expected = status in asked.kind.ends or (asked.kind.is_brief and others.get(status)) or is_given_up(run)
    if not is_expected and not (status == "expired" and asked.is_brief):
        found.append(f"it ended {status}")
    if asked.was_cancelled and status != "cancelled":
        found.append("its cancelling was acknowledged")
    if asked.seen != status:
        found.append(f"it was seen to be {asked.seen}")
    if asked.submissions > 1:
        found.append(f"{asked.submissions} submissions were acknowledged")
    return found


def is_given_up(run: dict[str, Any]) -> bool:
    """Whether a run was taken for what killed its workers: three died under it, one after the other."""
    return run["status"] == "failed" and run["last_error"] == {
        "code": "server_error",
        "message": "Sorry, something went wrong.",
    }


def _decoded(document: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(document)
    return decoded


def _text(message: dict[str, Any]) -> str:
    return "".join(part["text"]["value"] for part in message["content"])


def _by_owner(rows: list[tuple[Any, ...]], name: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for (document,) in rows:
        each = _decoded(document)
        found.setdefault(each[name], []).append(each)
    return found
