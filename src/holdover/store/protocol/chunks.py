"""What is written so that files are found, and what is found."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

#: A chunk's number is that of its file's indexing and, in the last bits, its place in the file.
CHUNK_BITS = 20


class NewIndexedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is to be found in a vector store.

    Attributes:
        attributes: What searches are filtered by.
        embedder: Who made the vectors of its chunks; those of two cannot be compared.
        text: All of it, as it was read.
    """

    file_id: str
    file_name: str
    attributes: Mapping[str, str | float | bool]
    embedder: str
    text: str


class NewChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a file: ``text[start:end]`` of it, how many tokens that has, its vector as little-endian float16."""

    text: str
    start: int
    end: int
    tokens: int
    vector: bytes


class IndexedFile(msgspec.Struct, frozen=True):
    """A file in a vector store.

    Attributes:
        indexed: Numbers this indexing of it and is never given out again.
        is_placed: Its chunks are found by `Store.nearest`; those of others are to be compared one by one.
    """

    indexed: int
    file_id: str
    file_name: str
    attributes: Mapping[str, str | float | bool]
    embedder: str
    is_placed: bool = False


class FileVectors(msgspec.Struct, frozen=True):
    """The vectors of one indexing, little-endian float16 one after another; chunks are numbered on from the first."""

    indexed: int
    first_chunk: int
    vectors: bytes


class Passage(msgspec.Struct, frozen=True):
    """A chunk as it was read: ``start`` and ``end`` count code points in the file's text."""

    chunk: int
    indexed: int
    text: str
    start: int
    end: int
