"""What a model is asked: a thread, and what its run did so far, become a request. Pure; reading is the driver's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from holdover.models.protocol import (
    AssistantTurn,
    CallInput,
    ForcedFunction,
    FunctionSpec,
    ImageInput,
    ModelRequest,
    SchemaFormat,
    TextInput,
    ToolTurn,
    Turn,
    UserTurn,
)
from holdover.wire.assistants import JSONObjectFormat, JSONSchemaFormat
from holdover.wire.messages import ImageFilePart, ImageURLPart, Message, RefusalPart, TextPart
from holdover.wire.runs import NamedFunction, Run
from holdover.wire.steps import FunctionCall, MessageCreation, RunStep
from holdover.wire.tools import FunctionTool

#: What is kept free for the answer where nobody says how long it may be: a quarter of the window, at most this.
ANSWER_TOKENS = 4096
#: What an image counts as: the hosted models' high detail.
IMAGE_TOKENS = 1105
#: What every turn costs beside its text.
TURN_TOKENS = 4


class NoRoom(Exception):
    """Not even the newest message fits the limit."""


class FileImage(ImageInput, frozen=True):
    """An image that is an uploaded file: ``url`` is the file's id, until its content is put in the place of that."""


def request(run: Run, messages: Sequence[Message], steps: Sequence[RunStep], *, spent: int = 0) -> ModelRequest:
    """Return what the model is asked.

    Args:
        messages: The thread's, oldest first; those that the run itself made are found through its steps.
        steps: The run's, oldest first, that are completed.
        spent: Tokens that the run's answers took so far.
    """
    by_id = {message.id: message for message in messages}
    turns: list[Turn] = [turn_of(message) for message in messages if message.run_id != run.id]
    for step in steps:
        turns += _turns_of_step(step, by_id)
    limit = run.max_completion_tokens
    return ModelRequest(
        model=run.model,
        turns=turns,
        instructions=run.instructions or None,
        functions=[_function(tool) for tool in run.tools if isinstance(tool, FunctionTool)],
        tool_choice=_tool_choice(run, steps),
        parallel_tool_calls=run.parallel_tool_calls is not False,
        # What was left at its default is not said: some models refuse to be told.
        temperature=None if run.temperature == 1.0 else run.temperature,
        top_p=None if run.top_p == 1.0 else run.top_p,
        max_completion_tokens=None if limit is None else max(1, limit - spent),
        reasoning_effort=run.reasoning_effort,
        response_format=_format(run),
        run_id=run.id,
    )


def turn_of(message: Message) -> Turn:
    """Return a message as the model reads it."""
    text = "".join(
        part.text.value if isinstance(part, TextPart) else part.refusal
        for part in message.content
        if isinstance(part, TextPart | RefusalPart)
    )
    if message.role == "assistant":
        return AssistantTurn(text)
    content: list[TextInput | ImageInput] = []
    for part in message.content:
        if isinstance(part, TextPart):
            content.append(TextInput(part.text.value))
        elif isinstance(part, ImageURLPart):
            content.append(ImageInput(part.image_url.url, part.image_url.detail or "auto"))
        elif isinstance(part, ImageFilePart):  # what the file holds is put in its place when it is known what fits
            content.append(FileImage(part.image_file.file_id, part.image_file.detail or "auto"))
    return UserTurn(content)


def _turns_of_step(step: RunStep, messages: dict[str, Message]) -> list[Turn]:
    if isinstance(step.step_details, MessageCreation):
        message = messages.get(step.step_details.message_creation.message_id)
        return [turn_of(message)] if message is not None else []
    calls = [call for call in step.step_details.tool_calls if isinstance(call, FunctionCall)]
    if not calls:
        return []
    asked = AssistantTurn(calls=[CallInput(call.id, call.function.name, call.function.arguments) for call in calls])
    return [asked, *(ToolTurn(call.id, call.function.output or "") for call in calls)]


def _function(tool: FunctionTool) -> FunctionSpec:
    function = tool.function
    return FunctionSpec(
        function.name,
        function.description or None,
        function.parameters or {"type": "object", "properties": {}},
        bool(function.strict),
    )


