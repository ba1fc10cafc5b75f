"""One GET through a client, in processor time of the client: sync, async, and 64 at a time.

Both clients fetch the same assistant from the same server (`bench.peers.fixed_answer`), each in a process of its own
(``python -m bench.calls CLIENT MODE PORT``), and give it back as their typed object.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .goals import Measured
from .processes import MEASURED_CORE, OTHER_CORE, Child
from .rounds import Effort, ratio, take_turns

#: Calls in a round, by mode.
USUAL_CALLS = {"sync": 600, "async": 600, "async_64": 1280}
AT_ONCE = {"async": 1, "async_64": 64}


def measure(effort: Effort) -> list[Measured]:
    """Measure the rows ``call_sync``, ``call_async`` and ``call_async_64``."""
    with Child("-m", "bench.peers.fixed_answer", core=OTHER_CORE) as server:
        port = server.read()
        return [_measure(mode, port, effort) for mode in USUAL_CALLS]


def _measure(mode: str, port: str, effort: Effort) -> Measured:
    count = effort.count(USUAL_CALLS[mode])
    with (
        Child("-m", "bench.calls", "holdover", mode, port, core=MEASURED_CORE) as holdover,
        Child("-W", "ignore", "-m", "bench.calls", "openai", mode, port, core=MEASURED_CORE) as openai,
    ):
        sides = {"holdover_us": holdover, "openai_us": openai}
        for child in sides.values():
            child.read()
        found = take_turns({name: partial(_us_per_call, child, count) for name, child in sides.items()}, effort.rounds)
    return ratio(f"call_{mode}", found["openai_us"], found["holdover_us"], found)


def _us_per_call(child: Child, count: int) -> float:
    return float(child.ask(str(count))) / count * 1e6


# ---------------------------------------------------------------------------------- in the other process


def make_calls(client: str, mode: str, port: str) -> None:
    """For every number on standard input make that many calls, and say the processor seconds they took."""
    print("ready", flush=True)
    if mode == "sync":
        _answer(partial(_in_turn, _sync_call(client, port)))
    else:
        with asyncio.Runner() as runner:
            call = runner.run(_async_call(client, port))
            _answer(lambda count: runner.run(_at_once(call, count, AT_ONCE[mode])))


def _answer(run: Callable[[int], None]) -> None:
    for line in sys.stdin:
        began = time.process_time()
        run(int(line))
        print(time.process_time() - began, flush=True)


def _in_turn(call: Callable[[], Any], count: int) -> None:
    for _ in range(count):
        call()


async def _at_once(call: Callable[[], Awaitable[Any]], count: int, at_once: int) -> None:
    async def caller() -> None:
        for _ in range(max(1, count // at_once)):
            await call()

    await asyncio.gather(*(caller() for _ in range(at_once)))


_ID = "asst_" + "A" * 24


def _sync_call(client: str, port: str) -> Callable[[], Any]:
    base_url = f"http://127.0.0.1:{port}/v1"
    if client == "openai":
        from openai import OpenAI

        return partial(OpenAI(api_key="sk-bench", base_url=base_url).beta.assistants.retrieve, _ID)
    from holdover import Client

    return partial(Client(api_key="sk-bench", base_url=base_url).get_assistant, _ID)


async def _async_call(client: str, port: str) -> Callable[[], Awaitable[Any]]:
    base_url = f"http://127.0.0.1:{port}/v1"
    if client == "openai":
        from openai import AsyncOpenAI

        return partial(AsyncOpenAI(api_key="sk-bench", base_url=base_url).beta.assistants.retrieve, _ID)
    from holdover import AsyncClient

    return partial(AsyncClient(api_key="sk-bench", base_url=base_url).get_assistant, _ID)


if __name__ == "__main__":
    make_calls(*sys.argv[1:])
