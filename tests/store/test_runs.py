"""Runs as jobs: what every store must do for them. Times are the database's own, so nothing here waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.store.conftest import Opener

from holdover.store.protocol import (
    Changed,
    Kind,
    Lease,
    NewObject,
    Reference,
    Repeatable,
    RunChange,
    RunColumns,
    RunRow,
    Store,
    ThreadBusy,
)

LATER = 4_000_000_000.0
Change = Callable[[RunRow], RunChange | None]


async def add_thread(store: Store, thread_id: str, labels: dict[str, str] | None = None) -> None:
    made = NewObject(kind="thread", id=thread_id, created_at=1, document=thread_id.encode(), labels=labels)
    await store.create([made], reply=b"")


def new_run(
    run_id: str, thread_id: str, *, status: str = "queued", expires_at: float = LATER, lease: Lease | None = None
) -> NewObject:
    columns = RunColumns(status=status, expires_at=expires_at, lease=lease)
    return NewObject(kind="run", id=run_id, created_at=1, document=b"{}", owner=thread_id, run=columns)


async def add_run(store: Store, run_id: str, thread_id: str | None = None, **columns: Any) -> None:
    thread = thread_id or f"thread_of_{run_id}"
    if thread_id is None:
        await add_thread(store, thread)
    await store.create([new_run(run_id, thread, **columns)], reply=b"", idle_thread=thread)


def to(status: str, **more: Any) -> Change:
    return lambda row: RunChange(status=status, document=status.encode(), **{"expires_at": row.expires_at, **more})


async def look(store: Store, run_id: str) -> RunRow:
    seen = await store.change_run(run_id, lambda row: None)
    assert seen is not None
    return seen.row


async def test_a_thread_has_one_active_run(store: Store) -> None:
    await add_thread(store, "thread_1")
    asked = [store.create([new_run(f"run_{n}", "thread_1")], reply=b"", idle_thread="thread_1") for n in range(8)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    made = [index for index, each in enumerate(outcomes) if each == b""]
    assert len(made) == 1
    assert {each.run_id for each in outcomes if isinstance(each, ThreadBusy)} == {f"run_{made[0]}"}
    assert await store.find_active_run("thread_1") == f"run_{made[0]}"


@pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action", "cancelling"])
async def test_nothing_joins_a_thread_with_an_active_run(store: Store, status: str) -> None:
    await add_thread(store, "thread_1")
    await store.create([new_run("run_1", "thread_1", status=status)], reply=b"")
    message = NewObject(kind="message", id="msg_1", created_at=1, document=b"{}", owner="thread_1")
    with pytest.raises(ThreadBusy):
        await store.create([message], reply=b"", idle_thread="thread_1")
    assert await store.get("message", "msg_1", owner="thread_1") is None


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired", "incomplete"])
async def test_a_run_that_has_ended_locks_nothing(store: Store, status: str) -> None:
    await add_run(store, "run_1")
    await store.change_run("run_1", to(status, expires_at=None))
    assert await store.find_active_run("thread_of_run_1") is None
    await store.create([new_run("run_2", "thread_of_run_1")], reply=b"", idle_thread="thread_of_run_1")


async def test_a_change_sees_the_row_and_becomes_it(store: Store) -> None:
    await add_run(store, "run_1")
    row = await look(store, "run_1")
    assert (row.id, row.thread_id, row.document, row.extra) == ("run_1", "thread_of_run_1", b"{}", None)
    assert (row.status, row.epoch, row.attempts, row.worker, row.lease_until) == ("queued", 0, 0, None, None)
    assert abs(row.now - store.now()) < 60
    await store.change_run("run_1", to("failed", extra=b"[1]", attempts=2, expires_at=None))
    row = await look(store, "run_1")
    assert (row.status, row.document, row.extra, row.attempts, row.expires_at) == ("failed", b"failed", b"[1]", 2, None)
    assert await store.get("run", "run_1", owner="thread_of_run_1") == b"failed"


async def test_a_lease_counts_the_epoch_up_is_kept_and_let_go(store: Store) -> None:
    await add_run(store, "run_1")
    given = await store.change_run("run_1", to("in_progress", lease=Lease("w1", 60)))
    assert given is not None
    assert given.after.epoch == 1
    row = await look(store, "run_1")
    assert (row.epoch, row.worker) == (1, "w1")
    assert row.lease_until is not None
    assert 0 < row.lease_until - row.now <= 60
    await store.change_run("run_1", to("in_progress", lease="keep"))
    assert (await look(store, "run_1")).lease_until == row.lease_until
    await store.change_run("run_1", to("requires_action"))
    assert (await look(store, "run_1")).lease_until is None


async def test_a_run_can_be_made_with_a_lease(store: Store) -> None:
    await add_run(store, "run_1", lease=Lease("w1", 60))
    row = await look(store, "run_1")
    assert (row.epoch, row.worker) == (0, "w1")
    assert await store.renew_leases("w1", {"run_1": 0}, 60) == {"run_1": "queued"}


async def test_a_change_that_says_nothing_or_raises_writes_nothing(store: Store) -> None:
    await add_run(store, "run_1")
    before = await look(store, "run_1")

    def refuse(row: RunRow) -> RunChange | None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await store.change_run("run_1", refuse)
    after = await look(store, "run_1")
    assert (after.document, after.status) == (before.document, before.status)


async def test_a_run_is_found_in_its_own_thread_only(store: Store) -> None:
    await add_run(store, "run_1")
    assert await store.change_run("run_1", to("failed"), thread_id="thread_2") is None
    assert await store.change_run("run_2", to("failed")) is None
    assert (await look(store, "run_1")).status == "queued"


async def test_messages_and_steps_are_written_with_the_run(store: Store) -> None:
    await add_run(store, "run_1")
    message = NewObject(
        kind="message", id="msg_1", created_at=1, document=b"m", owner="thread_of_run_1", run_id="run_1"
    )
    step = NewObject(kind="step", id="step_1", created_at=1, document=b"s", owner="run_1")
    await store.change_run("run_1", to("in_progress", added=[message, step]))
    replaced = [("message", "msg_1", b"M"), ("step", "step_1", b"S"), ("message", "msg_gone", b"x")]
    await store.change_run("run_1", to("in_progress", replaced=replaced))
    assert await store.get("message", "msg_1", owner="thread_of_run_1") == b"M"
    assert await store.get("message", "msg_gone", owner="thread_of_run_1") is None
    assert await store.get("step", "step_1", owner="run_1") == b"S"
    await store.change_run("run_1", to("queued", removed=[Reference("message", "msg_1"), Reference("step", "step_1")]))
    assert await store.get("message", "msg_1", owner="thread_of_run_1") is None
    assert await store.get("step", "step_1", owner="run_1") is None


async def test_one_change_adds_replaces_and_removes_and_keeps_the_order_of_what_it_adds(store: Store) -> None:
    await add_run(store, "run_1")

    def added(*numbers: int) -> list[NewObject]:
        return [
            made
            for n in numbers
            for made in (
                NewObject(kind="step", id=f"step_{n}", created_at=1, document=b"s", owner="run_1"),
                NewObject(
                    kind="message", id=f"msg_{n}", created_at=1, document=b"m", owner="thread_of_run_1", run_id="run_1"
                ),
            )
        ]

    async def listed(kind: Kind, owner: str) -> dict[str, bytes]:
        page = await store.page(kind, limit=100, ascending=True, after=None, before=None, owner=owner)
        return dict(zip(page.ids, page.documents, strict=True))

    await store.change_run("run_1", to("in_progress", added=added(1, 2, 3), lease=Lease("w", 60)))
    change = to(
        "requires_action",
        extra=b"e",
        removed=[Reference("message", "msg_1"), Reference("step", "step_2")],
        replaced=[("message", "msg_3", b"M"), ("step", "step_1", b"S"), ("step", "step_gone", b"x")],
        added=added(5, 4),
    )
    await store.change_run("run_1", change)
    messages, steps = await listed("message", "thread_of_run_1"), await listed("step", "run_1")
    assert [*messages.items()] == [("msg_2", b"m"), ("msg_3", b"M"), ("msg_5", b"m"), ("msg_4", b"m")]
    assert [*steps.items()] == [("step_1", b"S"), ("step_3", b"s"), ("step_5", b"s"), ("step_4", b"s")]
    row = await look(store, "run_1")
    assert (row.status, row.document, row.extra, row.epoch) == ("requires_action", b"requires_action", b"e", 1)


async def driven(store: Store) -> RunRow:
    """Return a run in progress, as its driver knows it."""
    await add_run(store, "run_1")
    given = await store.change_run("run_1", to("in_progress", lease=Lease("w", 60), extra=b"e"))
    assert given is not None
    return given.after


def beside(number: int) -> list[NewObject]:
    """Return what is written beside a run: a step."""
    return [NewObject(kind="step", id=f"step_{number}", created_at=1, document=b"s", owner="run_1")]


@pytest.mark.parametrize("durable", [True, False])
async def test_a_run_that_is_known_is_changed_as_one_that_is_read(store: Store, durable: bool) -> None:
    known = await driven(store)
    change = to("in_progress", lease="keep", extra=b"E", added=beside(1), expires_at=LATER + 1)
    done = await store.change_run("run_1", change, known=known, durable=durable)
    assert done is not None
    row = await look(store, "run_1")
    assert msgspec.structs.replace(done.after, now=0, lease_until=0) == msgspec.structs.replace(
        row, now=0, lease_until=0
    )
    assert (row.status, row.document, row.extra, row.expires_at) == ("in_progress", b"in_progress", b"E", LATER + 1)
    assert row.lease_until == known.lease_until
    assert done.row.now == pytest.approx(row.now, abs=5)
    ended = to("completed", replaced=[("step", "step_1", b"S")], expires_at=None, attempts=3)
    await store.change_run("run_1", ended, known=done.after, durable=durable)
    row = await look(store, "run_1")
    assert (row.status, row.lease_until, row.expires_at, row.attempts) == ("completed", None, None, 3)
    assert await store.get("step", "step_1", owner="run_1") == b"S"


@pytest.mark.parametrize(
    "otherwise",
    [
        {"status": "cancelling", "lease": "keep"},
        {"document": b"modified", "lease": "keep"},
        {"extra": b"other", "lease": "keep"},
        {"lease": Lease("w", 60)},
        {"lease": Lease("another", 60)},
        {"lease": None},
    ],
    ids=["status", "document", "extra", "epoch", "worker", "lease"],
)
async def test_a_run_that_is_not_as_it_is_believed_to_be_is_read(store: Store, otherwise: dict[str, Any]) -> None:
    known = await driven(store)
    now = {"status": "in_progress", "document": b"in_progress", "expires_at": LATER, "extra": b"e", **otherwise}
    await store.change_run("run_1", lambda row: RunChange(**now))
    seen: list[RunRow] = []

    def change(row: RunRow) -> RunChange:
        seen.append(row)
        return RunChange(
            status="failed", document=row.document + b"!", expires_at=None, extra=row.extra, added=beside(len(seen))
        )

    done = await store.change_run("run_1", change, known=known)
    assert done is not None
    assert done.row == seen[-1]
    assert (seen[-1].status, seen[-1].document, seen[-1].extra) == (now["status"], now["document"], now["extra"])
    row = await look(store, "run_1")
    assert (row.status, row.document, row.extra) == ("failed", now["document"] + b"!", now["extra"])
    steps = await store.page("step", limit=9, ascending=True, after=None, before=None, owner="run_1")
    assert list(steps.ids) == [f"step_{len(seen)}"]


async def test_what_is_made_of_a_belief_is_not_written_where_the_run_says_no(store: Store) -> None:
    known = await driven(store)
    await store.change_run("run_1", lambda row: RunChange(status="queued", document=b"{}", expires_at=LATER))

    def change(row: RunRow) -> RunChange:
        if row.status != "in_progress":
            raise LookupError(row.status)
        return RunChange(status="completed", document=b"done", expires_at=None, added=beside(1))

    with pytest.raises(LookupError, match="queued"):
        await store.change_run("run_1", change, known=known)
    assert (await look(store, "run_1")).status == "queued"
    assert await store.get("step", "step_1", owner="run_1") is None


@pytest.mark.parametrize("status", ["in_progress", "cancelling"])
async def test_what_says_no_to_a_belief_is_asked_about_the_run_itself(store: Store, status: str) -> None:
    known = await driven(store)
    await store.change_run("run_1", to(status, lease="keep"))

    def change(row: RunRow) -> RunChange | None:
        if row.status != "cancelling":
            raise LookupError(row.status)
        return RunChange(status="cancelled", document=b"{}", expires_at=None)

    if status == "in_progress":
        with pytest.raises(LookupError):
            await store.change_run("run_1", change, known=known)
    else:
        assert await store.change_run("run_1", change, known=known) is not None
        assert (await look(store, "run_1")).status == "cancelled"


async def test_a_known_run_is_looked_for_in_its_own_thread_and_its_request_among_the_earlier_ones(store: Store) -> None:
    known = await driven(store)
    change = to("completed", expires_at=None)
    assert await store.change_run("run_1", change, known=known, thread_id="another") is None
    request = Repeatable(operation="end run_1", key="k", fingerprint=b"f", now=int(store.now()))
    for _ in range(2):
        done = await store.change_run("run_1", change, known=known, repeatable=request)
    assert done is not None
    assert (done.change, done.reply) == (None, b"completed")


async def test_a_lease_that_is_renewed_meanwhile_stays_renewed(store: Store) -> None:
    known = await driven(store)
    await store.renew_leases("w", {"run_1": known.epoch}, 1000)
    await store.change_run("run_1", to("in_progress", lease="keep"), known=known)
    row = await look(store, "run_1")
    assert row.lease_until is not None
    assert row.lease_until - row.now > 900


async def test_a_run_that_is_gone_is_not_known_any_more(store: Store) -> None:
    known = await driven(store)
    await store.delete("thread", "thread_of_run_1")
    assert await store.change_run("run_1", to("completed", added=beside(1)), known=known) is None


async def test_a_repeated_request_changes_once_and_is_answered_alike(store: Store) -> None:
    await add_run(store, "run_1")
    request = Repeatable(operation="submit run_1", key="k", fingerprint=b"f", now=int(store.now()))
    changes = [await store.change_run("run_1", to("queued", reply=b"done"), repeatable=request) for _ in range(2)]
    first, second = [each for each in changes if each is not None]
    assert first.reply == second.reply == b"done"
    assert first.change is not None
    assert second.change is None


async def test_the_oldest_waiting_runs_are_claimed_and_no_others(store: Store) -> None:
    for name in ("a", "b", "c"):
        await add_run(store, f"run_{name}")
    await add_run(store, "run_held", lease=Lease("w0", 60))
    await add_run(store, "run_over", expires_at=1.0)
    await add_run(store, "run_driven", status="in_progress")
    claimed = await store.claim_runs(2, to("in_progress", lease=Lease("w1", 60)))
    assert [(each.row.id, each.after.epoch) for each in claimed] == [("run_a", 1), ("run_b", 1)]
    claimed = await store.claim_runs(9, to("in_progress", lease=Lease("w1", 60)))
    assert [each.row.id for each in claimed] == ["run_c"]
    assert await store.claim_runs(9, to("in_progress", lease=Lease("w1", 60))) == []


async def test_a_lease_that_ran_out_before_the_run_began_is_claimed(store: Store) -> None:
    await add_run(store, "run_1", lease=Lease("w0", 0))
    assert [each.row.id for each in await store.claim_runs(9, to("in_progress", lease=Lease("w1", 60)))] == ["run_1"]


async def test_no_run_is_claimed_twice(store: Store) -> None:
    for n in range(20):
        await add_run(store, f"run_{n}")
    claims = await asyncio.gather(*(store.claim_runs(7, to("in_progress", lease=Lease(f"w{n}", 60))) for n in range(6)))
    given = [each.row.id for claimed in claims for each in claimed]
    assert len(given) == len(set(given))
    rest = await store.claim_runs(99, to("in_progress", lease=Lease("w", 60)))
    assert sorted([*given, *(each.row.id for each in rest)]) == sorted(f"run_{n}" for n in range(20))


async def test_only_the_holder_renews_its_lease(store: Store) -> None:
    await add_run(store, "run_1")
    await store.change_run("run_1", to("in_progress", lease=Lease("w1", 0)))
    assert await store.list_due_runs(9) == ["run_1"]
    assert await store.renew_leases("w2", {"run_1": 1}, 60) == {}
    assert await store.renew_leases("w1", {"run_1": 0}, 60) == {}
    assert await store.renew_leases("w1", {"run_1": 1, "run_gone": 1}, 60) == {"run_1": "in_progress"}
    assert await store.list_due_runs(9) == []
    await store.change_run("run_1", to("cancelling", lease="keep"))
    assert await store.renew_leases("w1", {"run_1": 1}, 60) == {"run_1": "cancelling"}


async def test_what_is_overdue_is_told_of(store: Store) -> None:
    await add_run(store, "run_expired", status="requires_action", expires_at=1.0)
    await add_run(store, "run_waits", expires_at=1.0)
    await add_run(store, "run_lost")
    await store.change_run("run_lost", to("cancelling", lease=Lease("w1", 0)))
    await add_run(store, "run_fine")
    await add_run(store, "run_lapsed", lease=Lease("w1", 0))
    await add_run(store, "run_ended", expires_at=1.0)
    await store.change_run("run_ended", to("completed"))
    assert sorted(await store.list_due_runs(9)) == ["run_expired", "run_lost", "run_waits"]
    assert len(await store.list_due_runs(2)) == 2


async def test_a_thread_takes_its_runs_and_steps_with_it(store: Store) -> None:
    hints: list[tuple[str, str]] = []
    await store.watch(lambda status, run_id: hints.append((status, run_id)))
    await add_run(store, "run_1", lease=Lease("w1", 60))
    step = NewObject(kind="step", id="step_1", created_at=1, document=b"s", owner="run_1")
    await store.change_run("run_1", to("in_progress", added=[step], lease="keep"))
    assert await store.delete("thread", "thread_of_run_1")
    assert await store.get("step", "step_1", owner="run_1") is None
    assert await store.change_run("run_1", to("completed")) is None
    await until(lambda: ("deleted", "run_1") in hints)


async def test_hints_tell_of_what_waits_and_of_what_is_to_be_cancelled(store: Store) -> None:
    hints: list[tuple[str, str]] = []
    await store.watch(lambda status, run_id: hints.append((status, run_id)))
    await add_run(store, "run_1")
    await add_run(store, "run_2", lease=Lease("w1", 60))
    await store.change_run("run_2", to("cancelling", lease="keep"))
    await until(lambda: len(hints) >= 2)
    assert hints == [("queued", "run_1"), ("cancelling", "run_2")]


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - what another connection tells cannot be waited for otherwise
            await asyncio.sleep(0.005)


async def test_threads_are_found_by_their_labels(store: Store) -> None:
    for n in range(6):
        labels = {"team": "maths" if n % 2 else "art", "n": str(n % 3)}
        await add_thread(store, f"thread_{n}", labels)

    async def found(**labels: str) -> list[str]:
        asked = {"limit": 99, "ascending": True, "after": None, "before": None}
        return (await store.page("thread", labels=labels, **asked)).ids  # type: ignore[arg-type]

    assert await found(team="maths") == ["thread_1", "thread_3", "thread_5"]
    assert await found(team="maths", n="0") == ["thread_3"]
    assert await found(team="nobody") == []
    page = await store.page("thread", limit=1, ascending=False, after="thread_5", before=None, labels={"team": "maths"})
    assert (page.ids, page.has_more) == (["thread_3"], True)
    from holdover.store.protocol import Modification

    await store.modify("thread", "thread_3", lambda document: Modification(document, labels={"team": "art"}))
    await store.modify("thread", "thread_5", lambda document: Modification(document))
    assert await found(team="maths") == ["thread_1", "thread_5"]
    await store.delete("thread", "thread_1")
    assert await found(team="maths") == ["thread_5"]


async def test_what_was_not_flushed_is_there_when_the_store_is_opened_again(open_store: Opener, tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await add_run(store, "run_1")
    changed: Changed | None = await store.change_run("run_1", to("in_progress"), durable=False)
    assert changed is not None
    await store.close()
    store = await open_store(tmp_path)
    assert (await look(store, "run_1")).status == "in_progress"
    await store.close()
