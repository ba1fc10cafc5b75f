"""Identifiers: their prefixes, and how new ones are made.

Thread and run ids are letters and digits only after the prefix: programs in the wild match them so.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

#: What an id of each kind begins with. Errors quote it without the separator, as the hosted texts do.
PREFIXES: dict[str, str] = {
    "assistant": "asst_",
    "thread": "thread_",
    "message": "msg_",
    "run": "run_",
    "step": "step_",
    "call": "call_",
    "file": "file-",
    "vector_store": "vs_",
    "batch": "vsfb_",
    "upload": "upload_",
    "upload_part": "part_",
}

#: The noun in "No … found with id", by kind.
NOUNS: dict[str, str] = {
    "assistant": "assistant",
    "thread": "thread",
    "message": "message",
    "run": "run",
    "step": "run step",
    "call": "tool call",
    "file": "file",
    "vector_store": "vector store",
    "batch": "vector store file batch",
    "upload": "upload",
    "upload_part": "part",
}

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# 256 is not a multiple of 62, so eight letters come a little more often; 24 of them still hold over 140 bits.
_LETTERS = bytes(_ALPHABET[i % len(_ALPHABET)] for i in range(256))

Entropy = Callable[[int], bytes]

#: Random bytes that nobody was given yet, and how many pieces are fetched at once, of how many bytes each.
_pieces: deque[bytes] = deque()
_PIECES, _PIECE_BYTES = 64, 24


def random_bytes(count: int) -> bytes:
    """Return random bytes, from a store of those that the system gave.

    Asking the system lets go of the interpreter for a moment; in a busy process another thread takes it then, and each
    id would wait for its turn.
    """
    if count > _PIECE_BYTES:
        return os.urandom(count)
    try:
        piece = _pieces.popleft()
    except IndexError:
        fetched = os.urandom(_PIECES * _PIECE_BYTES)
        piece = fetched[:_PIECE_BYTES]
        _pieces.extend(fetched[at : at + _PIECE_BYTES] for at in range(_PIECE_BYTES, len(fetched), _PIECE_BYTES))
    return piece[:count]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pieces.clear)  # no id is made twice


def new_id(kind: str, entropy: Entropy = random_bytes) -> str:
    """Return a new id: the kind's prefix and 24 letters or digits."""
    return PREFIXES[kind] + entropy(24).translate(_LETTERS).decode("ascii")


def new_vector_store_id(now: int, entropy: Entropy = random_bytes) -> str:
    """Return a new vector store id: eight hexadecimal digits of the time in seconds, then 24 random ones."""
    return f"vs_{now & 0xFFFFFFFF:08x}{entropy(12).hex()}"


def new_file_batch_id(entropy: Entropy = random_bytes) -> str:
    """Return a new id of a file batch: ``vsfb_`` and 32 hexadecimal digits, those of a random UUID."""
    import uuid

    return f"vsfb_{uuid.UUID(bytes=entropy(16), version=4).hex}"


def new_upload_id(kind: str, entropy: Entropy = random_bytes) -> str:
    """Return a new id of an upload or of a part of one: its prefix and 32 hexadecimal digits."""
    return PREFIXES[kind] + entropy(16).hex()


def new_request_id(entropy: Entropy = random_bytes) -> str:
    """Return a new request id: ``req_`` and 32 hexadecimal digits."""
    return "req_" + entropy(16).hex()


def kind_of(identifier: str) -> str | None:
    """Return the kind whose prefix an id carries, or ``None``."""
    for kind, prefix in PREFIXES.items():
        if identifier.startswith(prefix):
            return kind
    return None
