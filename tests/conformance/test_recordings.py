"""Recorded exchanges of the hosted API, made again with the service: same status, same keys in the same order.

A recording names objects that this service does not have. What it presupposes is made first (an assistant, a thread, a
message, a vector store), and from then on its ids stand for ours. Ids, times and names of organisations differ; all
else must not.

Left out, since what they show cannot be made yet: runs and run steps; a thread from its first run on, which shows what
the run said; threads and messages made with uploaded files.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

RECORDED = Path(__file__).parents[3] / "shared" / "contract" / "recorded"

#: Paths of this release, beneath which every exchange is made again.
REPLAYED = re.compile(r"/((assistants|models|threads)(/(?!runs\Z)[^/]+)?|threads/[^/]+/messages(/[^/]+)?)\Z")
#: What begins a run in a thread.
RUN = re.compile(r"/threads/([^/]+)/runs\Z")

ID = re.compile(r"\b(asst_|thread_|msg_|run_|vs_|file-)[A-Za-z0-9]+")

#: Keys that are sent and were not recorded, by object, and what stands there: those that the hosted API added after
#: some recordings were made, and those that the published reference requires of messages and recordings do not have.
ADDED: dict[str, dict[str, Any]] = {
    "assistant": {"reasoning_effort": None},
    "thread.message": {
        "status": "completed",
        "incomplete_details": None,
        "incomplete_at": None,
        "completed_at": int,
    },
}
#: What the answer to a message's modification has besides: recorded is ``file_ids`` in its place.
ADDED_TO_MODIFIED = {"attachments": []}

#: What every answer's headers look like.
HEADERS: dict[str, str] = {
    "content-type": r"application/json",
    "openai-version": r"2020-10-01",
    "openai-processing-ms": r"[0-9]+",
    "x-request-id": r"req_[0-9a-f]{32}",
    "x-content-type-options": r"nosniff",
}


def recordings() -> list[Any]:
    """Return each recording that has something to replay, or one place that says why there is none."""
    found = []
    for path in sorted(RECORDED.glob("*.json")):
        exchanges = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
        mine = list(without_runs(exchanges))
        if mine:
            skip = [pytest.mark.skip(reason="answered in the shape of assistants=v1")] * all(map(is_v1, mine))
            found.append(pytest.param(mine, id=path.stem, marks=skip))
    absent = pytest.mark.skip(reason="the recordings are not beside this checkout: ../shared/contract/recorded")
    return found or [pytest.param([], id="absent", marks=absent)]


def without_runs(exchanges: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the exchanges that can be made again: without runs, what they said, and uploaded files."""
    run_in: set[str] = set()
    for exchange in exchanges:
        request = exchange["request"]
        if begun := RUN.match(request["path"]):
            run_in.add(begun[1])
        is_beside_runs = not any(thread in request["path"] for thread in run_in)
        names_files = request["path"].startswith("/threads") and '"file-' in json.dumps(request["body"])
        if REPLAYED.match(request["path"]) and is_beside_runs and not names_files:
            yield exchange


def is_v1(exchange: dict[str, Any]) -> bool:
    """Whether it is of the API's first version, whose objects had another shape."""
    return any(
        name.lower() == "openai-beta" and "v1" in value for name, value in exchange["request"]["headers"].items()
    )


