"""What is logged: requests, and failures that are the service's own."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

from holdover import telemetry
from holdover.server.request_log import RequestLog

log = logging.getLogger("holdover")


@contextlib.contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what is wrong with a form, its sender is told
    logging.getLogger("uvicorn").setLevel(logging.DEBUG if level == "debug" else logging.ERROR)
    requests = RequestLog(sys.stderr)
    stop = telemetry.attach("server.request", requests) if level in ("debug", "info") else lambda: None
    try:
        yield
    finally:
        stop()
        requests.flush()


def _log_failure(*, request_id: str, error: BaseException) -> None:
    log.error("%s failed", request_id, exc_info=error)


def _log_run_failure(*, run_id: str, error: BaseException) -> None:
    log.error("%s could not be driven on", run_id or "a run", exc_info=error)


def _log_index_failure(*, file_id: str, store_id: str, error: BaseException) -> None:
    log.error("%s could not be indexed in %s", file_id or "a file", store_id, exc_info=error)


def _log_outdated(*, files: int, embedder: str) -> None:
    log.warning("%d files are indexed again, since the embedder is another: %s", files, embedder)


def _log_model_failure(*, model: str, run_id: str, error: BaseException) -> None:
    log.warning("%s: model %s could not answer: %s", run_id, model, error)


def _log_sandbox_failure(*, run_id: str, error: BaseException) -> None:
    log.warning("%s: the sandbox could not do what it was asked: %s", run_id, error)


def _log_upstream_failure(*, error: BaseException) -> None:
    log.warning("the upstream could not answer what was passed on: %s", str(error) or type(error).__name__)


class _StoreFailures:
    """Logs that a database does not work; not each time, while it is away and asked again and again."""

    EVERY_S = 10.0

    def __init__(self) -> None:
        self._next = float("-inf")

    def __call__(self, *, error: BaseException) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.EVERY_S
            log.warning("the database does not work: %s", str(error) or type(error).__name__)


FAILURES: dict[str, Callable[..., None]] = {
    "server.failure": _log_failure,
    "run.failure": _log_run_failure,
    "model.failure": _log_model_failure,
    "sandbox.failure": _log_sandbox_failure,
    "upstream.failure": _log_upstream_failure,
    "store.failure": _StoreFailures(),
    "index.failure": _log_index_failure,
    "index.outdated": _log_outdated,
}
