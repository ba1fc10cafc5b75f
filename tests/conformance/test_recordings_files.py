"""Recorded exchanges on files and uploads, made again with the service: same status, same keys in the same order.

The recordings leave the forms out. What was in them is told by the answer: what the file was called, what it was for,
how many bytes it had; of a purpose that was refused, the text. Files that a recording presupposes are uploaded first.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

RECORDED = Path(__file__).parents[3] / "shared" / "contract" / "recorded"
REPLAYED = re.compile(r"/(files|uploads)(/[^/]+){0,2}\Z")
ID = re.compile(r"\b(file-|upload_|part_)[A-Za-z0-9]+")
REFUSED_PURPOSE = re.compile(r"'(\w+)' is not one of .* - 'purpose'")

#: What was not there in 2023, and what was otherwise then.
ADDED = {"expires_at": None}
OTHERWISE = {"status": ("uploaded", "processed")}
#: Differs each time.
TIMES = ("created_at", "expires_at")


def recordings() -> list[Any]:
    found = []
    for path in sorted(RECORDED.glob("*.json")):
        exchanges = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
        mine = [each for each in exchanges if REPLAYED.match(each["request"]["path"])]
        if mine:
            found.append(pytest.param(mine, id=path.stem))
    absent = pytest.mark.skip(reason="the recordings are not beside this checkout: ../shared/contract/recorded")
    return found or [pytest.param([], id="absent", marks=absent)]


class Replay:
    def __init__(self, client: httpx.Client, exchanges: list[dict[str, Any]]) -> None:
        self._client = client
        self._exchanges = exchanges
        self.ids: dict[str, str] = {}

    def run(self) -> None:
        for exchange in self._exchanges:
            self._presuppose(exchange)
            self._repeat(exchange)

    def _presuppose(self, exchange: dict[str, Any]) -> None:
        for named in ID.finditer(exchange["request"]["path"]):
            if named[0] not in self.ids and exchange["response"]["status"] < 400:
                body = exchange["response"]["body"]
                told = body if isinstance(body, dict) else {}
                content = body.encode() if isinstance(body, str) else b"x" * told.get("bytes", 1)
                self.ids[named[0]] = self._upload(told, content).json()["id"]

    def _upload(self, told: dict[str, Any], content: bytes) -> httpx.Response:
        return self._client.post(
            "/files",
            data={"purpose": told.get("purpose", "assistants")},
            files={"file": (told.get("filename", "sentiment.jsonl"), content)},
        )

    def _repeat(self, exchange: dict[str, Any]) -> None:
        request, response = exchange["request"], exchange["response"]
        answer = self._ask(request, response["body"])
        assert answer.status_code == response["status"], answer.text
        if not isinstance(response["body"], dict):
            assert answer.text == response["body"]
            for name in ("content-type", "content-disposition"):
                assert answer.headers[name] == response["headers"][name]
            return
        self._compare(answer.json(), response["body"])

    def _ask(self, request: dict[str, Any], told: Any) -> httpx.Response:
        path = ID.sub(lambda found: self.ids.get(found[0], found[0]), request["path"])
        if request["method"] == "POST" and path == "/files":
            if refused := REFUSED_PURPOSE.match(told.get("error", {}).get("message", "")):
                told = {"purpose": refused[1]}
            return self._upload(told, b"x" * told.get("bytes", 1))
        if path.endswith("/parts"):
            parts = [each for each in self._exchanges if each["request"]["path"] == request["path"]]
            size = next(each["response"]["body"]["bytes"] for each in self._exchanges) // len(parts)
            return self._client.post(path, files={"data": ("x", b"x" * size)})
        body = request["body"]
        if path.endswith("/complete"):
            body = {"part_ids": [each for each in self.ids.values() if each.startswith("part_")]}
        elif path == "/uploads":
            body = body or {key: told[key] for key in ("purpose", "filename", "bytes")} | {"mime_type": "text/jsonl"}
        return self._client.request(request["method"], path, json=body)

    def _compare(self, got: Any, expected: Any) -> None:
        if not isinstance(expected, dict):
            if isinstance(expected, str) and ID.fullmatch(expected):
                assert re.match(ID.fullmatch(expected)[1], got)  # type: ignore[index]
                self.ids[expected] = got
            else:
                assert got == expected
            return
        added = {name: value for name, value in ADDED.items() if name not in expected and name in got}
        assert [name for name in got if name not in added] == list(expected)
        assert {name: got[name] for name in added} == added
        for name, value in expected.items():
            if name in TIMES:
                assert type(got[name]) is type(value)
            elif name in OTHERWISE and (value, got[name]) == OTHERWISE[name]:
                continue
            else:
                self._compare(got[name], value)


@pytest.mark.parametrize("exchanges", recordings())
def test_a_recording_is_answered_as_it_was(shared_url: str, exchanges: list[dict[str, Any]]) -> None:
    with httpx.Client(base_url=shared_url) as client:
        Replay(client, exchanges).run()
