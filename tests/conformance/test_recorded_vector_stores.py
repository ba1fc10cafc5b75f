"""Recorded exchanges about vector stores, made again with the service: same status, same keys in the same order.

What a recording presupposes (files, a store, a batch) is made first, and its ids stand for ours from then on. How far
the indexing is at the moment of an answer may differ, and with it status, counts and bytes; so do ids and times.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

RECORDED = Path(__file__).parents[3] / "shared" / "contract" / "recorded"
PATTERNS = ("*vectorstores*", "*_vector_store*", "*FileOnMessage*", "*FileSearchWorks*")
#: What of a recording is made again; the rest is for tests of runs.
REPLAYED = re.compile(r"/(files|vector_stores(/.*)?|assistants(/[^/]+)?|threads(/[^/]+(/messages)?)?)\Z")

ID = re.compile(r"\b(asst_|thread_|msg_|vs_|vsfb_|file-)[A-Za-z0-9]+")
#: Keys that the hosted API had later than some recordings, or that the published reference requires where it had none.
ADDED: dict[str, set[str]] = {
    "vector_store": {"description"},
    "vector_store.file": {"chunking_strategy", "attributes", "usage_bytes"},
    "assistant": {"reasoning_effort"},
    "thread.message": {"status", "incomplete_details", "incomplete_at", "completed_at"},
}
#: What depends on how far the indexing is.
HOW_FAR = {"status", "usage_bytes", "in_progress", "completed", "failed"}


def recordings() -> list[Any]:
    """Return each recording, or one place that says why there is none."""
    found = [
        pytest.param(json.loads(path.read_text(encoding="utf-8"))["exchanges"], id=path.stem)
        for path in sorted({each for pattern in PATTERNS for each in RECORDED.glob(f"{pattern}.json")})
    ]
    absent = pytest.mark.skip(reason="the recordings are not beside this checkout: ../shared/contract/recorded")
    return found or [pytest.param([], id="absent", marks=absent)]


class Replay:
    """One recording, replayed against one service; ``ids`` maps the recording's ids to the service's."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self.ids: dict[str, str] = {}

    def repeat(self, exchange: dict[str, Any]) -> None:
        request, recorded = exchange["request"], exchange["response"]
        is_about_runs = request["method"] == "GET" and request["path"].endswith("/messages")
        if recorded["status"] >= 500 or is_about_runs or not REPLAYED.match(request["path"]):
            return
        if request["path"] == "/files":
            self._upload(recorded["body"]["id"], recorded["body"]["filename"])
            return
        self._presuppose(request)
        path, query = self._ours(request["path"]), self._ours(request.get("query") or "")
        status, answer = self.ask(request["method"], f"{path}?{query}" if query else path, self._ours(request["body"]))
        assert status == recorded["status"], answer
        self._learn(recorded["body"], answer)
        in_batch = "/file_batches/" in path and path.endswith("/files")
        check(recorded["body"], answer, path=request["path"], in_batch=in_batch)

    # What must be there first

    def _presuppose(self, request: dict[str, Any]) -> None:
        path = request["path"]
        named = [each[0] for each in ID.finditer(f"{path} {json.dumps(request['body'])}")]
        for prefix in ("file-", "vs_", "vsfb_", "thread_", "asst_"):  # in this order each finds what it is made of
            for identifier in named:
                if identifier.startswith(prefix) and identifier not in self.ids:
                    self._make(prefix, identifier, path)

    def _make(self, prefix: str, identifier: str, path: str) -> None:
        if prefix == "file-":
            self._upload(identifier, "a.txt")
        elif prefix == "vs_":
            files = [self.ids[each] for each in re.findall(r"file-[A-Za-z0-9]+", path)]
            self.ids[identifier] = self._made("/vector_stores", {"file_ids": files})
        elif prefix == "vsfb_":
            self._upload("of the batch", "a.txt")
            batches = f"{self._ours(path).partition('/file_batches')[0]}/file_batches"
            self.ids[identifier] = self._made(batches, {"file_ids": [self.ids["of the batch"]]})
            self._until_done(f"{batches}/{self.ids[identifier]}")
        elif prefix == "thread_":
            self.ids[identifier] = self._made("/threads", {})
        else:
            self.ids[identifier] = self._made("/assistants", {"model": "gpt-4o"})

    def _made(self, path: str, body: Any) -> str:
        status, answer = self.ask("POST", path, body)
        assert status == 200, answer
        return str(answer["id"])

    def _until_done(self, path: str) -> None:
        while self.ask("GET", path)[1]["status"] == "in_progress":
            pass

    def _upload(self, identifier: str, name: str) -> None:
        form = (
            f'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
            f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nSome text.\r\n--x--\r\n'
        )
        status, answer = self._send("POST", "/files", form.encode(), "multipart/form-data; boundary=x")
        assert status == 200, answer
        self.ids[identifier] = answer["id"]

    # Asking

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return self._send(method, path, None if body is None else json.dumps(body).encode(), "application/json")

    def _send(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        headers = {"Content-Type": content_type} if body is not None else {}
        connection.request(method, f"/v1{path}", body=body, headers=headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def _ours(self, value: Any) -> Any:
        if value is None:
            return None
        text = value if isinstance(value, str) else json.dumps(value)
        text = ID.sub(lambda match: self.ids.get(match[0], match[0]), text)
        return text if isinstance(value, str) else json.loads(text)

    def _learn(self, recorded: Any, answer: Any) -> None:
        for theirs, ours in zip(ids_in(recorded), ids_in(answer), strict=False):
            self.ids.setdefault(theirs, ours)


def ids_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("id"), str):
            yield value["id"]
        for name in ("tool_resources", "file_search", "vector_store_ids"):
            yield from ids_in(value.get(name))
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, str):
                yield each


