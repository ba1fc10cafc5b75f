"""Python functions that answer what a model calls: told of in streams, while polling, and to receivers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import pytest

import holdover
from holdover import function_tool

from .faces import Face
from .scripted import AsyncScripted, Scripted, Streamed, answer, refusal
from .told import ANSWERING_NAMES, calling, calls_told, goes_on, run

Call = tuple[str, str, str]
Ask = Callable[..., Any]

SUBMIT = "POST /v1/threads/thread_1/runs/run_1/submit_tool_outputs"
CANCEL = "POST /v1/threads/thread_1/runs/run_1/cancel"


def polled(*rounds: list[Call]) -> Scripted:
    """Return what a service answers to one who asks how the run is."""
    legs = [[answer(run("queued")), answer(calling(*calls))] for calls in rounds]
    return Scripted(*(each for leg in legs for each in leg), answer(run("queued")), answer(run("completed")))


def ends_cancelled(script: Scripted) -> Scripted:
    """Return a script whose last answer is that of a service to one who cancels."""
    script.script[-1] = answer(run("cancelled"))
    return script


def streamed(*rounds: list[Call]) -> Scripted:
    """Return what a service answers to one who listens."""
    return Scripted(*(calls_told(*calls) for calls in rounds), goes_on("Done."))


def by_waiting(client: Any, functions: Any, **options: Any) -> Any:
    return client.run_and_wait("thread_1", "asst_1", functions=functions, **options)


def by_waiting_for(client: Any, functions: Any, **options: Any) -> Any:
    return client.wait_for_run("thread_1", "run_1", functions=functions, **options)


def by_stream(client: Any, functions: Any, **options: Any) -> Any:
    return client.create_run("thread_1", "asst_1", stream=True, functions=functions, **options).until_done()


def by_receiver(client: Any, functions: Any, **options: Any) -> Any:
    return client.create_run("thread_1", "asst_1", stream_to=lambda event: None, functions=functions, **options)


#: Every way in which functions answer, and what a service says on that way.
WAYS: dict[str, tuple[Ask, Callable[..., Scripted]]] = {
    "run_and_wait": (by_waiting, polled),
    "wait_for_run": (by_waiting_for, polled),
    "stream": (by_stream, streamed),
    "stream_to": (by_receiver, streamed),
}
each_way = pytest.mark.parametrize(("ask", "script"), WAYS.values(), ids=WAYS)


def add(a: int, b: int = 1) -> int:
    return a + b


def outputs(script: Scripted) -> list[list[tuple[str, str]]]:
    """Return the outputs that were submitted: of every round, the call's id and what it came to."""
    bodies = [msgspec.json.decode(each.body or b"") for each in script.requests if each.url.endswith("_outputs")]
    return [[(each["tool_call_id"], each["output"]) for each in body["tool_outputs"]] for body in bodies]


# --------------------------------------------------------------------------------------------- every way


@each_way
def test_a_function_answers_and_the_run_goes_on(face: Face, ask: Ask, script: Any) -> None:
    said = script([("call_1", "add", '{"a": 2, "b": 3}')])
    assert ask(face.client(said), [add]).status == "completed"
    assert outputs(said) == [[("call_1", "5")]]
    assert said.sent.count(SUBMIT) == 1


@each_way
def test_functions_answer_all_calls_of_every_round(face: Face, ask: Ask, script: Any) -> None:
    said = script(
        [("call_1", "add", '{"a": 2, "b": 3}'), ("call_2", "add", '{"a": 5}')],
        [("call_3", "shout", '{"text": "hey"}')],
    )
    ask(face.client(said), {"add": add, "shout": lambda text: text.upper()})
    assert outputs(said) == [[("call_1", "5"), ("call_2", "6")], [("call_3", "HEY")]]


@each_way
def test_what_a_function_raises_is_told_to_the_model(face: Face, ask: Ask, script: Any) -> None:
    def fail() -> None:
        raise LookupError("no such street")

    said = script([("call_1", "fail", "{}"), ("call_2", "add", '{"a": 1}')])
    assert ask(face.client(said), [fail, add]).status == "completed"
    assert outputs(said) == [[("call_1", '{"error":"LookupError: no such street"}'), ("call_2", "2")]]


