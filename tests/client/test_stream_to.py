"""``stream_to``: what a call returns is also handed to a receiver, piece by piece."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import holdover
from holdover import Data, Failure, Finish

from .faces import Face
from .scripted import AsyncScripted, Scripted, answer, refusal

Streamed = Callable[..., Any]


def ids(events: list[Any]) -> list[Any]:
    return [each.value.id if isinstance(each, Data) else type(each) for each in events]


def page(first: int, last: int, *, has_more: bool) -> Any:
    data = [{"id": f"asst_{n}", "created_at": n, "model": "m", "tools": []} for n in range(first, last)]
    return answer(
        {
            "object": "list",
            "data": data,
            "first_id": f"asst_{first}",
            "last_id": f"asst_{last - 1}",
            "has_more": has_more,
        }
    )


@pytest.fixture
def stored(client: Any) -> Iterator[list[str]]:
    made = [client.create_assistant("gpt-4o", name=str(number)).id for number in range(5)]
    yield made
    for each in made:
        client.delete_assistant(each)


def test_a_function_receives_what_create_and_modify_return(client: Any) -> None:
    events: list[Any] = []
    made = client.create_assistant("gpt-4o", name="Tutor", stream_to=events.append)
    assert events == [Data(made), Finish()]
    changed = client.modify_assistant(made.id, name="Teacher", stream_to=events.append)
    assert events[2:] == [Data(changed), Finish()]


def test_a_function_receives_a_lists_objects_page_after_page(client: Any, stored: list[str]) -> None:
    events: list[Any] = []
    options: dict[str, Any] = {"order": "asc", "limit": 2, "after": stored[0]}
    first = client.list_assistants(**options, stream_to=events.append)
    assert [each.id for each in first.data] == stored[1:3]
    assert ids(events)[:4] == stored[1:]
    assert events[-1] == Finish()
    assert all(isinstance(each, Data) for each in events[:-1])


def test_pages_that_follow_one_that_was_streamed_are_not_streamed_again(face: Face) -> None:
    events: list[Any] = []
    script = Scripted(page(0, 2, has_more=True), page(2, 3, has_more=False))
    script.by = lambda request: script.script["after" in request.url]
    first = face.client(script).list_assistants(stream_to=events.append)
    assert ids(events) == ["asst_0", "asst_1", "asst_2", Finish]
    assert [each.id for each in first] == ["asst_0", "asst_1", "asst_2"]
    assert len(events) == 4


def test_a_list_walked_backwards_is_streamed_backwards(face: Face) -> None:
    events: list[Any] = []
    face.client(Scripted(page(0, 3, has_more=False))).list_assistants(before="asst_9", stream_to=events.append)
    assert ids(events) == ["asst_2", "asst_1", "asst_0", Finish]


def test_a_failure_is_received_and_then_raised(face: Face) -> None:
    asks: list[Callable[..., Any]] = [
        lambda client, **to: client.create_assistant("gpt-4o", **to),
        lambda client, **to: client.modify_assistant("asst_1", **to),
        lambda client, **to: client.list_assistants(**to),
    ]
    for ask in asks:
        events: list[Any] = []
        with pytest.raises(holdover.BadRequestError) as caught:
            ask(face.client(Scripted(refusal(400))), stream_to=events.append)
        assert events == [Failure(caught.value)]


def test_a_failure_in_the_middle_of_a_list_comes_after_what_was_there(face: Face) -> None:
    events: list[Any] = []
    script = Scripted(page(0, 2, has_more=True), refusal(400))
    with pytest.raises(holdover.BadRequestError) as caught:
        face.client(script).list_assistants(stream_to=events.append)
    assert ids(events[:2]) == ["asst_0", "asst_1"]
    assert events[2:] == [Failure(caught.value)]


def test_a_refusal_before_sending_is_received_as_well(face: Face) -> None:
    events: list[Any] = []
    with pytest.raises(holdover.BadRequestError) as caught:
        face.client(Scripted()).create_assistant("gpt-4o", temperature=3, stream_to=events.append)
    assert events == [Failure(caught.value)]


def test_stream_to_none_is_no_receiver(face: Face) -> None:
    assert face.client(Scripted()).create_assistant("gpt-4o", stream_to=None).id == "asst_1"


@pytest.mark.parametrize("receiver", [5, "queue", [], object()], ids=lambda value: type(value).__name__)
def test_what_cannot_receive_is_refused_before_sending(face: Face, receiver: Any) -> None:
    script = Scripted()
    with pytest.raises(TypeError, match="stream_to"):
        face.client(script).create_assistant("gpt-4o", stream_to=receiver)
    assert script.requests == []


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, queue.LifoQueue, asyncio.Queue])
def test_a_queue_receives(face: Face, kind: Any) -> None:
    mailbox = kind()
    made = face.client(Scripted()).create_assistant("gpt-4o", stream_to=mailbox)
    received = [mailbox.get_nowait(), mailbox.get_nowait()]
    assert sorted(received, key=repr) == [Data(made), Finish()]
    assert mailbox.empty()


def test_whatever_has_put_or_put_nowait_is_a_mailbox(face: Face) -> None:
    class Puts:
        def __init__(self) -> None:
            self.received: list[Any] = []

    class OnlyPut(Puts):
        def put(self, item: Any) -> None:
            self.received.append(item)

    class OnlyPutNowait(Puts):
        def put_nowait(self, item: Any) -> None:
            self.received.append(item)

    for mailbox in (OnlyPut(), OnlyPutNowait()):
        made = face.client(Scripted()).create_assistant("gpt-4o", stream_to=mailbox)
        assert mailbox.received == [Data(made), Finish()]


def test_a_full_queue_is_waited_for_by_a_sync_client() -> None:
    mailbox: queue.Queue[Any] = queue.Queue(maxsize=1)
    received: list[Any] = []

    def read() -> None:
        while not isinstance(event := mailbox.get(timeout=10), Finish):
            received.append(event)

    reader = threading.Thread(target=read)
    reader.start()
    holdover.Client(transport=Scripted(page(0, 9, has_more=False))).list_assistants(stream_to=mailbox)
    reader.join()
    assert ids(received) == [f"asst_{number}" for number in range(9)]


async def test_a_full_asyncio_queue_is_waited_for_by_an_async_client() -> None:
    mailbox: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)
    received: list[Any] = []

    async def read() -> None:
        while not isinstance(event := await mailbox.get(), Finish):
            received.append(event)

    client = holdover.AsyncClient(transport=AsyncScripted(Scripted(page(0, 9, has_more=False))))
    async with asyncio.timeout(10):
        await asyncio.gather(read(), client.list_assistants(stream_to=mailbox))
    assert ids(received) == [f"asst_{number}" for number in range(9)]


async def test_a_full_thread_queue_is_an_error_of_an_async_client_which_cannot_wait_for_it() -> None:
    client = holdover.AsyncClient(transport=AsyncScripted(Scripted()))
    with pytest.raises(queue.Full):
        await client.create_assistant("gpt-4o", stream_to=queue.Queue(maxsize=1))


async def test_an_async_function_is_awaited_by_an_async_client() -> None:
    events: list[Any] = []

    async def receive(event: Any) -> None:
        await asyncio.sleep(0)
        events.append(event)

    client = holdover.AsyncClient(transport=AsyncScripted(Scripted(page(0, 3, has_more=False))))
    await client.list_assistants(stream_to=receive)
    assert ids(events) == ["asst_0", "asst_1", "asst_2", Finish]


def test_an_async_function_is_refused_by_a_sync_client_which_cannot_await_it() -> None:
    async def receive(event: Any) -> None: ...

    script = Scripted()
    with pytest.raises(TypeError, match="AsyncClient"):
        holdover.Client(transport=script).create_assistant("gpt-4o", stream_to=receive)
    assert script.requests == []


def test_what_a_receiver_raises_ends_the_call(face: Face) -> None:
    class Enough(Exception):
        pass

    def receive(event: Any) -> None:
        if isinstance(event, Data):
            raise Enough

    for ask in (
        lambda client: client.list_assistants(stream_to=receive),
        lambda client: client.create_assistant("gpt-4o", stream_to=receive),
    ):
        script = Scripted(by=lambda r: answer() if r.method == "POST" else page(0, 2, has_more=True))
        with pytest.raises(Enough):
            ask(face.client(script))
        assert len(script.requests) == 1
