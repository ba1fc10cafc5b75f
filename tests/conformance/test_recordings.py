"""Recorded exchanges of the hosted API, made again with the service: same status, same keys in the same order.

`replaying` makes them and compares; `saying` finds what the model said, and says it again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdover.models.protocol import CallChunk, TextChunk
from holdover.service import running, wiring

from .replaying import STREAM_TYPE, Replay, account, is_v1, left_out, shape
from .saying import Acted, Said, events, script

RECORDED = Path(__file__).parents[3] / "shared" / "contract" / "recorded"


def recordings() -> list[Any]:
    """Return each recording: what is made again, all of it, and marked as skipped what is not, with the reason."""
    found = []
    for path in sorted(RECORDED.glob("*.json")):
        recorded = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
        if all(map(is_v1, recorded)):
            continue
        mine = [each for each in recorded if left_out(each) is None and not is_v1(each)]
        if mine:
            found.append(pytest.param(mine, recorded, id=path.stem))
        reasons = sorted({reason for each in recorded if (reason := left_out(each)) is not None})
        if reasons:
            skip = pytest.mark.skip(reason="; ".join(reasons))
            found.append(pytest.param([], recorded, id=f"{path.stem}, the rest", marks=skip))
    return found or [pytest.param([], [], id="absent", marks=ABSENT)]


def act(acted: Acted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the built-in tools of services that are started come to what was recorded."""
    open_file_search = wiring.open_file_search

    @asynccontextmanager
    async def open_search(*wanted: Any) -> AsyncIterator[Any]:
        async with open_file_search(*wanted) as (indexer, _):
            yield indexer, acted

    @asynccontextmanager
    async def open_interpreter(*wanted: Any) -> AsyncIterator[Any]:
        yield acted

    monkeypatch.setattr(wiring, "open_file_search", open_search)
    monkeypatch.setattr(wiring, "open_code_interpreter", open_interpreter)


ABSENT = pytest.mark.skip(reason="the recordings are not beside this checkout: ../shared/contract/recorded")
V1 = [
    pytest.param(exchanges, id=path.stem)
    for path in sorted(RECORDED.glob("*.json"))
    if (exchanges := list(filter(is_v1, json.loads(path.read_text(encoding="utf-8"))["exchanges"])))
]


