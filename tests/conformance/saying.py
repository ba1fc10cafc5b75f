"""What the model said when an exchange was recorded, found in the answers; and a model that says it again.

Nothing here knows a recording: a run's script is made of its steps where they are shown, of their messages, deltas and
calls, or, where a program only polled, of what the run and its thread came to. What built-in tools came to is found in
the same steps: `Acted` stands in for both.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec

from holdover.engine.acting import Made
from holdover.engine.references import FOLDER
from holdover.models.protocol import CallChunk, Chunk, FinishChunk, ModelError, ModelRequest, TextChunk, UsageChunk
from holdover.tools.file_search.protocol import Hit
from holdover.wire.runs import Run
from holdover.wire.steps import CodeOutput

Exchange = dict[str, Any]


#: Stands for what was said where that is shown nowhere.
UNKNOWN: list[Chunk] = [TextChunk("Hello.")]


class Turn(msgspec.Struct):
    """One answer of the model: its pieces, the tokens it took, why it ended, and the error it came to instead."""

    chunks: list[Chunk] = []
    usage: dict[str, Any] | None = None
    reason: str | None = None
    error: dict[str, str] | None = None

    @property
    def calls(self) -> bool:
        return any(isinstance(chunk, CallChunk) for chunk in self.chunks)


# -------------------------------------------------------------------------------------------- what was recorded


def events(sse: str) -> list[tuple[str, Any]]:
    """Return the events of a recorded stream; the data of ``done`` is its text."""
    found = []
    for block in sse.split("\n\n"):
        if block.strip():
            name, data = (line.partition(": ")[2] for line in block.split("\n"))
            found.append((name, data if name == "done" else json.loads(data)))
    return found


def objects(exchanges: Sequence[Exchange]) -> Iterator[dict[str, Any]]:
    """Yield every object that the answers show, in their order; those of a list from the oldest to the newest."""
    for exchange in exchanges:
        response = exchange["response"]
        if "sse" in response:
            yield from (data for name, data in events(response["sse"]) if name != "done")
            continue
        body = response.get("body")
        if not isinstance(body, dict):
            continue
        if not isinstance(body.get("data"), list):
            yield body
            continue
        is_ascending = "order=asc" in (exchange["request"].get("query") or "")
        oldest_first = body["data"] if is_ascending else reversed(body["data"])
        yield from sorted(oldest_first, key=lambda each: each.get("created_at") or 0)


def script(run_id: str, exchanges: Sequence[Exchange]) -> list[Turn]:
    """Return what the model said in a run, one turn for each time that it was asked."""
    steps: dict[str, dict[str, Any]] = {}
    messages: dict[str, dict[str, Any]] = {}
    runs: list[dict[str, Any]] = []
    pieces: dict[str, list[dict[str, Any]]] = {}
    for each in objects(exchanges):
        match each.get("object"):
            case "thread.run.step" if each["run_id"] == run_id:
                steps[each["id"]] = each
            case "thread.message" if each["run_id"] == run_id:
                messages[each["id"]] = each
            case "thread.run" if each["id"] == run_id:
                runs.append(each)
            case "thread.message.delta" | "thread.run.step.delta":
                pieces.setdefault(each["id"], []).append(each["delta"])
    turns: list[Turn] = []
    for step in steps.values():
        turn = _turn_of_step(step, messages, pieces)
        if turn is None:
            continue
        if turns and turn.calls and not turns[-1].calls and turns[-1].reason is None:
            turns[-1].chunks = (
                turns[-1].chunks + turn.chunks
            )  # what was said before a call, and the call, are one answer
            turns[-1].usage = turn.usage
        else:
            turns.append(turn)
    if not steps:
        turns = _turns_of_poll(runs, messages)
    ended = next((run for run in reversed(runs) if run.get("usage")), None)
    if ended is not None and not turns and ended["status"] in ("completed", "incomplete"):
        turns = [Turn(UNKNOWN)]
    if ended is not None and turns:
        turns[-1].usage = _rest(ended["usage"], [turn.usage for turn in turns[:-1] if turn.usage])
    if (error := next((run["last_error"] for run in runs if run["last_error"]), None)) is not None:
        turns.append(Turn(error=error)) if not turns or turns[-1].calls else setattr(turns[-1], "error", error)
    return turns


def _rest(whole: dict[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is left of a run's tokens."""
    counted = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {**whole, **{name: whole[name] - sum(part[name] for part in parts) for name in counted}}


