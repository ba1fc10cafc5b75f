"""The official ``openai`` package, unmodified, with files and uploads."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI, OpenAI


@pytest.fixture
def sdk(shared_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as client:
        yield client


def test_a_file_lives_through_all_operations(sdk: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "你好 handbook.txt"
    path.write_bytes(b"Hello.\r\n")
    made = sdk.files.create(file=path, purpose="assistants")
    assert (made.filename, made.bytes, made.purpose, made.status) == (path.name, 8, "assistants", "processed")
    assert sdk.files.retrieve(made.id) == made
    assert sdk.files.content(made.id).read() == b"Hello.\r\n"
    assert sdk.files.wait_for_processing(made.id) == made
    assert made.id in [each.id for each in sdk.files.list(purpose="assistants")]
    deleted = sdk.files.delete(made.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "file")
    with pytest.raises(openai.NotFoundError, match="No such File object") as caught:
        sdk.files.retrieve(made.id)
    assert caught.value.param == "id"


def test_a_file_is_given_in_every_form_that_the_sdk_takes(sdk: OpenAI) -> None:
    named = sdk.files.create(file=("a.txt", b"one"), purpose="vision")
    typed = sdk.files.create(file=("b.txt", io.BytesIO(b"two"), "text/plain"), purpose="vision")
    bare = sdk.files.create(file=b"three", purpose="vision")
    assert [each.filename for each in (named, typed)] == ["a.txt", "b.txt"]
    assert [sdk.files.content(each.id).text for each in (named, typed, bare)] == ["one", "two", "three"]
    expiring = sdk.files.create(
        file=("c.txt", b"four"),
        purpose="user_data",
        extra_body={"expires_after": {"anchor": "created_at", "seconds": 3600}},
    )
    assert expiring.model_dump()["expires_at"] == expiring.created_at + 3600


def test_a_purpose_that_is_none_is_refused(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="is not one of") as caught:
        sdk.files.create(file=("a.txt", b"x"), purpose="nothing")  # type: ignore[arg-type]
    assert caught.value.param == "purpose"


async def test_files_are_listed_page_after_page(shared_url: str) -> None:
    async with AsyncOpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as sdk:
        made = [(await sdk.files.create(file=(f"{n}.txt", b"x"), purpose="evals")).id for n in range(5)]  # type: ignore[arg-type]
        seen: list[str] = []
        while len(seen) < 5:  # as a program of 2024 must: its SDK gives one page only
            query = {"limit": 2, "order": "asc", **({"after": seen[-1]} if seen else {})}
            page = await sdk.files.list(purpose="evals", extra_query=query)
            assert 0 < len(page.data) <= 2
            seen += [each.id for each in page.data]
        assert seen == made


def test_a_large_file_goes_in_parts(sdk: OpenAI) -> None:
    content = bytes(range(256)) * 1000
    upload = sdk.uploads.create(filename="a.bin", purpose="assistants", bytes=len(content), mime_type="text/plain")
    assert (upload.status, upload.expires_at - upload.created_at) == ("pending", 3600)
    second = sdk.uploads.parts.create(upload.id, data=content[200_000:])
    first = sdk.uploads.parts.create(upload.id, data=content[:200_000])
    md5 = hashlib.md5(content).hexdigest()
    done = sdk.uploads.complete(upload.id, part_ids=[first.id, second.id], md5=md5)
    assert (done.status, done.id) == ("completed", upload.id)
    assert done.file is not None
    assert sdk.files.content(done.file.id).read() == content
    with pytest.raises(openai.BadRequestError, match="is completed"):
        sdk.uploads.cancel(upload.id)


if hasattr(openai.resources.Uploads, "upload_file_chunked"):  # later than the first of 2024

    def test_the_sdk_cuts_a_file_itself(sdk: OpenAI) -> None:
        content = b"0123456789" * 30
        done = sdk.uploads.upload_file_chunked(
            file=content,
            filename="big.jsonl",
            bytes=len(content),
            mime_type="text/jsonl",
            purpose="batch",
            part_size=64,
        )
        assert done.file is not None
        assert (done.status, done.file.bytes, done.file.filename) == ("completed", 300, "big.jsonl")
        assert sdk.files.content(done.file.id).read() == content
