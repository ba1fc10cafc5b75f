"""The ASGI application: one request in, one answer out, always in the wire's shape.

Everything under ``/v1`` is looked up in the table of operations; an operation's method on the engine bears its name.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from holdover import telemetry
from holdover.engine.objects import Engine, EventStream, FileContent, Received, RetryKey
from holdover.errors import APIStatusError, BadRequestError, InternalServerError
from holdover.wire import ids
from holdover.wire.events import CONTENT_TYPE
from holdover.wire.forms import decode_form
from holdover.wire.operations import OPERATIONS, FormFile, Operation
from holdover.wire.refusals import Refused, invalid_json, missing_field, unreadable_form
from holdover.wire.strict import check_id, decode_body, decode_query

from .access import Access
from .contents import RangeNotSatisfiable, content_headers, range_of, send_content
from .forms import OVERHEAD_BYTES, boundary_of, read_form
from .reference import Pages
from .router import PREFIX, MethodNotAllowed, Router
from .streams import pour_events, send_events

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Bodies above this are refused. The largest body within all limits, wholly escaped, takes less.
BODY_LIMIT_BYTES = 16 * 1024 * 1024
#: How long a client may take between two parts of a body, and for the whole of it.
BODY_PART_TIMEOUT_S = 30.0
BODY_TIMEOUT_S = 300.0
#: How long it may take for the whole of a form with a file: 512 MB in an hour is a slow line.
FORM_TIMEOUT_S = 3600.0
#: Seconds for which the answer to an ``Idempotency-Key`` is remembered; told so that clients know they may repeat.
IDEMPOTENCY_HEADER = (b"holdover-idempotency", b"86400")

_BETA_V1 = (
    "The v1 Assistants API has been deprecated. Please try again by setting the header 'OpenAI-Beta: assistants=v2'. "
    "See the migration guide for more information: https://platform.openai.com/docs/assistants/migration."
)
_SERVER_FAULT = (
    "The server had an error processing your request. Sorry about that! You can retry your request, or contact us "
    "through our help center at help.openai.com if you keep seeing this error. (Please include the request ID {} in "
    "your email.)"
)
_JSON_TYPES = re.compile(rb'application/json(\s*;\s*charset="?utf-8"?)?\s*\Z', re.IGNORECASE)
_VISIBLE = re.compile(rb"[\x21-\x7e]{1,255}\Z")

_FIXED_HEADERS = [
    (b"content-type", b"application/json"),
    (b"openai-version", b"2020-10-01"),
    (b"x-content-type-options", b"nosniff"),
    IDEMPOTENCY_HEADER,
]
_STREAM_HEADERS = [
    (b"content-type", CONTENT_TYPE.encode()),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # a proxy in between passes events on as they come
    *_FIXED_HEADERS[1:],
]
#: Says the number of the event before the first of a stream: numbers to attach again with, as Last-Event-ID.
EVENT_ID_HEADER = b"holdover-event-id"
#: Below this path, an error is told a second time, as the hosted API did.
_DETAILED = b"/v1/files"
#: Ends the connection after an answer.
CLOSE = (b"connection", b"close")
#: Echoed where the caller sends them; the hosted API always named those that a key belongs to.
_ECHOED_HEADERS = {b"openai-organization": b"holdover", b"openai-project": b"proj_holdover"}
_NOTHING_TO_ECHO = list(_ECHOED_HEADERS.items())


class Disconnected(Exception):
    """There is nobody to answer, or no more to answer with."""


class UpstreamError(InternalServerError):
    """The upstream did not answer, or in a way that is the service's concern: told as it is."""

    default_status = 502


class Passes(Protocol):
    """What passes requests on; see `holdover.server.passthrough`."""

    def takes(self, path: bytes) -> bool: ...

    async def forward(
        self,
        scope: Scope,
        path: bytes,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
        told: Callable[[], list[tuple[bytes, bytes]]],
    ) -> int: ...


