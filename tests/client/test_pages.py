"""Lists: forwards, backwards, page by page, and while they change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdover

from .faces import Face
from .scripted import Scripted, answer

COUNT = 23


@pytest.fixture(scope="module")
def listed() -> Iterator[tuple[holdover.Client, list[str]]]:
    """A service with some assistants, and their ids in the order of their creation."""
    with holdover.embedded() as client:
        yield client, [client.create_assistant("gpt-4o", name=str(number)).id for number in range(COUNT)]


ORDERS = st.sampled_from(["asc", "desc"])
LIMITS = st.integers(1, COUNT + 2)
PLACES = st.integers(0, COUNT - 1)


def in_order(made: list[str], order: str) -> list[str]:
    return made if order == "asc" else made[::-1]


@given(order=ORDERS, limit=LIMITS, place=PLACES | st.none())
@settings(max_examples=40, deadline=None)
def test_forwards_is_every_object_behind_the_cursor_once_in_order(
    listed: tuple[holdover.Client, list[str]], order: Any, limit: int, place: int | None
) -> None:
    client, made = listed
    ordered = in_order(made, order)
    after = None if place is None else ordered[place]
    page = client.list_assistants(order=order, limit=limit, after=after)
    expected = ordered if place is None else ordered[place + 1 :]
    assert [each.id for each in page.data] == expected[:limit]
    assert page.has_more is (len(expected) > limit)
    assert (page.first_id, page.last_id) == ((page.data[0].id, page.data[-1].id) if page.data else (None, None))
    assert [each.id for each in page] == [each.id for each in page.all_pages()] == expected
    assert [len(each.data) for each in page.pages()][:-1] == [limit] * (max(0, len(expected) - 1) // limit)


@given(order=ORDERS, limit=LIMITS, place=PLACES)
@settings(max_examples=40, deadline=None)
def test_backwards_is_the_reverse_of_forwards(
    listed: tuple[holdover.Client, list[str]], order: Any, limit: int, place: int
) -> None:
    client, made = listed
    ordered = in_order(made, order)
    page = client.list_assistants(order=order, limit=limit, before=ordered[place])
    expected = ordered[:place]
    assert [each.id for each in page.data] == expected[-limit:]
    assert page.has_more is (place > limit)
    assert [each.id for each in page] == expected[::-1]
    opposite = "desc" if order == "asc" else "asc"
    forwards = client.list_assistants(order=opposite, limit=limit, after=ordered[place])
    assert [each.id for each in forwards] == expected[::-1]


@given(order=ORDERS, limit=LIMITS, places=st.tuples(PLACES, PLACES))
@settings(max_examples=40, deadline=None)
def test_between_two_cursors_a_list_goes_forwards(
    listed: tuple[holdover.Client, list[str]], order: Any, limit: int, places: tuple[int, int]
) -> None:
    client, made = listed
    ordered = in_order(made, order)
    first, last = places
    page = client.list_assistants(order=order, limit=limit, after=ordered[first], before=ordered[last])
    assert [each.id for each in page] == ordered[first + 1 : last]


def test_newest_come_first_twenty_at_a_time(listed: tuple[holdover.Client, list[str]]) -> None:
    client, made = listed
    page = client.list_assistants()
    assert [each.id for each in page.data] == made[::-1][:20]
    assert page.has_more
    following = page.next_page()
    assert following is not None
    assert [each.id for each in following.data] == made[::-1][20:]
    assert following.next_page() is None


def test_both_faces_walk_alike(client: Any) -> None:
    made = [client.create_assistant("gpt-4o").id for _ in range(5)]
    forwards = client.list_assistants(order="asc", limit=2, after=made[0])
    assert [each.id for each in forwards][:4] == made[1:]
    assert [[each.id for each in page.data] for page in forwards.pages()][:2] == [made[1:3], made[3:5]]
    assert [each.id for each in forwards.next_page().data] == made[3:5]
    backwards = client.list_assistants(order="asc", limit=2, before=made[4])
    assert [each.id for each in backwards.all_pages()][:4] == made[3::-1]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_deleting_while_walking_skips_and_repeats_nothing(face: Face, order: str) -> None:
    with face.embedded() as client:
        made = [client.create_assistant("gpt-4o").id for _ in range(9)]
        met = []
        for each in client.list_assistants(order=order, limit=2):
            client.delete_assistant(each.id)
            met.append(each.id)
        assert met == in_order(made, order)
        assert client.list_assistants().data == []


def test_creating_while_walking_newest_first_repeats_nothing(face: Face) -> None:
    with face.embedded() as client:
        made = [client.create_assistant("gpt-4o").id for _ in range(7)]
        met = []
        for each in client.list_assistants(limit=2):
            client.create_assistant("gpt-4o")
            met.append(each.id)
        assert met == made[::-1]


def test_an_empty_list_is_a_page_without_cursors(face: Face) -> None:
    with face.embedded() as client:
        page = client.list_assistants()
        assert (page.data, page.first_id, page.last_id, page.has_more) == ([], None, None, False)
        assert list(page) == []
        assert page.next_page() is None
        empty = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
        assert page.to_dict() == empty


def test_a_cursor_that_is_no_assistant_is_not_found(client: Any) -> None:
    with pytest.raises(holdover.NotFoundError, match=r"^No assistant found with id 'asst_nowhere'\.$"):
        client.list_assistants(after="asst_nowhere")


def test_a_service_that_promises_more_of_nothing_is_not_asked_for_ever(face: Face) -> None:
    script = Scripted(answer({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": True}))
    assert list(face.client(script).list_assistants()) == []
    assert len(script.requests) == 1


def test_pages_are_fetched_only_as_they_are_needed(face: Face) -> None:
    item = {"id": "asst_1", "created_at": 1, "model": "m", "tools": []}
    script = Scripted(
        answer({"object": "list", "data": [item] * 2, "first_id": "asst_1", "last_id": "asst_1", "has_more": True})
    )
    walk = iter(face.client(script).list_assistants())
    next(walk)
    next(walk)
    assert len(script.requests) == 1
    next(walk)
    assert len(script.requests) == 2


async def test_two_walks_of_one_page_do_not_disturb_each_other() -> None:
    async with holdover.embedded() as client:
        made = [(await client.create_assistant("gpt-4o")).id for _ in range(6)]
        page = await client.list_assistants(order="asc", limit=2)

        async def walk() -> list[str]:
            return [each.id async for each in page]

        assert await asyncio.gather(walk(), walk()) == [made, made]
