"""What every store must do, whatever database it is made of."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from holdover.errors import APIStatusError, BadRequestError
from holdover.store.protocol import MissingReference, Modification, Reference, Store, UnknownCursor

from .conftest import Opener
from .objects import DAY_S, NOW, add, becomes, document, listed, new, page, repeatable

# ------------------------------------------------------------------------------------ reading, writing


async def test_a_document_is_kept_to_the_byte(store: Store) -> None:
    odd = '{"id": "asst_a",  "text":"日本🙂\\u0000é"}'.encode()
    await store.create([new("asst_a")], reply=b"{}")
    assert await store.modify("assistant", "asst_a", becomes(odd)) == odd
    assert await store.get("assistant", "asst_a") == odd
    assert (await page(store)).documents == [odd]


async def test_creation_returns_the_reply_it_was_given(store: Store) -> None:
    assert await store.create([new("asst_a")], reply=b"the reply") == b"the reply"


async def test_what_was_never_created_is_nothing(store: Store) -> None:
    assert await store.get("assistant", "asst_a") is None
    assert await store.modify("assistant", "asst_a", becomes(b"{}")) is None
    assert await store.delete("assistant", "asst_a") is False
    assert (await page(store)).ids == []


async def test_what_is_deleted_is_gone_once(store: Store) -> None:
    await add(store, "asst_a")
    assert await store.delete("assistant", "asst_a") is True
    assert await store.get("assistant", "asst_a") is None
    assert await store.modify("assistant", "asst_a", becomes(b"{}")) is None
    assert await store.delete("assistant", "asst_a") is False


async def test_kinds_do_not_see_each_other(store: Store) -> None:
    await add(store, "asst_a")
    await add(store, "vs_a", kind="vector_store")
    assert await store.get("vector_store", "asst_a") is None
    assert await store.delete("assistant", "vs_a") is False
    assert await listed(store) == ["asst_a"]
    assert await listed(store, kind="vector_store") == ["vs_a"]
    await store.delete("vector_store", "vs_a")
    with pytest.raises(UnknownCursor):
        await page(store, after="vs_a")


async def test_several_objects_are_created_together_in_their_order(store: Store) -> None:
    await store.create([new("vs_a", kind="vector_store"), new("asst_b"), new("asst_a")], reply=b"{}")
    assert await listed(store) == ["asst_b", "asst_a"]
    assert await store.get("vector_store", "vs_a") is not None


async def test_an_id_that_exists_is_not_created_again(store: Store) -> None:
    await add(store, "asst_a")
    with pytest.raises(APIStatusError):
        await store.create([new("asst_b"), new("asst_a", content="other")], reply=b"{}")
    assert await listed(store) == ["asst_a"]
    assert await store.get("assistant", "asst_a") == document("asst_a")


async def test_an_id_that_was_deleted_may_be_created_and_deleted_again(store: Store) -> None:
    """As when an assistant is taken away and then brought back from an export, which keeps its id."""
    await add(store, "asst_a", "asst_b")
    assert await store.delete("assistant", "asst_a")
    await add(store, "asst_a")
    assert await listed(store) == ["asst_b", "asst_a"]
    assert await listed(store, before="asst_a") == ["asst_b"], "the place is that of the new object"
    assert await store.delete("assistant", "asst_a")
    assert await listed(store, before="asst_a") == ["asst_b"]


async def test_what_was_written_is_there_when_the_store_is_opened_again(open_store: Opener, tmp_path: Path) -> None:
    first = await open_store(tmp_path)
    await add(first, "asst_a", "asst_b", "asst_c")
    await first.modify("assistant", "asst_a", becomes(b"changed"))
    await first.delete("assistant", "asst_b")
    await first.create([new("asst_d")], reply=b"reply", repeatable=repeatable())
    await first.close()
    again = await open_store(tmp_path)
    assert (await page(again)).documents == [b"changed", document("asst_c"), document("asst_d")]
    assert await listed(again, after="asst_b") == ["asst_c", "asst_d"]
    assert await again.create([new("asst_e")], reply=b"other", repeatable=repeatable()) == b"reply"
    await add(again, "asst_f")
    assert await listed(again, ascending=False, limit=1) == ["asst_f"]
    await again.close()


# -------------------------------------------------------------------------------------------- paging


async def test_objects_of_one_second_are_listed_in_the_order_of_their_creation(store: Store) -> None:
    names = [f"asst_{letter}" for letter in "qwertyuiopasdfghjkl"]
    await add(store, *names)
    assert await listed(store) == names
    assert await listed(store, ascending=False) == names[::-1]


async def test_a_page_says_whether_there_is_more(store: Store) -> None:
    await add(store, "asst_a", "asst_b", "asst_c")
    assert not (await page(store, limit=3)).has_more
    assert (await page(store, limit=2)).has_more
    assert not (await page(store, limit=2, after="asst_a")).has_more
    assert (await page(store, limit=1, before="asst_c")).has_more


async def test_before_alone_gives_the_objects_nearest_to_it_in_the_lists_order(store: Store) -> None:
    await add(store, *(f"asst_{n}" for n in range(6)))
    assert await listed(store, limit=2, before="asst_4") == ["asst_2", "asst_3"]
    assert await listed(store, limit=2, before="asst_1", ascending=False) == ["asst_3", "asst_2"]


async def test_both_cursors_bound_a_page(store: Store) -> None:
    await add(store, *(f"asst_{n}" for n in range(6)))
    assert await listed(store, after="asst_1", before="asst_4") == ["asst_2", "asst_3"]
    assert await listed(store, after="asst_4", before="asst_1", ascending=False) == ["asst_3", "asst_2"]
    assert await listed(store, after="asst_4", before="asst_1") == []
    assert await listed(store, after="asst_1", before="asst_1") == []


@pytest.mark.parametrize("side", ["after", "before"])
async def test_an_id_that_never_was_is_no_cursor(store: Store, side: str) -> None:
    await add(store, "asst_a")
    with pytest.raises(UnknownCursor) as unknown:
        await page(store, **{side: "asst_x"})
    assert unknown.value.id == "asst_x"


async def test_a_client_that_deletes_what_it_lists_sees_everything(store: Store) -> None:
    names = [f"asst_{n}" for n in range(7)]
    await add(store, *names)
    seen: list[str] = []
    last = None
    while True:
        part = await page(store, limit=2, after=last)
        seen += part.ids
        for each in part.ids:
            await store.delete("assistant", each)
        if not part.has_more:
            break
        last = part.ids[-1]
    assert seen == names
    assert await listed(store) == []


async def test_a_page_that_follows_has_nothing_twice_whatever_comes_and_goes(store: Store) -> None:
    await add(store, "asst_a", "asst_b", "asst_c")
    first = await page(store, limit=2, ascending=False)
    assert first.ids == ["asst_c", "asst_b"]
    await add(store, "asst_d")
    await store.delete("assistant", "asst_b")
    assert await listed(store, ascending=False, after="asst_b") == ["asst_a"]


# --------------------------------------------------------------------------------- what belongs to another


async def two_threads(store: Store) -> None:
    """Two threads whose messages were made by turns."""
    await add(store, "thread_a", "thread_b", kind="thread")
    for n in range(3):
        await add(store, f"msg_a{n}", kind="message", owner="thread_a")
        await add(store, f"msg_b{n}", kind="message", owner="thread_b", run_id=f"run_{n % 2}")


async def messages(store: Store, owner: str, **asked: Any) -> list[str]:
    return await listed(store, kind="message", owner=owner, **asked)


async def test_an_object_is_found_with_its_owner_only(store: Store) -> None:
    await two_threads(store)
    assert await store.get("message", "msg_a0", owner="thread_a") == document("msg_a0")
    assert await store.get("message", "msg_a0", owner="thread_b") is None
    assert await store.modify("message", "msg_a0", becomes(b"{}"), owner="thread_b") is None
    assert await store.delete("message", "msg_a0", owner="thread_b") is False
    assert await store.modify("message", "msg_a0", becomes(b"changed"), owner="thread_a") == b"changed"
    assert await store.get("message", "msg_a0", owner="thread_a") == b"changed"


async def test_a_list_is_of_one_owner(store: Store) -> None:
    await two_threads(store)
    assert await messages(store, "thread_a") == ["msg_a0", "msg_a1", "msg_a2"]
    assert await messages(store, "thread_b", ascending=False, limit=2) == ["msg_b2", "msg_b1"]
    assert not (await page(store, kind="message", owner="thread_a", limit=3)).has_more
    assert await messages(store, "thread_a", after="msg_a0") == ["msg_a1", "msg_a2"]
    assert await messages(store, "thread_a", before="msg_a2", limit=1) == ["msg_a1"]
    assert await messages(store, "thread_c") == []


async def test_a_list_may_be_of_one_run(store: Store) -> None:
    await two_threads(store)
    assert await messages(store, "thread_b", run_id="run_0") == ["msg_b0", "msg_b2"]
    assert await messages(store, "thread_b", run_id="run_0", after="msg_b1") == ["msg_b2"]
    assert await messages(store, "thread_a", run_id="run_0") == []
    assert (await page(store, kind="message", owner="thread_b", run_id="run_0", limit=1)).has_more


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_place_in_another_owners_list_is_no_cursor(store: Store, is_deleted: bool) -> None:
    await two_threads(store)
    if is_deleted:
        assert await store.delete("message", "msg_b1", owner="thread_b")
    assert await messages(store, "thread_b", after="msg_b1") == ["msg_b2"]
    with pytest.raises(UnknownCursor):
        await messages(store, "thread_a", after="msg_b1")


async def test_an_owner_takes_with_it_what_belongs_to_it(store: Store) -> None:
    await two_threads(store)
    assert await store.delete("thread", "thread_a")
    assert await messages(store, "thread_a") == []
    assert await store.get("message", "msg_a0", owner="thread_a") is None
    assert await messages(store, "thread_b") == ["msg_b0", "msg_b1", "msg_b2"]


async def test_an_owner_and_what_belongs_to_it_are_created_together(store: Store) -> None:
    made = [new("thread_a", kind="thread"), *(new(f"msg_{n}", kind="message", owner="thread_a") for n in range(3))]
    await store.create(made, reply=b"{}")
    assert await messages(store, "thread_a") == ["msg_0", "msg_1", "msg_2"]


async def test_nothing_is_added_to_an_owner_that_is_not_there(store: Store) -> None:
    await two_threads(store)
    await store.delete("thread", "thread_a")
    with pytest.raises(MissingReference):
        await store.create(
            [new("msg_x", kind="message", owner="thread_a")],
            reply=b"{}",
            requires=[Reference("thread", "thread_a")],
        )
    assert await messages(store, "thread_a") == []


# ----------------------------------------------------------------------------------------- references


async def test_a_reference_to_nothing_writes_nothing(store: Store) -> None:
    await add(store, "vs_a", kind="vector_store")
    wanted = [Reference("vector_store", "vs_a"), Reference("vector_store", "vs_b")]
    with pytest.raises(MissingReference) as missing:
        await store.create([new("asst_a")], reply=b"{}", requires=wanted, repeatable=repeatable())
    assert missing.value.reference == wanted[1]
    assert await listed(store) == []
    assert await store.create([new("asst_a")], reply=b"mine", repeatable=repeatable()) == b"mine", "nor a reply"


async def test_a_reference_to_a_deleted_object_is_to_nothing(store: Store) -> None:
    await add(store, "vs_a", kind="vector_store")
    await store.create([new("asst_a")], reply=b"{}", requires=[Reference("vector_store", "vs_a")])
    await store.delete("vector_store", "vs_a")
    with pytest.raises(MissingReference):
        await store.create([new("asst_b")], reply=b"{}", requires=[Reference("vector_store", "vs_a")])


async def test_a_change_that_requires_what_is_not_there_changes_nothing(store: Store) -> None:
    await add(store, "asst_a")
    with pytest.raises(MissingReference):
        await store.modify("assistant", "asst_a", lambda _: Modification(b"x", [Reference("vector_store", "vs_a")]))
    assert await store.get("assistant", "asst_a") == document("asst_a")


async def test_a_change_that_fails_changes_nothing_and_fails_its_caller_only(store: Store) -> None:
    await add(store, "asst_a", "asst_b")

    def fail(_: bytes) -> Modification:
        raise ZeroDivisionError

    failed, changed = await asyncio.gather(
        store.modify("assistant", "asst_a", fail),
        store.modify("assistant", "asst_b", becomes(b"changed")),
        return_exceptions=True,
    )
    assert isinstance(failed, ZeroDivisionError)
    assert changed == b"changed"
    assert (await page(store)).documents == [document("asst_a"), b"changed"]


# -------------------------------------------------------------------------------------- repeatability


async def test_a_request_that_comes_again_is_answered_as_before_and_writes_nothing(store: Store) -> None:
    assert await store.create([new("asst_a")], reply=b"first", repeatable=repeatable()) == b"first"
    assert await store.create([new("asst_b")], reply=b"second", repeatable=repeatable()) == b"first"
    assert await listed(store) == ["asst_a"]


async def test_a_key_used_for_another_request_is_refused_and_writes_nothing(store: Store) -> None:
    await store.create([new("asst_a")], reply=b"first", repeatable=repeatable())
    with pytest.raises(BadRequestError) as refused:
        await store.create([new("asst_b")], reply=b"second", repeatable=repeatable(content=b"other"))
    assert (refused.value.param, refused.value.code) == ("Idempotency-Key", "idempotency_key_reused")
    assert await listed(store) == ["asst_a"]


async def test_keys_of_other_operations_are_other_keys(store: Store) -> None:
    await store.create([new("asst_a")], reply=b"first", repeatable=repeatable(operation="one"))
    await store.create([new("asst_b")], reply=b"second", repeatable=repeatable(operation="two", content=b"other"))
    assert await listed(store) == ["asst_a", "asst_b"]


@pytest.mark.parametrize("content", [b"content", b"other"])
async def test_a_reply_is_remembered_for_a_day(store: Store, content: bytes) -> None:
    await store.create([new("asst_a")], reply=b"first", repeatable=repeatable(now=NOW))
    assert await store.create([new("asst_b")], reply=b"-", repeatable=repeatable(now=NOW + DAY_S - 1)) == b"first"
    later = repeatable(content=content, now=NOW + DAY_S)
    assert await store.create([new("asst_c")], reply=b"third", repeatable=later) == b"third"
    assert await listed(store) == ["asst_a", "asst_c"]


async def test_a_reply_is_remembered_from_its_first_time_not_from_its_last(store: Store) -> None:
    await store.create([new("asst_a")], reply=b"first", repeatable=repeatable(now=NOW))
    await store.create([new("asst_b")], reply=b"-", repeatable=repeatable(now=NOW + DAY_S // 2))
    await store.create([new("asst_c")], reply=b"-", repeatable=repeatable(now=NOW + DAY_S))
    assert await listed(store) == ["asst_a", "asst_c"]


async def test_a_creation_that_failed_leaves_no_reply(store: Store) -> None:
    await add(store, "asst_a")
    with pytest.raises(APIStatusError):
        await store.create([new("asst_a")], reply=b"failed", repeatable=repeatable())
    assert await store.create([new("asst_b")], reply=b"done", repeatable=repeatable(content=b"other")) == b"done"


async def test_the_same_request_many_times_at_once_is_carried_out_once(store: Store) -> None:
    replies = await asyncio.gather(
        *(store.create([new(f"asst_{n}")], reply=b"%d" % n, repeatable=repeatable()) for n in range(8))
    )
    assert len(set(replies)) == 1
    assert await listed(store) == [f"asst_{replies[0].decode()}"]


async def test_a_repeated_request_needs_no_more_what_it_needed(store: Store) -> None:
    await add(store, "vs_a", kind="vector_store")
    wanted = [Reference("vector_store", "vs_a")]
    await store.create([new("asst_a")], reply=b"first", requires=wanted, repeatable=repeatable())
    await store.delete("vector_store", "vs_a")
    assert await store.create([new("asst_b")], reply=b"-", requires=wanted, repeatable=repeatable()) == b"first"


# ------------------------------------------------------------------------------------- many at a time


async def test_writes_at_once_are_all_made(store: Store) -> None:
    names = [f"asst_{n}" for n in range(300)]
    await asyncio.gather(*(store.create([new(each)], reply=b"{}") for each in names))
    assert sorted(await listed(store, limit=1000)) == sorted(names), "in whatever order: none came before another"


async def test_changes_at_once_are_made_one_after_the_other(store: Store) -> None:
    await store.create([new("asst_a")], reply=b"{}")
    await store.modify("assistant", "asst_a", becomes(b"0"))

    def one_more(count: bytes) -> Modification:
        return Modification(b"%d" % (int(count) + 1))

    await asyncio.gather(*(store.modify("assistant", "asst_a", one_more) for _ in range(100)))
    assert await store.get("assistant", "asst_a") == b"100"


async def test_one_write_that_the_database_refuses_does_not_fail_its_neighbours(store: Store) -> None:
    await add(store, "asst_there", "asst_changed")
    writes: list[Any] = [store.create([new(f"asst_{n}")], reply=b"%d" % n) for n in range(10)]
    writes.insert(5, store.create([new("asst_there")], reply=b"{}"))
    writes.insert(8, store.modify("assistant", "asst_changed", becomes(b"changed")))
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [index for index, each in enumerate(outcomes) if isinstance(each, Exception)] == [5]
    assert sorted(await listed(store)) == sorted(["asst_there", "asst_changed", *(f"asst_{n}" for n in range(10))])
    assert await store.get("assistant", "asst_changed") == b"changed"


async def test_only_one_of_many_deletions_finds_the_object(store: Store) -> None:
    await add(store, "asst_a")
    assert sum(await asyncio.gather(*(store.delete("assistant", "asst_a") for _ in range(8)))) == 1


async def test_reads_go_on_beside_writes_and_see_what_was_answered(store: Store) -> None:
    async def write_and_read(name: str) -> None:
        await store.create([new(name)], reply=b"{}")
        assert await store.get("assistant", name) == document(name)
        assert name in await listed(store, limit=1000)

    await asyncio.gather(*(write_and_read(f"asst_{n}") for n in range(50)))


async def test_a_caller_that_goes_away_does_not_take_its_write_with_it(open_store: Opener, tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    writing = asyncio.ensure_future(store.create([new("asst_a")], reply=b"{}"))
    await asyncio.sleep(0)
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    await store.close()
    again = await open_store(tmp_path)
    assert await listed(again) == ["asst_a"]
    await again.close()


# -------------------------------------------------------------------------------------------- closing


async def test_closing_finishes_what_was_begun(open_store: Opener, tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    writes = [asyncio.ensure_future(store.create([new(f"asst_{n}")], reply=b"%d" % n)) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writes) == [b"%d" % n for n in range(300)]
    again = await open_store(tmp_path)
    assert len(await listed(again, limit=1000)) == 300
    await again.close()


async def test_a_closed_store_takes_no_writes(store: Store) -> None:
    await store.close()
    with pytest.raises(APIStatusError, match="closed"):
        await add(store, "asst_a")
    with pytest.raises(APIStatusError, match="closed"):
        await store.delete("assistant", "asst_a")
