"""Files on their way out: where their bytes come from, and the form they travel in; read block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import msgspec

from holdover.errors import BadRequestError

#: What a file can be given as: a path, its bytes, or a file that is open for reading in binary.
FileInput = str | os.PathLike[str] | bytes | IO[bytes]
#: Is told how many bytes of a file were sent, or received, and how many there are.
Progress = Callable[[int, int], None]

#: How much is read and sent at once.
BLOCK_BYTES = 256 * 1024
#: What bytes are called that have no name.
NAMELESS = "upload"


class Source:
    """The bytes of a file, or a stretch of them; read from the beginning each time, since an attempt may be repeated.

    Args:
        given: Where they are.
        filename: What the file is called; the name of the path, or of the open file, otherwise.

    Raises:
        BadRequestError: It is nothing that can be read, or cannot be read twice.
        OSError: There is no such file, or it may not be read.
    """

    def __init__(self, given: FileInput, *, filename: str | None = None) -> None:
        self._given = given
        self._begins = 0
        if isinstance(given, bytes):
            self.length = len(given)
        elif isinstance(given, str | os.PathLike):
            with open(given, "rb") as file:
                self.length = file.seek(0, os.SEEK_END)
        else:
            self._begins, self.length = _measured(given)
        self.filename = filename or _name_of(given)

    def part(self, start: int, length: int) -> Source:
        """Return a stretch of these bytes."""
        part = Source.__new__(Source)
        part._given, part.filename = self._given, self.filename
        part._begins, part.length = self._begins + start, min(length, self.length - start)
        return part

    def blocks(self) -> Iterator[bytes]:
        """Read the bytes.

        Raises:
            OSError: They cannot be read, or there are fewer than there were.
        """
        left = self.length
        with self._opened() as file:
            while left:
                block = file.read(min(BLOCK_BYTES, left))
                if not block:
                    raise OSError(f"{self.filename} became shorter while it was sent")
                left -= len(block)
                yield block

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if isinstance(self._given, bytes):
            import io

            with io.BytesIO(self._given) as held:  # shares the bytes
                held.seek(self._begins)
                yield held
        elif isinstance(self._given, str | os.PathLike):
            with open(self._given, "rb") as file:
                file.seek(self._begins)
                yield file
        else:
            self._given.seek(self._begins)
            yield self._given


def _measured(file: Any) -> tuple[int, int]:
    """Return where an open file stands, and how many bytes follow."""
    try:
        if isinstance(file.read(0), str):
            raise BadRequestError("The file is open for reading text; open it with 'rb'.", param="file")
        begins = file.tell()
        ends = file.seek(0, os.SEEK_END)
        file.seek(begins)
    except (AttributeError, OSError, TypeError):
        raise BadRequestError(
            "The file is neither a path, nor bytes, nor an open file in which one can go back: read it into bytes.",
            param="file",
        ) from None
    return begins, ends - begins


def _name_of(given: FileInput) -> str:
    if isinstance(given, bytes):
        return NAMELESS
    name = given if isinstance(given, str | os.PathLike) else getattr(given, "name", None)
    return os.path.basename(os.fspath(name)) if isinstance(name, str | os.PathLike) else NAMELESS


class Form:
    """A form with a file in it. See `holdover.client.transports.Content`.

    Args:
        fields: The other fields, which come first.
        name: The field of the file.
        on_progress: Told whenever more of the file was sent.
    """

    def __init__(
        self, fields: Sequence[tuple[str, str]], name: str, source: Source, on_progress: Progress | None = None
    ) -> None:
        boundary = f"holdover-{os.urandom(16).hex()}"
        texts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n{value}\r\n'
            for field, value in fields
        ]
        texts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{_quoted(source.filename)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = "".join(texts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._source = source
        self._on_progress = on_progress
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.length = len(self._head) + source.length + len(self._tail)

    def blocks(self) -> Iterator[bytes]:
        """Give the form, block by block."""
        yield self._head
        sent = 0
        for block in self._source.blocks():
            yield block
            sent += len(block)
            if self._on_progress is not None:
                self._on_progress(sent, self._source.length)
        yield self._tail


def _quoted(text: str) -> str:
    """Return a name as it stands between quotes; source: "multipart/form-data" of the WHATWG HTML standard."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


class FormOptions(msgspec.Struct, frozen=True):
    """Options of a call with a file that are not sent as they are."""

    filename: str | None = None
    on_progress: Progress | None = None


def split(options: Mapping[str, Any]) -> tuple[FormOptions, dict[str, Any]]:
    """Return what of a call's options is about its file, and the rest."""
    own = {name: options[name] for name in FormOptions.__struct_fields__ if name in options}
    return FormOptions(**own), {name: value for name, value in options.items() if name not in own}