def _turn_of_step(
    step: dict[str, Any], messages: dict[str, dict[str, Any]], pieces: dict[str, list[dict[str, Any]]]
) -> Turn | None:
    details = step["step_details"]
    if details["type"] == "message_creation":
        message_id = details["message_creation"]["message_id"]
        message = messages.get(message_id, {})
        chunks: list[Chunk] = [
            TextChunk(part["text"]["value"])
            for delta in pieces.get(message_id, [])
            for part in delta["content"]
            if part["type"] == "text"
        ]
        turn = Turn(chunks or (_texts(message) if message else UNKNOWN), usage=step["usage"])
        turn.reason = _reason(message)
        return turn
    calls: list[Chunk] = []
    for delta in pieces.get(step["id"], []):
        for call in delta["step_details"]["tool_calls"]:
            calls += _told(call)
    calls = calls or _called(details["tool_calls"])
    return Turn(calls, usage=step["usage"]) if calls else None


def _told(call: dict[str, Any]) -> list[Chunk]:
    """Return what the model wrote of a call when a delta told this of it."""
    told = call.get(call["type"], {})
    match call["type"]:
        case "function":
            return [CallChunk(call["index"], None, told.get("name"), told.get("arguments") or "")]
        case "code_interpreter" if "id" in call:
            return [
                CallChunk(call["index"], None, "code_interpreter"),
                CallChunk(call["index"], arguments='{"code": "'),
            ]
        case "code_interpreter":
            return [CallChunk(call["index"], arguments=json.dumps(told["input"])[1:-1])] if "input" in told else []
        case _:  # of a search nothing is told before it is done
            return _called([call], call["index"])


def _turns_of_poll(runs: list[dict[str, Any]], messages: dict[str, dict[str, Any]]) -> list[Turn]:
    turns: list[Turn] = []
    asked: list[str] = []
    for run in runs:
        calls = ((run["required_action"] or {}).get("submit_tool_outputs") or {}).get("tool_calls") or []
        ids = [call["id"] for call in calls]
        if ids and ids != asked:
            asked = ids
            turns.append(Turn(_called(calls)))
    turns += [Turn(_texts(message), reason=_reason(message)) for message in messages.values()]
    last = runs[-1] if runs else {}
    if last.get("status") == "incomplete" and turns:
        turns[-1].reason = "length"
    return turns


def _texts(message: dict[str, Any]) -> list[Chunk]:
    return [TextChunk(part["text"]["value"]) for part in message.get("content", []) if part["type"] == "text"]


def _called(calls: list[dict[str, Any]], first: int = 0) -> list[Chunk]:
    made: list[Chunk] = []
    for index, call in enumerate(calls, first):
        match call["type"]:
            case "function":
                name, arguments = call["function"]["name"], call["function"]["arguments"]
            case "code_interpreter":
                name, arguments = "code_interpreter", json.dumps({"code": call["code_interpreter"]["input"]})
            case _:  # what was searched for is not shown: the call's id stands for it
                name, arguments = "file_search", json.dumps({"query": call["id"]})
        made += [CallChunk(index, None, name), CallChunk(index, arguments=arguments)]
    return made


def _reason(message: dict[str, Any]) -> str | None:
    why = (message.get("incomplete_details") or {}).get("reason")
    return {"max_tokens": "length", "content_filter": "content_filter"}.get(why)


# ------------------------------------------------------------------------------------ who says and does it again


