"""Pages beside the API: health, the OpenAPI document, and a reference that needs no network."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import cached_property
from importlib.resources import files
from typing import Any

import msgspec

from holdover import __version__
from holdover.errors import NotFoundError
from holdover.wire.openapi import openapi_document
from holdover.wire.operations import OPERATIONS, Operation

from .router import PREFIX, MethodNotAllowed

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

_JSON: Headers = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
_HTML: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


class Pages:
    """Answers for every path outside ``/v1``; built when first asked for."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._answers: dict[bytes, Callable[[], Answer]] = {
            b"/": lambda: (307, [(b"location", b"/reference")], b""),
            b"/health": lambda: (200, _JSON, msgspec.json.encode({"status": "ok", "version": __version__})),
            b"/health/ready": self._readiness,
            b"/openapi.json": lambda: (200, _JSON, self._openapi),
            b"/reference": lambda: (200, _HTML, self._reference),
        }

    def find(self, method: str, path: bytes) -> Answer:
        """Return status, headers and body of a page.

        Raises:
            NotFoundError: There is no such page.
            MethodNotAllowed: It can only be read.
        """
        answer = self._answers.get(path)
        shown = path[:200].decode("ascii", "replace")
        if answer is None:
            raise NotFoundError(f"Invalid URL ({method} {shown})")
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"Not allowed to {method} on {shown}. Allowed: GET.", "GET")
        return answer()

    def _readiness(self) -> Answer:
        is_ready = self._is_ready()
        return (
            200 if is_ready else 503,
            _JSON,
            msgspec.json.encode({"status": "ready" if is_ready else "stopping"}),
        )

    @cached_property
    def _openapi(self) -> bytes:
        return msgspec.json.encode(openapi_document(__version__))

    @cached_property
    def _reference(self) -> bytes:
        document = openapi_document(__version__)
        page = (files(__package__) / "reference.html").read_text("utf-8")
        return (
            page.replace("{{version}}", html.escape(__version__))
            .replace("{{contents}}", "\n".join(_entry(each) for each in OPERATIONS))
            .replace("{{operations}}", "\n".join(_operation(each, document) for each in OPERATIONS))
            .replace("{{schemas}}", "\n".join(_schema(*each) for each in document["components"]["schemas"].items()))
            .encode()
        )


def _entry(operation: Operation) -> str:
    return (
        f'<li><a href="#{operation.name}"><b class="{operation.method.lower()}">{operation.method}</b> '
        f"{html.escape(PREFIX + operation.path)}</a></li>"
    )


def _operation(operation: Operation, document: dict[str, Any]) -> str:
    spec = document["paths"][operation.path][operation.method.lower()]
    rows = [
        (each["name"], each["in"], each["schema"], each.get("description", "")) for each in spec.get("parameters", ())
    ]
    body = spec.get("requestBody")
    schema = _only(body["content"])["schema"] if body else None
    rows += [
        (name, "form", each, each.get("description", "")) for name, each in (schema or {}).get("properties", {}).items()
    ]
    reply = _only(spec["responses"]["200"]["content"])["schema"]
    return (
        f'<section id="{operation.name}"><h2><b class="{operation.method.lower()}">{operation.method}</b> '
        f"{html.escape(PREFIX + operation.path)}</h2><p>{html.escape(operation.summary)} "
        f"In Python: <code>holdover.{operation.name}</code>. On the command line: "
        f"<code>holdover {operation.group} {operation.command}</code>.</p>"
        + (_table(rows) if rows else "")
        + (f"<p>Body: {_type(schema)}</p>" if schema else "")
        + f"<p>Answer: {_type(reply)}</p></section>"
    )


def _only(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a body is, of the one type that it has."""
    (media,) = content.values()
    found: dict[str, Any] = media
    return found


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (field, "required" if field in required else "", each, each.get("description", ""))
        for field, each in schema.get("properties", {}).items()
    ]
    summary = html.escape(schema.get("description", "").split("\n")[0])
    return f'<section id="{name}"><h3>{name}</h3><p>{summary}</p>{_table(rows) if rows else ""}</section>'


def _table(rows: list[tuple[str, str, dict[str, Any], str]]) -> str:
    body = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{_type(schema)}</td><td>{html.escape(note)} "
        f"{html.escape(summary)}</td></tr>"
        for name, note, schema, summary in rows
    )
    return f"<table>{body}</table>"


def _type(schema: dict[str, Any]) -> str:
    """Return a schema in a few words, with a link to what it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[key]))
    if "enum" in schema:
        return " or ".join(f"<code>{html.escape(str(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}" + _limits(schema, "minItems", "maxItems")
    if schema.get("type") == "object":
        return "object" + _limits(schema, "minProperties", "maxProperties")
    if schema.get("format") == "binary":
        return "bytes"
    return str(schema.get("type", "any")) + _limits(
        schema, "minimum", "maximum", *("minLength", "maxLength") if schema.get("type") == "string" else ()
    )


def _limits(schema: dict[str, Any], *pairs: str) -> str:
    shown = []
    for low, high in zip(pairs[::2], pairs[1::2], strict=True):
        if low in schema and high in schema:
            shown.append(f"{schema[low]}–{schema[high]}")
        elif high in schema:
            shown.append(f"up to {schema[high]}")
        elif low in schema:
            shown.append(f"from {schema[low]}")
    return f" ({', '.join(shown)})" if shown else ""