@each_way
def test_what_a_function_raises_may_be_raised_and_the_run_is_cancelled_first(face: Face, ask: Ask, script: Any) -> None:
    def fail() -> None:
        raise LookupError("no such street")

    said = ends_cancelled(script([("call_1", "add", '{"a": 1}'), ("call_2", "fail", "{}")]))
    with pytest.raises(LookupError, match="no such street"):
        ask(face.client(said), [fail, add], on_function_error="raise")
    assert said.sent[-1] == CANCEL
    assert outputs(said) == []


@each_way
def test_a_call_of_an_unknown_function_cancels_the_run_and_is_raised(face: Face, ask: Ask, script: Any) -> None:
    called: list[int] = []
    said = ends_cancelled(script([("call_1", "add", "{}"), ("call_2", "subtract", "{}")]))
    with pytest.raises(
        holdover.FunctionCallError,
        match=r"^run_1 calls 'subtract', which is none of functions \(add\), and is cancelled\.$",
    ):
        ask(face.client(said), {"add": called.append})
    assert (called, said.sent[-1]) == ([], CANCEL)


@each_way
def test_a_run_that_comes_back_too_often_is_cancelled(face: Face, ask: Ask, script: Any) -> None:
    said = ends_cancelled(script(*[[("call_1", "add", '{"a": 1}')]] * 3))
    with pytest.raises(holdover.FunctionCallError, match=r"more than 2 times .* max_rounds=… allows more"):
        ask(face.client(said), [add], max_rounds=2)
    assert len(outputs(said)) == 2
    assert said.sent[-1] == CANCEL


def refused(script: Scripted, *statuses: str) -> Scripted:
    """Return a script in which outputs are refused, behind which the run is as one status after the other says."""
    first = 1 if isinstance(script.script[0], Streamed) else 2  # what comes before the outputs
    return Scripted(*script.script[:first], refusal(400), *(answer(run(status)) for status in statuses))


@each_way
@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_a_run_that_ends_while_a_function_works_is_returned(face: Face, ask: Ask, script: Any, status: str) -> None:
    said = refused(script([("call_1", "add", '{"a": 1}')]), "cancelling", status)
    assert ask(face.client(said), [add]).status == status
    assert said.sent.count(SUBMIT) == 1


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_who_listens_is_told_of_a_run_that_ends_while_a_function_works(face: Face, status: str) -> None:
    said = refused(streamed([("call_1", "add", '{"a": 1}')]), "cancelling", status)
    events = face.client(said).create_run("thread_1", "asst_1", stream=True, functions=[add])
    *_, asked, last = events
    assert (asked.name, last.name) == ("thread.run.requires_action", f"thread.run.{status}")
    assert (last.data.status, events.run) == (status, last.data)


@each_way
def test_outputs_that_are_refused_by_a_run_that_goes_on_are_an_error(face: Face, ask: Ask, script: Any) -> None:
    said = refused(script([("call_1", "add", '{"a": 1}')]), "in_progress")
    with pytest.raises(holdover.BadRequestError, match="Said 400"):
        ask(face.client(said), [add])
    assert said.sent[-1] == "GET /v1/threads/thread_1/runs/run_1"


@each_way
def test_further_calls_go_where_the_first_one_goes(face: Face, ask: Ask, script: Any) -> None:
    said = script([("call_1", "add", '{"a": 1}')])
    ask(face.client(said), [add], base_url="http://other.example/v1", openai_api_key="sk-call", timeout_s=7)
    for request in said.requests:
        assert request.url.startswith("http://other.example/v1/")
        assert (request.headers["authorization"], request.timeout_s) == ("Bearer sk-call", 7)


@each_way
def test_what_cannot_be_called_is_refused_before_sending(face: Face, ask: Ask, script: Any) -> None:
    said = script([])
    slips: list[Any] = [[5], {"f": 5}, [partial(add, 1)], 5]
    for functions in slips:
        with pytest.raises(TypeError):
            ask(face.client(said), functions)
    with pytest.raises(ValueError, match="'tell' or 'raise'"):
        ask(face.client(said), [add], on_function_error="ignore")
    assert said.requests == []


@each_way
def test_without_functions_the_run_is_returned_as_it_waits(face: Face, ask: Ask, script: Any) -> None:
    said = script([("call_1", "add", "{}")])
    for functions in (None, [], {}):
        assert ask(face.client(script([("call_1", "add", "{}")])), functions).status == "requires_action"
    assert outputs(said) == []


def test_when_cancelling_fails_what_was_wrong_is_raised_all_the_same(face: Face) -> None:
    for trouble in (refusal(400), goes_on("Done.")):  # a stream is no answer to one who cancels
        said = Scripted(calls_told(("call_1", "unknown", "{}")), trouble)
        with pytest.raises(holdover.FunctionCallError):
            by_stream(face.client(said), [add])
        assert said.incoming[-1].is_closed


