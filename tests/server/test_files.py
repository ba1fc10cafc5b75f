"""Files over HTTP: forms of every shape, names of every kind, what is refused, what is left when somebody leaves."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Service, running_service

from .forms import FORM, file, form, send, text, upload
from .talk import Answer, ask, conversation, create, request

PURPOSE = text("purpose", "assistants")
HELLO = file(b"Hello.")


def kept(service: Service) -> list[Path]:
    """Return the files on the disk that bytes are in."""
    folder = Path(f"{service.database}-files")
    return [path for path in folder.rglob("*") if path.is_file()]


def content(service: Service, file_id: str, headers: Any = ()) -> Answer:
    return ask(service, "GET", f"/v1/files/{file_id}/content", headers=headers)


def wait_until(is_so: Callable[[], bool]) -> None:
    patience = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < patience
        time.sleep(0.02)  # another process is waited for, which tells nobody


def test_a_file_lives_through_all_operations(shared_service: Service) -> None:
    made = upload(shared_service, b"a\r\nb\x00\xff")
    assert list(made) == [
        "object", "id", "purpose", "filename", "bytes", "created_at", "expires_at", "status", "status_details",
    ]  # fmt: skip
    assert (made["object"], made["bytes"], made["filename"], made["status"]) == ("file", 6, "a.txt", "processed")
    path = f"/v1/files/{made['id']}"
    assert ask(shared_service, "GET", path).json() == made
    assert ask(shared_service, "GET", "/v1/files?limit=1").json()["data"] == [made]
    answer = content(shared_service, made["id"])
    assert (answer.body, answer.headers["content-type"]) == (b"a\r\nb\x00\xff", "application/octet-stream")
    assert answer.headers["content-disposition"] == 'attachment; filename="a.txt"'
    deleted = ask(shared_service, "DELETE", path)
    assert deleted.body == b'{"object":"file","deleted":true,"id":"%b"}' % made["id"].encode()
    for method, gone in (("GET", path), ("DELETE", path), ("GET", f"{path}/content")):
        refused = ask(shared_service, method, gone)
        assert (refused.status, refused.error["param"]) == (404, "id")
        assert refused.error["message"] == f"No such File object: {made['id']}"


@pytest.mark.parametrize(
    "parts",
    [
        (PURPOSE, HELLO),
        (HELLO, PURPOSE),
        (text("expires_after[seconds]", "3600"), HELLO, PURPOSE, text("expires_after[anchor]", "created_at")),
        (HELLO, PURPOSE, text("expires_after", '{"anchor": "created_at", "seconds": 3600}')),
    ],
)
def test_fields_come_in_any_order(shared_service: Service, parts: tuple[bytes, ...]) -> None:
    made = send(shared_service, "/v1/files", *parts).json()
    assert made["expires_at"] == (made["created_at"] + 3600 if len(parts) > 2 else None)
    assert content(shared_service, made["id"]).body == b"Hello."


def test_files_for_batches_go_after_thirty_days(shared_service: Service) -> None:
    made = upload(shared_service, purpose="batch")
    assert made["expires_at"] == made["created_at"] + 30 * 86_400


NAMES: dict[str | bytes, str] = {
    '; filename="你好.txt"': "你好.txt",
    "; filename=plain.txt": "plain.txt",
    "; filename=\"x\"; filename*=UTF-8''%E4%BD%A0%E5%A5%BD.txt": "你好.txt",
    "; filename*=utf-8''a%20b.txt": "a b.txt",
    "; filename*=no-such-charset''%ff; filename=\"b.txt\"": "b.txt",
    '; filename="=?utf-8?B?5L2g5aW9LnR4dA==?="': "你好.txt",
    '; filename="a\\"b.txt"': 'a"b.txt',
    '; filename="a%22b%0A%0D.txt"': 'a"b\n\r.txt',
    '; filename="100%25.txt"': "100%25.txt",
    '; filename="../../etc/passwd"': "../../etc/passwd",
    '; filename="..\\\\..\\\\x"': "..\\..\\x",
    '; filename="."': ".",
    b'; filename="caf\xe9.txt"': "café.txt",
    f'; filename="{"x" * 255}"': "x" * 255,
    '; filename="\u202egnp.exe"': "\u202egnp.exe",
    "": "upload",
}


@pytest.mark.parametrize(("disposition", "name"), NAMES.items())
def test_a_name_is_a_label(shared_service: Service, disposition: str | bytes, name: str) -> None:
    before = {path.parent for path in kept(shared_service)}
    made = upload(shared_service, name.encode() + os.urandom(4), disposition=disposition)
    assert made["filename"] == name
    told = content(shared_service, made["id"]).headers["content-disposition"]
    assert told.isascii()
    assert told.startswith("attachment; filename")
    for place in {path.parent for path in kept(shared_service)} - before:
        assert len(place.name) == 2, "a folder is named by a digest"


@pytest.mark.parametrize("disposition", ['; filename=""', "; filename*=UTF-8''a%00b", f'; filename="{"x" * 1025}"'])
def test_a_name_that_cannot_be_kept_is_refused(shared_service: Service, disposition: str) -> None:
    answer = send(shared_service, "/v1/files", PURPOSE, file(b"x", disposition=disposition))
    assert (answer.status, answer.error["param"]) == (400, "file")


REFUSED: dict[str, tuple[tuple[bytes, ...], tuple[Any, ...]]] = {
    "no file": ((PURPOSE,), ("'file' is a required property", "file", None)),
    "no purpose": (
        (HELLO,),
        ("Missing required parameter: 'purpose'.", "purpose", "missing_required_parameter"),
    ),
    "a purpose that is none": (
        (text("purpose", "world_domination"), HELLO),
        (
            "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - "
            "'purpose'",
            "purpose",
            None,
        ),
    ),
    "a field that is unknown": (
        (PURPOSE, HELLO, text("colour", "red")),
        ("Unknown parameter: 'colour'.", "colour", "unknown_parameter"),
    ),
    "a field twice": (
        (PURPOSE, PURPOSE, HELLO),
        ("Invalid 'purpose': given more than once.", "purpose", "invalid_value"),
    ),
    "two files": ((PURPOSE, HELLO, HELLO), ("Invalid 'file': given more than once.", "file", "invalid_value")),
    "an expiry that comes too soon": (
        (PURPOSE, HELLO, text("expires_after[anchor]", "created_at"), text("expires_after[seconds]", "3599")),
        (
            "Invalid 'expires_after.seconds': integer below minimum value. Expected a value >= 3600, but got 3599 "
            "instead.",
            "expires_after.seconds",
            "integer_below_min_value",
        ),
    ),
}


@pytest.mark.parametrize(("parts", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_form_that_cannot_be_taken_is_refused_and_no_file_made(
    shared_service: Service, parts: tuple[bytes, ...], told: tuple[Any, ...]
) -> None:
    newest = upload(shared_service)["id"]
    answer = send(shared_service, "/v1/files", *parts)
    assert answer.status == 400
    assert (answer.error["message"], answer.error["param"], answer.error["code"]) == told
    assert ask(shared_service, "GET", "/v1/files?limit=1").json()["first_id"] == newest


WHOLE = form(PURPOSE, HELLO)
BROKEN = {
    "nothing": (b"", FORM),
    "cut off in the file": (WHOLE[:-30], FORM),
    "cut off at the end": (WHOLE[:-4], FORM),
    "another boundary": (WHOLE, {"Content-Type": "multipart/form-data; boundary=another"}),
    "no boundary": (WHOLE, {"Content-Type": "multipart/form-data"}),
    "no form": (b"Hello.", FORM),
    "a head without end": (b"--the-boundary\r\nContent-Disposition: " + b"x" * 20_000, FORM),
    "a field without a name": (b"--the-boundary\r\nContent-Type: a/b\r\n\r\nx\r\n--the-boundary--\r\n", FORM),
    "a text that is none": (form(text("purpose", "x").replace(b"x", b"\xff")), FORM),
    "fields without number": (form(*[text(f"f{n}", "") for n in range(100)]), FORM),
}  # fmt: skip


@pytest.mark.parametrize(("body", "headers"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_form_is_refused(shared_service: Service, body: bytes, headers: dict[str, str]) -> None:
    answer = ask(shared_service, "POST", "/v1/files", body, headers)
    assert (answer.status, answer.error["param"]) == (400, None)
    assert answer.error["message"].startswith("We could not read the form in the body of your request")


def test_what_says_that_it_is_something_else_is_refused_as_that(shared_service: Service) -> None:
    answer = ask(shared_service, "POST", "/v1/files", {"purpose": "vision"}, {"Content-Type": "application/json"})
    assert (answer.status, answer.error["code"]) == (400, "unsupported_content_type")


def test_two_gigabytes_that_are_announced_are_refused_before_they_come(shared_service: Service) -> None:
    with conversation(shared_service) as talk:
        talk.say(request("POST", "/v1/files", None, {**FORM, "Content-Length": str(2 * 1024**3)}))
        answer = talk.hear()
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


def test_a_range_of_a_file_is_sent(shared_service: Service) -> None:
    made = upload(shared_service, b"0123456789")
    for asked, body, told in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=0-99", b"0123456789", "bytes 0-9/10"),
    ):
        answer = content(shared_service, made["id"], {"Range": asked})
        assert (answer.status, answer.body, answer.headers["content-range"]) == (206, body, told)
    for asked in ("bytes=4-2", "bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=x-"):
        assert content(shared_service, made["id"], {"Range": asked}).status == 200, asked
    behind = content(shared_service, made["id"], {"Range": "bytes=10-"})
    assert (behind.status, behind.headers["content-range"]) == (416, "bytes */10")
    head = ask(shared_service, "HEAD", f"/v1/files/{made['id']}/content")
    assert (head.status, head.headers["content-length"], head.headers["accept-ranges"]) == (200, "10", "bytes")


def test_an_empty_file_is_a_file(shared_service: Service) -> None:
    made = upload(shared_service, b"")
    assert made["bytes"] == 0
    assert content(shared_service, made["id"]).body == b""


def test_the_same_file_again_with_its_key_is_the_same_whatever_separates_its_fields(shared_service: Service) -> None:
    key = {"Idempotency-Key": os.urandom(8).hex()}
    first = send(shared_service, "/v1/files", PURPOSE, HELLO, headers=key)
    body = form(HELLO, PURPOSE).replace(b"the-boundary", b"other")
    other = {"Content-Type": "multipart/form-data; boundary=other"}
    again = ask(shared_service, "POST", "/v1/files", body, {**key, **other})
    assert again.body == first.body
    changed = send(shared_service, "/v1/files", PURPOSE, file(b"Other."), headers=key)
    assert changed.error["code"] == "idempotency_key_reused"


def test_a_deleted_file_is_in_no_list_of_the_code_interpreter(shared_service: Service) -> None:
    one, two = (upload(shared_service)["id"] for _ in range(2))
    resources = {"code_interpreter": {"file_ids": [one, two]}}
    made = create(shared_service, tools=[{"type": "code_interpreter"}], tool_resources=resources).json()
    assistant = f"/v1/assistants/{made['id']}"
    thread = f"/v1/threads/{ask(shared_service, 'POST', '/v1/threads', {'tool_resources': resources}).json()['id']}"
    ask(shared_service, "DELETE", f"/v1/files/{one}")
    for path in (assistant, thread):
        left = ask(shared_service, "GET", path).json()["tool_resources"]
        assert left == {"code_interpreter": {"file_ids": [two]}}
    ask(shared_service, "DELETE", f"/v1/files/{two}")
    for path in (assistant, thread):
        left = ask(shared_service, "GET", path).json()["tool_resources"]
        assert left == {"code_interpreter": {"file_ids": []}}


def test_a_message_names_files_that_exist(shared_service: Service) -> None:
    image = upload(shared_service, purpose="vision")["id"]
    thread = ask(shared_service, "POST", "/v1/threads", {}).json()["id"]
    part = {"type": "image_file", "image_file": {"file_id": image}}
    attachment = {"file_id": image, "tools": [{"type": "code_interpreter"}]}
    body = {"role": "user", "content": [part], "attachments": [attachment]}
    made = ask(shared_service, "POST", f"/v1/threads/{thread}/messages", body).json()
    assert made["content"] == [{"type": "image_file", "image_file": {"file_id": image, "detail": "auto"}}]
    assert made["attachments"] == [attachment]


# ------------------------------------------------------------------------------------------- who leaves, what dies


@pytest.fixture
def service(tmp_path: Path) -> Any:
    with running_service(tmp_path / "service") as running:
        yield running


def begin(service: Service, length: int) -> socket.socket:
    """Begin to send a file, and send no more of it than this."""
    opened = socket.create_connection(("127.0.0.1", service.port))
    body = PURPOSE + HELLO.replace(b"Hello.", b"x" * length)
    opened.sendall(request("POST", "/v1/files", None, {**FORM, "Content-Length": str(len(body) + 10_000)}) + body)
    return opened


def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(service: Service) -> None:
    opened = begin(service, 3_000_000)
    wait_until(lambda: any(path.stat().st_size for path in kept(service)))
    opened.close()
    wait_until(lambda: kept(service) == [])
    assert ask(service, "GET", "/v1/files").json()["data"] == []


def test_of_a_service_that_is_killed_no_acknowledged_file_is_lost_and_no_other_listed(
    service: Service, tmp_path: Path
) -> None:
    made = [upload(service, os.urandom(100_000)) for _ in range(3)]
    begun = begin(service, 3_000_000)
    wait_until(lambda: any(path.stat().st_size > 200_000 for path in kept(service)))
    service.kill()
    begun.close()
    with running_service(tmp_path / "service") as again:
        listed = ask(again, "GET", "/v1/files?order=asc").json()["data"]
        assert listed == made
        for each in made:
            assert len(content(again, each["id"]).body) == 100_000
        half = [path for path in kept(again) if path.parent.name == "incoming"]
        assert len(half) == 1, "it goes with the sweep when it is old"


def test_a_large_file_is_never_held_in_memory(service: Service) -> None:
    def peak_bytes() -> int:
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc here")
    upload(service, b"x" * 1_000_000)
    before = peak_bytes()
    size, block = 128 * 1024 * 1024, b"x" * 1024 * 1024
    head = PURPOSE + file(b"").removesuffix(b"\r\n")
    tail = form(b"\r\n")
    with conversation(service) as talk:
        length = str(len(head) + size + len(tail))
        talk.say(request("POST", "/v1/files", None, {**FORM, "Content-Length": length}), head)
        for _ in range(size // len(block)):
            talk.say(block)
        talk.say(tail)
        made = talk.hear().json()
    assert made["bytes"] == size
    with conversation(service) as talk:
        talk.say(request("GET", f"/v1/files/{made['id']}/content"))
        assert len(talk.hear().body) == size
    assert peak_bytes() - before < 32 * 1024 * 1024
