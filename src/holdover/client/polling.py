"""Waiting for a run, or for files to be indexed, by asking how they are, and answering a run's calls on the way.

A flow, as a call is.

Source: the poll helpers of the official SDKs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdover.errors import BadRequestError
from holdover.wire.runs import Run, RunStatus
from holdover.wire.vector_stores import VectorStore

from .calls import call
from .exchange import Flow, Pause, Target, decoded, exchange, exchange_raw
from .function_calls import Answering, RunCalls, ended_meanwhile

#: Pauses between two questions, in seconds, where neither the caller nor the service says how long they are.
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
GROWTH = 1.5

#: A service may say how long to wait before the next question, in milliseconds.
POLL_HEADER = "openai-poll-after-ms"

UNDER_WAY: frozenset[RunStatus] = frozenset(("queued", "in_progress", "cancelling"))

#: Options that are not sent.
OF_FUNCTIONS = frozenset(("functions", "on_function_error", "max_rounds"))
OF_WAITING = OF_FUNCTIONS | {"poll_interval_s"}
OF_WAITING_FOR_FILES = frozenset(("on_progress", "poll_interval_s"))


def run_and_wait(
    target: Target, thread_id: str, assistant_id: str, options: Mapping[str, Any], *, can_await: bool
) -> Flow[Run]:
    """Create a run and wait until it has ended, or waits for outputs that no function gives."""
    waiting = _Waiting(target, options, can_await=can_await)
    given = {"assistant_id": assistant_id}
    begin = call("create_run", thread_id, reply=Run, options=_sent(options), given=given)
    return waiting.finish(exchange(target, begin))


def wait_for_run(
    target: Target, thread_id: str, run_id: str, options: Mapping[str, Any], *, can_await: bool
) -> Flow[Run]:
    """Wait until a run has ended, or waits for outputs that no function gives."""
    waiting = _Waiting(target, options, can_await=can_await)
    return waiting.finish(exchange(target, call("get_run", thread_id, run_id, reply=Run, options=_sent(options))))


def wait_for_vector_store(target: Target, vector_store_id: str, options: Mapping[str, Any]) -> Flow[VectorStore]:
    """Wait until no file of a vector store is being indexed any more."""
    pause_s = checked_pause(options)
    on_progress = options.get("on_progress")
    sent = {name: value for name, value in options.items() if name not in OF_WAITING_FOR_FILES}
    growing_s = FIRST_PAUSE_S
    while True:
        store = yield from exchange(target, call("get_vector_store", vector_store_id, reply=VectorStore, options=sent))
        if on_progress is not None:
            on_progress(store)
        if store.status != "in_progress" and not store.file_counts.in_progress:
            return store
        yield Pause(pause_s or growing_s)
        growing_s = min(growing_s * GROWTH, LONGEST_PAUSE_S)


def checked_pause(options: Mapping[str, Any]) -> float | None:
    """Return the pause between two questions that a caller asks for, in seconds.

    Raises:
        BadRequestError: It is none.
    """
    pause_s: Any = options.get("poll_interval_s")
    if pause_s is None:
        return None
    if not isinstance(pause_s, int | float) or not 0 < pause_s < float("inf"):
        raise BadRequestError("poll_interval_s is a number of seconds above 0.", param="poll_interval_s")
    return float(pause_s)


def _sent(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in OF_WAITING}


class _Waiting:
    def __init__(self, target: Target, options: Mapping[str, Any], *, can_await: bool) -> None:
        self._target = target
        self._pause_s = checked_pause(options)
        of_functions = {name: options[name] for name in OF_FUNCTIONS & options.keys()}
        self._answering = Answering(**of_functions, can_await=can_await)
        self.calls = RunCalls(options)

    def finish(self, begin: Flow[Run]) -> Flow[Run]:
        run = yield from begin
        while True:
            run = yield from self._polled(run)
            if not self._answering.is_asked(run):
                return run
            outputs = yield from self._answering.outputs(self._target, self.calls, run)
            try:
                run = yield from exchange(self._target, self.calls.submit(run, outputs))
            except BadRequestError as refusal:
                return (yield from ended_meanwhile(self._target, self.calls, run, refusal))

    def _polled(self, run: Run) -> Flow[Run]:
        growing_s, told_s = FIRST_PAUSE_S, None
        while run.status in UNDER_WAY:
            yield Pause(self._pause_s or told_s or growing_s)
            growing_s = min(growing_s * GROWTH, LONGEST_PAUSE_S)
            asked = self.calls.get(run.thread_id, run.id)
            response = yield from exchange_raw(self._target, asked)
            run = decoded(self._target, asked, response)
            told_s = _told(response.headers)
        return run


def _told(headers: Mapping[str, str]) -> float | None:
    told = headers.get(POLL_HEADER, "")
    return int(told) / 1000 if told.isdigit() else None
