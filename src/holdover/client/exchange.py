"""A call from start to end, as a generator over requests, pauses and answers.

It decides and does no I/O, so that the sync and the async client share it: `run` and `run_async` carry out what it
asks for. Retries, and what may be repeated at all, are decided here. Longer flows are made of calls: ``polling.py``
waits for runs, ``run_streams.py`` follows their events.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from random import random
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from holdover import __version__
from holdover.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    HostedAPIEndedError,
    status_error_class,
)
from holdover.settings import ClientSettings

from .transports import (
    AsyncIncoming,
    AsyncTransport,
    Content,
    Incoming,
    Request,
    Response,
    Transport,
    TransportFailure,
)

T = TypeVar("T")

HOSTED = "api.openai.com"
#: Pauses before a repetition, in seconds, where the service does not say how long to wait.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
#: A service that asks for more patience than this is not waited for.
LONGEST_RETRY_AFTER_S = 60.0
#: Asking a service whether it remembers keys is itself a request, and a quick one.
PROBE_TIMEOUT_S = 10.0

EVENT_STREAM = "text/event-stream"
IDEMPOTENCY_HEADER = "holdover-idempotency"
_OF_A_CREATION = ("content-type", "idempotency-key")

#: What decoders raise for bytes that are no JSON, not UTF-8, or nested beyond measure.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class Pause(msgspec.Struct, frozen=True):
    """Wait before going on."""

    seconds: float


class Read(msgspec.Struct, frozen=True):
    """Wait for what comes next of an answer, for ``timeout_s`` seconds instead of the call's."""

    incoming: Any
    timeout_s: float | None = None


class Task(Protocol):
    """Something else to be done before going on: work of the application's own."""

    def do(self) -> Any: ...

    async def do_async(self) -> Any: ...


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What is asked, without yet saying of whom.

    Attributes:
        path: With its arguments and its query string.
        decode: Reads the body of a good answer.
        creates: Whether repeating it may make a second object.
        ended: Whether the hosted service stopped answering it.
        streams: Whether events are asked for.
    """

    method: str
    path: str
    body: bytes | Content | None = None
    content_type: str = "application/json"
    decode: Callable[[bytes], T]
    creates: bool = False
    ended: bool = True
    streams: bool = False
    api_key: str | None = None
    organization_key: str | None = None
    base_url: str | None = None
    timeout_s: float | None = None


class Target:
    """Whom is asked, and how: a client's settings, ready for use.

    Args:
        settings: Key, address, organization and project.
        http_headers: Sent with every request; they beat the usual ones.
        timeout_s: For one attempt, in seconds.
        max_retries: How often a call is repeated at most.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        http_headers: Mapping[str, str] | None = None,
        timeout_s: float,
        max_retries: int,
    ) -> None:
        self.base_url = checked_base_url(settings.base_url)
        self.timeout_s = _checked_timeout(timeout_s)
        self.max_retries = max_retries
        self._headers = {
            "accept": "application/json",
            "user-agent": f"holdover-python/{__version__}",
            "openai-beta": "assistants=v2",
        }
        self._headers |= _identity(settings.api_key, settings.organization_key)
        if settings.project:
            self._headers["openai-project"] = _sendable("project", settings.project)
        for name, value in (http_headers or {}).items():
            if not _HEADER_NAME.fullmatch(name):
                raise ConfigurationError(f"'{name}' is not the name of a header.")
            self._headers[name.lower()] = _sendable(name, value)
        # What was learnt of each address: whether it remembers keys, so that creations may be repeated.
        self.remembers: dict[str, bool] = {}

    def headers(self, call: Call[Any]) -> dict[str, str]:
        """Return the headers of a call; its own key and organization beat everything."""
        headers = {**self._headers, **_identity(call.api_key, call.organization_key)}
        if call.streams:
            headers["accept"] = EVENT_STREAM
        if call.body is not None:
            headers.setdefault("content-type", call.content_type)
        if call.creates:
            headers.setdefault("idempotency-key", f"holdover-{os.urandom(16).hex()}")
        return headers


def _identity(api_key: str | None, organization_key: str | None) -> dict[str, str]:
    headers = {}
    if api_key:
        headers["authorization"] = f"Bearer {_sendable('api_key', api_key)}"
    if organization_key:
        headers["openai-organization"] = _sendable("organization_key", organization_key)
    return headers


def _sendable(name: str, value: str) -> str:
    """Return a header's value.

    Raises:
        ConfigurationError: No header can carry it. It may be a secret, so the message does not show it.
    """
    if not _HEADER_VALUE.fullmatch(value):
        raise ConfigurationError(
            f"{name} has a character that cannot be sent in a header: a line break at its end, perhaps."
        )
    return value


def checked_base_url(base_url: str) -> str:
    """Return a base URL without its last slash.

    Raises:
        ConfigurationError: It is not an http(s) address.
    """
    scheme, separator, rest = base_url.partition("://")
    if not separator or scheme.lower() not in ("http", "https") or not rest.strip("/"):
        raise ConfigurationError(
            f"'{base_url}' is not the address of a service; one looks like http://127.0.0.1:8026/v1."
        )
    return base_url.rstrip("/")


