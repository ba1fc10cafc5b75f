"""The log's line for every request."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from tests.conftest import Service

from holdover.server.request_log import RequestLog

from .talk import ask

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO holdover: (\S+ \S+ \d{3}) \d+\.\d ms (req_[0-9a-f]{32})")


def test_every_request_is_logged_once_and_in_order_also_the_last(start_service: Callable[..., Service]) -> None:
    service = start_service(log_level="info")
    paths = [f"/v1/assistants/asst_{n}" for n in range(20)]
    answers = [ask(service, "GET", path) for path in paths]
    assert service.stop() == 0
    logged = [LINE.fullmatch(line) for line in service.log.read_text().splitlines()]
    assert [line and line.groups() for line in logged] == [
        (f"GET {path} 404", answer.headers["x-request-id"]) for path, answer in zip(paths, answers, strict=True)
    ]


async def test_what_waits_is_written_when_it_is_asked_for() -> None:
    stream = io.StringIO()
    log = RequestLog(stream)
    for path in (b"/a", b"/b%0Ac", b"/\xff"):
        log(method="GET", path=path, status=200, seconds=0.00125, request_id="req_" + "0" * 32)
    assert stream.getvalue() == ""
    log.flush()
    log.flush()
    assert [line[1] for line in LINE.findall(stream.getvalue())] == ["req_" + "0" * 32] * 3
    assert stream.getvalue().count("\n") == 3


async def test_a_log_that_cannot_be_written_disturbs_nobody() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("No space left on device")

    log = RequestLog(Full())
    log(method="GET", path=b"/", status=200, seconds=0.001, request_id="req_")
    log.flush()
