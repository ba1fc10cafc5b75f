"""What a run did, step by step, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from holdover.wire.messages import ImageFilePart, ImageURLPart, Message, RefusalPart, TextPart
from holdover.wire.steps import (
    CodeInterpreterCall,
    CodeLogs,
    FileSearchCall,
    FunctionCall,
    RunStep,
    ToolCall,
    ToolCalls,
)


def lines_of(step: RunStep, said: Message | None = None) -> Iterator[str]:
    """Give the lines that tell of a step.

    Args:
        said: The message that it wrote, if it wrote one.
    """
    details = step.step_details
    yield ""
    yield f"{step.id}  {step.status}" + (f"  {step.usage.total_tokens} tokens" if step.usage else "")
    if isinstance(details, ToolCalls):
        for call in details.tool_calls:
            yield from _indented(_of_call(call))
    elif said is not None:
        yield from _indented(_of_message(said))
    if step.last_error is not None:
        yield f"  {step.last_error.code}: {step.last_error.message}"


def _of_call(call: ToolCall) -> Iterator[str]:
    match call:
        case FunctionCall(function=function):
            yield f"{function.name}({function.arguments})"
            if function.output is not None:
                yield f"= {function.output}"
        case CodeInterpreterCall(code_interpreter=code):
            yield from (f">>> {line}" for line in code.input.splitlines())
            for output in code.outputs:
                yield output.logs.rstrip("\n") if isinstance(output, CodeLogs) else f"[image {output.image.file_id}]"
        case FileSearchCall(file_search=search):
            results = search.results or []
            yield f"searched files: {len(results)} {'passage' if len(results) == 1 else 'passages'}"
            yield from (f"{each.score:.2f}  {each.file_name}  {each.file_id}" for each in results)


def _of_message(message: Message) -> Iterator[str]:
    for part in message.content:
        match part:
            case TextPart():
                yield part.text.value
            case RefusalPart():
                yield part.refusal
            case ImageFilePart():
                yield f"[image {part.image_file.file_id}]"
            case ImageURLPart():
                yield f"[image {part.image_url.url}]"


def _indented(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        yield from (f"  {line}" for line in text.splitlines() or [""])