@pytest.mark.parametrize(("exchanges", "recorded"), recordings())
def test_the_service_answers_as_the_hosted_api_did(
    exchanges: list[Any], recorded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said()
    ids: dict[str, str] = {}
    act(Acted(recorded, ids), monkeypatch)
    with running(models={"*": said}) as url:
        replay = Replay(url, said, exchanges, recorded, ids)
        replay.run()
    assert len(set(replay.ids.values())) == len(replay.ids), "every recorded object has become one of its own"


@pytest.mark.parametrize("exchanges", V1 or [pytest.param([], id="absent", marks=ABSENT)])
def test_who_still_asks_for_version_1_gets_the_hosted_refusal(shared_url: str, exchanges: list[Any]) -> None:
    replay = Replay(shared_url, Said(), exchanges)
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


# ---------------------------------------------------------------------------------- kinds that the folder lacks

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


class Recorder(Replay):
    """Records exchanges with a service of ours in the form of the hosted ones, to be made again with another."""

    def __init__(self, url: str) -> None:
        super().__init__(url, Said(), [])
        self.exchanges: list[Any] = []

    def say(self, method: str, path: str, body: Any = None, query: str | None = None) -> Any:
        status, headers, raw = self._send(method, path, body=body, query=query)
        is_stream = headers["content-type"] == STREAM_TYPE
        said = {"sse": raw.decode()} if is_stream else {"body": json.loads(raw)}
        request = {"method": method, "path": path, "query": query, "headers": {}, "body": body}
        kept = {name: value for name, value in headers.items() if name in ("content-type", "openai-version")}
        self.exchanges.append({"request": request, "response": {"status": status, "headers": kept, **said}})
        return said.get("body")

    def poll(self, run: Any, *statuses: str) -> Any:
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        while self._ask("GET", path)[2]["status"] not in statuses:
            pass
        return self.say("GET", path)

    def begin(self, text: str, **more: Any) -> Any:
        assistant = self.say("POST", "/assistants", {"model": "gpt-4o", "tools": [WEATHER]})
        messages = [{"role": "user", "content": text}]
        return self.say(
            "POST", "/threads/runs", {"assistant_id": assistant["id"], "thread": {"messages": messages}, **more}
        )


def calls_by_polling(recorder: Recorder) -> None:
    run = recorder.begin(
        '!call get_weather {"city": "Rome"}\n!call get_weather {"city": "Oslo"}\n!then\n!say Warm, cold.'
    )
    asked = recorder.poll(run, "requires_action")["required_action"]["submit_tool_outputs"]["tool_calls"]
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    recorder.say("GET", f"{path}/steps")
    recorder.say(
        "POST", f"{path}/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": asked[0]["id"], "output": "1"}]}
    )
    recorder.say("POST", f"/threads/{run['thread_id']}/messages", {"role": "user", "content": "Well?"})
    outputs = [{"tool_call_id": each["id"], "output": "18"} for each in asked]
    recorder.say("POST", f"{path}/submit_tool_outputs", {"tool_outputs": outputs})
    recorder.poll(run, "completed")
    steps = recorder.say("GET", f"{path}/steps")["data"]
    recorder.say("GET", f"{path}/steps/{steps[-1]['id']}")
    recorder.say("GET", f"/threads/{run['thread_id']}/messages")
    recorder.say("POST", f"{path}/cancel")
    recorder.say("POST", path, {"metadata": {"seen": "yes"}})


