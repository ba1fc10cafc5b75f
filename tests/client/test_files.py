"""The functions on files and uploads against a real service, through both faces and every way that requests travel."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdover
from holdover.wire.operations import BY_NAME

from .faces import Face
from .scripted import Scripted

CONTENT = os.urandom(700_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / 'hand"book 你好.bin'
    path.write_bytes(CONTENT)
    return path


def test_a_file_lives_from_create_to_delete(client: Any, path: Path, tmp_path: Path) -> None:
    made = client.create_file(path, "assistants")
    assert isinstance(made, holdover.FileObject)
    assert (made.filename, made.bytes, made.purpose) == (path.name, len(CONTENT), "assistants")
    assert client.retrieve_file(made.id) == made == client.wait_for_file(made.id)
    assert made in client.list_files(purpose="assistants").data
    assert client.download_file(made.id) == CONTENT
    told: list[tuple[int, int]] = []
    copy = tmp_path / "copy"
    assert client.save_file(made.id, copy, on_progress=lambda *each: told.append(each)) == len(CONTENT)
    assert copy.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert client.delete_file(made.id) == holdover.FileDeleted(id=made.id)
    for gone in (client.retrieve_file, client.download_file, client.delete_file):
        with pytest.raises(holdover.NotFoundError, match=f"^No such File object: {made.id}$"):
            gone(made.id)
    with pytest.raises(holdover.NotFoundError):
        client.save_file(made.id, copy)
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == sorted([path.name, "copy"])


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing_behind(client: Any, tmp_path: Path) -> None:
    made = client.create_file(b"bytes", "assistants", filename="b.txt")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        client.save_file(made.id, folder)
    assert [each.name for each in folder.parent.iterdir() if each.is_file()] == []


@pytest.mark.parametrize("interval_s", [0, -1, "x", float("inf")])
def test_an_interval_between_questions_is_above_zero(face: Face, interval_s: float) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError, match="above 0") as caught:
        face.client(script).wait_for_file("file-1", poll_interval_s=interval_s)
    assert (caught.value.param, script.requests) == ("poll_interval_s", [])


def test_a_file_is_a_path_bytes_or_an_open_file(client: Any, path: Path) -> None:
    with path.open("rb") as opened:
        opened.seek(100)
        rest = client.create_file(opened, "user_data")
    given = {
        client.create_file(str(path), "vision").id: CONTENT,
        client.create_file(b"bytes", "vision", filename="b.txt").id: b"bytes",
        client.create_file(io.BytesIO(b"held"), "vision").id: b"held",
        client.create_file(b"", "vision").id: b"",
        rest.id: CONTENT[100:],
    }
    assert {each: client.download_file(each) for each in given} == given
    assert rest.filename == path.name


def test_what_is_no_file_is_refused_before_anything_is_sent(client: Any, path: Path, tmp_path: Path) -> None:
    with path.open() as text, pytest.raises(holdover.BadRequestError, match="open it with 'rb'"):
        client.create_file(text, "vision")
    for given in (7, iter([b"x"]), None):
        with pytest.raises(holdover.BadRequestError, match="neither a path"):
            client.create_file(given, "vision")
    with pytest.raises(FileNotFoundError):
        client.create_file(tmp_path / "none", "vision")
    with pytest.raises(holdover.BadRequestError, match="is not one of"):
        client.create_file(path, "nothing")
    with pytest.raises(holdover.UnknownOptionError, match="did you mean 'filename'"):
        client.create_file(path, "vision", file_name="x")


def test_a_file_that_is_too_large_is_not_sent(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = BY_NAME["create_file"].file
    assert limit is not None
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(limit.limit_bytes + 1)
    with pytest.raises(holdover.APIStatusError) as caught:
        client.create_file(huge, "vision")
    assert (caught.value.status, caught.value.code) == (413, "file_too_large")


def test_whoever_wants_is_told_how_far_a_file_has_got(client: Any, path: Path) -> None:
    told: list[tuple[int, int]] = []
    client.create_file(path, "vision", on_progress=lambda *each: told.append(each))
    assert told == sorted(told)
    assert len(told) > 1
    assert {total for _, total in told} == {len(CONTENT)}
    assert told[-1][0] == len(CONTENT)


def test_a_receiver_gets_the_file(client: Any) -> None:
    received: list[Any] = []
    made = client.create_file(b"x", "vision", stream_to=received.append)
    assert received == [holdover.Data(made), holdover.Finish()]


def test_a_file_expires_when_it_was_said(client: Any) -> None:
    made = client.create_file(b"x", "vision", expires_after={"anchor": "created_at", "seconds": 3600})
    assert made.expires_at == made.created_at + 3600
    with pytest.raises(holdover.BadRequestError, match="below minimum"):
        client.create_file(b"x", "vision", expires_after={"anchor": "created_at", "seconds": 1})


def test_a_large_file_goes_in_parts(client: Any, path: Path) -> None:
    told: list[tuple[int, int]] = []
    md5 = hashlib.md5(CONTENT).hexdigest()
    done = client.upload_in_parts(
        path, "assistants", part_bytes=300_000, md5=md5, on_progress=lambda *each: told.append(each)
    )
    assert isinstance(done, holdover.Upload)
    assert (done.status, done.file.bytes, done.file.filename) == ("completed", len(CONTENT), path.name)
    assert client.download_file(done.file.id) == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    with pytest.raises(holdover.BadRequestError, match="MD5"):
        client.upload_in_parts(path, "assistants", md5="0" * 32)
    with pytest.raises(holdover.BadRequestError, match="part_bytes"):
        client.upload_in_parts(path, "assistants", part_bytes=-1)


def test_an_upload_lives_from_create_to_cancel(client: Any) -> None:
    upload = client.create_upload("a.txt", "assistants", 6, "text/plain")
    part = client.add_upload_part(upload.id, b"abc")
    assert isinstance(part, holdover.UploadPart)
    with pytest.raises(holdover.BadRequestError, match="3 bytes, but 6 were announced"):
        client.complete_upload(upload.id, [part.id])
    assert client.cancel_upload(upload.id).status == "cancelled"
    with pytest.raises(holdover.BadRequestError, match="is cancelled"):
        client.add_upload_part(upload.id, b"def")


def test_a_file_goes_through_a_service_in_this_process(face: Face, path: Path) -> None:
    with face.embedded() as client:
        made = client.create_file(path, "vision")
        assert client.download_file(made.id) == CONTENT


def test_what_a_file_beside_a_database_holds_is_there_when_it_is_opened_again(face: Face, tmp_path: Path) -> None:
    with face.embedded(tmp_path / "data.db") as client:
        made = client.create_file(b"Hello.", "vision")
    with face.embedded(tmp_path / "data.db") as client:
        assert client.download_file(made.id) == b"Hello."
    assert (tmp_path / "data.db-files").is_dir()


def test_a_file_goes_through_a_client_that_the_application_has(face: Face, path: Path, shared_url: str) -> None:
    made_of = httpx2.AsyncClient if face.is_async else httpx2.Client
    http_client = made_of()
    client = face.client(http_client=http_client, base_url=shared_url)
    made = client.create_file(path, "vision")
    assert client.download_file(made.id) == CONTENT
    face.settled(http_client.aclose if isinstance(http_client, httpx2.AsyncClient) else http_client.close)


def test_a_repeated_attempt_sends_the_file_from_its_beginning() -> None:
    from holdover.client.uploading import Form, Source

    opened = io.BytesIO(b"0123456789")
    opened.seek(2)
    form = Form([("purpose", "vision")], "file", Source(opened))
    first, second = (b"".join(form.blocks()) for _ in range(2))
    assert first == second
    assert len(first) == form.length
    assert b"\r\n\r\n23456789\r\n" in first
    parts = Source(b"0123456789", filename="x")
    assert [b"".join(parts.part(start, 4).blocks()) for start in (0, 4, 8)] == [b"0123", b"4567", b"89"]


def test_a_file_that_becomes_shorter_while_it_is_sent_is_told_of(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 600_000)

    def cut(sent: int, total: int) -> None:
        if sent < 300_000:
            os.truncate(path, 300_000)

    with pytest.raises(OSError, match="became shorter"):
        client.create_file(path, "vision", on_progress=cut)
    assert client.create_file(b"x", "vision").bytes == 1, "the next call has a connection of its own"
