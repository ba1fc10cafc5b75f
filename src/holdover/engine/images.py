"""Images that were uploaded, on their way to the model: what names a file becomes a ``data:`` address of its content.

Only what is really sent is read, since images are large: after it is known which messages fit.
"""

from __future__ import annotations

from base64 import b64encode

import msgspec

from holdover.models.protocol import ImageInput, ModelRequest, TextInput, Turn, UserTurn
from holdover.store.protocol import Blobs, Store
from holdover.wire.files import FileObject

from .context import FileImage

#: An image may have up to 20 MB (as with the hosted models), and all of a request up to 50 MB; the newest go first.
MAX_IMAGE_BYTES = 20 * 1024 * 1024
MAX_BYTES = 50 * 1024 * 1024

#: How files of each type begin; what a file is called says nothing.
_MAGIC: tuple[tuple[bytes, bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", b"", "image/png"),
    (b"\xff\xd8\xff", b"", "image/jpeg"),
    (b"GIF87a", b"", "image/gif"),
    (b"GIF89a", b"", "image/gif"),
    (b"RIFF", b"WEBP", "image/webp"),  # four bytes of length are between the two
)


def media_type(content: bytes) -> str | None:
    """Return the type of an image by how it begins; ``None`` for what is no image that models read."""
    for begins, then, kind in _MAGIC:
        if content.startswith(begins) and (not then or content[8:12] == then):
            return kind
    return None


async def with_content(asked: ModelRequest, store: Store, blobs: Blobs) -> ModelRequest:
    """Return a request with the content of the files that it names; a text says which could not be shown, and why."""
    parts = [part for turn in asked.turns if isinstance(turn, UserTurn) for part in turn.content]
    if not any(isinstance(part, FileImage) for part in parts):
        return asked
    left = MAX_BYTES
    turns: list[Turn] = []
    for turn in reversed(asked.turns):
        if isinstance(turn, UserTurn):
            content: list[TextInput | ImageInput] = []
            for part in turn.content:
                shown, size = await _shown(part, store, blobs, left)
                content.append(shown)
                left -= size
            turn = UserTurn(content)
        turns.append(turn)
    return msgspec.structs.replace(asked, turns=turns[::-1])


async def _shown(
    part: TextInput | ImageInput, store: Store, blobs: Blobs, left: int
) -> tuple[TextInput | ImageInput, int]:
    """Return a part as the model reads it, and how many bytes of images that takes."""
    if not isinstance(part, FileImage):
        return part, 0
    file_id = part.url
    found = await store.find_file(file_id)
    if found is None:
        return TextInput(f"[The image {file_id} was deleted.]"), 0
    document, digest = found
    size = _decode(document).bytes
    if size > min(left, MAX_IMAGE_BYTES):
        return TextInput(f"[The image {file_id} is too large to be shown.]"), 0
    content = b"".join([block async for block in blobs.read(digest)])
    kind = media_type(content)
    if kind is None:
        return TextInput(f"[The file {file_id} is not a PNG, JPEG, GIF or WebP image.]"), 0
    return ImageInput(f"data:{kind};base64,{b64encode(content).decode()}", part.detail), size


_decode = msgspec.json.Decoder(FileObject).decode
