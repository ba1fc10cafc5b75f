"""What arrives on a connection that no client library would send."""

from __future__ import annotations

import contextlib
import json
import socket
import struct

import pytest
from tests.conftest import Service
from tests.server.talk import Answer, ask, conversation, listed, request

from holdover.server.app import BODY_LIMIT_BYTES
from holdover.server.http import HEAD_LIMIT_BYTES

BODY = b'{"model": "gpt-4o"}'
CHUNKED = [("Transfer-Encoding", "chunked")]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def exchange(service: Service, raw: bytes, *, half_close: bool = False) -> Answer:
    """Send bytes on a connection of their own and return the one answer, after which the connection is over."""
    with conversation(service) as talk:
        talk.say(raw)
        if half_close:
            talk.say_no_more()
        answer = talk.hear()
        assert talk.is_over()
        return answer


GARBAGE = {
    "noise": b"\x00\x01\x02\xff\xfe\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an answer": b"HTTP/1.1 200 OK\r\n\r\n",
    "a newline in the middle": b"GET /v1/\n/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown method": b"BREW /v1/assistants HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method in lower case": b"get /v1/assistants HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a version that is none": b"GET /v1/assistants HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "a path that is not ASCII": b"GET /v1/assistants/asst_\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
    "a length that is negative": request("POST", "/v1/assistants", BODY, [("Content-Length", "-1")]),
    "a length that is no number": request("POST", "/v1/assistants", BODY, [("Content-Length", "0x13")]),
    "a length without end": request("POST", "/v1/assistants", BODY, [("Content-Length", "9" * 40)]),
    "two lengths": request("POST", "/v1/assistants", BODY, [("Content-Length", "19"), ("Content-Length", "18")]),
    "a length and chunks": request("POST", "/v1/assistants", chunk(BODY) + chunk(b""), [
        ("Content-Length", "19"), *CHUNKED]),
}  # fmt: skip


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_http_is_refused_and_the_connection_closed(target: Service, raw: bytes) -> None:
    answer = exchange(target, raw)
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert answer.error["message"] == "Your request is not HTTP that can be read."


@pytest.mark.parametrize("raw", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"\r\n\r\n"])
def test_a_head_that_is_not_finished_is_not_answered(target: Service, raw: bytes) -> None:
    with conversation(target) as talk:
        talk.say(raw)
        talk.say_no_more()
        assert talk.is_over()


def test_a_connection_that_is_reset_is_forgotten(target: Service) -> None:
    for raw in (b"", b"GET /", request("POST", "/v1/assistants", BODY)[:-3], request("GET", "/v1/models") * 20):
        with socket.create_connection(("127.0.0.1", target.port)) as broken:
            broken.sendall(raw)
            broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ----------------------------------------------------------------------------------------------- size


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"a" * 8192),
        (HEAD + b"X: ", b"a" * 8192),
        (HEAD, b"X: a\r\n" * 1000),
        (HEAD + b"X", b"X" * 8192),
        (HEAD + b"X: a\r\n", b" a\r\n" * 1000),
    ],
    ids=["path", "header", "many headers", "header name", "folded header"],
)
def test_a_head_without_end_is_refused_before_it_ends(target: Service, begin: bytes, more: bytes) -> None:
    with conversation(target) as talk:
        talk.say(begin)
        with contextlib.suppress(ConnectionError):  # refused while there is more to say
            for _ in range(100):
                talk.say(more)
        answer = talk.hear()
    assert answer.headers["connection"] == "close"
    if begin.endswith(b"X: a\r\n"):  # lines were folded long ago; now they are no headers
        assert answer.status in (400, 431)
    else:
        assert answer.status == 431
        assert answer.error["message"] == "The head of your request is too large: it may have up to 65536 bytes."


@pytest.mark.parametrize("part", [b"X: a\r\n" * 1000, b"X" * 8192], ids=["many", "one"])
def test_what_comes_after_a_body_has_an_end_too(target: Service, part: bytes) -> None:
    with conversation(target) as talk:
        talk.say(request("POST", "/v1/assistants", chunk(BODY) + b"0\r\n", CHUNKED))
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                talk.say(part)
        assert talk.hear().status == 400


def test_a_head_of_nearly_the_limit_is_taken(target: Service) -> None:
    answer = ask(target, "GET", "/v1/models/gpt-4o", headers={"X": "a" * (HEAD_LIMIT_BYTES - 200)})
    assert answer.status == 200


TOO_LARGE = {
    "message": "Your request is too large: a body may have up to 16777216 bytes.",
    "type": "invalid_request_error",
    "param": None,
    "code": "request_too_large",
}