class Acted:
    """Finds and prints what the built-in tools of a recording came to.

    See `holdover.tools.file_search.protocol.Searcher`, `holdover.engine.acting.Interpreter`.

    Args:
        recorded: The exchanges that show it.
        ids: The service's ids by those of the recording.
    """

    def __init__(self, recorded: Sequence[Exchange], ids: dict[str, str]) -> None:
        self._ids = ids
        self._calls = [
            call
            for each in objects(recorded)
            if each.get("object") == "thread.run.step" and each["step_details"]["type"] == "tool_calls"
            for call in each["step_details"]["tool_calls"]
        ]
        #: Files that code made, by their names: as far as messages link to them.
        self._files = {
            annotation["text"].removeprefix(FOLDER): annotation["file_path"]["file_id"]
            for each in objects(recorded)
            if each.get("object") == "thread.message"
            for part in each["content"]
            if part["type"] == "text"
            for annotation in part["text"]["annotations"]
            if annotation["type"] == "file_path"
        }

    async def search(self, store_ids: Sequence[str], queries: Sequence[str], **more: Any) -> list[Hit]:
        shown = [call["file_search"].get("results") or [] for call in self._calls if call["id"] in queries]
        with_passages = [results for results in shown if any(each.get("content") for each in results)]
        return [self._hit(result) for result in (with_passages or shown)[-1]]

    def _hit(self, result: dict[str, Any]) -> Hit:
        text = "".join(part["text"] for part in result.get("content") or ())
        place = {"store_id": "", "start": 0, "end": len(text)}
        told = {name: result[name] for name in ("file_name", "score", "attributes")}
        return Hit(file_id=self._ids.get(result["file_id"], result["file_id"]), text=text, **told, **place)

    async def forget(self, thread_id: str) -> None:
        pass  # nothing is kept

    async def execute(self, run: Run, code: str) -> AsyncIterator[Made]:
        told = [call["code_interpreter"] for call in self._calls if call["type"] == "code_interpreter"]
        shown = [each["outputs"] for each in told if each["input"] == code]
        outputs = msgspec.convert(shown[-1], list[CodeOutput])
        images = [each["image"]["file_id"] for each in shown[-1] if each["type"] == "image"]
        yield Made(outputs=outputs, images=images, files=self._files)


class Said:
    """A model that says what it is given, run by run, and only once it is let. It may be given and let from any thread.

    See `holdover.models.protocol.Model`.
    """

    context_tokens = 1_000_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: list[Turn] = []
        self._scripts: dict[str, list[Turn]] = {}
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
        self._is_let: set[str] = set()
        self._lets_next = False

    def give(self, turns: list[Turn], *, at_once: bool) -> None:
        """Give the next run's script; said at once, or when it is let."""
        with self._lock:
            self._next = list(turns)
            self._lets_next = at_once

    def let(self, run_id: str) -> None:
        """Let a run's model say all."""
        with self._lock:
            self._is_let.add(run_id)
            waiting = self._waiting.pop(run_id, None)
        if waiting is not None:
            waiting[0].call_soon_threadsafe(waiting[1].set)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        run_id = request.run_id
        event = asyncio.Event()
        with self._lock:
            if run_id not in self._scripts:
                self._scripts[run_id] = self._next
                if self._lets_next:
                    self._is_let.add(run_id)
            if run_id not in self._is_let:
                self._waiting[run_id] = asyncio.get_running_loop(), event
            else:
                event.set()
        await event.wait()
        left = self._scripts[run_id]
        turn = left.pop(0) if left else Turn(UNKNOWN)
        for chunk in turn.chunks:
            yield (chunk,)
        if turn.error is not None:
            raise ModelError(turn.error["message"], code=turn.error["code"])  # type: ignore[arg-type]
        finish = FinishChunk(turn.reason or ("tool_calls" if turn.calls else "stop"))  # type: ignore[arg-type]
        yield (finish,) if turn.usage is None else (finish, _usage(turn.usage))


def _usage(told: dict[str, Any]) -> UsageChunk:
    return UsageChunk(
        told["prompt_tokens"],
        told["completion_tokens"],
        (told.get("prompt_token_details") or {}).get("cached_tokens", 0),
        (told.get("completion_tokens_details") or {}).get("reasoning_tokens", 0),
    )