class Replay:
    """One recording, replayed against one service; ``ids`` maps the recording's ids to the service's."""

    def __init__(self, url: str, exchanges: list[dict[str, Any]]) -> None:
        self._address = urlsplit(url).netloc
        self._exchanges = [each for each in exchanges if not is_v1(each)]
        self.ids: dict[str, str] = {}

    def run(self) -> None:
        for identifier in account(self._exchanges):
            if identifier is None:
                self._ask("POST", "/assistants", body={"model": "gpt-4o"})
            else:
                self.ids[identifier] = self._new_assistant(identifier)
        for exchange in self._exchanges:
            self._presuppose(exchange)
            self._repeat(exchange)

    # What must be there first

    def _presuppose(self, exchange: dict[str, Any]) -> None:
        request = exchange["request"]
        if exchange["response"]["status"] >= 400:
            return
        self._make_vector_stores(request["body"])
        for named in ID.finditer(request["path"]):
            if named[0] not in self.ids and named[1] == "asst_":
                self.ids[named[0]] = self._new_assistant(named[0])
            elif named[0] not in self.ids:
                self.ids[named[0]] = self._new_in_threads(named[0], self._ours(request["path"][: named.start() - 1]))

    def _make_vector_stores(self, value: Any) -> None:
        for found in ID.finditer(json.dumps(value)):
            if found[1] == "vs_" and found[0] not in self.ids:
                self.ids[found[0]] = self._new_vector_store()

    def _new_vector_store(self) -> str:
        helper = {"file_search": {"vector_stores": [{}]}}
        made = self._ask("POST", "/assistants", body={"model": "gpt-4o", "tool_resources": helper})[2]
        store: str = made["tool_resources"]["file_search"]["vector_store_ids"][0]
        self._ask("DELETE", f"/assistants/{made['id']}")
        return store

    def _new_assistant(self, identifier: str) -> str:
        """Make an assistant that the recording presupposes, as it is first shown there."""
        shown = first_shown(identifier, self._exchanges)
        self._make_vector_stores(shown)
        body = {
            name: value
            for name, value in without_files(shown).items()
            if name not in ("id", "object", "created_at") and value is not None
        }
        made = self._ask("POST", "/assistants", body=self._ours({"model": "gpt-4o", **body}))[2]
        new: str = made["id"]
        return new

    def _new_in_threads(self, identifier: str, path: str) -> str:
        """Make a thread or a message that the recording presupposes, as it is first shown there."""
        shown = first_shown(identifier, self._exchanges)
        body = {"metadata": shown.get("metadata")}
        if path.endswith("/messages"):
            parts = [{"type": "text", "text": each["text"]["value"]} for each in shown.get("content", [])]
            body |= {"role": shown.get("role", "user"), "content": parts or "Hello."}
        new: str = self._ask("POST", path, body=body)[2]["id"]
        return new

    # The exchange itself

    def _repeat(self, exchange: dict[str, Any]) -> None:
        request, expected = exchange["request"], exchange["response"]
        status, headers, body = self._ask(
            request["method"],
            self._ours(request["path"]),
            query=self._ours(request.get("query")),
            headers=request["headers"],
            body=self._ours(without_files(request["body"])),
        )
        assert status == expected["status"], body
        self._learn(expected["body"], body)
        check_headers(headers, expected["headers"])
        if "trimmed" in expected:
            self._check_page(body, expected["body"])
        else:
            assert shape(body) == shape(self._as_now(expected["body"], body))

    def _check_page(self, body: dict[str, Any], expected: dict[str, Any]) -> None:
        """Compare a list that was cut when it was recorded: its own members, and the objects that are left."""
        assert list(body) == list(expected)
        objects = {each["id"]: each for each in body["data"]}
        kept = [each for each in expected["data"] if self._ours(each["id"]) in objects]
        assert kept, "nothing in this list can be compared"
        if "has_more" in expected:
            assert [each["id"] for each in body["data"]][: len(kept)] == [
                self.ids[each["id"]] for each in expected["data"]
            ]
            assert shape({**body, "data": []}) == shape(self._ours({**expected, "data": []}))
        for each in kept:
            now = objects[self._ours(each["id"])]
            assert shape(now) == shape(self._as_now(each, now))

    def _learn(self, expected: Any, body: Any) -> None:
        """Take the ids of an answer for those of the recorded one, wherever they stand in the same place."""
        if isinstance(expected, dict) and isinstance(body, dict):
            for name in expected.keys() & body.keys() - {"data"}:
                self._learn(expected[name], body[name])
        elif isinstance(expected, list) and isinstance(body, list):
            for recorded, now in zip(expected, body, strict=False):
                self._learn(recorded, now)
        elif isinstance(expected, str) and ID.fullmatch(expected) and isinstance(body, str):
            self.ids.setdefault(expected, body)

    def _as_now(self, expected: Any, body: Any) -> Any:
        """Return what is expected with our ids, and with keys that were added since in their place."""
        expected = self._ours(without_files(expected))
        if not isinstance(expected, dict) or not isinstance(body, dict):
            return expected
        if isinstance(expected.get("data"), list):
            pairs = zip(expected["data"], body["data"], strict=True)
            return {**expected, "data": [self._as_now(recorded, now) for recorded, now in pairs]}
        may_be_added = ADDED.get(expected.get("object", ""), {}) | (ADDED_TO_MODIFIED if "file_ids" in expected else {})
        added = {name: body[name] for name in body if name in may_be_added and name not in expected}
        assert all(value == may_be_added[name] or type(value) is may_be_added[name] for name, value in added.items())
        # The second version's answers had the first's key in the middle; a record has what it adds at its end.
        moved = {"file_ids": expected["file_ids"]} if "file_ids" in expected else {}
        order = [name for name in expected if name not in moved] + list(moved)
        assert [name for name in body if name not in added] == order
        return {name: added.get(name, expected.get(name)) for name in body}

    def _ours(self, value: Any) -> Any:
        """Return a value of the recording with its ids replaced by ours."""
        text = ID.sub(lambda found: self.ids.get(found[0], found[0]), json.dumps(value))
        return json.loads(text)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: str | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            content = None if body is None else json.dumps(body).encode()
            target = f"/v1{path}" + ("" if query is None else f"?{query}")
            connection.request(method, target, content, {**(headers or {}), "authorization": "Bearer sk-any"})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(answer.read())
        finally:
            connection.close()


