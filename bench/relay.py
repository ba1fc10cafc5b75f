"""A model's tokens on their way through the service: what each costs, whether all arrive, and how much later.

Streams of 75 tokens, 50 a second each, begun over 0.7 s, as create-thread-and-run begins them: the thread and the run
are stored, and the end is flushed to disk. The peer (`bench.peers.naive_relay`) sends the same events and stores
nothing. It loses streams when there are many, so tokens that arrived are counted, in order and without a gap. The
model and the listeners run on the other core, and are the same for all.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from .get import KEY
from .goals import Measured
from .listening import Heard, Listeners, Order
from .load import request
from .processes import MEASURED_CORE, OTHER_CORE, Child
from .rounds import Effort, figure, ratio, take_turns

TOKENS, PER_S = 75, 50
QUESTION = {"role": "user", "content": "What is 7 times 8?"}
#: Streams that are held open, waiting, to see what they take.
HELD = 1000


def measure(effort: Effort) -> list[Measured]:
    """Measure the rows ``relay_…``, ``arrive_…``, ``first_token`` and ``stream_memory``."""
    with ExitStack() as opened:
        scene = _Scene(opened)
        rows = [_compared(scene, 64, effort)]
        if effort.share < 1:
            skipped = "many streams take too long for a quick look"
            names = ("relay_256", "arrive_256", "arrive_512", "first_token", "stream_memory")
            return [*rows, *(Measured(goal=name, skipped=skipped) for name in names)]
        rows.append(_compared(scene, 256, effort))
        rows += [_arriving(scene, 256, effort), _arriving(scene, 512, effort), _delayed(scene, effort)]
    with ExitStack() as opened:  # a service that nothing was freed in yet
        rows.append(_held(_Scene(opened, has_peer=False)))
    return rows


class _Scene:
    """A model, the service and the peer in front of it, and who listens."""

    def __init__(self, opened: ExitStack, *, has_peer: bool = True) -> None:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="holdover-bench-"))
        log = opened.enter_context(Path(folder, "service.log").open("wb"))  # noqa: SIM115 - it is a context
        model = opened.enter_context(Child("-m", "bench.peers.paced_model", str(TOKENS), str(PER_S), core=OTHER_CORE))
        model_port = int(model.read())
        url = f"http://127.0.0.1:{model_port}/v1"
        database = str(Path(folder, "holdover.db"))
        self.service = opened.enter_context(
            Child("-m", "bench.peers.service", database, KEY, url, core=MEASURED_CORE, log=log)
        )
        self.listeners = opened.enter_context(Listeners())
        self.ports = {"service": int(self.service.read()), "direct": model_port}
        self.children = {"service": self.service}
        if has_peer:
            peer = opened.enter_context(Child("-m", "bench.peers.naive_relay", url, core=MEASURED_CORE, log=log))
            self.children["peer"] = peer
            self.ports["peer"] = int(peer.read())
        self.assistant_id = _make_assistant(self.ports["service"])

    def hear(self, side: str, streams: int) -> Heard:
        """Have that many streams of a side heard to their ends."""
        return self.listeners.hear(self.order(side, streams))

    def order(self, side: str, streams: int, model: str = "gpt-4o") -> Order:
        """Return what asks a side for streams."""
        if side == "direct":
            path, body = "/v1/chat/completions", {"model": model, "messages": [QUESTION], "stream": True}
        else:
            path, thread = "/v1/threads/runs", {"messages": [QUESTION]}
            body = {"assistant_id": self.assistant_id, "model": model, "thread": thread, "stream": True}
        asked = request(path, KEY, json.dumps(body, separators=(",", ":")).encode())
        return Order(self.ports[side], asked, streams, TOKENS)


def _make_assistant(port: int) -> str:
    import httpx2

    answer = httpx2.post(
        f"http://127.0.0.1:{port}/v1/assistants",
        json={"model": "gpt-4o", "instructions": "You teach mathematics."},
        headers={"authorization": f"Bearer {KEY}"},
    )
    identifier: str = answer.raise_for_status().json()["id"]
    return identifier


def _compared(scene: _Scene, streams: int, effort: Effort) -> Measured:
    arrived: dict[str, list[float]] = {f"{side}_arrived": [] for side in scene.children}

    def us_per_token(side: str) -> float:
        before = scene.children[side].cpu_s()
        heard = scene.hear(side, streams)
        arrived[f"{side}_arrived"].append(heard.tokens / (streams * TOKENS))
        return (scene.children[side].cpu_s() - before) / max(1, heard.tokens) * 1e6

    found = take_turns({side: partial(us_per_token, side) for side in scene.children}, effort.rounds)
    shares = {name: values[1:] for name, values in arrived.items()}  # the first round did not count
    return ratio(f"relay_{streams}", found["peer"], found["service"], _labelled(found, "us") | shares)


def _arriving(scene: _Scene, streams: int, effort: Effort) -> Measured:
    def share() -> float:
        return scene.hear("service", streams).tokens / (streams * TOKENS)

    return figure(f"arrive_{streams}", take_turns({"service": share}, effort.rounds)["service"])


def _delayed(scene: _Scene, effort: Effort) -> Measured:
    def first_ms(side: str) -> float:
        return scene.hear(side, 256).first_ms or float("inf")

    found = take_turns({side: partial(first_ms, side) for side in ("direct", "service")}, effort.rounds)
    added = [through - direct for through, direct in zip(found["service"], found["direct"], strict=True)]
    return figure("first_token", added, _labelled(found, "ms"))


def _held(scene: _Scene) -> Measured:
    """Hold streams open of a run whose model is silent; then runs, each with its stream and its request to the model.

    A request that is repeated with its Idempotency-Key attaches to the run that it began. What all make use of was used
    before, so only what each one takes is counted.
    """
    scene.hear("service", 64)
    order = scene.order("service", HELD, model="wait")
    repeated = order.request.replace("\r\n\r\n", "\r\nidempotency-key: bench\r\n\r\n", 1)
    attached = msgspec.structs.replace(order, request=repeated)
    scene.listeners.hold(msgspec.structs.replace(attached, streams=1))
    of_stream = _grown_kb(scene, attached)
    of_run = _grown_kb(scene, order)
    return figure("stream_memory", [of_stream], {"run_and_stream_KB": [of_run]})


def _grown_kb(scene: _Scene, order: Order) -> float:
    before = scene.service.memory_bytes()
    scene.listeners.hold(order)
    return (scene.service.memory_bytes() - before) / order.streams / 1000


def _labelled(sides: dict[str, list[float]], unit: str) -> dict[str, list[float]]:
    return {f"{name}_{unit}": values for name, values in sides.items()}
