"""Users of a service that suffers: they ask, answer, cancel and compete, and remember what was acknowledged."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

import holdover
from holdover import AsyncClient

CALL = '!call f {"a": 1}'
FUNCTION: Any = {"type": "function", "function": {"name": "f"}}
#: Longer than anything may take that loses its worker twice, while its database begins anew.
STUCK_S = 60.0
TROUBLE = (holdover.APIConnectionError, holdover.InternalServerError)

What = Literal["wait", "answer", "answer twice", "answer late", "cancel", "cancel early", "leave"]


class Kind(msgspec.Struct, frozen=True):
    """A conversation: what is asked, what its user does, how it may end, and what is said in it, message by message.

    Attributes:
        is_brief: Its run is made where runs have a short life, if there is such a place.
    """

    script: str
    does: What
    ends: frozenset[str]
    says: tuple[str, ...] = ()
    is_brief: bool = False


def _ends(*statuses: str) -> frozenset[str]:
    return frozenset(statuses)


KINDS: dict[str, Kind] = {
    "say": Kind("!delay 0.01\n!say one two three", "wait", _ends("completed"), ("one two three",)),
    "slow": Kind("!delay 0.3\n!say one two three four", "wait", _ends("completed"), ("one two three four",)),
    "call": Kind(f"{CALL}\n!then\n!say five six", "answer", _ends("completed"), ("five six",)),
    "calls": Kind(f"{CALL}\n{CALL}\n!then\n!delay 0.1\n!say five", "answer twice", _ends("completed"), ("five",)),
    "say, call": Kind(
        f"!say let me see\n{CALL}\n!delay 0.4\n!usage 5 6\n!then\n!say five", "answer", _ends("completed"),
        ("let me see", "five"),
    ),
    "fail": Kind("!say seven\n!fail server_error", "wait", _ends("failed"), ("seven",)),
    "hang": Kind("!say eight\n!hang", "cancel", _ends("cancelled"), ("eight",)),
    "cancel": Kind("!delay 0.05\n!say a b c", "cancel early", _ends("cancelled", "completed"), ("a b c",)),
    "cancel call": Kind(f"{CALL}\n!then\n!say d", "cancel early", _ends("cancelled", "completed"), ("d",)),
    "expire": Kind("!say nine\n!hang", "leave", _ends("expired"), ("nine",), is_brief=True),
    "expire call": Kind(CALL, "leave", _ends("expired"), ("The answer is: done",), is_brief=True),
    "late": Kind(f"{CALL}\n!then\n!say e", "answer late", _ends("completed", "expired"), ("e",), is_brief=True),
}  # fmt: skip
BY_SCRIPT = {kind.script: kind for kind in KINDS.values()}
#: How often each is chosen, against the others.
WEIGHTS = {"say": 3, "slow": 4, "call": 4, "calls": 3, "say, call": 3, "hang": 2, "cancel": 2, "cancel call": 2}
BRIEF_S = 3.0


class Asked(msgspec.Struct):
    """A run that was acknowledged.

    Attributes:
        may_be_cancelled: Somebody asked for that.
        was_cancelled: That was acknowledged: it ends so.
        submissions: Acknowledged.
        seen: The end that somebody saw.
    """

    run_id: str
    thread_id: str
    kind: Kind
    may_be_cancelled: bool = False
    was_cancelled: bool = False
    submissions: int = 0
    seen: str | None = None
    expires_at: int = 0
    is_brief: bool = False


class Users:
    """Everybody who uses the service.

    Args:
        addresses: Where runs with a long life are made, and everything is asked.
        brief: Where runs with a short life are made.
    """

    def __init__(self, addresses: Sequence[str], brief: Sequence[str], seed: int) -> None:
        self.addresses = addresses
        self.brief = brief
        self.runs: dict[str, Asked] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.stop = asyncio.Event()
        self._seed = seed
        self._assistant = ""
        self._client = AsyncClient(base_url="http://unused/v1", max_retries=0, timeout_s=5)

    async def __aenter__(self) -> Users:
        made = await self._insist(
            lambda address: self._client.create_assistant(
                "gpt-4o", instructions="x", tools=[FUNCTION], base_url=address
            ),
            random.Random(0),
        )
        self._assistant = made.id
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()

    async def live(self, number: int) -> None:
        """Hold conversations until it is enough."""
        chance = random.Random(self._seed * 1000 + number)
        names = list(KINDS)
        weights = [WEIGHTS.get(name, 1) for name in names]
        while not self.stop.is_set():
            (name,) = chance.choices(names, weights)
            await self._converse(KINDS[name], chance)

    async def _converse(self, kind: Kind, chance: random.Random) -> None:
        said: Any = {"role": "user", "content": kind.script}
        thread = await self._insist(
            lambda address: self._client.create_thread(messages=[said], base_url=address), chance
        )
        places = self.brief if kind.is_brief else self.addresses
        made = await self._make(thread.id, places, chance)
        runs = [Asked(each.id, thread.id, kind, expires_at=each.expires_at or 0) for each in made]
        for asked, run in zip(runs, made, strict=True):
            asked.is_brief = asked.expires_at - run.created_at < 2 * BRIEF_S
            self.runs[asked.run_id] = asked
        for asked in runs:
            await self._act(asked, chance)
            await self.see_to_it(asked, chance)

    async def _make(self, thread_id: str, places: Sequence[str], chance: random.Random) -> list[Any]:
        """Make a run; often two at once, of which one is refused while the other is active."""

        async def make(address: str) -> Any:
            return await self._client.create_run(thread_id, self._assistant, base_url=address)

        if chance.random() < 0.5:
            asked = [make(chance.choice(places)) for _ in range(2)]
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            runs = [each for each in outcomes if isinstance(each, holdover.Run)]
            refused = [each for each in outcomes if isinstance(each, holdover.BadRequestError)]
            self.counts["competing runs refused"] += len(refused)
            self._expect_only(outcomes, "already has an active run")
            if runs:
                return runs
        while True:
            try:
                return [await make(chance.choice(places))]
            except TROUBLE:
                await self._wait(0.05)
            except holdover.BadRequestError as error:
                return [await self._get(thread_id, _active_run(error), chance)]

    async def _get(self, thread_id: str, run_id: str, chance: random.Random) -> Any:
        return await self._insist(lambda address: self._client.get_run(thread_id, run_id, base_url=address), chance)

    async def _act(self, asked: Asked, chance: random.Random) -> None:
        match asked.kind.does:
            case "cancel early":
                await self._wait(chance.uniform(0, 0.3))
                await self._cancel(asked, chance)
            case "answer late":
                left = asked.expires_at - time.time()
                if asked.is_brief:
                    await self._wait(left + chance.uniform(-0.1, 0.3))
            case "wait" | "answer" | "answer twice" | "cancel" | "leave":
                pass

    async def see_to_it(self, asked: Asked, chance: random.Random) -> None:
        """Stay with a run until it has ended."""
        deadline = time.monotonic() + STUCK_S
        while time.monotonic() < deadline:
            address = chance.choice(self.addresses)
            try:
                run = await self._client.get_run(asked.thread_id, asked.run_id, base_url=address)
            except TROUBLE:
                await self._wait(0.05)
                continue
            except holdover.NotFoundError:
                self.wrong.append(f"{asked.run_id} is lost")
                return
            self._note(asked, run.status)
            if run.is_terminal:
                return
            leaves = asked.kind.does == "leave" and asked.is_brief
            if run.status == "requires_action" and not leaves:
                await self._answer(asked, run, chance)
            elif run.status == "in_progress" and "!hang" in asked.kind.script and not leaves:
                await self._cancel(asked, chance)
            await self._wait(0.05)
        self.wrong.append(f"{asked.run_id} is stuck in {run.status}")

    def _note(self, asked: Asked, status: str) -> None:
        is_terminal = status in ("completed", "incomplete", "failed", "cancelled", "expired")
        if asked.seen is not None and asked.seen != status:
            self.wrong.append(f"{asked.run_id} was {asked.seen}, then {status}")
        if is_terminal:
            asked.seen = status

    async def _answer(self, asked: Asked, run: Any, chance: random.Random) -> None:
        """Submit the outputs: here and there a part of them first, and on two machines at the same time."""
        calls = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]

        async def submit(ids: list[str]) -> Any:
            outputs: Any = [{"tool_call_id": each, "output": "done"} for each in ids]
            return await self._client.submit_tool_outputs_to_run(
                asked.thread_id, asked.run_id, outputs, base_url=chance.choice(self.addresses)
            )

        asking = [submit(calls)]
        if asked.kind.does == "answer twice":
            partial = await asyncio.gather(submit(calls[:1]), return_exceptions=True)
            if isinstance(partial[0], holdover.Run):
                self.wrong.append(f"{asked.run_id} took a part of its outputs")
            asking.append(submit(calls))
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        asked.submissions += sum(isinstance(each, holdover.Run) for each in outcomes)
        self._expect_only(outcomes, "do not accept tool outputs")

    async def _cancel(self, asked: Asked, chance: random.Random) -> None:
        asked.may_be_cancelled = True
        try:
            await self._client.cancel_run(asked.thread_id, asked.run_id, base_url=chance.choice(self.addresses))
        except TROUBLE:
            return
        except holdover.BadRequestError as error:
            if not error.message.startswith("Cannot cancel run with status"):
                self.wrong.append(str(error))
            return
        if asked.was_cancelled:
            self.wrong.append(f"{asked.run_id} was cancelled twice")
        asked.was_cancelled = True

    def _expect_only(self, outcomes: Sequence[Any], text: str) -> None:
        for each in outcomes:
            if isinstance(each, holdover.BadRequestError) and text in each.message:
                continue
            if isinstance(each, BaseException) and not isinstance(each, TROUBLE):
                self.wrong.append(repr(each))

    async def _insist(self, ask: Callable[[str], Awaitable[Any]], chance: random.Random) -> Any:
        """Ask until there is an answer."""
        deadline = time.monotonic() + STUCK_S
        while True:
            try:
                return await ask(chance.choice(self.addresses))
            except TROUBLE:
                assert time.monotonic() < deadline, f"nobody answers for {STUCK_S} s"
                await self._wait(0.05)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def _active_run(error: holdover.BadRequestError) -> str:
    """Return the run that keeps another from being made: one whose making was answered, but nobody heard it."""
    active = re.search(r"already has an active run (run_\w+)", error.message)
    if active is None:
        raise error
    return active[1]