def account(exchanges: list[dict[str, Any]]) -> list[str | None]:
    """Return the assistants that a recording's lists show and that it did not make, oldest first.

    ``None`` stands for one of which nothing is known: cut out of the list, or promised by ``has_more``.
    """
    posts = [
        each for each in exchanges if (each["request"]["method"], each["request"]["path"]) == ("POST", "/assistants")
    ]
    made = {each["response"]["body"]["id"] for each in posts if each["response"]["status"] == 200}
    newest_first: list[str | None] = []
    oldest_first: list[str | None] = []
    for exchange in exchanges:
        request, page = exchange["request"], exchange["response"]["body"]
        if is_good(exchange, "GET", "/assistants"):
            query = dict(parse_qsl(request.get("query") or ""))
            known = oldest_first if query.get("order") == "asc" else newest_first
            merge(known, listed(page, query, exchange["response"].get("trimmed", "")))
    return [each for each in [*oldest_first, *reversed(newest_first)] if each not in made]


def is_good(exchange: dict[str, Any], method: str, path: str) -> bool:
    request, response = exchange["request"], exchange["response"]
    return bool((request["method"], request["path"], response["status"]) == (method, path, 200))


def listed(page: dict[str, Any], query: dict[str, str], trimmed: str) -> list[str | None]:
    """Return a page's ids in the list's order, with its cursors and with what was cut out or follows."""
    ids: list[str | None] = [each["id"] for each in page["data"]]
    if cut := re.search(r"from (\d+) items", trimmed):
        ids += [*[None] * (int(cut[1]) - len(ids) - 1), page["last_id"]]
    more: list[str | None] = [None] * page["has_more"]
    if "before" in query and "after" not in query:
        return [*more, *ids, query["before"]]
    return [*([query["after"]] if "after" in query else []), *ids, *more]


def merge(known: list[str | None], ids: list[str | None]) -> None:
    """Put a page's ids to those of the pages before it: behind its cursor, which stands there already."""
    place = known.index(ids[0]) + 1 if ids and ids[0] in known else len(known)
    if known[place:] == [None]:
        del known[place:]  # what was promised there now follows
    known[place:place] = [each for each in ids if each is None or each not in known]