def _checked_timeout(timeout_s: float) -> float:
    if not 0 < timeout_s < float("inf"):
        raise ConfigurationError(f"timeout_s is a number of seconds above 0, not {timeout_s!r}.")
    return timeout_s


# ----------------------------------------------------------------------------------------------- the flow

Step = Request | Pause | Read | Task
#: What came of a step: an answer, whole or with its body still to come; a part of a body; what a task gave; nothing.
Outcome = Any
Flow = Generator[Step, Outcome, T]


def exchange(target: Target, call: Call[T]) -> Flow[T]:
    """Make a call: yields what to send and when to wait, is sent what came, and returns the decoded answer.

    Raises:
        APIStatusError: The service refused or failed, and repeating did not help or was not right.
        APIConnectionError: No answer came.
        APIResponseValidationError: The answer is not of the wire.
        HostedAPIEndedError: The call is for a service that ended.
    """
    return decoded(target, call, (yield from exchange_raw(target, call)))


def decoded(target: Target, call: Call[T], response: Response) -> T:
    """Return what a good answer says.

    Raises:
        APIStatusError: It is none.
        APIResponseValidationError: It is not of the wire.
    """
    if not 200 <= response.status < 300:
        raise status_error(response)
    try:
        return call.decode(response.body)
    except UNREADABLE as error:
        base_url = call.base_url or target.base_url
        raise APIResponseValidationError(
            f"The answer of {base_url} to {call.method} {call.path} is not of the Assistants API: {error}.",
            status=response.status,
            body=response.body,
            request_id=response.headers.get("x-request-id"),
        ) from error


def exchange_raw(target: Target, call: Call[Any]) -> Flow[Response]:
    """Make a call and return the last answer, whatever its status."""
    base_url = target.base_url if call.base_url is None else checked_base_url(call.base_url)
    if call.ended and _host(base_url) == HOSTED:
        raise _ended(base_url)
    request = Request(
        call.method,
        base_url + call.path,
        target.headers(call),
        call.body,
        target.timeout_s if call.timeout_s is None else _checked_timeout(call.timeout_s),
    )
    attempt = 0
    while True:
        outcome = yield request
        if not isinstance(outcome, TransportFailure) and not _is_passing(outcome):
            answer: Response = outcome
            return answer
        may_repeat = attempt < target.max_retries and _may_repeat(target, call, base_url, outcome)
        if may_repeat is not False:
            yield Pause(_pause(attempt, outcome))
        if may_repeat is None:
            may_repeat = yield from _ask_whether_keys_are_remembered(target, base_url, request)
        if not may_repeat:
            if isinstance(outcome, Response):
                return outcome
            assert isinstance(outcome, TransportFailure)
            raise _no_answer(base_url, request, outcome) from outcome
        attempt += 1


def _host(base_url: str) -> str:
    authority = base_url.split("/", 3)[2]
    return authority.rpartition("@")[2].partition(":")[0].lower()


def _is_passing(response: Response) -> bool:
    """Whether the trouble that an answer tells of may pass."""
    if response.status < 400:
        return False
    told = response.headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    return response.status in (408, 409, 429) or response.status >= 500


def _may_repeat(target: Target, call: Call[Any], base_url: str, outcome: Outcome) -> bool | None:
    """Whether repeating a call cannot make a second object; ``None`` where only the service can say."""
    if isinstance(outcome, TransportFailure) and outcome.is_final:
        return False
    if not call.creates:
        return True
    if isinstance(outcome, TransportFailure):
        return target.remembers.get(base_url) if outcome.was_sent else True
    assert isinstance(outcome, Response)
    # Refused for coming too soon, nothing was made; and a service that says to come again knows what it says.
    return (
        outcome.status == 429
        or outcome.headers.get("x-should-retry") == "true"
        or IDEMPOTENCY_HEADER in outcome.headers
    )


def _ask_whether_keys_are_remembered(target: Target, base_url: str, request: Request) -> Flow[bool]:
    """Ask a service for any answer: one that remembers keys says so in all of them."""
    headers = {name: value for name, value in request.headers.items() if name not in _OF_A_CREATION}
    timeout_s = min(request.timeout_s, PROBE_TIMEOUT_S)
    answer = yield Request("GET", f"{base_url}/models", headers, None, timeout_s)
    if not isinstance(answer, Response):
        return False
    remembers = IDEMPOTENCY_HEADER in answer.headers
    if remembers or answer.status < 500:  # a failure may be that of a proxy in between
        target.remembers[base_url] = remembers
    return remembers


