"""Messages: the stored object, its parts, and the bodies that create and modify it.

Source: createMessage, modifyMessage and MessageObject of the published reference; over REST the hosted API left out
``status`` and its times, which clients of the reference expect, so they are sent here.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from .pages import PageQuery
from .record import UNSET, Metadata, Record, UnsetType
from .tools import CodeInterpreterTool

#: Characters of one text.
MAX_TEXT = 256_000

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Role = Literal["user", "assistant"]
Detail = Literal["auto", "low", "high"]


class ImageFile(Record, frozen=True, kw_only=True):
    """An image among the uploaded files."""

    file_id: str
    detail: Detail | UnsetType = UNSET


class ImageFilePart(Record, frozen=True, kw_only=True, tag_field="type", tag="image_file"):
    """Part of a message: an uploaded image."""

    type: ClassVar[Literal["image_file"]] = "image_file"
    image_file: ImageFile


class ImageURL(Record, frozen=True, kw_only=True):
    """An image elsewhere, or in a ``data:`` address."""

    url: Annotated[str, Meta(min_length=1)]
    detail: Detail | UnsetType = UNSET


class ImageURLPart(Record, frozen=True, kw_only=True, tag_field="type", tag="image_url"):
    """Part of a message: an image by its address."""

    type: ClassVar[Literal["image_url"]] = "image_url"
    image_url: ImageURL


class NewTextPart(Record, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Part of a new message: a text."""

    type: ClassVar[Literal["text"]] = "text"
    text: Text


NewPart = ImageFilePart | ImageURLPart | NewTextPart


class FileCitation(Record, frozen=True, kw_only=True):
    """The file that a passage was found in."""

    file_id: str
    quote: str | UnsetType = UNSET


class FileCitationAnnotation(Record, frozen=True, kw_only=True, tag_field="type", tag="file_citation"):
    """A citation; ``text`` stands literally in the message, from ``start_index`` up to ``end_index`` (code points)."""

    type: ClassVar[Literal["file_citation"]] = "file_citation"
    text: str
    start_index: int
    end_index: int
    file_citation: FileCitation


class FilePath(Record, frozen=True, kw_only=True):
    """The file that a path stands for."""

    file_id: str


class FilePathAnnotation(Record, frozen=True, kw_only=True, tag_field="type", tag="file_path"):
    """A path of a file that the code interpreter made."""

    type: ClassVar[Literal["file_path"]] = "file_path"
    text: str
    start_index: int
    end_index: int
    file_path: FilePath


Annotation = FileCitationAnnotation | FilePathAnnotation


class TextContent(Record, frozen=True, kw_only=True):
    """A text and what its passages refer to."""

    value: str
    annotations: list[Annotation]


class TextPart(Record, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Part of a message: a text."""

    type: ClassVar[Literal["text"]] = "text"
    text: TextContent


class RefusalPart(Record, frozen=True, kw_only=True, tag_field="type", tag="refusal"):
    """Part of a message: the model's refusal."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    refusal: str


Part = ImageFilePart | ImageURLPart | TextPart | RefusalPart


class FileSearchToolOnly(Record, frozen=True, kw_only=True, tag_field="type", tag="file_search"):
    """The file search tool, named and not configured."""

    type: ClassVar[Literal["file_search"]] = "file_search"


class Attachment(Record, frozen=True, kw_only=True):
    """A file that comes with a message, and the tools that it is for."""

    file_id: str
    tools: list[CodeInterpreterTool | FileSearchToolOnly] | UnsetType = UNSET


class IncompleteMessageDetails(Record, frozen=True, kw_only=True):
    """Why a message is incomplete."""

    reason: Literal["content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"]


class Message(Record, frozen=True, kw_only=True):
    """A message of a thread; times are in Unix seconds."""

    _shown = ("id", "role", "text")

    id: str
    object: Literal["thread.message"] = "thread.message"
    created_at: int
    assistant_id: str | None = None
    thread_id: str
    run_id: str | None = None
    status: Literal["in_progress", "incomplete", "completed"] | None = None
    incomplete_details: IncompleteMessageDetails | None = None
    incomplete_at: int | None = None
    completed_at: int | None = None
    role: Role
    content: list[Part]
    attachments: list[Attachment] | None = None
    metadata: dict[str, str] | None = None

    @property
    def text(self) -> str:
        """All texts of the message, one after the other."""
        return "".join(part.text.value for part in self.content if isinstance(part, TextPart))


class MessageDeleted(Record, frozen=True, kw_only=True):
    """The answer to a deletion."""

    id: str
    object: Literal["thread.message.deleted"] = "thread.message.deleted"
    deleted: bool = True


class CreateMessage(Record, frozen=True, kw_only=True):
    """Body of createMessage."""

    role: Role
    content: Text | Annotated[list[NewPart], Meta(min_length=1)]
    attachments: list[Attachment] | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class ModifyMessage(Record, frozen=True, kw_only=True):
    """Body of modifyMessage: only metadata can be changed."""

    metadata: Metadata | None | UnsetType = UNSET


class ModifiedMessage(Message, frozen=True, kw_only=True):
    """The answer to a modification, which has a key of the API's first version beside those of the second.

    Source: recorded exchanges of 2024 and 2025.
    """

    file_ids: list[str] = []  # noqa: RUF012 - records are immutable, and msgspec copies it


class MessageQuery(PageQuery, frozen=True, kw_only=True):
    """Which messages of a thread are wanted: of all, or of those that one run made."""

    run_id: str | UnsetType = UNSET