def test_a_body_announced_as_too_large_is_refused_before_it_comes(target: Service) -> None:
    head = request("POST", "/v1/assistants", headers={"Content-Length": str(BODY_LIMIT_BYTES + 1)})
    with conversation(target) as talk:
        talk.say(head)
        answer = talk.hear()
        assert (answer.status, answer.error) == (413, TOO_LARGE)


def test_a_body_that_becomes_too_large_is_refused_where_it_does(target: Service) -> None:
    part = chunk(b" " * (1024 * 1024))
    with conversation(target) as talk:
        talk.say(request("POST", "/v1/assistants", b"", CHUNKED))
        for _ in range(16):
            talk.say(part)
        talk.say(chunk(b" "))
        answer = talk.hear()
        assert (answer.status, answer.error) == (413, TOO_LARGE)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_client_that_sends_all_of_a_large_body_first_still_learns_that_it_was_too_large(
    target: Service, framing: str
) -> None:
    """Most clients send before they read: an answer that is lost to a reset would be told as a broken connection."""
    body = b" " * (BODY_LIMIT_BYTES + 4 * 1024 * 1024)
    with conversation(target) as talk:
        if framing == "length":
            talk.say(request("POST", "/v1/assistants", body))
        else:
            talk.say(request("POST", "/v1/assistants", chunk(body) + chunk(b""), CHUNKED))
        assert talk.hear().status == 413
        talk.say(request("GET", "/v1/models/gpt-4o"))
        assert talk.hear().status == 200


def test_a_body_of_the_limit_is_read(target: Service) -> None:
    body = b" " * (BODY_LIMIT_BYTES - 2) + b"{}"
    assert ask(target, "POST", "/v1/assistants", body).error["code"] == "missing_required_parameter"


# ------------------------------------------------------------------------------------------ half-closed


@pytest.mark.parametrize(
    "raw", [request("GET", "/v1/assistants/asst_gone"), request("POST", "/v1/assistants/asst_gone", b"{}")]
)
def test_a_whole_request_is_answered_though_its_sender_says_no_more(target: Service, raw: bytes) -> None:
    assert exchange(target, raw, half_close=True).status == 404