def _pause(attempt: int, outcome: Outcome) -> float:
    if isinstance(outcome, Response):
        told = _retry_after(outcome.headers)
        if told is not None and 0 <= told <= LONGEST_RETRY_AFTER_S:
            return told
    longest: float = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
    return longest * (1 - 0.25 * random())  # so that many clients do not come back together


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a service asks to wait: ``retry-after-ms``, else ``retry-after`` in seconds or a date."""
    try:
        return float(headers["retry-after-ms"]) / 1000
    except (KeyError, ValueError):
        pass
    told = headers.get("retry-after")
    if told is None:
        return None
    try:
        return float(told)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
        except ValueError:
            return None


# ---------------------------------------------------------------------------------------------- drivers


Send = Callable[[Request], Response | Incoming]
AsyncSend = Callable[[Request], Awaitable[Response | AsyncIncoming]]


def run(flow: Flow[T], send: Send, sleep: Callable[[float], None]) -> T:
    """Carry out a flow, waiting for each answer."""
    try:
        step = next(flow)
        while True:
            step = flow.send(carry_out(step, send, sleep))
    except StopIteration as stop:
        result: T = stop.value
        return result


async def run_async(flow: Flow[T], send: AsyncSend, sleep: Callable[[float], Awaitable[None]]) -> T:
    """Carry out a flow on the running loop."""
    try:
        step = next(flow)
        while True:
            step = flow.send(await carry_out_async(step, send, sleep))
    except StopIteration as stop:
        result: T = stop.value
        return result


def carry_out(step: Step, send: Send, sleep: Callable[[float], None]) -> Outcome:
    """Do what a flow asks for next."""
    try:
        if isinstance(step, Request):
            return send(step)
        if isinstance(step, Read):
            return step.incoming.read(step.timeout_s)
    except TransportFailure as failure:
        return failure
    return sleep(step.seconds) if isinstance(step, Pause) else step.do()


async def carry_out_async(step: Step, send: AsyncSend, sleep: Callable[[float], Awaitable[None]]) -> Outcome:
    """Do what a flow asks for next."""
    try:
        if isinstance(step, Request):
            return await send(step)
        if isinstance(step, Read):
            return await step.incoming.read(step.timeout_s)
    except TransportFailure as failure:
        return failure
    return await (sleep(step.seconds) if isinstance(step, Pause) else step.do_async())


def streaming(transport: Transport) -> Send:
    """Return what sends requests whose answers may be streams; any other answer is waited for."""

    def send(request: Request) -> Response | Incoming:
        incoming = transport.stream(request)
        if _is_stream(request, incoming):
            return incoming
        try:
            body = b"".join(iter(incoming.read, b""))
        finally:
            incoming.close()
        return Response(incoming.status, incoming.headers, body)

    return send


def streaming_async(transport: AsyncTransport) -> AsyncSend:
    """Return what sends requests whose answers may be streams; any other answer is waited for."""

    async def send(request: Request) -> Response | AsyncIncoming:
        incoming = await transport.stream(request)
        if _is_stream(request, incoming):
            return incoming
        parts = []
        try:
            while part := await incoming.read():
                parts.append(part)
        finally:
            await incoming.close()
        return Response(incoming.status, incoming.headers, b"".join(parts))

    return send


def _is_stream(request: Request, incoming: Incoming | AsyncIncoming) -> bool:
    """Whether events come; where none were asked for, whatever comes is read whole, and judged as an answer."""
    return (
        request.headers["accept"] == EVENT_STREAM
        and incoming.status == 200
        and incoming.headers.get("content-type", "").startswith(EVENT_STREAM)
    )


# ----------------------------------------------------------------------------------------------- errors


def status_error(response: Response) -> APIStatusError:
    """Return the error that an answer with an error status is raised as."""
    try:
        body = msgspec.json.decode(response.body)
    except UNREADABLE:
        body = None
    error = body.get("error", body) if isinstance(body, dict) else body
    members = error if isinstance(error, dict) else {}
    message = members.get("message")
    if not isinstance(message, str):
        shown = response.body[:200].decode("utf-8", "replace").strip()
        message = f"The service answered {response.status}" + (f": {shown}" if shown else ".")
    return status_error_class(response.status)(
        message,
        status=response.status,
        body=error,
        request_id=response.headers.get("x-request-id"),
        **{name: members[name] for name in ("code", "param", "type") if isinstance(members.get(name), str)},
    )


def _no_answer(base_url: str, request: Request, failure: TransportFailure) -> APIConnectionError:
    if failure.timed_out and failure.was_sent:
        return APITimeoutError(f"No answer within {request.timeout_s:g} s to {request.method} {request.url}.")
    message = f"Could not connect to {base_url}: {failure}."
    if failure.was_sent:
        message = f"The connection to {base_url} broke off: {failure}."
    elif "refused" in str(failure).lower():
        message = f"Nothing is listening at {base_url}. To start the service, run: holdover serve"
    if failure.timed_out:
        return APITimeoutError(message)
    return APIConnectionError(message)


def _ended(base_url: str) -> HostedAPIEndedError:
    return HostedAPIEndedError(
        f"The Assistants API at {base_url} ended on 2026-08-26; every call to it answers 404. Run your own with: "
        "holdover serve, and use base_url='http://127.0.0.1:8026/v1' (or unset OPENAI_BASE_URL)."
    )