class App:
    """The service as an ASGI application.

    Args:
        engine: Carries out the operations.
        access: Decides who is let in.
        is_ready: Whether new work should be sent here; asked by ``/health/ready``.
        passthrough: Where all goes that is not of the table of operations; nowhere without it.
    """

    def __init__(
        self,
        engine: Engine,
        access: Access,
        *,
        is_ready: Callable[[], bool] = lambda: True,
        passthrough: Passes | None = None,
    ) -> None:
        self._access = access
        self._passthrough = passthrough
        self._router = Router(OPERATIONS)
        self._engine = engine
        self._methods = {operation.name: getattr(engine, operation.name) for operation in OPERATIONS}
        self._pages = Pages(is_ready)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._exchange(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            raise NotImplementedError(scope["type"])

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request_id = ids.new_request_id()
        path = _raw_path(scope)
        headers = dict(scope["headers"])
        answer_headers = _FIXED_HEADERS
        status = 200
        body: bytes | EventStream | FileContent
        try:
            self._access.check_origin(headers)
            if path.startswith(b"/v1/") or path == b"/v1":
                if self._passthrough is not None and self._passthrough.takes(path[len(PREFIX) :]):
                    await self._pass(self._passthrough, scope, receive, send, headers, request_id, began)
                    return
                body = await self._operate(scope, path[len(PREFIX) :], headers, receive)
                if isinstance(body, EventStream):
                    await self._stream(body, scope, receive, send, headers, request_id, began)
                    return
                if isinstance(body, FileContent):
                    await self._send_file(body, scope, receive, send, headers, request_id, began)
                    return
            else:
                status, answer_headers, body = self._pages.find(scope["method"], path)
        except Disconnected:
            return
        except Exception as error:
            failure = _failure(error, request_id)
            status, body = failure.status, envelope(failure, detailed=path.startswith(_DETAILED))
            answer_headers = [*_FIXED_HEADERS, *_headers_of(failure)]
        seconds = time.perf_counter() - began
        length = (b"content-length", b"%d" % len(body))
        answer_headers = [*answer_headers, length, *_told(request_id, seconds, headers)]
        answer = scope["state"].get("answer") if "state" in scope else None  # a server of ours takes it whole
        if answer is None or not answer(status, answer_headers, body):
            await send({"type": "http.response.start", "status": status, "headers": answer_headers})
            await send({"type": "http.response.body", "body": body})
        _announce(scope, status, seconds, request_id)

    async def _stream(
        self,
        events: EventStream,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        request_id: str,
        began: float,
    ) -> None:
        seconds = time.perf_counter() - began
        answer_headers = [*_STREAM_HEADERS, *_told(request_id, seconds, headers)]
        if events.after_id is not None:
            answer_headers.append((EVENT_ID_HEADER, b"%d" % events.after_id))
        if scope["method"] == "HEAD":
            events.end()
        begin = scope["state"].get("begin") if "state" in scope else None  # a server of ours writes frames as they are
        outlet = begin(200, answer_headers) if begin is not None else None
        if outlet is not None:
            await pour_events(events, outlet)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": answer_headers})
            await send_events(events, receive, send)
        _announce(scope, 200, time.perf_counter() - began, request_id)

    async def _send_file(
        self,
        content: FileContent,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        request_id: str,
        began: float,
    ) -> None:
        chosen = range_of(headers, content.size_bytes)
        answer_headers = [*content_headers(content, chosen), *_FIXED_HEADERS[1:]]
        answer_headers += _told(request_id, time.perf_counter() - began, headers)
        status = 206 if chosen.is_part else 200
        start = {"type": "http.response.start", "status": status, "headers": answer_headers}
        await send_content(content, chosen, start, receive, send, has_body=scope["method"] != "HEAD")
        _announce(scope, status, time.perf_counter() - began, request_id)

    async def _pass(
        self,
        passthrough: Passes,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        request_id: str,
        began: float,
    ) -> None:
        self._access.check_key(headers)

        def told() -> list[tuple[bytes, bytes]]:
            return _told(request_id, time.perf_counter() - began, headers)

        path = _raw_path(scope)
        status = await passthrough.forward(scope, path[len(PREFIX) :], headers, receive, send, told)
        _announce(scope, status, time.perf_counter() - began, request_id)

    async def _operate(
        self, scope: Scope, path: bytes, headers: Mapping[bytes, bytes], receive: Receive
    ) -> bytes | EventStream | FileContent:
        self._access.check_key(headers)
        operation, arguments = self._router.find(scope["method"], path)
        _check_beta(operation, headers)
        parameters = _parameters(operation, arguments, scope["query_string"])
        if operation.always_streams and (last_event_id := headers.get(b"last-event-id")):
            # A browser that connects again repeats the query and counts on in the header.
            parameters[-1] = msgspec.structs.replace(parameters[-1], last_event_id=_last_event_id(last_event_id))
        if operation.file is not None:
            parameters += await self._read_form(operation, operation.file, scope, receive, headers)
        elif operation.body is not None:
            body = await read_body(scope, receive, headers)
            _check_content_type(body, headers)
            parameters.append(decode_body(body, operation.body))
            if operation.creates and (key := headers.get(b"idempotency-key")) is not None:
                parameters.append(_retry_key(key, body))
        shown = _shown(operation, scope["query_string"])
        result: bytes | EventStream | FileContent = await self._methods[operation.name](*parameters, **shown)
        return result

    async def _read_form(
        self, operation: Operation, file: FormFile, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> list[Any]:
        """Read a form, its file straight to where it is kept; return what the operation is given of it."""
        boundary = boundary_of(headers.get(b"content-type", b""))
        body = _read_in_parts(scope, receive, headers, file.limit_bytes + OVERHEAD_BYTES)

        def take(filename: str | None, content: AsyncIterator[bytes]) -> Awaitable[Received]:
            return self._engine.receive(filename, content, limit_bytes=file.limit_bytes)

        form = await read_form(body, boundary, file.name, take)
        fields = decode_form(form.fields, operation.body)
        if form.file is None:
            raise missing_field(file.name)
        parameters = [form.file, fields]
        if operation.creates and (key := headers.get(b"idempotency-key")) is not None:
            # Two requests of one content may differ in what separates their fields.
            content = msgspec.json.encode([sorted(form.fields), form.file.filename, form.file.blob.digest])
            parameters.append(_retry_key(key, content))
        return parameters


def envelope(error: APIStatusError, *, detailed: bool = False) -> bytes:
    """Return the wire's JSON for an error; ``detailed`` repeats the message beside it."""
    told: dict[str, Any] = {
        "error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    }
    if detailed:
        told["detail"] = {"message": error.message, "code": error.code}
    return msgspec.json.encode(told)


def _failure(error: Exception, request_id: str) -> APIStatusError:
    """Return what a caller is told of an error; what is not theirs is logged in full and shown in brief."""
    if isinstance(error, Refused):
        return BadRequestError(error.message, param=error.param, code=error.code)
    if isinstance(error, APIStatusError) and (error.status < 500 or isinstance(error, UpstreamError)):
        return error
    telemetry.emit("server.failure", request_id=request_id, error=error)
    return InternalServerError(_SERVER_FAULT.format(request_id))


def _headers_of(error: APIStatusError) -> list[tuple[bytes, bytes]]:
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", error.allowed.encode())]
    if isinstance(error, RangeNotSatisfiable):
        return [(b"content-range", b"bytes */%d" % error.size_bytes)]
    if error.status == 408:
        return [CLOSE]  # nothing that comes later is wanted
    return []


def _announce(scope: Scope, status: int, seconds: float, request_id: str) -> None:
    path = _raw_path(scope)
    telemetry.emit(
        "server.request", method=scope["method"], path=path, status=status, seconds=seconds, request_id=request_id
    )


def _told(request_id: str, seconds: float, headers: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-request-id", request_id.encode()),
        (b"openai-processing-ms", b"%d" % (seconds * 1000)),
        *_echoed(headers),
    ]


def _last_event_id(given: bytes) -> int:
    if not given.isdigit() or len(given) > 15:
        raise BadRequestError(
            "Invalid 'Last-Event-ID': expected the number of an event.", param="Last-Event-ID", code="invalid_value"
        )
    return int(given)


def _echoed(headers: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    if _ECHOED_HEADERS.keys().isdisjoint(headers):
        return _NOTHING_TO_ECHO
    return [
        (name, value if _VISIBLE.match(value := headers.get(name, default)) else default)
        for name, default in _NOTHING_TO_ECHO
    ]


def _raw_path(scope: Scope) -> bytes:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    root: str = scope.get("root_path", "")
    return raw[len(root) :] if root and raw.startswith(root.encode()) else raw


def _check_beta(operation: Operation, headers: Mapping[bytes, bytes]) -> None:
    # The header is not required: some clients never sent it, and none depends on being refused.
    if operation.ended and b"assistants=v1" in headers.get(b"openai-beta", b""):
        raise BadRequestError(_BETA_V1, code="invalid_beta")


def _parameters(operation: Operation, arguments: list[str], query: bytes) -> list[Any]:
    if operation.kind is not None:
        for name, value in zip(operation.arguments, arguments, strict=True):
            check_id(name, value, name.removesuffix("_id"))
    parameters: list[Any] = list(arguments)
    if operation.query is not None and operation.body is None:
        decoded = decode_query(_pairs(query), operation.query)
        for name in ("after", "before"):
            if isinstance(cursor := getattr(decoded, name, None), str):
                check_id(name, cursor, operation.kind or "")
        parameters.append(decoded)
    elif query and operation.query is None:
        decode_query(_pairs(query), _NoParameters)
    return parameters


def _shown(operation: Operation, query: bytes) -> dict[str, bool]:
    """Return what the events of a run are to show beside what they always do."""
    if operation.query is None or operation.body is None or not query:
        return {}
    return {"shows_found": True} if decode_query(_pairs(query), operation.query).include else {}


class _NoParameters(msgspec.Struct):
    """The query of an operation that takes none."""


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError:
        raise BadRequestError("The query string of your request could not be read.", code="invalid_value") from None


def _check_content_type(body: bytes, headers: Mapping[bytes, bytes]) -> None:
    given = headers.get(b"content-type")
    if body and given is not None and not _JSON_TYPES.match(given):
        shown = given[:200].decode("ascii", "replace")
        raise BadRequestError(
            f"Unsupported content type: '{shown}'. This API method only accepts 'application/json' requests, but you "
            f"specified the header 'Content-Type: {shown}'. Please try again with a supported content type.",
            code="unsupported_content_type",
        )


def _retry_key(key: bytes, body: bytes) -> RetryKey:
    if not _VISIBLE.match(key):
        raise BadRequestError(
            "Invalid 'Idempotency-Key': expected 1 to 255 visible ASCII characters.",
            param="Idempotency-Key",
            code="invalid_value",
        )
    return RetryKey(key.decode("ascii"), sha256(body).digest())


async def read_body(scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
    """Read a request's body.

    Raises:
        APIStatusError: It is too large (413) or does not come (408).
        Refused: It ends before its announced length, or its last chunk.
        Disconnected: The client went away.
    """
    _check_announced(headers, BODY_LIMIT_BYTES)
    take = scope["state"].get("body") if "state" in scope else None  # a server of ours has it already, as a rule
    body: bytes | None = take() if take is not None else None
    if body is None:
        body = await _received(receive)
    elif len(body) > BODY_LIMIT_BYTES:
        raise _too_large(BODY_LIMIT_BYTES)
    if not _is_whole(scope, headers, len(body)):
        raise invalid_json()
    return body


async def _received(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    more = True
    try:
        now = asyncio.get_running_loop().time
        last = now() + BODY_TIMEOUT_S
        async with asyncio.timeout(BODY_PART_TIMEOUT_S) as patience:
            while more:
                part, more = await _next_part(receive)
                size += len(part)
                if size > BODY_LIMIT_BYTES:
                    raise _too_large(BODY_LIMIT_BYTES)
                parts.append(part)
                if more:
                    patience.reschedule(min(now() + BODY_PART_TIMEOUT_S, last))
    except TimeoutError:
        raise _late() from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _read_in_parts(
    scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], limit_bytes: int
) -> AsyncIterator[bytes]:
    """Give a form as it comes; raises what `read_body` raises. What is done with a part does not count as waiting."""
    _check_announced(headers, limit_bytes)
    size = 0
    more = True
    now = asyncio.get_running_loop().time
    last = now() + FORM_TIMEOUT_S
    while more:
        try:
            async with asyncio.timeout_at(min(now() + BODY_PART_TIMEOUT_S, last)):
                part, more = await _next_part(receive)
        except TimeoutError:
            raise _late() from None
        size += len(part)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        if part:
            yield part
    if not _is_whole(scope, headers, size):
        raise unreadable_form()


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    """Return what came next of a body, and whether more is to come."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


def _check_announced(headers: Mapping[bytes, bytes], limit_bytes: int) -> None:
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and len(announced) < 19 and int(announced) > limit_bytes:
        raise _too_large(limit_bytes)


def _is_whole(scope: Scope, headers: Mapping[bytes, bytes], size: int) -> bool:
    announced = headers.get(b"content-length", b"")
    return not (scope.get("state", {}).get("body_is_cut_short") or (announced.isdigit() and int(announced) != size))


def _late() -> APIStatusError:
    return APIStatusError("The body of your request did not arrive in time.", status=408)


def _too_large(limit_bytes: int) -> APIStatusError:
    return APIStatusError(
        f"Your request is too large: a body may have up to {limit_bytes} bytes.",
        status=413,
        code="request_too_large",
    )


async def _live(receive: Receive, send: Send) -> None:
    """Answer an ASGI server's lifespan messages; whoever built the application opens and closes the store."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