# ------------------------------------------------------------------------------------------------- streams


def test_a_stream_goes_on_as_one_over_all_rounds(face: Face) -> None:
    said = streamed([("call_1", "add", '{"a": 1}')], [("call_2", "add", '{"a": 2}')])
    events = face.client(said).create_run("thread_1", "asst_1", stream=True, functions=[add])
    names = [event.name for event in events]
    leg = ["thread.run.created", "thread.run.queued", "thread.run.in_progress", "thread.run.requires_action"]
    assert names[:8] == leg * 2
    assert names[8:11] == ["thread.run.queued", "thread.run.in_progress", "thread.run.step.created"]
    assert names[-1] == ANSWERING_NAMES[-1]
    assert [each.text for each in events.messages] == ["Done."]
    assert said.sent[1:] == [SUBMIT, SUBMIT]
    assert all(msgspec.json.decode(each.body or b"")["stream"] is True for each in said.requests)
    assert all(each.is_closed or not each._pieces for each in said.incoming)


def test_functions_are_called_when_the_events_before_were_taken(face: Face) -> None:
    called: list[int] = []
    functions = {"add": lambda a: called.append(a)}
    events = face.client(streamed([("call_1", "add", '{"a": 1}')])).create_run(
        "thread_1", "asst_1", stream=True, functions=functions
    )
    while next(events).name != "thread.run.requires_action":
        pass
    assert called == []
    next(events)
    assert called == [1]


def test_an_outputs_stream_can_answer_further_calls(face: Face) -> None:
    said = streamed([("call_2", "add", '{"a": 1}')])
    given = [{"tool_call_id": "call_1", "output": "5"}]
    events = face.client(said).submit_tool_outputs_to_run("thread_1", "run_1", given, stream=True, functions=[add])
    assert events.until_done().status == "completed"
    assert outputs(said) == [[("call_1", "5")], [("call_2", "2")]]


# ---------------------------------------------------------------------------------- arguments and results


class Place(msgspec.Struct):
    """A record that is an argument."""

    city: str
    country: str = "it"


def answered(face: Face, function: Callable[..., Any], arguments: str) -> str:
    """Return what a model is told when it calls a function."""
    said = streamed([("call_1", "f", arguments)])
    by_stream(face.client(said), {"f": function})
    return outputs(said)[0][0][1]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "null"),
        (5, "5"),
        (True, "true"),
        ([1, {"a": None}], '[1,{"a":null}]'),
        (Place("Rome"), '{"city":"Rome","country":"it"}'),
    ],
)
def test_a_result_is_told_as_it_is_or_as_json(face: Face, result: Any, text: str) -> None:
    assert answered(face, lambda: result, "{}") == text


def test_a_result_that_has_no_json_is_an_error_of_the_function(face: Face) -> None:
    assert answered(face, lambda: object(), "{}").startswith('{"error":"TypeError: ')


@pytest.mark.parametrize("arguments", ["", "{}"])
def test_no_arguments_are_none(face: Face, arguments: str) -> None:
    assert answered(face, lambda: "called", arguments) == "called"


@pytest.mark.parametrize("arguments", ["{", "[]", '{"a": "x"}', '{"a": 1, "c": 2}', "{}", "null"])
def test_arguments_that_do_not_fit_are_told_to_the_model(face: Face, arguments: str) -> None:
    assert answered(face, add, arguments).startswith('{"error":"')


def test_arguments_become_what_annotations_say(face: Face) -> None:
    def f(place: Place, days: set[int], note: str | None = None) -> str:
        assert isinstance(place, Place)
        return f"{place.city} {place.country} {sorted(days)} {note}"

    assert answered(face, f, '{"place": {"city": "Rome"}, "days": [2, 1, 2]}') == "Rome it [1, 2] None"


def test_a_function_that_says_less_gets_what_came(face: Face) -> None:
    assert answered(face, lambda **given: sorted(given), '{"b": 1, "a": 2}') == '["a","b"]'
    assert answered(face, lambda a, b=3: [a, b], '{"a": {"x": 1}}') == '[{"x":1},3]'
    assert answered(face, partial(add, b=5), '{"a": 1}') == "6"

    def odd(a: threading.Event) -> Any:
        return a

    assert answered(face, odd, '{"a": 1}') == "1"


# --------------------------------------------------------------------------------------------------- async


