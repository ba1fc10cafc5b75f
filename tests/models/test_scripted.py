"""What the scripted model says when a test tells it in program."""

from __future__ import annotations

from typing import Any

import pytest

from holdover.models.protocol import (
    CallChunk,
    FinishChunk,
    ModelError,
    ModelRequest,
    RefusalChunk,
    TextChunk,
    TextInput,
    UsageChunk,
    UserTurn,
)
from holdover.models.scripted import ScriptedModel


async def asked(model: ScriptedModel, text: str = "hi") -> list[Any]:
    """Return the chunks of an answer, without its end."""
    chunks: list[Any] = []
    async for batch in model.answer(ModelRequest(model="m", turns=[UserTurn([TextInput(text)])])):
        chunks += [each for each in batch if not isinstance(each, FinishChunk | UsageChunk)]
    return chunks


async def said(model: ScriptedModel, text: str = "hi") -> str:
    return "".join(each.text for each in await asked(model, text))


async def test_replies_are_said_one_after_the_other_and_the_last_one_again() -> None:
    model = ScriptedModel(["One fine day.", "Two"])
    assert [await said(model) for _ in range(3)] == ["One fine day.", "Two", "Two"]
    model.script = ["Three", "Four"]
    assert [await said(model) for _ in range(3)] == ["Three", "Four", "Four"]
    model.script = None
    assert await said(model, "hello") == "You said: hello"


async def test_a_reply_may_be_directives() -> None:
    model = ScriptedModel(['!call f {"a": 1}\n!call g', "!refuse No.", "!fail invalid_prompt Never."])
    assert [each.name for each in await asked(model) if each.name] == ["f", "g"]
    assert [type(each) for each in await asked(model)] == [RefusalChunk]
    with pytest.raises(ModelError, match="Never") as caught:
        await asked(model)
    assert caught.value.code == "invalid_prompt"


async def test_a_reply_may_be_chunks_and_a_script_a_function_of_what_is_asked() -> None:
    model = ScriptedModel([[TextChunk("a"), TextChunk("b")]])
    assert await asked(model) == [TextChunk("a"), TextChunk("b")]
    model = ScriptedModel(lambda request: f"!call {request.model}")
    assert (await asked(model))[0] == CallChunk(0, name="m")
    assert [each.model for each in model.requests] == ["m"]


async def test_what_is_said_in_program_beats_what_the_user_says() -> None:
    assert await said(ScriptedModel(["mine"]), "!say yours") == "mine"
    assert await said(ScriptedModel(), "!say yours") == "yours"
