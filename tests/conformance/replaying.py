"""Makes recorded exchanges again with a service of ours, and compares the answers place by place.

A recording names objects that this service does not have. What it presupposes is made first (an assistant, a thread, a
message, a vector store, a run in the state that is shown), and from then on its ids stand for ours. Ids, times and
names of organisations differ; all else must not, but for what the tables below say, each with its reason.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from holdover.models.protocol import TextChunk

from .saying import Exchange, Said, Turn, events, objects, script

ID = re.compile(r"\b(asst_|thread_|msg_|run_|step_|call_|vs_|file-)[A-Za-z0-9]+")
RUN = re.compile(r"/threads/([^/]+)/runs/([^/]+)")
#: What begins a run.
BEGINS_RUN = re.compile(r"/threads/(?:[^/]+/)?runs\Z")

RESTING = ("requires_action", "cancelled", "failed", "completed", "incomplete", "expired")
ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
PATIENCE_S = 20.0

_DETAILS = {"prompt_token_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}

#: Keys that are sent and were not recorded, by object, and what stands there: those that the hosted API added after
#: some recordings were made, and those that the published reference requires and recordings do not have.
ADDED: dict[str, dict[str, Any]] = {
    "assistant": {"reasoning_effort": None},
    "thread.message": {
        "status": "completed",
        "incomplete_details": None,
        "incomplete_at": None,
        "completed_at": int,
    },
    "thread.run": {"reasoning_effort": None, "parallel_tool_calls": True},
    "thread.run.step": {"expired_at": None, "metadata": {}},
    "usage": _DETAILS,
}
#: The same of a message that its run did not finish: over REST the hosted API left out what says so.
ADDED_TO_UNFINISHED = {"status": "incomplete", "incomplete_details": dict, "incomplete_at": int, "completed_at": None}
#: What the answer to a message's modification has besides: recorded is ``file_ids`` in its place.
ADDED_TO_MODIFIED = {"attachments": []}

#: What every answer's headers look like.
HEADERS: dict[str, str] = {
    "openai-version": r"2020-10-01",
    "openai-processing-ms": r"[0-9]+",
    "x-request-id": r"req_[0-9a-f]{32}",
    "x-content-type-options": r"nosniff",
}
JSON_TYPE = r"application/json"
STREAM_TYPE = r"text/event-stream; charset=utf-8"

#: One frame, to the byte: line feeds alone, one space after each colon, JSON on one line.
FRAME = re.compile(r"event: (\S+)\ndata: ([^\n]*)\n\n")


def left_out(exchange: Exchange) -> str | None:
    """Return why an exchange is not made again here, ``None`` if it is."""
    request = exchange["request"]
    if re.match(r"/(assistants|models|threads)(/|\Z)", request["path"]) or is_upload(exchange):
        return None
    return "files, uploads and vector stores are made again by tests of their own"


def is_upload(exchange: Exchange) -> bool:
    """Whether it brought a file; the recording has no body of it."""
    return is_good(exchange, "POST", "/files")


def is_v1(exchange: Exchange) -> bool:
    """Whether it is of the API's first version, whose objects had another shape."""
    return any(
        name.lower() == "openai-beta" and "v1" in value for name, value in exchange["request"]["headers"].items()
    )


