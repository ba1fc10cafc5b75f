"""All that is not Assistants goes to the upstream, so that an application needs one base URL.

Bytes go through as they come, both ways, at the pace of the slower side; whoever hangs up ends it for the other. What
travels up is a short list of headers, and the service's own key: a caller's key, cookies and addresses stay here, also
under a name that nobody has thought of yet. What belongs to Holdover stays here, too, whether it is there or not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import msgspec

from holdover import telemetry
from holdover.errors import APIStatusError, BadRequestError
from holdover.wire.operations import OPERATIONS
from holdover.wire.refusals import invalid_json

from .app import BODY_PART_TIMEOUT_S, Disconnected, UpstreamError, read_body
from .router import MethodNotAllowed, unknown_url

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

#: The largest body that is passed on; it is never in memory as a whole.
BODY_LIMIT_BYTES = 512 * 1024 * 1024
#: How long the upstream may be silent, or leave a body unread, in seconds: as long as the official SDKs wait.
PATIENCE_S = 600.0
#: Through how many services a request may have come.
MAX_HOPS = 8
#: Names which service a request came through.
HOP = b"holdover-hop"

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
#: First words of paths that are Holdover's own, in this release or another.
OWN = frozenset(each.path.split("/")[1] for each in OPERATIONS) | {"files", "uploads", "vector_stores"}
#: Where the table of names says who talks, as it does for runs.
TALKS = ("/chat/completions", "/completions", "/responses")

#: Headers that travel up. No others do: which of them may hold a secret cannot be known.
_UP = (
    b"accept",
    b"accept-language",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"idempotency-key",
    b"if-match",
    b"if-none-match",
    b"last-event-id",
    b"openai-beta",
    b"range",
    b"traceparent",
    b"tracestate",
    b"user-agent",
    b"x-client-request-id",
)
#: Headers that do not travel down: those of one connection, what would bind the caller to a site that it does not
#: know, and what this service says itself.
_NOT_DOWN = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"alt-svc",
        b"clear-site-data",
        b"set-cookie",
        b"set-cookie2",
        b"strict-transport-security",
        b"www-authenticate",
        b"date",
        b"server",
        b"openai-organization",
        b"openai-processing-ms",
        b"openai-project",
        b"x-content-type-options",
        HOP,
    )
)
_REQUEST_ID = b"x-request-id"
_UPSTREAM_REQUEST_ID = b"holdover-upstream-request-id"

_JSON = re.compile(rb"application/json\s*(;|\Z)", re.IGNORECASE)
#: What a path is made of, percent-encoded.
_PATH = re.compile(rb"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)+\Z")
_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*\Z")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes.

    Attributes:
        base_url: Up to and including ``/v1``.
        api_key: What it is told instead of the caller's.
        model: Its own name for the model that was asked for; ``None`` for the same.
    """

    base_url: str
    api_key: str | None = None
    model: str | None = None


class Upstream(Protocol):
    """What sends requests; see `holdover.models.upstream`."""

    hop: str

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes] | None,
        timeout_s: float,
        decompress: bool = True,
    ) -> AbstractAsyncContextManager[Any]: ...


class Passthrough:
    """Passes requests on.

    Args:
        upstream: Sends them.
        find: Returns where a model is, or, without a name, where everything else goes; ``None`` where nobody answers.
        has_names: Whether names of models decide anything, so that they must be read.
    """

    def __init__(
        self, upstream: Upstream, find: Callable[[str | None], Endpoint | None], *, has_names: bool = False
    ) -> None:
        self._upstream = upstream
        self._find = find
        self._has_names = has_names

    def takes(self, path: bytes) -> bool:
        """Whether a path, after ``/v1``, is not one of Holdover's own, however it is written."""
        return _first_word(path) not in OWN

    async def forward(
        self,
        scope: Mapping[str, Any],
        path: bytes,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
        told: Callable[[], Headers],
    ) -> int:
        """Pass a request on and its answer back; return the answer's status.

        Args:
            path: After ``/v1``, percent-encoded.
            told: Returns the headers that this service adds to every answer.

        Raises:
            NotFoundError: Nobody answers this path.
            APIStatusError: The request cannot be passed on, or no answer came.
            Disconnected: The caller left, or the answer broke off after it had begun.
        """
        method = scope["method"]
        if method not in METHODS:
            raise MethodNotAllowed(f"Not allowed to {method[:20]} here.", ", ".join(METHODS))
        if not _is_plain(path):
            raise unknown_url(method, path)
        hops = self._hops(headers)
        content, endpoint = await self._addressed(scope, path, headers, receive)
        if endpoint is None:
            raise unknown_url(method, path)
        body = _Body(scope, receive, headers, content)
        url = endpoint.base_url + path.decode("ascii")
        if query := scope["query_string"]:
            if not _QUERY.match(query):
                raise BadRequestError("The query string of your request could not be read.", code="invalid_value")
            url += "?" + query.decode("ascii")
        asked = self._upstream.request(
            method,
            url,
            headers=_sent(headers, hops, endpoint, content),
            body=content if body.is_whole else body.parts(),
            timeout_s=PATIENCE_S,
            decompress=False,
        )
        return await _Exchange(asked, body, receive, send, told).carry_out()

    def _hops(self, headers: Mapping[bytes, bytes]) -> list[str]:
        hops = [each.strip() for each in headers.get(HOP, b"").decode("ascii", "replace").split(",") if each.strip()]
        if self._upstream.hop in hops or len(hops) >= MAX_HOPS:
            raise BadRequestError(
                "This request came through this service before: its upstream is, perhaps through a proxy, the service "
                "itself. Set HOLDOVER_MODEL_BASE_URL to the endpoint of a model.",
                code="upstream_is_itself",
            )
        return hops

    async def _addressed(
        self, scope: Mapping[str, Any], path: bytes, headers: Mapping[bytes, bytes], receive: Receive
    ) -> tuple[bytes | None, Endpoint | None]:
        """Return where a request goes, and its body if that had to be read to know."""
        is_named = self._has_names and scope["method"] == "POST" and path.decode("ascii") in TALKS
        if not (is_named and _JSON.match(headers.get(b"content-type", b"")) and b"content-encoding" not in headers):
            return None, self._find(None)
        content = await read_body(scope, receive, headers)
        members = _members(content)
        name = _name(members)
        endpoint = self._find(name)
        if endpoint is not None and endpoint.model not in (None, name):
            members["model"] = msgspec.Raw(msgspec.json.encode(endpoint.model))
            content = msgspec.json.encode(members)
        return content, endpoint