def first_shown(identifier: str, exchanges: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an object as it is first shown; nothing where it never is."""
    for exchange in exchanges:
        body = exchange["response"].get("body")
        for shown in [body, *(body.get("data") or [])] if isinstance(body, dict) else []:
            if shown.get("id") == identifier and not shown.get("deleted"):
                return dict(shown)
    return {}


def without_files(value: Any) -> Any:
    """Return a value without the ids of files: they cannot be uploaded yet, so no id of one refers to anything."""
    if isinstance(value, dict):
        kept = {name: without_files(each) for name, each in value.items()}
        if "file_ids" in kept:
            kept["file_ids"] = [each for each in kept["file_ids"] if not str(each).startswith("file-")]
        return kept
    return [without_files(each) for each in value] if isinstance(value, list) else value


def check_headers(headers: dict[str, str], recorded: dict[str, str]) -> None:
    """Each header that was recorded and that a client can count on is there, and looks as it did."""
    for name, looks in HEADERS.items():
        assert re.fullmatch(looks, headers[name]), f"{name}: {headers[name]}"
        if name in recorded and "<" not in recorded[name]:
            assert re.fullmatch(looks, recorded[name]), f"the recording has {name}: {recorded[name]}"
    assert not {name for name in headers if name.startswith("x-ratelimit")}


def shape(value: Any) -> Any:
    """Return a value as a list of places in their order, with what stands there: times by their kind alone."""
    return list(_places(value, ""))


def _places(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield path, dict
        for name, each in value.items():
            yield from _places(each, f"{path}.{name}")
    elif isinstance(value, list):
        yield path, list
        for index, each in enumerate(value):
            yield from _places(each, f"{path}[{index}]")
    elif path.endswith("_at"):
        yield path, type(value)
    elif isinstance(value, str) and ID.fullmatch(value):
        yield path, ID.fullmatch(value)[1]  # type: ignore[index]
    else:
        yield path, (type(value), value)


@pytest.mark.parametrize("exchanges", recordings())
def test_the_service_answers_as_the_hosted_api_did(service_url: str, exchanges: list[dict[str, Any]]) -> None:
    replay = Replay(service_url, exchanges)
    replay.run()
    assert len(set(replay.ids.values())) == len(replay.ids), "every recorded object has become one of its own"


V1 = [each for each in recordings() if each.marks and each.values[0]]


@pytest.mark.parametrize("exchanges", [pytest.param(each.values[0], id=each.id) for each in V1])
def test_who_still_asks_for_version_1_gets_the_hosted_refusal(shared_url: str, exchanges: list[dict[str, Any]]) -> None:
    replay = Replay(shared_url, exchanges)
    for request in (exchange["request"] for exchange in exchanges):
        status, _, body = replay._ask(request["method"], request["path"], headers=request["headers"], body={})
        assert (status, body["error"]["code"]) == (400, "invalid_beta")


def test_the_comparison_sees_an_order_a_type_and_a_value() -> None:
    """What the replay stands on: two values have the same shape only if they are the same but for ids and times."""
    assert shape({"a": 1, "b": 2}) != shape({"b": 2, "a": 1})
    assert shape({"a": 1.0}) != shape({"a": 1})
    assert shape({"a": None}) != shape({})
    assert shape({"a": "x"}) != shape({"a": "y"})
    assert shape({"id": "asst_1"}) != shape({"id": "vs_1"})
    assert shape({"id": "asst_1", "created_at": 1}) == shape({"id": "asst_2", "created_at": 2})


def test_what_a_list_presupposes_is_made_in_the_order_that_it_shows() -> None:
    def page(query: str, ids: list[str], *, has_more: bool, trimmed: str | None = None) -> dict[str, Any]:
        body = {"data": [{"id": each} for each in ids], "last_id": "asst_z", "has_more": has_more}
        response = {"status": 200, "body": body, **({"trimmed": trimmed} if trimmed else {})}
        return {"request": {"method": "GET", "path": "/assistants", "query": query, "body": None}, "response": response}

    first = page("limit=2", ["asst_d", "asst_c"], has_more=True)
    second = page("limit=2&after=asst_c", ["asst_b", "asst_a"], has_more=False)
    assert account([first]) == [None, "asst_c", "asst_d"]
    assert account([page("order=asc", ["asst_a", "asst_b"], has_more=True)]) == ["asst_a", "asst_b", None]
    assert account([page("", ["asst_d"], has_more=False, trimmed="data cut from 3 items to 1")]) == [
        "asst_z",
        None,
        "asst_d",
    ]
    assert account([first, second]) == ["asst_a", "asst_b", "asst_c", "asst_d"]
    made = {"request": {"method": "POST", "path": "/assistants"}, "response": {"status": 200, "body": {"id": "asst_d"}}}
    assert account([made, first]) == [None, "asst_c"]
