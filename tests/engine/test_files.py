"""Files and uploads on an engine whose clock is set by hand: what expires, what follows what, what is swept."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdover.engine.files import Received
from holdover.engine.images import media_type, with_content
from holdover.engine.objects import Engine
from holdover.errors import BadRequestError, InternalServerError, NotFoundError
from holdover.models.catalog import Catalog, Names
from holdover.models.protocol import AssistantTurn, ImageInput, ModelRequest, TextInput, UserTurn
from holdover.models.scripted import ScriptedModel
from holdover.store.blobs import FolderBlobs
from holdover.store.protocol import DEADLINE_S, GRACE_S
from holdover.store.sqlite import SQLiteStore
from holdover.wire.files import CreateFile, ExpiresAfter
from holdover.wire.uploads import AddUploadPart, CancelUpload, CompleteUpload, CreateUpload

HOUR = 3600.0


class World:
    """An engine, its store and its folder, all on one clock that is set by hand."""

    def __init__(self, store: SQLiteStore, folder: Path) -> None:
        self.time = 1_000_000.0
        self.store = store
        self.folder = folder
        self.blobs = FolderBlobs(folder, clock=lambda: self.time)
        store.now = lambda: self.time  # type: ignore[method-assign]
        self.engine = Engine(store, Catalog(Names(), lambda target: ScriptedModel()), self.blobs)

    async def receive(self, content: bytes) -> Received:
        async def parts() -> AsyncIterator[bytes]:
            yield content

        return await self.engine.receive("a.txt", parts(), limit_bytes=10**9)

    async def file(self, content: bytes = b"Hello.", **fields: Any) -> dict[str, Any]:
        body = CreateFile(**{"purpose": "assistants", **fields})
        made: dict[str, Any] = json.loads(await self.engine.create_file(await self.receive(content), body))
        return made

    async def read(self, file_id: str) -> bytes:
        content = await self.engine.download_file(file_id)
        return b"".join([block async for block in content.read()])

    async def upload(self, size: int) -> str:
        body = CreateUpload(filename="big.txt", purpose="assistants", bytes=size, mime_type="text/plain")
        identifier: str = json.loads(await self.engine.create_upload(body))["id"]
        return identifier

    async def part(self, upload: str, content: bytes) -> str:
        received = await self.receive(content)
        identifier: str = json.loads(await self.engine.add_upload_part(upload, received, AddUploadPart()))["id"]
        return identifier

    async def complete(self, upload: str, *part_ids: str, md5: str | None = None) -> dict[str, Any]:
        body = CompleteUpload(part_ids=list(part_ids), md5=md5)
        done: dict[str, Any] = json.loads(await self.engine.complete_upload(upload, body))
        return done

    def on_disk(self) -> int:
        return sum(path.is_file() for path in self.folder.rglob("*"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await SQLiteStore.open(":memory:")
    yield World(store, tmp_path / "files")
    await store.close()


# --------------------------------------------------------------------------------------------------- files


async def test_a_file_goes_when_it_expires_and_its_bytes_with_the_sweep(world: World) -> None:
    stays = await world.file(b"stays")
    goes = await world.file(b"goes", expires_after=ExpiresAfter(anchor="created_at", seconds=3600))
    world.time += HOUR - 1
    await world.engine.sweep()
    assert await world.read(goes["id"]) == b"goes"
    world.time += 1
    await world.engine.sweep()
    with pytest.raises(NotFoundError):
        await world.engine.retrieve_file(goes["id"])
    world.time += GRACE_S
    await world.engine.sweep()
    assert world.on_disk() == 1
    assert await world.read(stays["id"]) == b"stays"


async def test_bytes_that_another_file_has_as_well_stay(world: World) -> None:
    one, two = await world.file(), await world.file()
    assert world.on_disk() == 1
    await world.engine.delete_file(one["id"])
    world.time += GRACE_S
    await world.engine.sweep()
    assert await world.read(two["id"]) == b"Hello."
    await world.engine.delete_file(two["id"])
    await world.engine.sweep()
    assert world.on_disk() == 0


async def test_bytes_that_nobody_named_in_time_are_swept_and_cannot_be_named_any_more(world: World) -> None:
    """Whoever is so slow is told to come again: never is a file acknowledged whose bytes may be gone."""
    received = await world.receive(b"Hello.")
    world.time += DEADLINE_S - 1
    await world.engine.sweep()
    made = json.loads(await world.engine.create_file(received, CreateFile(purpose="vision")))
    assert await world.read(made["id"]) == b"Hello."
    late = await world.receive(b"Other.")
    world.time += DEADLINE_S
    with pytest.raises(InternalServerError, match="send it again"):
        await world.engine.create_file(late, CreateFile(purpose="vision"))
    upload = await world.upload(6)
    with pytest.raises(InternalServerError, match="send it again"):
        await world.engine.add_upload_part(upload, late, AddUploadPart())
    world.time += GRACE_S
    await world.engine.sweep()
    assert world.on_disk() == 1


# ------------------------------------------------------------------------------------------------- uploads


async def test_parts_that_come_side_by_side_become_a_file_in_the_order_that_is_said(world: World) -> None:
    upload = await world.upload(30)
    parts = await asyncio.gather(*(world.part(upload, f"{n:03}".encode()) for n in range(10)))
    done = await world.complete(upload, *reversed(parts))
    assert await world.read(done["file"]["id"]) == b"".join(f"{n:03}".encode() for n in range(9, -1, -1))
    assert done["file"]["created_at"] == done["created_at"]
    world.time += GRACE_S
    await world.engine.sweep()
    assert world.on_disk() == 1, "the parts are gone"


async def test_of_two_that_complete_an_upload_at_the_same_time_one_does(world: World) -> None:
    upload = await world.upload(6)
    part = await world.part(upload, b"Hello.")
    outcomes = await asyncio.gather(*(world.complete(upload, part) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, dict) for each in outcomes) == 1
    refused = [str(each) for each in outcomes if not isinstance(each, dict)]
    assert refused == [f"Upload {upload} is completed; only a pending one can be changed."] * 3


async def test_nothing_follows_an_end(world: World) -> None:
    async def refused(upload: str, part: str, status: str) -> None:
        for late in (
            world.part(upload, b""),
            world.complete(upload, part),
            world.engine.cancel_upload(upload, CancelUpload()),
        ):
            with pytest.raises(BadRequestError, match=f"is {status}"):
                await late

    uploads = [await world.upload(6) for _ in range(3)]
    completed, cancelled, expired = uploads
    parts = [await world.part(each, b"Hello.") for each in uploads]
    await world.complete(completed, parts[0])
    await world.engine.cancel_upload(cancelled, CancelUpload())
    world.time += HOUR
    await refused(completed, parts[0], "completed")
    await refused(cancelled, parts[1], "cancelled")
    await refused(expired, parts[2], "expired")
    await world.engine.sweep()
    await refused(expired, parts[2], "expired")
    assert list(await world.store.list_parts(expired)) == []
    world.time += 31 * 24 * HOUR
    await world.engine.sweep()
    for each in uploads:
        with pytest.raises(NotFoundError, match=f"No upload found with id '{each}'"):
            await world.complete(each, parts[0])


async def test_what_does_not_add_up_is_no_file(world: World) -> None:
    upload = await world.upload(6)
    part = await world.part(upload, b"Hel")
    with pytest.raises(BadRequestError, match="would come to 7 bytes, but 6 were announced"):
        await world.part(upload, b"lo..")
    with pytest.raises(BadRequestError, match="come to 3 bytes, but 6 were announced"):
        await world.complete(upload, part)
    rest = await world.part(upload, b"lo.")
    with pytest.raises(BadRequestError, match=r"Invalid 'part_ids\[1\]': .* has no part 'part_other'"):
        await world.complete(upload, part, "part_other")
    with pytest.raises(BadRequestError, match="The MD5 of the file is"):
        await world.complete(upload, part, rest, md5="0" * 32)
    done = await world.complete(upload, part, rest, md5=hashlib.md5(b"Hello.").hexdigest().upper())
    assert await world.read(done["file"]["id"]) == b"Hello."


# -------------------------------------------------------------------------------------------------- images

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


async def test_an_image_file_reaches_the_model_as_its_content(world: World) -> None:
    from holdover.engine.context import FileImage

    image, other = await world.file(PNG, purpose="vision"), await world.file(b"text")
    shown = UserTurn([TextInput("Look:"), FileImage(image["id"], "low"), FileImage(other["id"], "auto")])
    gone = UserTurn([FileImage("file-gone", "auto"), ImageInput("https://x.example/a.png", "auto")])
    asked = ModelRequest(model="m", turns=[shown, AssistantTurn("I see."), gone])
    first, second, third = (await with_content(asked, world.store, world.blobs)).turns
    assert isinstance(first, UserTurn)
    assert isinstance(third, UserTurn)
    assert second == AssistantTurn("I see.")
    assert list(first.content) == [
        TextInput("Look:"),
        ImageInput("data:image/png;base64,iVBORw0KGgpyZXN0", "low"),
        TextInput(f"[The file {other['id']} is not a PNG, JPEG, GIF or WebP image.]"),
    ]
    assert list(third.content) == [
        TextInput("[The image file-gone was deleted.]"),
        ImageInput("https://x.example/a.png", "auto"),
    ]


async def test_of_images_that_are_too_many_the_newest_are_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdover.engine import images
    from holdover.engine.context import FileImage

    monkeypatch.setattr(images, "MAX_BYTES", 2 * len(PNG))
    made = [await world.file(PNG) for _ in range(3)]
    asked = ModelRequest(model="m", turns=[UserTurn([FileImage(each["id"], "auto")]) for each in made])
    turns = (await with_content(asked, world.store, world.blobs)).turns
    kinds = [type(turn.content[0]) for turn in turns if isinstance(turn, UserTurn)]
    assert kinds == [TextInput, ImageInput, ImageInput]


def test_the_type_of_an_image_is_told_by_how_it_begins() -> None:
    begins = {
        PNG: "image/png",
        b"\xff\xd8\xff\xe0": "image/jpeg",
        b"GIF89a": "image/gif",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
        b"RIFF\x00\x00\x00\x00WAVE": None,
        b"<svg>": None,
        b"": None,
    }
    assert {content: media_type(content) for content in begins} == begins