# ------------------------------------------------------------------------------------------------ the request


def _first_word(path: bytes) -> str:
    segment = path.split(b"/", 2)[1] if b"/" in path else path
    if segment.isalpha():
        return segment.decode("ascii").lower()
    return re.split(r"[/\\;]", _decoded(segment).decode("utf-8", "replace"))[0].strip(" .").lower()


def _decoded(segment: bytes) -> bytes:
    """Return a part of a path as the most eager server might read it."""
    for _ in range(4):
        if b"%" not in segment:
            break
        segment = unquote_to_bytes(segment)
    return segment


def _is_plain(path: bytes) -> bool:
    """Whether a path leads where it says: nothing in it goes up, begins anew, or is read in two ways."""
    if not _PATH.match(path):
        return False
    *inner, last = (_decoded(each) for each in path.split(b"/")[1:])
    if not all(inner) or not (inner or last):
        return False
    return not any(
        each in (b".", b"..") or any(byte < 0x20 or byte in b"/\\\x7f" for byte in each) for each in (*inner, last)
    )


def _sent(headers: Mapping[bytes, bytes], hops: list[str], endpoint: Endpoint, content: bytes | None) -> dict[str, str]:
    sent = {
        name.decode("ascii"): value.decode("latin-1")
        for name, value in headers.items()
        if name in _UP or name.startswith(b"x-stainless-")
    }
    # What the caller cannot unpack is not asked for; what it can, is not unpacked on the way.
    sent["accept-encoding"] = headers.get(b"accept-encoding", b"identity").decode("latin-1")
    if content is not None:
        sent["content-length"] = str(len(content))
    if endpoint.api_key:
        sent["authorization"] = f"Bearer {endpoint.api_key}"
    if hops:
        sent[HOP.decode()] = ", ".join(hops)
    return sent


