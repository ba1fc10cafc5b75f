"""Every store against a plain list: whatever is done in whatever order, both say the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from holdover.store.protocol import Kind, NewObject, Page, Store, UnknownCursor

from .conftest import STORES, Opener
from .objects import add, becomes, document, new, page


class Entry(msgspec.Struct):
    """A place in the list; ``content`` is ``None`` once its object is deleted."""

    id: str
    content: bytes | None


class Model:
    """What a store is meant to be."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def page(
        self, *, limit: int, ascending: bool, after: str | None, before: str | None
    ) -> tuple[list[str], list[bytes], bool]:
        ordered = self.entries if ascending else self.entries[::-1]
        places = {entry.id: place for place, entry in enumerate(ordered)}
        start = 0 if after is None else places[after] + 1
        end = len(ordered) if before is None else places[before]
        window = [entry for entry in ordered[start:end] if entry.content is not None]
        part = window[-limit:] if after is None and before is not None else window[:limit]
        return [each.id for each in part], [each.content or b"" for each in part], len(window) > limit


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store and to the model; every object has a neighbour that another owner's list holds."""

    open_store: Opener
    kind: Kind = "assistant"
    owner: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.folder = tempfile.TemporaryDirectory(prefix="holdover-test-")
        self.runner = asyncio.Runner()
        self.store: Store = self.do(type(self).open_store(Path(self.folder.name)))
        if self.owner is not None:
            self.do(add(self.store, self.owner, "thread_other", kind="thread"))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    def new(self, identifier: str) -> NewObject:
        return new(identifier, kind=self.kind, owner=self.owner)

    def page_of(self, **asked: Any) -> Page:
        found: Page = self.do(page(self.store, kind=self.kind, owner=self.owner, **asked))
        return found

    def entry(self, data: st.DataObject) -> Entry:
        return data.draw(st.sampled_from(self.model.entries))

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self.create(1)

    @rule(count=st.integers(1, 3))
    def create(self, count: int) -> None:
        made = [self.new(f"asst_{len(self.model.entries) + n}") for n in range(count)]
        beside = [new(f"other_{each.id}", kind=self.kind, owner="thread_other") for each in made if self.owner]
        self.do(self.store.create([*made, *beside], reply=b"{}"))
        self.model.entries += [Entry(each.id, each.document) for each in made]

    @rule(data=st.data(), content=st.binary(max_size=4))
    def modify(self, data: st.DataObject, content: bytes) -> None:
        entry = self.entry(data)
        changed = self.do(self.store.modify(self.kind, entry.id, becomes(content), owner=self.owner))
        if entry.content is None:
            assert changed is None
        else:
            assert changed == content
            entry.content = content

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        entry = self.entry(data)
        assert self.do(self.store.delete(self.kind, entry.id, owner=self.owner)) is (entry.content is not None)
        entry.content = None

    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        entry = self.entry(data)
        if entry.content is None:
            self.model.entries.remove(entry)
            self.model.entries.append(Entry(entry.id, document(entry.id)))
            self.do(self.store.create([self.new(entry.id)], reply=b"{}"))

    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        entry = self.entry(data)
        assert self.do(self.store.get(self.kind, entry.id, owner=self.owner)) == entry.content

    @rule(data=st.data(), limit=st.integers(1, 5), ascending=st.booleans())
    def page(self, data: st.DataObject, limit: int, ascending: bool) -> None:
        cursors = st.none() | st.sampled_from([each.id for each in self.model.entries])
        after, before = data.draw(cursors), data.draw(cursors)
        got = self.page_of(limit=limit, ascending=ascending, after=after, before=before)
        expected = self.model.page(limit=limit, ascending=ascending, after=after, before=before)
        assert (got.ids, got.documents, got.has_more) == expected

    @rule(limit=st.integers(1, 3), ascending=st.booleans())
    def read_all_pages(self, limit: int, ascending: bool) -> None:
        seen: list[str] = []
        while True:
            after = seen[-1] if seen else None
            part = self.page_of(limit=limit, ascending=ascending, after=after)
            seen += part.ids
            if not part.has_more:
                break
        expected = [each.id for each in self.model.entries if each.content is not None]
        assert seen == (expected if ascending else expected[::-1])

    @rule()
    def ask_for_what_never_was(self) -> None:
        with pytest.raises(UnknownCursor):
            self.page_of(limit=1, after="asst_never")

    @rule()
    def open_again(self) -> None:
        self.do(self.store.close())
        self.store = self.do(type(self).open_store(Path(self.folder.name)))

    @invariant()
    def lists_what_is_there(self) -> None:
        assert self.page_of(limit=1000).ids == [each.id for each in self.model.entries if each.content is not None]


@pytest.mark.parametrize("database", STORES)
@pytest.mark.parametrize(("kind", "owner"), [("assistant", None), ("message", "thread_mine")])
def test_a_store_is_a_list_with_places(database: str, kind: Kind, owner: str | None) -> None:
    members = {"open_store": staticmethod(STORES[database]), "kind": kind, "owner": owner}
    machine = type("Machine", (StoreMachine,), members)
    run_state_machine_as_test(
        machine, settings=settings(deadline=None, max_examples=30, stateful_step_count=30, print_blob=True)
    )
