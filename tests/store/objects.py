"""Objects for a store to keep, and short ways to ask for them."""

from __future__ import annotations

from typing import Any

from holdover.store.protocol import Kind, Modification, NewObject, Page, Repeatable, Store

DAY_S = 86_400
NOW = 1_761_861_537


def new(
    identifier: str,
    *,
    kind: Kind = "assistant",
    content: str = "",
    owner: str | None = None,
    run_id: str | None = None,
) -> NewObject:
    """Return an object to be added; all of them bear the same second."""
    return NewObject(
        kind=kind,
        id=identifier,
        created_at=NOW,
        document=document(identifier, content),
        owner=owner,
        run_id=run_id,
    )


def document(identifier: str, content: str = "") -> bytes:
    return f'{{"id":"{identifier}","content":"{content}"}}'.encode()


async def add(
    store: Store, *identifiers: str, kind: Kind = "assistant", owner: str | None = None, run_id: str | None = None
) -> None:
    for each in identifiers:
        await store.create([new(each, kind=kind, owner=owner, run_id=run_id)], reply=b"{}")


def repeatable(key: str = "k", content: bytes = b"content", *, now: int = NOW, operation: str = "create") -> Repeatable:
    return Repeatable(operation=operation, key=key, fingerprint=content, now=now)


def becomes(content: bytes) -> Any:
    """Return a change that puts ``content`` in a document's place."""
    return lambda _: Modification(content)


async def page(store: Store, **asked: Any) -> Page:
    query: dict[str, Any] = {"limit": 100, "ascending": True, "after": None, "before": None, **asked}
    return await store.page(query.pop("kind", "assistant"), **query)


async def listed(store: Store, **asked: Any) -> list[str]:
    return (await page(store, **asked)).ids
