"""What crosses the wall: frames of a small JSON head and a body of bytes.

A frame is its length and its head's length (big-endian, 4 bytes each; the first counts everything after it), the head,
the body. Replies come from a process that belongs to the guest: `receive` takes no frame longer than its limit, and
decodes heads strictly. The same frames go through pipes to a local jail and through a socket to a remote one.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Annotated, Literal, TypeVar

import msgspec

MAX_FRAME_BYTES = 8 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
#: How much of a file or a put goes into one frame.
CHUNK_BYTES = 1024 * 1024

T = TypeVar("T")

Id = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
#: Hexadecimal: a number used once, and what the secret makes of it (HMAC-SHA-256).
Nonce = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Proof = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    pass


# ------------------------------------------------------------------------------------------- requests


class Put(_Head, frozen=True, tag="put"):
    """Write a file; the body is its next chunk."""

    id: Id
    name: str
    first: bool
    last: bool


class Execute(_Head, frozen=True, tag="execute"):
    """Run a cell; the body is its source."""

    id: Id


class Read(_Head, frozen=True, tag="read"):
    """Send a file."""

    id: Id
    name: str


class Preload(_Head, frozen=True, tag="preload"):
    """Import modules."""

    id: Id
    modules: tuple[str, ...]


# What only a remote runner is told, who does it to the process at its side.


class Open(_Head, frozen=True, tag="open"):
    """Start a worker; ``proof`` shows that one knows the secret, ``nonce`` asks for the same; the body is the spec."""

    proof: Proof
    nonce: Nonce


class Interrupt(_Head, frozen=True, tag="interrupt"):
    """Send SIGINT."""


class Rest(_Head, frozen=True, tag="rest"):
    """Stop the process between two requests, or let it go on."""

    is_resting: bool


Request = Put | Execute | Read | Preload | Interrupt | Rest


# -------------------------------------------------------------------------------------------- replies


class Ready(_Head, frozen=True, tag="ready"):
    """The worker has locked itself in."""

    id: Id


class LogsReply(_Head, frozen=True, tag="logs"):
    """The body is a piece of output in UTF-8, cut anywhere."""

    id: Id
    stream: Literal["stdout", "stderr", "result"]


class ImageReply(_Head, frozen=True, tag="image"):
    """The body is an image."""

    id: Id
    format: Literal["png", "jpeg"]


class Found(_Head, frozen=True, tag="found"):
    """A file is new or changed."""

    id: Id
    name: Name
    size: Size
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class ChunkReply(_Head, frozen=True, tag="chunk"):
    """The body is the next chunk of a file."""

    id: Id


class Finished(_Head, frozen=True, tag="finished"):
    """A request is done."""

    id: Id
    status: Literal["ok", "error", "interrupted"]
    is_truncated: bool = False


class Failed(_Head, frozen=True, tag="failed"):
    """A put or a read could not be done."""

    id: Id
    message: Annotated[str, msgspec.Meta(max_length=200)]


Reply = Ready | LogsReply | ImageReply | Found | ChunkReply | Finished | Failed


# What only a remote runner says.


class Challenge(_Head, frozen=True, tag="challenge"):
    """The first word of a runner: prove that you know the secret, with this number used once."""

    nonce: Nonce
    level: Literal["landlock", "wasm", "namespaces", "gvisor", "vm"]


class Accepted(_Head, frozen=True, tag="accepted"):
    """The worker is ready, and the runner knows the secret too."""

    proof: Proof


class Ended(_Head, frozen=True, tag="ended"):
    """The last word of a runner: how the process ended, or why there is none."""

    reason: Literal["exited", "signalled", "oom", "disk", "refused"]
    number: int = 0
    message: Annotated[str, msgspec.Meta(max_length=2000)] = ""


ToRunner = Request | Open
FromRunner = Reply | Challenge | Accepted | Ended


class FrameError(Exception):
    """What came is no frame that may come."""


# ---------------------------------------------------------------------------------------------- bytes

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_from_runner: msgspec.json.Decoder[FromRunner] = msgspec.json.Decoder(FromRunner)
_to_runner: msgspec.json.Decoder[ToRunner] = msgspec.json.Decoder(ToRunner)


def encode(head: msgspec.Struct, body: bytes | memoryview = b"") -> bytes:
    """Return a frame."""
    encoded = msgspec.json.encode(head)
    return b"".join((struct.pack(">II", 4 + len(encoded) + len(body), len(encoded)), encoded, body))


async def receive(stream: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read a frame; return its head, still encoded, and its body.

    Raises:
        FrameError: It is longer than a frame may be.
        EOFError: There are no more.
    """
    try:
        size, head_size = struct.unpack(">II", await stream.readexactly(8))
        if not 4 <= head_size + 4 <= size <= MAX_FRAME_BYTES or head_size > MAX_HEAD_BYTES:
            raise FrameError(f"a frame of {size} bytes with a head of {head_size}")
        payload = await stream.readexactly(size - 4)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError from error
    return payload[:head_size], payload[head_size:]


def decode_reply(head: bytes) -> Reply:
    """Decode what a guest says.

    Raises:
        FrameError: It is nothing that a guest may say.
    """
    return _decoded(_reply, head)


def decode_from_runner(head: bytes) -> FromRunner:
    """Decode what a runner says, in its own name or its guest's."""
    return _decoded(_from_runner, head)


def decode_to_runner(head: bytes) -> ToRunner:
    """Decode what a runner is asked."""
    return _decoded(_to_runner, head)


def _decoded(decoder: msgspec.json.Decoder[T], head: bytes) -> T:
    try:
        return decoder.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(str(error)) from error