@pytest.mark.parametrize(
    "raw",
    [
        request("POST", "/v1/assistants", BODY, {"Content-Length": "20"}),
        request("POST", "/v1/assistants", b"", {"Content-Length": "20"}),
        request("POST", "/v1/assistants", chunk(BODY), CHUNKED),
        request("POST", "/v1/assistants", chunk(BODY)[:-1], CHUNKED),
        request("POST", "/v1/assistants", chunk(BODY[:5]) + b"e\r\n" + BODY[5:9], CHUNKED),
        request("POST", "/v1/assistants", b"", CHUNKED),
    ],
    ids=["short", "none of it", "no last chunk", "no end of chunk", "part of a chunk", "no chunk"],
)
def test_a_body_that_is_cut_short_is_refused_and_nothing_made_of_it(target: Service, raw: bytes) -> None:
    answer = exchange(target, raw, half_close=True)
    assert answer.status == 400
    assert answer.error["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"-1\r\n", b"5\r\nabcdefgh", chunk(BODY) + b"nonsense\r\n"])
def test_chunks_that_cannot_be_read_are_refused_and_nothing_made_of_them(target: Service, chunks: bytes) -> None:
    answer = exchange(target, request("POST", "/v1/assistants", chunks, CHUNKED))
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert answer.error["message"]


# --------------------------------------------------------------------------------------------- pipelined


def test_requests_sent_together_are_answered_in_their_order(target: Service) -> None:
    names = ["gpt-4o", "nothing", "gpt-4", "gpt-5"] * 5
    with conversation(target) as talk:
        talk.say(b"".join(request("GET", f"/v1/models/{name}") for name in names))
        answers = [talk.hear() for _ in names]
    assert [each.status for each in answers] == [404 if name == "nothing" else 200 for name in names]
    assert [each.json()["id"] for each in answers if each.status == 200] == [n for n in names if n != "nothing"]


def test_a_request_behind_a_stream_is_answered_behind_it(suffering_service: Service) -> None:
    assistant = ask(suffering_service, "POST", "/v1/assistants", {"model": "scripted"}).json()
    thread = {"messages": [{"role": "user", "content": "Hello."}]}
    body = json.dumps({"assistant_id": assistant["id"], "thread": thread, "stream": True}).encode()
    with conversation(suffering_service) as talk:
        talk.say(request("POST", "/v1/threads/runs", body) + request("GET", f"/v1/assistants/{assistant['id']}"))
        stream, answer = talk.hear(), talk.hear()
    assert stream.body.endswith(b"data: [DONE]\n\n")
    assert answer.json()["id"] == assistant["id"]


def test_the_last_of_requests_sent_together_may_be_the_last_word(target: Service) -> None:
    with conversation(target) as talk:
        talk.say(request("GET", "/v1/models/gpt-4o"), request("GET", "/v1/models/gpt-4"))
        talk.say_no_more()
        assert [talk.hear().json()["id"], talk.hear().json()["id"]] == ["gpt-4o", "gpt-4"]
        assert talk.is_over()


def test_garbage_after_a_request_does_not_take_the_place_of_its_answer(suffering_service: Service) -> None:
    """As when a body is longer than announced: what was carried out is told as carried out."""
    before = listed(suffering_service)
    with conversation(suffering_service) as talk:
        talk.say(request("POST", "/v1/assistants", BODY), b"}}}\r\n\r\n")
        answer = talk.hear()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert talk.is_over()
    assert listed(suffering_service) == [*before, answer.json()["id"]]


def test_a_line_end_after_a_body_is_nothing(target: Service) -> None:
    with conversation(target) as talk:
        talk.say(request("POST", "/v1/assistants", b"{}"), b"\r\n", request("GET", "/v1/models/gpt-4"))
        assert talk.hear().error["param"] == "model"
        assert talk.hear().json()["id"] == "gpt-4"


def test_a_request_in_many_small_pieces_is_one_request(target: Service) -> None:
    raw = request("POST", "/v1/assistants", chunk(b"{") + chunk(b"}") + chunk(b""), CHUNKED)
    with conversation(target) as talk:
        for byte in raw:
            talk.say(bytes([byte]))
        assert talk.hear().error["param"] == "model"


# --------------------------------------------------------------------------------------------- versions


def test_http_1_0_is_answered_and_the_connection_closed(target: Service) -> None:
    answer = exchange(target, b"GET /v1/models/gpt-4o HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_request_without_a_host_is_refused(target: Service, version: bytes) -> None:
    answer = exchange(target, b"GET /v1/models HTTP/%b\r\nConnection: close\r\n\r\n" % version)
    assert (answer.status, answer.error["code"]) == (403, "invalid_host")


@pytest.mark.parametrize("uri", ["http://localhost/v1/models/gpt-4o", "http://127.0.0.1:8026/v1/models/gpt-4o"])
def test_a_whole_address_in_the_request_line_is_its_path(target: Service, uri: str) -> None:
    assert ask(target, "GET", uri).json()["id"] == "gpt-4o"


@pytest.mark.parametrize("uri", ["*", "http://localhost", "?", "http://localhost?limit=1"])
def test_an_address_without_a_path_is_refused(target: Service, uri: str) -> None:
    answer = ask(target, "OPTIONS", uri, headers={"Connection": "close"})
    assert answer.status in (400, 404, 405)
    assert answer.error["message"]


def test_an_offer_to_speak_another_protocol_is_not_taken(target: Service) -> None:
    for offer in ("websocket", "h2c"):
        headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": offer, "Sec-WebSocket-Version": "13"}
        with conversation(target) as talk:
            talk.say(request("GET", "/v1/models/gpt-4o", headers=headers))
            assert talk.hear().json()["id"] == "gpt-4o"
            talk.say(request("GET", "/v1/models/gpt-4", headers=headers))
            assert talk.hear().json()["id"] == "gpt-4"


def test_a_body_that_comes_with_such_an_offer_is_read(target: Service) -> None:
    """Java's own client makes the offer with its first request of a connection."""
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAA"}
    with conversation(target) as talk:
        for body, param in ((b'{"nmae": 1}', "nmae"), (b"{}", "model")):
            talk.say(request("POST", "/v1/assistants", body, headers))
            assert talk.hear().error["param"] == param
        talk.say(request("POST", "/v1/assistants", chunk(b"{}") + chunk(b""), {**headers, **dict(CHUNKED)}))
        assert talk.hear().error["param"] == "model"


def test_a_client_may_ask_before_it_sends(target: Service) -> None:
    with conversation(target) as talk:
        talk.say(request("POST", "/v1/assistants", headers={"Expect": "100-continue", "Content-Length": "2"}))
        assert talk.hear_continue()
        talk.say(b"{}")
        assert talk.hear().error["param"] == "model"
        talk.say(request("POST", "/v1/assistants", headers={"Expect": "100-continue", "Content-Length": str(10**9)}))
        assert talk.hear().status == 413


def test_a_header_that_comes_after_the_body_is_no_header(target: Service) -> None:
    trailer = b"0\r\nIdempotency-Key: \xff\r\nHost: example.com\r\n\r\n"
    with conversation(target) as talk:
        talk.say(request("POST", "/v1/assistants", chunk(b"{}") + trailer, CHUNKED))
        assert talk.hear().error["param"] == "model"
