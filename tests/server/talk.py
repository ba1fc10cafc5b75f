"""Talking HTTP to a service byte by byte: what no client library would send can be sent, and every answer is read."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from tests.conftest import Service

#: Longer than any answer takes; a test that waits so long has failed.
PATIENCE_S = 20.0


class Answer(NamedTuple):
    """One answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error that the answer tells, which has the shape of all errors; some are told twice."""
        said = self.json()
        detail = said.pop("detail", None)
        assert said.keys() == {"error"}, said
        assert detail in (None, {name: said["error"][name] for name in ("message", "code")})
        assert said["error"].keys() == {"message", "type", "param", "code"}, said
        assert isinstance(said["error"]["message"], str)
        assert self.headers["content-type"] == "application/json"
        error: dict[str, Any] = said["error"]
        return error


class Conversation:
    """One connection."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._answers: BinaryIO = opened.makefile("rb")

    def say(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def say_no_more(self) -> None:
        """Close the sending half of the connection."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._answers.close()

    def hear(self, *, has_body: bool = True) -> Answer:
        """Read one answer."""
        head = self._answers.readline()
        assert head.startswith(b"HTTP/1.1 "), head
        headers: dict[str, str] = {}
        while line := self._answers.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            assert name not in headers, f"{name} came twice"
            headers[name.lower()] = value.strip()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(self._answers.readline(), 16):
                body += self._answers.read(size)
                self._answers.readline()
            self._answers.readline()
        elif has_body:
            body = self._answers.read(int(headers.get("content-length", 0)))
        return Answer(int(head.split()[1]), headers, body)

    def hear_continue(self) -> bool:
        """Wait until the service, asked by `Expect: 100-continue`, begins to read the body."""
        return self._answers.readline() + self._answers.readline() == b"HTTP/1.1 100 Continue\r\n\r\n"

    def is_over(self) -> bool:
        """Wait until the service closes the connection; whether it does so without another word."""
        try:
            return self._answers.read(1) == b""
        except ConnectionResetError:
            return True


@contextmanager
def conversation(service: Service) -> Iterator[Conversation]:
    """Connect to a service."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_S) as opened:
        talk = Conversation(opened)
        try:
            yield talk
        finally:
            talk.close()


Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def request(method: str, path: str, body: bytes | None = None, headers: Headers = ()) -> bytes:
    """Return a request as bytes; Host and Content-Length are added where they are not given."""
    fields = list(headers.items() if isinstance(headers, Mapping) else headers)
    given = {name.lower() for name, _ in fields}
    if "host" not in given:
        fields.insert(0, ("Host", "localhost"))
    if body is not None and not given & {"content-length", "transfer-encoding"}:
        fields.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


def ask(service: Service, method: str, path: str, body: Any = None, headers: Headers = ()) -> Answer:
    """Send one request and return its answer; a body that is not bytes is sent as JSON."""
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    with conversation(service) as talk:
        talk.say(request(method, path, raw, headers))
        return talk.hear(has_body=method != "HEAD")


def create(service: Service, headers: Headers = (), **fields: Any) -> Answer:
    """Create an assistant."""
    return ask(service, "POST", "/v1/assistants", {"model": "gpt-4o", **fields}, headers)


def listed(service: Service, headers: Headers = ()) -> list[str]:
    """Return the ids of all assistants, oldest first."""
    ids: list[str] = []
    while True:
        after = f"&after={ids[-1]}" if ids else ""
        page = ask(service, "GET", f"/v1/assistants?order=asc&limit=100{after}", headers=headers).json()
        ids += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            return ids