def _members(content: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object, each as it was written.

    Raises:
        Refused: It is none.
    """
    try:
        return msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        raise invalid_json() from None


def _name(members: Mapping[str, msgspec.Raw]) -> str | None:
    try:
        return msgspec.json.decode(members["model"], type=str) if "model" in members else None
    except msgspec.MsgspecError:
        return None  # whoever answers for everything else says what is wrong with it


class _Body:
    """The body of a request on its way, unless it was read already."""

    def __init__(
        self, scope: Mapping[str, Any], receive: Receive, headers: Mapping[bytes, bytes], content: bytes | None
    ) -> None:
        announced = headers.get(b"content-length", b"")
        is_empty = announced == b"0" or not (announced or b"transfer-encoding" in headers)
        #: What a server of ours says of the connection.
        self.state = scope.get("state", {})
        self._receive = receive
        self.is_whole = content is not None or is_empty
        #: Set when all has come: from then on, what is received is that the caller leaves.
        self.has_come = asyncio.Event()
        self.failure: Exception | None = None
        self.stuck: Callable[[], object] = lambda: None
        if content is not None:
            self.has_come.set()
        if announced.isdigit() and len(announced) < 19 and int(announced) > BODY_LIMIT_BYTES:
            raise _too_large()

    async def parts(self) -> AsyncIterator[bytes]:
        """Give the parts as they come; `failure` tells why, if they end too early."""
        size = 0
        loop = asyncio.get_running_loop()
        try:
            while not self.has_come.is_set():
                async with asyncio.timeout(BODY_PART_TIMEOUT_S):
                    message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part = message.get("body", b"")
                size += len(part)
                if size > BODY_LIMIT_BYTES:
                    raise _too_large()
                if not message.get("more_body", False):
                    if self.state.get("body_is_cut_short"):
                        raise BadRequestError("The body of your request ended too early.")
                    self.has_come.set()
                if part:
                    patience = loop.call_later(PATIENCE_S, self._is_stuck)
                    try:
                        yield part
                    finally:
                        patience.cancel()
        except TimeoutError:
            self.failure = APIStatusError("The body of your request did not arrive in time.", status=408)
            raise self.failure from None
        except (Disconnected, APIStatusError) as failure:
            self.failure = failure
            raise

    def _is_stuck(self) -> None:
        self.failure = _late()
        self.stuck()


def _too_large() -> APIStatusError:
    return APIStatusError(
        f"Your request is too large: a body that is passed on may have up to {BODY_LIMIT_BYTES} bytes.",
        status=413,
        code="request_too_large",
    )


# ------------------------------------------------------------------------------------------------- the answer


class _Exchange:
    """One request on its way up, and its answer on its way down."""

    def __init__(
        self,
        asked: AbstractAsyncContextManager[Any],
        body: _Body,
        receive: Receive,
        send: Send,
        told: Callable[[], Headers],
    ) -> None:
        self._asked = asked
        self._body = body
        self._receive = receive
        self._send = send
        self._told = told
        self._has_begun = False

    async def carry_out(self) -> int:
        passing = asyncio.ensure_future(self._pass())
        leaving = asyncio.ensure_future(self._wait_for_end_of_caller())
        self._body.stuck = passing.cancel
        try:
            await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not passing.done() or (passing.cancelled() and self._has_begun):
                raise Disconnected
            if passing.cancelled():
                raise self._body.failure or Disconnected()
            return passing.result()
        finally:
            passing.cancel()
            leaving.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)

    async def _wait_for_end_of_caller(self) -> None:
        if not self._body.is_whole:
            await self._body.has_come.wait()
        # Who closes only the half that sends looks like who has gone. Most have gone, and an answer may be costly.
        while not self._body.state.get("says_no_more"):
            if (await self._receive())["type"] == "http.disconnect":
                return

    async def _pass(self) -> int:
        try:
            async with self._asked as answer:
                _check(answer)
                await self._send(
                    {"type": "http.response.start", "status": answer.status, "headers": self._headers(answer)}
                )
                self._has_begun = True
                async for part in answer.content.iter_any():
                    await self._send({"type": "http.response.body", "body": part, "more_body": True})
        except UpstreamError as error:
            telemetry.emit("upstream.failure", error=error)
            raise
        except (OSError, TimeoutError, ValueError) as error:
            failure = self._body.failure
            if failure is None:
                failure = _unreachable(error)
                telemetry.emit("upstream.failure", error=error)
            # An answer that has begun can only be broken off, as it was.
            raise (Disconnected() if self._has_begun else failure) from error
        await self._send({"type": "http.response.body", "body": b""})
        status: int = answer.status
        return status

    def _headers(self, answer: Any) -> Headers:
        named = {each.strip().lower() for each in answer.headers.get("connection", "").encode().split(b",")}
        headers: Headers = []
        for raw_name, value in answer.raw_headers:
            name = raw_name.lower()
            if name == _REQUEST_ID:
                headers.append((_UPSTREAM_REQUEST_ID, value))
            elif name not in _NOT_DOWN and name not in named and not name.startswith(b"access-control-"):
                headers.append((name, value))
        if answer.content_type == "text/event-stream":
            headers.append((b"x-accel-buffering", b"no"))
        return [*headers, (b"x-content-type-options", b"nosniff"), *self._told()]


def _check(answer: Any) -> None:
    """Keep back an answer that is the service's concern, not the caller's.

    Raises:
        UpstreamError: It is one.
    """
    if answer.status in (401, 407):
        # It may show parts of the key, and a caller would look for the mistake in its own.
        raise UpstreamError("The upstream refused the service's key.", code="upstream_refused_key")
    if answer.status in (301, 302, 303, 307, 308):
        raise UpstreamError("The upstream answered that it is elsewhere.", code="upstream_moved")
    if not 200 <= answer.status < 600:
        raise UpstreamError("The upstream's answer cannot be read.", code="upstream_unreadable")


def _unreachable(error: Exception) -> UpstreamError:
    if isinstance(error, TimeoutError):
        return _late()
    return UpstreamError("The upstream could not be reached, or broke off before it answered.", code="upstream_failed")


def _late() -> UpstreamError:
    return UpstreamError("The upstream did not answer in time.", status=504, code="upstream_timeout")