class Replay:
    """One recording, replayed against one service; ``ids`` maps the recording's ids to the service's.

    Args:
        url: The service's base URL.
        said: The model that answers there for every name.
        exchanges: What is made again.
        recorded: All that was recorded, also what is not made again: it tells what was said.
    """

    def __init__(
        self,
        url: str,
        said: Said,
        exchanges: Sequence[Exchange],
        recorded: Sequence[Exchange] | None = None,
        ids: dict[str, str] | None = None,
    ) -> None:
        self._address = urlsplit(url).netloc
        self._said = said
        self._exchanges = list(exchanges)
        self._recorded = list(recorded or exchanges)
        self._thread_of: dict[str, str] = {}
        self.ids = {} if ids is None else ids

    def run(self) -> None:
        for identifier in account(self._exchanges):
            if identifier is None:
                self._ask("POST", "/assistants", body={"model": "gpt-4o"})
            else:
                self.ids[identifier] = self._new_assistant(identifier)
        for exchange in self._exchanges:
            self._presuppose(exchange)
            self._wait(exchange)
            self._repeat(exchange)

    # What must be there first

    def _presuppose(self, exchange: Exchange) -> None:
        request, response = exchange["request"], exchange["response"]
        told = json.dumps((response.get("body") or {}).get("error")) if response["status"] >= 400 else ""
        absent = {found[0] for found in ID.finditer(told)} if response["status"] == 404 else set()
        for found in ID.finditer(json.dumps(request["body"])):
            if found[0] in self.ids or found[0] in absent:
                continue
            if found[1] == "vs_":
                self.ids[found[0]] = self._new_vector_store()
            elif found[1] == "file-":
                self.ids[found[0]] = self._new_file("a.txt")
            elif found[1] == "asst_":
                self.ids[found[0]] = self._new_assistant(found[0])
        path = request["path"]
        for named in ID.finditer(path):
            if named[0] in self.ids or named[0] in absent:
                continue
            match named[1]:
                case "asst_":
                    self.ids[named[0]] = self._new_assistant(named[0])
                case "thread_":
                    self.ids[named[0]] = self._new_thread(named[0])
                case "msg_":
                    self.ids[named[0]] = self._new_message(named[0], self._ours(path[: named.start() - 1]))
                case "run_":
                    self.ids[named[0]] = self._new_run(named[0], self._ours(RUN.match(path)[1]))  # type: ignore[index]
        active = re.search(r"run (run_\w+)", told)
        if active and active[1] not in self.ids and active[1] not in absent:
            thread = self._ours(re.search(r"thread_\w+", path)[0])  # type: ignore[index]
            self.ids[active[1]] = self._new_run(active[1], thread)

    def _new_vector_store(self) -> str:
        helper = {"file_search": {"vector_stores": [{}]}}
        made = self._ask("POST", "/assistants", body={"model": "gpt-4o", "tool_resources": helper})[2]
        store: str = made["tool_resources"]["file_search"]["vector_store_ids"][0]
        self._ask("DELETE", f"/assistants/{made['id']}")
        return store

    def _new_file(self, name: str, purpose: str = "assistants", size: int = 10) -> str:
        fields = {'name="purpose"': purpose, f'name="file"; filename="{name}"': "x" * size}
        parts = [f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n" for head, text in fields.items()]
        headers = {"content-type": "multipart/form-data; boundary=x"}
        status, _, answer = self._send(
            "POST", "/files", headers=headers, content="".join([*parts, "--x--\r\n"]).encode()
        )
        assert status == 200, answer
        return str(json.loads(answer)["id"])

    def _new_assistant(self, identifier: str) -> str:
        """Make an assistant that the recording presupposes, as it or its runs are first shown there."""
        shown = first_shown(identifier, self._recorded) or self._as_its_runs_show(identifier)
        for found in ID.finditer(json.dumps(shown)):
            if found[1] == "vs_" and found[0] not in self.ids:
                self.ids[found[0]] = self._new_vector_store()
            elif found[1] == "file-" and found[0] not in self.ids:
                self.ids[found[0]] = self._new_file("a.txt")
        body = {
            name: value
            for name, value in shown.items()
            if name not in ("id", "object", "created_at") and value is not None
        }
        made = self._ask("POST", "/assistants", body=self._ours({"model": "gpt-4o", **body}))[2]
        new: str = made["id"]
        return new

    def _as_its_runs_show(self, identifier: str) -> dict[str, Any]:
        copied = ("model", "instructions", "tools", "temperature", "top_p", "reasoning_effort", "response_format")
        for each in objects(self._recorded):
            if each.get("object") == "thread.run" and each["assistant_id"] == identifier:
                return {name: each[name] for name in copied if name in each}
        return {}

    def _new_thread(self, identifier: str) -> str:
        """Make a thread that the recording presupposes, with the messages that were there before."""
        shown = first_shown(identifier, self._recorded)
        body: dict[str, Any] = {"metadata": shown.get("metadata")}
        if any(is_good(each, "POST", f"/threads/{identifier}/runs") for each in self._exchanges):
            body["messages"] = [{"role": "user", "content": "Hello."}]
        new: str = self._ask("POST", "/threads", body=body)[2]["id"]
        return new

    def _new_message(self, identifier: str, path: str) -> str:
        shown = first_shown(identifier, self._recorded)
        parts = [{"type": "text", "text": each["text"]["value"]} for each in shown.get("content", [])]
        body = {
            "metadata": shown.get("metadata"),
            "role": shown.get("role", "user"),
            "content": parts or "Hello.",
        }
        new: str = self._ask("POST", path, body=body)[2]["id"]
        return new

    def _new_run(self, identifier: str, thread: str) -> str:
        """Make a run that the recording presupposes, in the state that its answer speaks of."""
        shown = next((each for each in objects(self._recorded) if each.get("id") == identifier), {})
        assistant = shown.get("assistant_id")
        if assistant is not None and assistant not in self.ids:
            self.ids[assistant] = self._new_assistant(assistant)
        ours = self.ids[assistant] if assistant else self._ask("POST", "/assistants", body={"model": "gpt-4o"})[2]["id"]
        limits = {name: shown[name] for name in ("max_prompt_tokens", "max_completion_tokens") if shown.get(name)}
        if not any(message["role"] == "user" for message in self._ask("GET", f"/threads/{thread}/messages")[2]["data"]):
            self._ask("POST", f"/threads/{thread}/messages", body={"role": "user", "content": "Hello."})
        self._said.give(script(identifier, self._recorded) or [Turn([TextChunk("Hello.")])], at_once=False)
        made = self._ask("POST", f"/threads/{thread}/runs", body={"assistant_id": ours, **limits})[2]
        self._thread_of[made["id"]] = thread
        new: str = made["id"]
        return new

    # The state that an answer speaks of

    def _wait(self, exchange: Exchange) -> None:
        """Wait until the runs that an answer speaks of are in the state that it shows."""
        request, response = exchange["request"], exchange["response"]
        method, path = request["method"], request["path"]
        told = json.dumps((response.get("body") or {}).get("error") or "")
        if response["status"] == 200 and method == "POST" and re.search(r"/(messages|runs)\Z", path):
            for ours, thread in self._thread_of.items():
                if thread == self._ours(path.split("/")[2]):
                    self._bring(ours, "completed")
        elif response["status"] == 200 and path.endswith("/cancel"):
            self._bring(self._ours(RUN.match(path)[2]), "in_progress")  # type: ignore[index]
        elif response["status"] == 200 and path.endswith("/submit_tool_outputs"):
            self._bring(self._ours(RUN.match(path)[2]), "requires_action")  # type: ignore[index]
        elif status := re.search(r"status '?(?:\\\")?(\w+)", told):
            self._bring(self._ours(RUN.match(path)[2]), status[1])  # type: ignore[index]
        elif active := re.search(r"run (run_\w+)(?: is active|\.)", told):
            self._bring(self._ours(active[1]), "in_progress")
        elif method == "GET" and response["status"] == 200:
            for each in objects([exchange]):
                if each.get("object") == "thread.run":
                    self._bring(self._ours(each["id"]), each["status"])
                elif each.get("run_id"):
                    self._bring(self._ours(each["run_id"]), "completed")

    def _bring(self, run_id: str, status: str) -> None:
        if run_id not in self._thread_of or status == "queued":
            return
        if status in RESTING:
            self._said.let(run_id)
        wanted = RESTING if status in RESTING or status == "cancelling" else (status,)
        last = time.monotonic() + PATIENCE_S
        while (
            seen := self._ask("GET", f"/threads/{self._thread_of[run_id]}/runs/{run_id}")[2]["status"]
        ) not in wanted:
            if seen in RESTING:
                return
            assert time.monotonic() < last, f"{run_id} is {seen} and does not become {status}"

    # The exchange itself

    def _repeat(self, exchange: Exchange) -> None:
        request, expected = exchange["request"], exchange["response"]
        if is_upload(exchange):
            told = expected["body"]
            self.ids[told["id"]] = self._new_file(told["filename"], told["purpose"], told["bytes"])
            return
        path = self._ours(request["path"])
        if BEGINS_RUN.search(path) and request["method"] == "POST":
            self._give_script(expected)
        if "sse" in expected and (run := RUN.match(path)):
            self._said.let(run[2])
        status, headers, raw = self._send(
            request["method"],
            path,
            query=self._ours(request.get("query")),
            headers=request["headers"],
            body=self._ours(request["body"]),
        )
        assert status == expected["status"], raw
        check_headers(headers, expected["headers"], STREAM_TYPE if "sse" in expected else JSON_TYPE)
        if "sse" in expected:
            self._check_events(raw.decode(), expected["sse"])
            return
        body = json.loads(raw)
        if "trimmed" not in expected or len(expected["body"]["data"]) == len(body["data"]):
            self._learn(expected["body"], {**body, "last_id": None} if "trimmed" in expected else body)
        if "trimmed" in expected:
            self._check_page(body, expected["body"])
        else:
            assert shape(body) == shape(self._as_now(expected["body"], body)), body

    def _give_script(self, expected: dict[str, Any]) -> None:
        if "sse" in expected:
            shown = [data for name, data in events(expected["sse"]) if name == "thread.run.created"]
        else:
            shown = [expected["body"]]
        if shown and "id" in shown[0]:
            self._said.give(script(shown[0]["id"], self._recorded), at_once="sse" in expected)

    def _check_events(self, raw: str, recorded: str) -> None:
        frames = FRAME.findall(raw)
        assert "".join(f"event: {name}\ndata: {data}\n\n" for name, data in frames) == raw, "there is more than frames"
        now = events(raw)
        expected = [(as_named_now(name, data), data) for name, data in events(recorded)]
        assert [name for name, _ in now] == [name for name, _ in expected]
        for (name, data), (_, was) in zip(now, expected, strict=True):
            self._learn(was, data)
            if name == "done":
                assert data == was == "[DONE]"
            else:
                assert "error" not in data
                assert (name, shape(data)) == (name, shape(self._as_now(was, data)))

    def _check_page(self, body: dict[str, Any], expected: dict[str, Any]) -> None:
        """Compare a list that was cut when it was recorded: its own members, and the objects that are left."""
        assert list(body) == list(expected)
        found = {each["id"]: each for each in body["data"]}
        kept = [each for each in expected["data"] if self._ours(each["id"]) in found]
        assert kept, "nothing in this list can be compared"
        if "has_more" in expected:
            assert [each["id"] for each in body["data"]][: len(kept)] == [
                self.ids[each["id"]] for each in expected["data"]
            ]
            assert shape({**body, "data": []}) == shape(self._ours({**expected, "data": []}))
        for each in kept:
            now = found[self._ours(each["id"])]
            if "usage" in each:  # where steps were cut out, nothing tells how the tokens of the run are to be spread
                each = {**each, "usage": now["usage"]}
            assert shape(now) == shape(self._as_now(each, now))

    def _learn(self, expected: Any, body: Any) -> None:
        """Take the ids of an answer for those of the recorded one, wherever they stand in the same place."""
        if isinstance(expected, dict) and isinstance(body, dict):
            for name in expected.keys() & body.keys():
                self._learn(expected[name], body[name])
            if expected.get("object") == "thread.run":
                self._thread_of[body["id"]] = body["thread_id"]
        elif isinstance(expected, list) and isinstance(body, list):
            for recorded, now in zip(expected, body, strict=False):
                self._learn(recorded, now)
        elif isinstance(expected, str) and ID.fullmatch(expected) and isinstance(body, str):
            assert self.ids.setdefault(expected, body) == body, f"{body} stands where {self.ids[expected]} should"

    def _as_now(self, expected: Any, body: Any) -> Any:
        """Return what is expected with our ids, and with what the tables say is otherwise now."""
        return self._added(self._ours(expected), body)

    def _added(self, expected: Any, body: Any) -> Any:
        if isinstance(expected, list) and isinstance(body, list) and len(expected) == len(body):
            return [self._added(was, now) for was, now in zip(expected, body, strict=True)]
        if not isinstance(expected, dict) or not isinstance(body, dict):
            return expected
        expected = as_now(expected, body)
        kind = "usage" if "prompt_tokens" in expected else expected.get("object", "")
        may_be_added = ADDED.get(kind, {}) | (ADDED_TO_MODIFIED if "file_ids" in expected and kind else {})
        if kind == "thread.message" and body.get("status") == "incomplete":
            may_be_added = may_be_added | ADDED_TO_UNFINISHED
        added = {name: body[name] for name in body if name in may_be_added and name not in expected}
        assert all(value == may_be_added[name] or type(value) is may_be_added[name] for name, value in added.items())
        # The second version's answers had the first's key in the middle; a record has what it adds at its end.
        moved = {"file_ids": expected["file_ids"]} if "file_ids" in expected and kind else {}
        order = [name for name in expected if name not in moved] + list(moved)
        assert [name for name in body if name not in added] == order
        return {name: added[name] if name in added else self._added(expected.get(name), body[name]) for name in body}

    def _ours(self, value: Any) -> Any:
        """Return a value of the recording with its ids replaced by ours."""
        if isinstance(value, str):
            return ID.sub(lambda found: self.ids.get(found[0], found[0]), value)
        if isinstance(value, list):
            return [self._ours(each) for each in value]
        if isinstance(value, dict):
            return {name: self._ours(each) for name, each in value.items()}
        return value

    def _ask(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, str], Any]:
        status, headers, body = self._send(method, path, **more)
        return status, headers, json.loads(body)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: str | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
        content: bytes | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            content = content if body is None else json.dumps(body).encode()
            target = f"/v1{path}" + ("" if query is None else f"?{query}")
            connection.request(method, target, content, {**(headers or {}), "authorization": "Bearer sk-any"})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def as_named_now(name: str, data: Any) -> str:
    """Return an event's name as it is now: in 2024 a run that stopped short was told of as completed."""
    return "thread.run.incomplete" if name == "thread.run.completed" and data["status"] == "incomplete" else name


