"""What every store must do with files, uploads, and those who name files."""

from __future__ import annotations

import asyncio

import pytest

from holdover.errors import BadRequestError
from holdover.store.protocol import (
    FileColumns,
    Kind,
    MissingReference,
    Modification,
    NewObject,
    Reference,
    Store,
    TooLate,
    UploadChange,
    UploadRow,
)

from .objects import NOW, add, document, listed, new, page, repeatable

DIGEST = "a" * 64


def file(
    identifier: str,
    *,
    digest: str = DIGEST,
    purpose: str = "assistants",
    expires_at: float | None = None,
    deadline: float | None = None,
) -> NewObject:
    columns = FileColumns(digest=digest, bytes=3, purpose=purpose, expires_at=expires_at, deadline=deadline)
    return NewObject(kind="file", id=identifier, created_at=NOW, document=document(identifier), file=columns)


def upload(identifier: str = "upload_a", *, expires_at: float | None = None) -> NewObject:
    columns = FileColumns(bytes=6, purpose="assistants", expires_at=expires_at)
    return NewObject(
        kind="upload", id=identifier, created_at=NOW, document=document(identifier), extra=b"{}", file=columns
    )


def part(identifier: str, *, digest: str = DIGEST, deadline: float | None = None) -> NewObject:
    columns = FileColumns(digest=digest, bytes=3, deadline=deadline)
    return NewObject(
        kind="upload_part",
        id=identifier,
        created_at=NOW,
        document=document(identifier),
        owner="upload_a",
        file=columns,
    )


async def keep(store: Store, *objects: NewObject) -> None:
    for each in objects:
        await store.create([each], reply=b"{}")


def adds(added: NewObject) -> UploadChange:
    return UploadChange(document=document("upload_a"), expires_at=None, added=[added], reply=added.document)


def untouched(kind: Kind, content: bytes) -> bytes:
    raise AssertionError("nobody names the file")


# ----------------------------------------------------------------------------------------------- files


async def test_a_file_is_found_with_the_digest_of_its_bytes(store: Store) -> None:
    await keep(store, file("file-a", digest="b" * 64))
    assert await store.find_file("file-a") == (document("file-a"), "b" * 64)
    assert await store.find_file("file-b") is None
    assert await store.get("file", "file-a") == document("file-a")


async def test_files_are_listed_by_purpose_in_the_order_of_their_creation(store: Store) -> None:
    for index in range(6):
        await keep(store, file(f"file-{index}", purpose="vision" if index % 2 else "assistants"))
    assert await listed(store, kind="file", purpose="vision") == ["file-1", "file-3", "file-5"]
    assert await listed(store, kind="file", purpose="vision", ascending=False, after="file-4", limit=1) == ["file-3"]
    assert await listed(store, kind="file", purpose="batch") == []
    assert len(await listed(store, kind="file")) == 6
    assert (await page(store, kind="file", purpose="vision", limit=2)).has_more


async def test_a_deleted_file_still_marks_its_place(store: Store) -> None:
    await keep(store, file("file-a"), file("file-b"), file("file-c"))
    assert await store.delete_file("file-b", untouched)
    assert not await store.delete_file("file-b", untouched)
    assert await store.find_file("file-b") is None
    assert await listed(store, kind="file", after="file-b") == ["file-c"]


async def test_what_names_a_missing_file_is_not_written(store: Store) -> None:
    await add(store, "asst_a")
    missing = Reference("file", "file-a")
    with pytest.raises(MissingReference):
        await store.create([new("asst_b")], reply=b"{}", requires=[missing])
    with pytest.raises(MissingReference):
        await store.modify("assistant", "asst_a", lambda _: Modification(b"{}", [missing], file_ids=["file-a"]))
    assert await listed(store) == ["asst_a"]
    assert await store.get("assistant", "asst_a") == document("asst_a")


async def test_a_deleted_file_is_taken_out_of_all_that_name_it(store: Store) -> None:
    await keep(store, file("file-a"), file("file-b"))
    both = ["file-a", "file-b", "file-a"]
    for kind, identifier in (("assistant", "asst_a"), ("assistant", "asst_b"), ("thread", "thread_a")):
        await store.create(
            [NewObject(kind=kind, id=identifier, created_at=NOW, document=b"1", file_ids=both)], reply=b""
        )
    await store.modify("assistant", "asst_b", lambda old: Modification(old, file_ids=["file-b"]))
    seen: list[tuple[Kind, bytes]] = []

    def without(kind: Kind, content: bytes) -> bytes:
        seen.append((kind, content))
        return content + b"0"

    assert await store.delete_file("file-a", without)
    assert seen == [("assistant", b"1"), ("thread", b"1")]
    assert [await store.get("assistant", each) for each in ("asst_a", "asst_b")] == [b"10", b"1"]
    assert await store.get("thread", "thread_a") == b"10"
    assert await store.delete_file("file-b", without)
    assert await store.get("assistant", "asst_b") == b"10", "a file that is named anew is forgotten as well"


async def test_what_is_gone_or_says_nothing_of_files_is_left_alone(store: Store) -> None:
    await keep(store, file("file-a"))
    for identifier in ("asst_a", "asst_b", "asst_c"):
        await store.create(
            [NewObject(kind="assistant", id=identifier, created_at=NOW, document=b"1", file_ids=["file-a"])], reply=b""
        )
    await store.delete("assistant", "asst_a")
    await store.modify("assistant", "asst_b", lambda _: Modification(b"2", file_ids=[]))
    await store.modify("assistant", "asst_c", lambda _: Modification(b"3"))
    assert await store.delete_file("file-a", lambda kind, content: b"without " + content)
    assert await store.get("assistant", "asst_b") == b"2"
    assert await store.get("assistant", "asst_c") == b"without 3"


