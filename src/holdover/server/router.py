"""Finds the operation for a method and a path; built from the table of operations."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from holdover.errors import APIStatusError, NotFoundError
from holdover.wire.operations import Operation

PREFIX = "/v1"


class MethodNotAllowed(APIStatusError):
    """The path exists, but not with this method."""

    default_status = 405

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message, code="method_not_supported")
        self.allowed = allowed


class Router:
    """A tree of path segments; a leaf holds the operations of one path by method."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            node = self._root
            for segment in operation.path.strip("/").split("/"):
                node = node.child(segment)
            node.methods[operation.method] = operation

    def find(self, method: str, raw_path: bytes) -> tuple[Operation, list[str]]:
        """Return the operation and the arguments in the path.

        Args:
            raw_path: The path after ``/v1``, still percent-encoded.

        Raises:
            NotFoundError: There is no such path.
            MethodNotAllowed: The path exists, but not with this method.
        """
        node: _Node | None = self._root
        arguments: list[str] = []
        for segment in raw_path.split(b"/")[1:]:
            assert node is not None
            if (fixed := node.fixed.get(segment)) is not None:
                node = fixed
                continue
            argument = _decoded(segment) if segment else None
            node = node.variable if argument is not None else None
            if node is None or argument is None:
                break
            arguments.append(argument)
        if node is None or not node.methods:
            raise unknown_url(method, raw_path)
        operation = node.methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise _method_not_allowed(method, raw_path, node)
        return operation, arguments


class _Node:
    def __init__(self) -> None:
        self.fixed: dict[bytes, _Node] = {}
        self.variable: _Node | None = None
        self.methods: dict[str, Operation] = {}

    def child(self, segment: str) -> _Node:
        if segment.startswith("{"):
            self.variable = self.variable or _Node()
            return self.variable
        return self.fixed.setdefault(segment.encode(), _Node())


def unknown_url(method: str, raw_path: bytes) -> NotFoundError:
    """Return the hosted API's error for a path that it does not have."""
    return NotFoundError(f"Invalid URL ({method} {PREFIX}{_shown(raw_path)})")


def _method_not_allowed(method: str, raw_path: bytes, node: _Node) -> MethodNotAllowed:
    allowed = ", ".join(sorted(node.methods))
    return MethodNotAllowed(f"Not allowed to {method} on {PREFIX}{_shown(raw_path)}. Allowed: {allowed}.", allowed)


def _shown(raw_path: bytes) -> str:
    return raw_path[:200].decode("ascii", "replace")


def _decoded(segment: bytes) -> str | None:
    try:
        text = (unquote_to_bytes(segment) if b"%" in segment else segment).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
