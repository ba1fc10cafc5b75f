"""A run's stream from bytes to typed events, in processor time, as each client does it; no network.

Ten thousand pieces of text, in reads of 4 KB. Each client reads in a process of its own (``python -m bench.events
CLIENT``), by the stream that its users iterate over.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from .goals import Measured
from .processes import MEASURED_CORE, Child
from .rounds import Effort, ratio, take_turns

#: Streams in a round, by client: some tenths of a second of each.
USUAL_STREAMS = {"holdover": 8, "openai": 1}
PIECES = 10_000
READ_BYTES = 4096


def measure(effort: Effort) -> list[Measured]:
    """Measure the row ``decode_events``."""
    with (
        Child("-m", "bench.events", "holdover", core=MEASURED_CORE) as holdover,
        Child("-m", "bench.events", "openai", core=MEASURED_CORE) as openai,
    ):
        sides = {}
        for name, child in {"holdover": holdover, "openai": openai}.items():
            child.read()
            sides[f"{name}_us"] = partial(_us_per_event, child, max(1, effort.count(USUAL_STREAMS[name])))
        found = take_turns(sides, effort.rounds)
    return [ratio("decode_events", found["openai_us"], found["holdover_us"], found)]


def _us_per_event(child: Child, count: int) -> float:
    return float(child.ask(str(count))) / count / PIECES * 1e6


# ---------------------------------------------------------------------------------- in the other process


def stream() -> list[bytes]:
    """Return a stream as it is read: the pieces of a text, and the end of the run."""
    message_id = "msg_" + "A" * 24
    frames = []
    for number in range(PIECES):
        delta = {"content": [{"index": 0, "type": "text", "text": {"value": f" word{number}"}}]}
        data = {"id": message_id, "object": "thread.message.delta", "delta": delta}
        frames.append(b"event: thread.message.delta\ndata: %b\n\n" % msgspec.json.encode(data))
    frames += [
        b"event: thread.run.completed\ndata: %b\n\n" % msgspec.json.encode(_RUN),
        b"event: done\ndata: [DONE]\n\n",
    ]
    whole = b"".join(frames)
    return [whole[start : start + READ_BYTES] for start in range(0, len(whole), READ_BYTES)]


_RUN = {
    "id": "run_" + "A" * 24,
    "object": "thread.run",
    "created_at": 1_790_000_000,
    "assistant_id": "asst_" + "A" * 24,
    "thread_id": "thread_" + "A" * 24,
    "status": "completed",
    "model": "gpt-4o",
    "instructions": "",
    "tools": [],
    "metadata": {},
}


def read_streams(client: str) -> None:
    """For every number on standard input read that many streams, and say the processor seconds they took."""
    reads = stream()
    read = _openai_reader() if client == "openai" else _holdover_reader()
    assert read(reads) == PIECES
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.process_time()
        for _ in range(int(line)):
            read(reads)
        print(time.process_time() - began, flush=True)


def _holdover_reader() -> Callable[[list[bytes]], int]:
    from holdover import Client

    def read(reads: list[bytes]) -> int:
        client = Client(api_key="sk-bench", base_url="http://127.0.0.1:1/v1", transport=_Reads(reads))
        events = client.create_run("thread_" + "A" * 24, "asst_" + "A" * 24, stream=True)
        return sum(len(event.data.text) > 0 for event in events if event.name == "thread.message.delta")

    return read


class _Reads:
    """A transport whose every answer is a stream that came already. See `holdover.client.transports.Transport`."""

    status = 200

    def __init__(self, reads: list[bytes]) -> None:
        self.headers = {"content-type": "text/event-stream; charset=utf-8"}
        self._reads = iter(reads)

    def stream(self, request: Any) -> _Reads:
        return self

    def read(self, timeout_s: float | None = None) -> bytes:
        return next(self._reads, b"")

    def close(self) -> None:
        pass


def _openai_reader() -> Callable[[list[bytes]], int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import httpx2
        from openai import OpenAI

    class Body(httpx2.SyncByteStream):
        def __init__(self, reads: list[bytes]) -> None:
            self._reads = reads

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._reads)

    def read(reads: list[bytes]) -> int:
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        answer = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, stream=Body(reads)))
        client = OpenAI(api_key="sk-bench", http_client=httpx2.Client(transport=answer))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            events = client.beta.threads.runs.create("thread_" + "A" * 24, assistant_id="asst_" + "A" * 24, stream=True)
        count = 0
        for event in events:
            if event.event == "thread.message.delta":
                part = event.data.delta.content[0]  # type: ignore[index]
                count += part.type == "text" and bool(part.text.value)  # type: ignore[union-attr]
        return count

    return read


if __name__ == "__main__":
    read_streams(sys.argv[1])