async def test_a_file_that_is_deleted_while_it_is_named_is_named_by_nobody(store: Store) -> None:
    """Whoever comes first: the assistants that exist afterwards do not name what is gone."""
    for round_ in range(20):
        name = f"file-{round_}"
        await keep(store, file(name))
        made = new(f"asst_{round_}")
        made = NewObject(kind="assistant", id=made.id, created_at=NOW, document=b"names it", file_ids=[name])
        outcomes = await asyncio.gather(
            store.create([made], reply=b"{}", requires=[Reference("file", name)]),
            store.delete_file(name, lambda kind, content: b"does not"),
            return_exceptions=True,
        )
        assert outcomes[1] is True
        assert isinstance(outcomes[0], bytes | MissingReference)
        assert await store.get("assistant", made.id) in (None, b"does not")


async def test_bytes_that_came_too_long_ago_are_not_named(store: Store) -> None:
    with pytest.raises(TooLate):
        await store.create([new("asst_a"), file("file-a", deadline=store.now() - 1)], reply=b"{}")
    assert await listed(store) == []
    await keep(store, file("file-a", deadline=store.now() + 600))
    assert await store.find_file("file-a") is not None


async def test_expired_files_are_found_the_oldest_first(store: Store) -> None:
    now = store.now()
    await keep(store, file("file-a", expires_at=now - 5), file("file-b", expires_at=now - 50), file("file-c"))
    await keep(store, file("file-d", expires_at=now + 600))
    assert list(await store.list_expired("file", 10)) == ["file-b", "file-a"]
    assert list(await store.list_expired("file", 1)) == ["file-b"]
    assert list(await store.list_expired("upload", 10)) == []


async def test_digests_that_files_and_parts_have_are_named(store: Store) -> None:
    await keep(store, file("file-a", digest="b" * 64), upload())
    await store.change_upload("upload_a", lambda row: adds(part("part_a", digest="c" * 64)))
    asked = [letter * 64 for letter in "abcd"]
    assert await store.named_digests(asked) == {"b" * 64, "c" * 64}
    assert await store.named_digests([]) == set()


# --------------------------------------------------------------------------------------------- uploads


async def test_parts_of_an_upload_are_kept_and_dropped_with_it(store: Store) -> None:
    await keep(store, upload())
    for name in ("part_a", "part_b"):
        assert await store.change_upload("upload_a", lambda row, name=name: adds(part(name))) == document(name)  # type: ignore[misc]
    assert {each.id for each in await store.list_parts("upload_a")} == {"part_a", "part_b"}

    def complete(row: UploadRow) -> UploadChange:
        assert row.document == document("upload_a")
        assert row.extra == b"{}"
        assert {(each.id, each.digest, each.bytes) for each in row.parts} == {
            ("part_a", DIGEST, 3),
            ("part_b", DIGEST, 3),
        }
        assert abs(row.now - store.now()) < 60
        return UploadChange(document=b"done", expires_at=None, added=[file("file-a")], drops_parts=True)

    assert await store.change_upload("upload_a", complete) == b"done"
    assert list(await store.list_parts("upload_a")) == []
    assert await store.find_file("file-a") is not None
    assert await store.get("upload", "upload_a") == b"done"


async def test_an_upload_that_is_not_there_is_not_changed(store: Store) -> None:
    assert await store.change_upload("upload_a", lambda row: adds(part("part_a"))) is None


async def test_a_change_of_an_upload_that_is_refused_writes_nothing(store: Store) -> None:
    await keep(store, upload())

    def refuse(row: UploadRow) -> UploadChange:
        raise BadRequestError("no")

    with pytest.raises(BadRequestError):
        await store.change_upload("upload_a", refuse)
    with pytest.raises(TooLate):
        await store.change_upload("upload_a", lambda row: adds(part("part_a", deadline=store.now() - 1)))
    assert list(await store.list_parts("upload_a")) == []


async def test_parts_that_come_at_the_same_time_see_each_other(store: Store) -> None:
    await keep(store, upload())

    def change(name: str, row: UploadRow) -> UploadChange:
        if len(row.parts) == 3:
            raise BadRequestError("full")
        return adds(part(name))

    outcomes = await asyncio.gather(
        *(
            store.change_upload("upload_a", lambda row, name=f"part_{index}": change(name, row))  # type: ignore[misc]
            for index in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(each, bytes) for each in outcomes) == 3
    assert len(await store.list_parts("upload_a")) == 3


async def test_a_repeated_change_of_an_upload_is_answered_as_before(store: Store) -> None:
    await keep(store, upload())
    first = await store.change_upload("upload_a", lambda row: adds(part("part_a")), repeatable=repeatable())
    again = await store.change_upload("upload_a", lambda row: adds(part("part_b")), repeatable=repeatable())
    assert first == again == document("part_a")
    assert len(await store.list_parts("upload_a")) == 1
    with pytest.raises(BadRequestError, match="already used"):
        await store.change_upload("upload_a", lambda row: adds(part("part_b")), repeatable=repeatable(content=b"other"))


async def test_expired_uploads_are_found_until_they_are_changed(store: Store) -> None:
    await keep(store, upload(expires_at=store.now() - 1))
    assert list(await store.list_expired("upload", 10)) == ["upload_a"]
    await store.change_upload("upload_a", lambda row: UploadChange(document=b"{}", expires_at=row.now + 600))
    assert list(await store.list_expired("upload", 10)) == []


async def test_an_upload_that_is_deleted_takes_its_parts_with_it(store: Store) -> None:
    await keep(store, upload())
    await store.change_upload("upload_a", lambda row: adds(part("part_a")))
    assert await store.delete("upload", "upload_a")
    assert await store.named_digests([DIGEST]) == set()