async def test_async_functions_are_awaited_and_all_calls_go_on_at_once() -> None:
    both = asyncio.Barrier(3)
    threads = threading.Barrier(2)

    async def meet(name: str) -> str:
        await both.wait()
        return name

    def meet_in_thread(name: str) -> str:
        threads.wait(10)
        return name

    calls = [("call_1", "meet", '{"name": "a"}'), ("call_2", "meet", '{"name": "b"}')]
    calls += [("call_3", "meet_in_thread", '{"name": "c"}'), ("call_4", "meet_in_thread", '{"name": "d"}')]
    said = streamed(calls)
    client = holdover.AsyncClient(transport=AsyncScripted(said))
    async with asyncio.timeout(10):
        events = await client.create_run("thread_1", "asst_1", stream=True, functions=[meet, meet_in_thread])
        reading = asyncio.create_task(events.until_done())
        await both.wait()
        await reading
    assert outputs(said) == [[("call_1", "a"), ("call_2", "b"), ("call_3", "c"), ("call_4", "d")]]


async def test_whatever_can_be_awaited_is() -> None:
    async def later(a: int) -> int:
        return a + 1

    said = polled([("call_1", "f", '{"a": 1}')])
    client = holdover.AsyncClient(transport=AsyncScripted(said))
    client._sleep = lambda seconds: asyncio.sleep(0)  # type: ignore[method-assign]
    await client.run_and_wait("thread_1", "asst_1", functions={"f": lambda a: later(a)})
    assert outputs(said) == [[("call_1", "2")]]


def test_async_functions_are_refused_by_a_sync_client_which_cannot_await_them() -> None:
    async def later() -> None: ...

    for ask, script in WAYS.values():
        said = script([])
        with pytest.raises(TypeError, match="'later' is async, which AsyncClient can await and Client cannot"):
            ask(holdover.Client(transport=said), [later])
        assert said.requests == []


def test_a_sync_client_calls_one_function_after_the_other() -> None:
    order: list[str] = []
    calls = [(f"call_{number}", "note", f'{{"text": "{number}"}}') for number in range(5)]
    by_stream(holdover.Client(transport=streamed(calls)), {"note": lambda text: order.append(text)})
    assert order == ["0", "1", "2", "3", "4"]


def test_ctrl_c_in_a_function_ends_the_call() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    said = streamed([("call_1", "interrupt", "{}")])
    with pytest.raises(KeyboardInterrupt):
        by_stream(holdover.Client(transport=said), [interrupt])
    assert said.incoming[-1].is_closed


# --------------------------------------------------------------------------------------------------- tools


def test_a_function_is_described_by_its_signature_and_its_docstring() -> None:
    def get_weather(
        place: Place,
        unit: Annotated[Literal["C", "F"], msgspec.Meta(description="The scale.")] = "C",
        days: list[int] = [1],  # noqa: B006 - functions have such
    ) -> str:
        """Say the weather.

        Of today.
        """
        return ""

    definition = function_tool(get_weather).to_dict()["function"]
    assert definition.pop("description") == "Say the weather.\n\nOf today."
    assert definition == {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"$ref": "#/$defs/Place"},
                "unit": {"enum": ["C", "F"], "description": "The scale.", "default": "C"},
                "days": {"type": "array", "items": {"type": "integer"}, "default": [1]},
            },
            "required": ["place"],
            "additionalProperties": False,
            "$defs": {
                "Place": {
                    "title": "Place",
                    "description": "A record that is an argument.",
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "country": {"type": "string", "default": "it"}},
                    "required": ["city"],
                }
            },
        },
    }


def test_a_function_may_have_another_name_and_no_docstring(face: Face) -> None:
    tool = function_tool(add, name="sum_up")
    assert tool.to_dict() == {
        "type": "function",
        "function": {
            "name": "sum_up",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 1}},
                "required": ["a"],
                "additionalProperties": False,
            },
        },
    }
    script = Scripted()
    face.client(script).create_assistant("gpt-4o", tools=[tool])
    assert msgspec.json.decode(script.last.body or b"")["tools"] == [tool.to_dict()]


def odd(a: threading.Event) -> None: ...


@pytest.mark.parametrize(
    "function",
    [odd, lambda *given: given, lambda **given: given, 5],
    ids=["a_type_without_a_shape", "any_number", "any_name", "no_function"],
)
def test_what_cannot_be_described_is_refused(function: Any) -> None:
    with pytest.raises(TypeError):
        function_tool(function)
