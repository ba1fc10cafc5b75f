"""HTTP/1.1 as bytes: how an address is reached, what is sent there, and how an answer is read. No I/O.

``httptools`` reads the answers, as it reads requests on the other side.
"""

from __future__ import annotations

import re
from base64 import b64encode
from errno import ECONNREFUSED
from operator import attrgetter
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httptools
import msgspec

from holdover.errors import ConfigurationError
from holdover.settings import find_proxy

from . import Request, Response, TransportFailure

#: A connection that was idle for longer is not used again: what lies between may have forgotten it.
MAX_IDLE_S = 30.0
CONNECT_TIMEOUT_S = 5.0
READ_BYTES = 64 * 1024

#: Requests that may be sent again when a connection kept open turns out to have been closed.
SAFE = ("GET", "HEAD", "DELETE", "OPTIONS")

_SENDABLE = re.compile(r"[\x21-\x7e]*")
_KEPT_IN_PATHS = "/?&=%:@!$'()*+,;~[]"
_HAVE_BODIES = ("POST", "PUT", "PATCH")


class Gone(TransportFailure):
    """The other side had closed the connection before it answered."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy that speaks plain HTTP; ``authorization`` is what it wants to be told, or empty."""

    host: str
    port: int
    authorization: str


class Route(msgspec.Struct, frozen=True):
    """How an address is reached.

    Attributes:
        authority: What the ``Host`` header says.
        is_tls: Whether the connection is encrypted.
        proxy: What the connection goes through.
    """

    authority: str
    host: str
    port: int
    is_tls: bool
    proxy: Proxy | None

    @property
    def peer(self) -> tuple[str, int]:
        """Whom to connect to."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @property
    def has_tunnel(self) -> bool:
        """Whether the proxy is asked to connect through, rather than to send on."""
        return self.proxy is not None and self.is_tls

    def tunnel_request(self) -> bytes:
        """Return what asks the proxy to connect through."""
        assert self.proxy is not None
        target = f"{self.host}:{self.port}" if ":" not in self.host else f"[{self.host}]:{self.port}"
        told = f"proxy-authorization: {self.proxy.authorization}\r\n" if self.proxy.authorization else ""
        return f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{told}\r\n".encode("latin-1")


class Routes:
    """How addresses are reached; each is worked out once, so that a client keeps the proxies it found."""

    def __init__(self) -> None:
        self._known: dict[str, Route] = {}

    def find(self, url: str) -> tuple[Route, str]:
        """Return how a URL is reached, and its path with its query.

        Raises:
            TransportFailure: It cannot be.
        """
        scheme, _, rest = url.partition("://")
        authority, _, path = rest.partition("/")
        origin = f"{scheme}://{authority}"
        route = self._known.get(origin)
        if route is None:
            route = self._known[origin] = _route(origin)
        path = f"/{path.partition('#')[0]}"
        return route, path if _SENDABLE.fullmatch(path) else quote(path, safe=_KEPT_IN_PATHS)


def _route(origin: str) -> Route:
    try:
        parts = urlsplit(origin)
        is_tls = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
        authority = parts.netloc.rpartition("@")[2].encode("idna").decode("ascii")
    except ValueError as error:
        raise TransportFailure(f"{origin} is not an address: {error}", was_sent=False) from error
    # No proxy in between could reach this machine itself.
    proxy = None if host in ("localhost", "::1") or host.startswith("127.") else find_proxy(parts.scheme, host, port)
    return Route(authority, host, port, is_tls, _proxy(proxy) if proxy else None)


def _proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        parts, host, port = None, None, 0
    if parts is None or parts.scheme != "http" or not host:
        raise ConfigurationError(
            "The proxy that the environment names (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY) cannot be used; "
            "one looks like http://proxy.example:3128."
        )
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    return Proxy(host, port, authorization)


def encode(request: Request, route: Route, path: str) -> bytes:
    """Return the bytes of a request, without a body that is a `Content`."""
    proxy = route.proxy
    target = f"http://{route.authority}{path}" if proxy and not route.is_tls else path
    lines = [f"{request.method} {target} HTTP/1.1\r\nhost: {route.authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body is not None or request.method in _HAVE_BODIES:
        body = request.body
        lines.append(f"content-length: {len(body or b'') if body is None or isinstance(body, bytes) else body.length}")
    if proxy and not route.is_tls and proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + (request.body if isinstance(request.body, bytes) else b"")


class Answer:
    """An answer, as its bytes come."""

    __slots__ = (
        "_body",
        "_has_no_body",
        "_parser",
        "has_begun",
        "has_head",
        "headers",
        "held_bytes",
        "is_complete",
        "may_stay_open",
    )

    def __init__(self, method: str) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._has_no_body = method in ("HEAD", "CONNECT")
        self._body: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.held_bytes = 0
        self.has_begun = False
        self.has_head = False
        self.is_complete = False
        self.may_stay_open = False

    def feed(self, data: bytes) -> bool:
        """Take what came; return whether the answer is whole.

        Raises:
            TransportFailure: It is not HTTP.
        """
        self.has_begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_complete = True
        except httptools.HttpParserError as error:
            if not self.is_complete:  # what comes behind a whole answer is not its concern
                raise TransportFailure(f"what answered does not speak HTTP ({error})", was_sent=True) from error
            self.may_stay_open = False
        return self.is_complete

    def end(self) -> bool:
        """Take the end of the connection; return whether the answer is whole: without a length, it ends so."""
        if not self.is_complete and self.has_begun and self._ends_with_connection():
            self.is_complete = True
        self.may_stay_open = False
        return self.is_complete

    def response(self) -> Response:
        """Return the whole answer."""
        return Response(self._parser.get_status_code(), self.headers, self.take())

    def take(self) -> bytes:
        """Return what came of the body since it was last taken."""
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self.held_bytes = 0
        return body

    @property
    def status(self) -> int:
        status: int = self._parser.get_status_code()
        return status

    def check_tunnel(self) -> None:
        """Raise an `OSError` if this is not the answer of a proxy that connected through."""
        if self.status != 200:
            raise OSError(f"the proxy refused to connect ({self.status})")

    def _ends_with_connection(self) -> bool:
        has_length = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "")
        return bool(self.headers) and not has_length

    # What the parser calls

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.may_stay_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_complete:
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.has_head = self.has_head or self.status >= 200  # below, it only says that the answer is to come
        if self._has_no_body and not self.is_complete:
            self.is_complete = True
            self.may_stay_open = False  # the parser waits for a body that does not come

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self._body.append(data)
            self.held_bytes += len(data)

    def on_message_complete(self) -> None:
        if self.is_complete:
            return
        if self.status < 200:  # it only says that the answer is to come
            self.headers = {}
            return
        self.is_complete = True
        self.may_stay_open = self._parser.should_keep_alive()


#: How much of an answer is waited for.
IS_WHOLE = attrgetter("is_complete")
HAS_HEAD = attrgetter("has_head")
HAS_BODY = attrgetter("held_bytes")


def not_opened(error: Exception) -> TransportFailure:
    """Return the failure for a connection that could not be opened."""
    timed_out = isinstance(error, TimeoutError)
    return TransportFailure(
        "no connection in time" if timed_out else reason(error), was_sent=False, timed_out=timed_out
    )


def reason(error: Exception) -> str:
    """Return what an error of the system says."""
    if isinstance(error, ConnectionRefusedError) or f"[Errno {ECONNREFUSED}]" in str(error):
        return "Connection refused"  # asyncio says so in other words, one for each address it tried
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