def check(recorded: Any, answer: Any, *, path: str, in_batch: bool) -> None:
    """Check that an answer has the shape of the recorded one, and its values where they are not a matter of chance."""
    if isinstance(recorded, dict):
        assert isinstance(answer, dict), path
        added = answer.keys() - recorded.keys()
        assert added <= ADDED.get(str(answer.get("object")), set()), f"{path}: {added}"
        if in_batch and answer.get("object") == "vector_store.file":
            assert added == {"usage_bytes"}
        shared = [name for name in answer if name in recorded]
        assert set(shared) == recorded.keys(), f"{path}: {recorded.keys() - set(shared)} is missing"
        if "description" in recorded or answer.get("object") != "vector_store":  # older ones had another order
            assert shared == list(recorded), path
        for name in shared:
            if name in HOW_FAR or name.endswith("_at") or name in ("id", "first_id", "last_id", "vector_store_id"):
                assert type(recorded[name]) is type(answer[name]), f"{path}.{name}"
            elif name not in ("has_more",) or not path.endswith("/vector_stores"):
                check(recorded[name], answer[name], path=f"{path}.{name}", in_batch=in_batch)
    elif isinstance(recorded, list):
        if recorded and isinstance(recorded[0], dict):
            assert answer, path
            check(recorded[0], answer[0], path=path, in_batch=in_batch)
        if not path.startswith("/vector_stores.data"):
            assert len(answer) == len(recorded), path
    elif isinstance(recorded, str) and (prefix := ID.match(recorded)):
        assert answer.startswith(prefix[1]), path
    elif path.startswith("/vector_stores.data") and path.count(".") == 2:
        assert type(recorded) is type(answer) or recorded is None or answer is None, path
    else:
        assert answer == recorded, path


@pytest.mark.parametrize("exchanges", recordings())
def test_a_recorded_exchange_is_answered_as_it_was(exchanges: list[dict[str, Any]], shared_url: str) -> None:
    replay = Replay(shared_url)
    for exchange in exchanges:
        replay.repeat(exchange)
