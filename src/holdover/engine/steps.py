"""What steps show: the passages that a search found are shown only where they are asked for. Pure.

They are stored with the step, so that the model can be asked again with them whoever goes on with the run.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from holdover.wire.pages import ListPage
from holdover.wire.record import UNSET
from holdover.wire.steps import FileSearchCall, FileSearchCallDetails, RunStep, ToolCalls

from .core import encode

T = TypeVar("T", RunStep, FileSearchCallDetails)

#: What the document of a step that searched has, and hardly any other.
_MARK = b'"type":"file_search"'


def without_passages(shown: T) -> T:
    """Return a step, or what a search found, without the text of the passages."""
    if isinstance(shown, FileSearchCallDetails):
        results = [msgspec.structs.replace(each, content=UNSET) for each in shown.results or ()]
        return msgspec.structs.replace(shown, results=results if shown.results is not UNSET else UNSET)
    if not isinstance(shown.step_details, ToolCalls):
        return shown
    calls = [
        msgspec.structs.replace(call, file_search=without_passages(call.file_search))
        if isinstance(call, FileSearchCall)
        else call
        for call in shown.step_details.tool_calls
    ]
    return msgspec.structs.replace(shown, step_details=ToolCalls(tool_calls=calls))


def step_as_read(document: bytes, *, with_passages: bool) -> bytes:
    """Return a step's document as reading it gives it."""
    if with_passages or _MARK not in document:
        return document
    return encode(without_passages(_decode_step(document)))


def page_as_read(page: bytes, *, with_passages: bool) -> bytes:
    """Return a page of steps as listing them gives it."""
    if with_passages or _MARK not in page:
        return page
    listed = _decode_page(page)
    return encode(msgspec.structs.replace(listed, data=[without_passages(step) for step in listed.data]))


_decode_step = msgspec.json.Decoder(RunStep).decode
_decode_page = msgspec.json.Decoder(ListPage[RunStep]).decode