def calls_in_streams(recorder: Recorder) -> None:
    run = recorder.begin('!say Let me see.\n!call get_weather {"city": "Rome"}', stream=True)
    told = [
        data for name, data in events(recorder.exchanges[-1]["response"]["sse"]) if name.endswith("requires_action")
    ]
    (run,) = told
    (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    recorder.say("POST", path, {"tool_outputs": [{"tool_call_id": call["id"], "output": "18"}], "stream": True})
    recorder.say("GET", f"/threads/{run['thread_id']}/messages")


def failures(recorder: Recorder) -> None:
    run = recorder.begin("!say One\n!fail rate_limit_exceeded Come back later.")
    recorder.poll(run, "failed")
    recorder.say("GET", f"/threads/{run['thread_id']}/runs/{run['id']}/steps")
    recorder.say("GET", f"/threads/{run['thread_id']}/messages")
    recorder.begin("!fail server_error", stream=True)
    recorder.begin("!say One two three four", stream=True, max_completion_tokens=2)


def locks_and_cancelling(recorder: Recorder) -> None:
    run = recorder.begin("!hang")
    path = f"/threads/{run['thread_id']}"
    recorder.poll(run, "in_progress")
    recorder.say("POST", f"{path}/runs", {"assistant_id": run["assistant_id"]})
    recorder.say("POST", f"{path}/messages", {"role": "user", "content": "Well?"})
    recorder.say("POST", f"{path}/runs/{run['id']}", {"metadata": {}})
    recorder.say("POST", f"{path}/runs/{run['id']}/cancel")
    recorder.poll(run, "cancelled")
    recorder.say("GET", f"{path}/runs")
    recorder.say("POST", f"{path}/runs/{run['id']}/cancel")
    recorder.say("POST", f"{path}/messages", {"role": "user", "content": "!say Well."})
    again = recorder.say("POST", f"{path}/runs", {"assistant_id": run["assistant_id"]})
    recorder.poll(again, "completed")
    recorder.say("GET", f"{path}/runs")


PLOT = {
    "input": 'plot("é")\r\n',
    "outputs": [{"type": "logs", "logs": "drawn\n"}, {"type": "image", "image": {"file_id": "file-plot"}}],
}
PASSAGE = {"type": "text", "text": "Filip likes cake."}
FOUND = {
    "results": [
        {"file_id": "file-foods", "file_name": "foods.txt", "score": 0.75, "attributes": {}, "content": [PASSAGE]}
    ]
}
LINK = {"type": "file_path", "text": "sandbox:/mnt/data/a.csv", "file_path": {"file_id": "file-made"}}
#: What the tools come to while a service of ours is recorded.
TOOLS: list[Any] = [
    {
        "object": "thread.run.step",
        "step_details": {
            "type": "tool_calls",
            "tool_calls": [
                {"id": "call_1", "type": "code_interpreter", "code_interpreter": PLOT},
                {"id": "call_2", "type": "file_search", "file_search": FOUND},
            ],
        },
    },
    {"object": "thread.message", "content": [{"type": "text", "text": {"annotations": [LINK]}}]},
]
BOTH = (
    f"!call code_interpreter {json.dumps({'code': PLOT['input']})}\n"
    '!call file_search {"query": "call_2"}\n'
    "!then\n!say See sandbox:/mnt/data/a.csv, and cake 【4:0†x】 as well."
)
PASSAGES = "include[]=step_details.tool_calls%5B%2A%5D.file_search.results%5B%2A%5D.content"


def begin_with_tools(recorder: Recorder, **more: Any) -> Any:
    assistant = recorder.say(
        "POST",
        "/assistants",
        {
            "model": "gpt-4o",
            "tools": [{"type": "code_interpreter"}, {"type": "file_search"}],
            "tool_resources": {"file_search": {"vector_stores": [{}]}},
        },
    )
    thread = recorder.say("POST", "/threads", {"messages": [{"role": "user", "content": BOTH}]})
    return recorder.say("POST", f"/threads/{thread['id']}/runs", {"assistant_id": assistant["id"], **more})


def tools_by_polling(recorder: Recorder) -> None:
    run = begin_with_tools(recorder)
    recorder.poll(run, "completed")
    path = f"/threads/{run['thread_id']}"
    (_, step) = recorder.say("GET", f"{path}/runs/{run['id']}/steps", query=PASSAGES)["data"]
    recorder.say("GET", f"{path}/runs/{run['id']}/steps/{step['id']}")
    image, text = recorder.say("GET", f"{path}/messages")["data"][0]["content"]
    assert image["type"] == "image_file"
    assert [each["type"] for each in text["text"]["annotations"]] == ["file_path", "file_citation"]


def tools_in_a_stream(recorder: Recorder) -> None:
    begin_with_tools(recorder, stream=True)


@pytest.mark.parametrize(
    "tell",
    [calls_by_polling, calls_in_streams, failures, locks_and_cancelling, tools_by_polling, tools_in_a_stream],
)
def test_what_a_service_of_ours_answered_another_answers_again(
    tell: Callable[[Recorder], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the comparison stands on: what was said is found, what was shown is waited for, and the answers agree."""
    with monkeypatch.context() as patched:
        act(Acted([{"request": {}, "response": {"body": {"data": TOOLS}}}], {}), patched)
        with running(aliases={"*": "scripted"}) as url:
            recorder = Recorder(url)
            tell(recorder)
    said = Said()
    ids: dict[str, str] = {}
    act(Acted(recorder.exchanges, ids), monkeypatch)
    with running(models={"*": said}) as url:
        Replay(url, said, recorder.exchanges, ids=ids).run()


def test_a_script_is_what_the_steps_show() -> None:
    with running(aliases={"*": "scripted"}) as url:
        recorder = Recorder(url)
        calls_by_polling(recorder)
    run_id = recorder.exchanges[1]["response"]["body"]["id"]
    asked, answered = script(run_id, recorder.exchanges)
    assert [each.name for each in asked.chunks if isinstance(each, CallChunk) and each.name] == ["get_weather"] * 2
    assert answered.chunks == [TextChunk("Warm, cold.")]
