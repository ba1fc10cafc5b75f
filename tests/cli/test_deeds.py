"""What a run did, as the command line tells it."""

from __future__ import annotations

from typing import Any

import pytest

from holdover import Client
from holdover.cli.deeds import lines_of
from holdover.wire.messages import ImageFile, ImageFilePart, Message, TextContent, TextPart
from holdover.wire.runs import RunError
from holdover.wire.steps import (
    CodeImage,
    CodeImageFile,
    CodeInterpreterCall,
    CodeInterpreterCallDetails,
    CodeLogs,
    CreatedMessage,
    FileSearchCall,
    FileSearchCallDetails,
    FileSearchResult,
    FunctionCall,
    FunctionCallDetails,
    MessageCreation,
    RunStep,
    ToolCalls,
)


def step(details: Any, **more: Any) -> RunStep:
    given = {"created_at": 1, "run_id": "run_1", "assistant_id": "asst_1", "thread_id": "thread_1", **more}
    return RunStep(id="step_1", type=details.type, status="completed", step_details=details, **given)


def test_calls_are_told_each_in_its_manner() -> None:
    calls = ToolCalls(
        tool_calls=[
            FunctionCall(id="call_1", function=FunctionCallDetails(name="f", arguments='{"a":1}', output="2\n3")),
            CodeInterpreterCall(
                id="call_2",
                code_interpreter=CodeInterpreterCallDetails(
                    input="x = 1\nx",
                    outputs=[CodeLogs(logs="1\n"), CodeImage(image=CodeImageFile(file_id="file-1"))],
                ),
            ),
            FileSearchCall(
                id="call_3",
                file_search=FileSearchCallDetails(
                    results=[FileSearchResult(file_id="file-2", file_name="a.md", score=0.5)]
                ),
            ),
        ]
    )
    assert list(lines_of(step(calls, last_error=RunError(code="server_error", message="It broke.")))) == [
        "",
        "step_1  completed",
        '  f({"a":1})',
        "  = 2",
        "  3",
        "  >>> x = 1",
        "  >>> x",
        "  1",
        "  [image file-1]",
        "  searched files: 1 passage",
        "  0.50  a.md  file-2",
        "  server_error: It broke.",
    ]


def test_a_message_is_told_with_its_images() -> None:
    said = Message(
        id="msg_1",
        created_at=1,
        thread_id="thread_1",
        role="assistant",
        content=[
            ImageFilePart(image_file=ImageFile(file_id="file-1")),
            TextPart(text=TextContent(value="Here.\nThere.", annotations=[])),
        ],
    )
    made = step(MessageCreation(message_creation=CreatedMessage(message_id="msg_1")))
    assert list(lines_of(made, said))[2:] == ["  [image file-1]", "  Here.", "  There."]
    assert list(lines_of(made))[2:] == []


@pytest.mark.parametrize("watched", [True, False])
def test_a_run_is_shown_with_what_it_did_where_somebody_watches(
    terminal: Any, holdover: Any, shared_url: str, watched: bool
) -> None:
    client = Client(base_url=shared_url)
    assistant = client.create_assistant("gpt-4o")
    thread = client.create_thread(messages=[{"role": "user", "content": "!say \x1b[31mred"}])
    run = client.run_and_wait(thread.id, assistant.id)
    if watched:
        code, shown = terminal("runs", "show", thread.id, run.id, "--base-url", shared_url)
        assert code == 0
        assert "message_creation" not in shown
        assert "\\u001b[31mred" in shown, "what a model says cannot colour the terminal"
        return
    assert holdover("runs", "show", thread.id, run.id, "--base-url", shared_url).stdout.count("\n") == 1