def _tool_choice(run: Run, steps: Sequence[RunStep]) -> Any:
    choice = run.tool_choice
    names = [tool.function.name for tool in run.tools if isinstance(tool, FunctionTool)]
    if not names or choice is None:
        return "auto"
    if any(step.type == "tool_calls" for step in steps) and choice != "none":
        return "auto"  # what had to be called was called: otherwise the run would call it for ever
    if isinstance(choice, NamedFunction):
        return ForcedFunction(choice.function.name) if choice.function.name in names else "auto"
    return choice if isinstance(choice, str) else "auto"


def _format(run: Run) -> SchemaFormat | None:
    match run.response_format:
        case JSONObjectFormat():
            return SchemaFormat()
        case JSONSchemaFormat(json_schema=schema):
            return SchemaFormat(
                schema.name, schema.description or None, schema.schema or {"type": "object"}, schema.strict or None
            )
        case _:
            return None


# ------------------------------------------------------------------------------------------- what fits


def fitted(asked: ModelRequest, *, context_tokens: int, limit: int | None, count: Callable[[str], int]) -> ModelRequest:
    """Return a request without the middle of its conversation, if it is too long otherwise.

    Args:
        context_tokens: What the model takes, the answer included.
        limit: What of the run's own limit on prompts is left, or ``None``.
        count: Counts the tokens of a text.

    Raises:
        NoRoom: The instructions and the newest turn alone are longer than the run's own limit.
    """
    reserved = min(asked.max_completion_tokens or ANSWER_TOKENS, context_tokens // 4)
    room = context_tokens - reserved
    if limit is not None:
        room = min(room, limit)
    fixed = count(asked.instructions or "") + sum(
        count(each.name + (each.description or "") + str(each.parameters)) for each in asked.functions
    )
    sizes = [size_of(turn, count) for turn in asked.turns]
    if fixed + sum(sizes) <= room:
        return asked
    kept = _without_middle(asked.turns, sizes, room - fixed)
    if limit is not None and fixed + sum(sizes[index] for index in kept) > limit:
        raise NoRoom
    return msgspec.structs.replace(asked, turns=[asked.turns[index] for index in kept])


def size_of(turn: Turn, count: Callable[[str], int]) -> int:
    """Return about how many tokens a turn has."""
    match turn:
        case UserTurn(content=content):
            texts = (count(part.text) if isinstance(part, TextInput) else IMAGE_TOKENS for part in content)
            return TURN_TOKENS + sum(texts)
        case AssistantTurn(text=text, calls=calls):
            return TURN_TOKENS + count(text) + sum(count(call.name + call.arguments) for call in calls)
        case ToolTurn(output=output):
            return TURN_TOKENS + count(output)


def _without_middle(turns: Sequence[Turn], sizes: Sequence[int], room: int) -> list[int]:
    """Return the places of the turns that stay: the first, and as many of the newest as fit.

    A call and its outputs stay or go together: models refuse one without the other.
    """
    groups: list[list[int]] = []
    for index, turn in enumerate(turns):
        if isinstance(turn, ToolTurn) and groups:
            groups[-1].append(index)
        else:
            groups.append([index])
    if not groups:
        return []
    left = room - sum(sizes[index] for index in groups[-1])
    newest = [groups[-1]]
    first = groups[0] if len(groups) > 1 else []
    keeps_first = bool(first) and sum(sizes[index] for index in first) <= left // 2
    if keeps_first:
        left -= sum(sizes[index] for index in first)
    for group in reversed(groups[1:-1] if keeps_first else groups[:-1]):
        left -= sum(sizes[index] for index in group)
        if left < 0:
            break
        newest.append(group)
    kept = [index for group in reversed(newest) for index in group]
    return [*first, *kept] if keeps_first else kept


def last_messages(run: Run) -> int | None:
    """Return how many of the newest messages the run wants to be seen, ``None`` for all that fit."""
    strategy = run.truncation_strategy
    if strategy is None or strategy.type != "last_messages":
        return None
    return strategy.last_messages
