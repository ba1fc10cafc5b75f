"""Vector stores through both faces of the client: waiting for them, and lists that go on by themselves."""

from __future__ import annotations

from typing import Any

import pytest

import holdover
from holdover.wire.vector_stores import VectorStore

from .faces import Face
from .scripted import Scripted, answer

GET = "GET /v1/vector_stores/vs_1"


def store(in_progress: int, total: int = 3) -> dict[str, Any]:
    return {
        "id": "vs_1",
        "object": "vector_store",
        "created_at": 1,
        "status": "in_progress" if in_progress else "completed",
        "file_counts": {
            "in_progress": in_progress,
            "completed": total - in_progress,
            "failed": 0,
            "cancelled": 0,
            "total": total,
        },
    }


def file(identifier: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "object": "vector_store.file",
        "created_at": 1,
        "vector_store_id": "vs_1",
        "status": "completed",
    }


def page(*identifiers: str, has_more: bool) -> Any:
    data = [file(each) for each in identifiers]
    return answer({"object": "list", "data": data, "last_id": identifiers[-1], "has_more": has_more})


def test_a_store_is_waited_for_until_nothing_is_indexed_and_its_progress_is_told(face: Face) -> None:
    script = Scripted(*(answer(store(left)) for left in (3, 2, 0)))
    told: list[int] = []

    def on_progress(seen: VectorStore) -> None:
        told.append(seen.file_counts.completed)

    client = face.client(script)
    assert client.wait_for_vector_store("vs_1", on_progress=on_progress).status == "completed"
    assert (script.sent, told, client.pauses) == ([GET] * 3, [0, 1, 3], [0.1, 0.15000000000000002])


def test_pauses_are_as_long_as_they_are_asked_to_be_and_never_none(face: Face) -> None:
    client = face.client(Scripted(*(answer(store(left)) for left in (1, 1, 0))))
    client.wait_for_vector_store("vs_1", poll_interval_s=3)
    assert client.pauses == [3, 3]
    for interval in (0, -1, "1"):
        with pytest.raises(holdover.BadRequestError, match="above 0"):
            face.client(Scripted()).wait_for_vector_store("vs_1", poll_interval_s=interval)


def test_lists_of_files_go_on_with_what_they_were_asked_for(face: Face) -> None:
    script = Scripted(page("file-1", has_more=True), page("file-2", has_more=False))
    client = face.client(script)
    seen: list[Any] = []
    client.list_files_in_vector_store_batch("vs_1", "vsfb_1", filter="completed", limit=1, stream_to=seen.append)
    assert [each.value.id for each in seen[:-1]] == ["file-1", "file-2"]
    path = "GET /v1/vector_stores/vs_1/file_batches/vsfb_1/files"
    assert script.sent == [f"{path}?filter=completed&limit=1", f"{path}?filter=completed&limit=1&after=file-1"]


@pytest.mark.parametrize(
    ("name", "arguments", "options", "param"),
    [
        ("create_vector_store", (), {"file_ids": ["file-1"] * 501}, "file_ids"),
        ("search_vector_store", ("vs_1", ""), {}, "query"),
        ("search_vector_store", ("vs_1", "q"), {"filters": {"type": "like", "key": "a", "value": 1}}, "filters.type"),
        ("create_vector_store_file", ("vs_1", "vs_2"), {}, "file_id"),
        ("get_vector_store_file_batch", ("vs_1", "vs_1"), {}, "batch_id"),
        ("update_vector_store_file_attributes", ("vs_1", "file-1", {"a": None}), {}, "attributes.a"),
    ],
)
def test_what_would_be_refused_is_not_sent(
    face: Face, name: str, arguments: tuple[Any, ...], options: dict[str, Any], param: str
) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError) as caught:
        getattr(face.client(script), name)(*arguments, **options)
    assert (caught.value.param, script.sent) == (param, [])