def as_now(expected: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the values that differ here, and only they."""
    if "type" in expected and "id" in expected and next(iter(body), None) == "type":
        # A call of a tool says its type first here: what tells records apart is written before all else.
        return {"type": expected["type"], **expected}
    if expected.get("object") != "thread.run":
        return expected
    changed = dict(expected)
    if expected["status"] == "queued" and body.get("status") == "in_progress" and expected["started_at"] is None:
        # How long a run was queued shows how busy the hosted API was.
        changed |= {"status": "in_progress", "started_at": body["started_at"]}
    usage = expected.get("usage") or {}
    limit = expected.get("max_completion_tokens")
    if expected.get("incomplete_details") and limit is not None and usage.get("completion_tokens", 0) >= limit:
        # The recording names the other limit, which was not the one that was reached.
        changed["incomplete_details"] = {"reason": "max_completion_tokens"}
    return changed


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
        request, page = exchange["request"], exchange["response"].get("body")
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


def check_headers(headers: dict[str, str], recorded: dict[str, str], content_type: str) -> None:
    """Each header that was recorded and that a client can count on is there, and looks as it did."""
    for name, looks in {**HEADERS, "content-type": content_type}.items():
        assert re.fullmatch(looks, headers[name]), f"{name}: {headers[name]}"
        if name in recorded and "<" not in recorded[name]:
            assert re.fullmatch(looks, recorded[name]), f"the recording has {name}: {recorded[name]}"
    assert not {name for name in headers if name.startswith("x-ratelimit")}
    assert ("content-length" in headers) is (content_type != STREAM_TYPE)


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
