"""Named events with measurements; loggers, traces and metrics attach to them.

Code announces what happened (`emit`); who listens is decided where the service is wired. An event costs a dictionary
look-up when nobody listens. Message content and secrets are never part of an event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger("holdover")

#: Every event, with its measurements. Times are in seconds.
EVENTS: dict[str, str] = {
    "server.request": "method, path, status, seconds, request_id: a request was answered.",
    "server.failure": "request_id, error: a request failed for a reason of the service's own.",
    "index.end": "file_id, store_id, status, reason: a file of a vector store was indexed, or cannot be.",
    "index.failure": "file_id, store_id, error: a file could not be indexed for a reason of the service's own.",
    "index.outdated": "files, embedder: so many files are indexed again, for this embedder.",
    "model.failure": "model, run_id, error: a model could not answer.",
    "model.retry": "model, run_id, error, seconds: a model is asked again, after so long.",
    "endpoint.failure": "what, reason: an endpoint beside the models (the embedder, the reranker) could not be used.",
    "endpoint.retry": "what, reason, seconds: such an endpoint is asked again, after so long.",
    "run.end": "run_id, status, seconds: a run ended here, so long after this process began with it.",
    "run.failure": "run_id, error: a run could not be driven on for a reason of the service's own.",
    "search.rerank_failure": "error: the reranker could not be asked; results stay as they were.",
    "upstream.failure": "error: what was passed on could not be answered.",
    "sandbox.failure": "run_id, error: code could not be run, or a file not be put where it runs.",
    "sandbox.open": "seconds, is_warm: a sandbox was opened; a warm one was waiting.",
    "sandbox.end": "reason, seconds: a sandbox was closed (idle, evicted, crashed, forgotten, stopped), so old.",
    "store.commit": "jobs, seconds: one transaction was made durable.",
    "store.failure": "error: the database, or what keeps the bytes of files, refused to work.",
    "files.sweep": "dropped: bytes that no file named were taken away, so many.",
}

Listener = Callable[..., None]

_listeners: dict[str, list[Listener]] = {name: [] for name in EVENTS}


def attach(event: str, listener: Listener) -> Callable[[], None]:
    """Call ``listener`` with the measurements of every such event; return a function that detaches it."""
    _listeners[event].append(listener)

    def detach() -> None:
        _listeners[event].remove(listener)

    return detach


def emit(event: str, **measurements: Any) -> None:
    """Announce an event to whoever listens; a listener that fails does not disturb what it listens to."""
    for listener in _listeners[event]:
        try:
            listener(**measurements)
        except Exception:
            log.exception("a listener of %s failed", event)
