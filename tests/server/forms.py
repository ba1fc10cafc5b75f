"""Forms as bytes, whole or as broken as a test wants them."""

from __future__ import annotations

from typing import Any

from tests.conftest import Service

from .talk import Answer, ask

BOUNDARY = "the-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def text(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(content: bytes, *, name: str = "file", disposition: str | bytes = '; filename="a.txt"') -> bytes:
    if isinstance(disposition, str):
        disposition = disposition.encode()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode() + disposition
    return head + b"\r\nContent-Type: text/plain\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send(service: Service, path: str, *parts: bytes, headers: dict[str, str] | None = None) -> Answer:
    return ask(service, "POST", path, form(*parts), {**FORM, **(headers or {})})


def upload(service: Service, content: bytes = b"Hello.", **given: Any) -> Any:
    """Upload a file and return it."""
    answer = send(service, "/v1/files", text("purpose", given.pop("purpose", "assistants")), file(content, **given))
    assert answer.status == 200, answer
    return answer.json()
