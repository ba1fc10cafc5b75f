"""Assistants that run code, as the official SDK asks for them, in a real sandbox.

The model does what the user's message tells it to (`holdover.models.scripted`). As `test_official_sdk.py`, this is run
with the newest SDK and, by `test_old_sdk.py`, with one of 2024.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AssistantEventHandler, OpenAI
from tests.conftest import Service

from holdover.service.sandboxes import inspect_sandbox
from holdover.settings import load_service_settings, resolve_service

FAST = {"poll_interval_ms": 10}
CODE = {"type": "code_interpreter"}
PNG = b"\x89PNG\r\n\x1a\n"
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
PLOT = """\
import pandas as pd
import matplotlib.pyplot as plt
sales = pd.read_csv('/mnt/data/sales.csv')
sales.plot(x='month', y='sales')
plt.show()
print('total', sales.sales.sum())
"""


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> None:
    """Code runs in what this machine offers; where that is nothing, there is nothing to judge."""
    from holdover.tools.code_interpreter import environment

    _, _, remedy = inspect_sandbox(load_service_settings(resolve_service({})))
    if remedy is not None:
        pytest.skip(f"no sandbox: {remedy}")
    if environment.find("/nowhere") is None:
        pytest.skip("no sandbox: its packages are not installed, make install does that")


@pytest.fixture(autouse=True)
def quiet_deprecations() -> Iterator[None]:
    """The newest SDK marks the Assistants methods as deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.fixture
def sdk(shared_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as client:
        yield client


def upload(sdk: Any, name: str, content: bytes) -> str:
    return str(sdk.files.create(file=(name, io.BytesIO(content)), purpose="assistants").id)


def assistant_id(sdk: Any, *file_ids: str, tools: Any = (CODE,)) -> str:
    resources = {"code_interpreter": {"file_ids": list(file_ids)}} if file_ids else None
    return str(sdk.beta.assistants.create(model="gpt-4o", tools=list(tools), tool_resources=resources).id)


def told(code: str, *more: str, answer: str = "Done.") -> str:
    """What makes the scripted model run code, piece after piece, and then answer."""
    calls = [f"!call code_interpreter {json.dumps({'code': each})}" for each in (code, *more)]
    return "\n!then\n".join([*calls, f"!say {answer}"])


def ask(sdk: Any, assistant_id: str, text: str, thread_id: str | None = None, **message: Any) -> Any:
    thread_id = thread_id or sdk.beta.threads.create().id
    sdk.beta.threads.messages.create(thread_id, role="user", content=text, **message)
    return sdk.beta.threads.runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, **FAST)


def outputs(sdk: Any, run: Any) -> list[Any]:
    """What the code of a run that completed came to."""
    assert run.status == "completed", run.last_error
    steps = sdk.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    assert {step.status for step in steps} == {"completed"}
    calls = [call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]
    return [each for call in calls if call.type == "code_interpreter" for each in call.code_interpreter.outputs]


def logs(sdk: Any, run: Any) -> str:
    return "".join(each.logs for each in outputs(sdk, run) if each.type == "logs")


def content(sdk: Any, run: Any) -> Any:
    """The parts of the message that a run ended with."""
    return sdk.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0].content


def test_a_plot_of_an_attached_file_is_fetched(sdk: Any) -> None:
    sales = upload(sdk, "sales.csv", b"month,sales\n1,10\n2,20\n3,12\n")
    run = ask(sdk, assistant_id(sdk, sales), told(PLOT, answer="Here it is."))
    image, printed = outputs(sdk, run)
    assert (image.type, printed.type, printed.logs) == ("image", "logs", "total 42\n")
    shown, text = content(sdk, run)
    assert (shown.type, shown.image_file.file_id) == ("image_file", image.image.file_id)
    assert text.text.value == "Here it is."
    plot = sdk.files.content(image.image.file_id).read()
    assert plot.startswith(PNG)
    file = sdk.files.retrieve(image.image.file_id)
    assert (file.purpose, file.bytes, file.filename) == ("assistants_output", len(plot), f"{file.id}.png")
    assert sdk.files.content(sales).read() == b"month,sales\n1,10\n2,20\n3,12\n"


def test_files_of_assistant_thread_and_message_are_there_by_their_names(sdk: Any) -> None:
    of_assistant, of_thread, of_message = (
        upload(sdk, f"{name}.csv", name.encode()) for name in ("one", "two", "three")
    )
    thread = sdk.beta.threads.create(tool_resources={"code_interpreter": {"file_ids": [of_thread]}})
    read = "import os\nprint([(n, open('/mnt/data/' + n).read()) for n in sorted(os.listdir('/mnt/data'))])"
    run = ask(
        sdk,
        assistant_id(sdk, of_assistant),
        told(read),
        thread.id,
        attachments=[{"file_id": of_message, "tools": [CODE]}],
    )
    assert logs(sdk, run) == "[('one.csv', 'one'), ('three.csv', 'three'), ('two.csv', 'two')]\n"
    later = upload(sdk, "four.csv", b"four")
    again = ask(sdk, run.assistant_id, told(read), thread.id, attachments=[{"file_id": later, "tools": [CODE]}])
    assert "('four.csv', 'four')" in logs(sdk, again)


def test_a_file_that_is_attached_later_is_there_beside_what_code_wrote(sdk: Any) -> None:
    read = "import os\nfor n in sorted(os.listdir('/mnt/data'), key=len): print(open('/mnt/data/' + n).read())"
    run = ask(sdk, assistant_id(sdk), told("open('/mnt/data/result.csv', 'w').write('by code')"))
    edited = upload(sdk, "result.csv", b"edited")
    attached = {"attachments": [{"file_id": edited, "tools": [CODE]}]}
    run = ask(sdk, run.assistant_id, told(read), run.thread_id, **attached)
    path = f"/mnt/data/{edited}-result.csv"
    told_of = f"[The attached file result.csv is {path}: code has written another result.csv.]\n"
    assert logs(sdk, run) == f"{told_of}by code\nedited\n"
    # It is there in a new sandbox, too, and so is what code makes of it.
    again = ask(sdk, run.assistant_id, told(f"open('{path}', 'a').write('!')", "os.abort()", read), run.thread_id)
    assert logs(sdk, again).endswith("are gone.]\nby code\nedited!\n")


class Heard(AssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.input: list[str] = []
        self.logs = ""
        self.images: list[str] = []
        self.annotations: list[Any] = []
        self.text = ""

    def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        told = delta.code_interpreter
        if told.input:
            assert not self.logs, "code is written before it is run"
            self.input.append(told.input)
        for output in told.outputs or []:
            self.logs += output.logs if output.type == "logs" else ""
            self.images += [output.image.file_id] if output.type == "image" else []

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value or ""
        self.annotations += delta.annotations or []


def test_code_is_streamed_as_it_is_written(sdk: Any) -> None:
    """With quotes, escapes and characters beyond ASCII; what the deltas add up to is what the step shows."""
    code = "s = \"é\\t🙂 \\\"quoted\\\"\"\nprint(s)\nopen('/mnt/data/größe.txt', 'w').write(s)\nprint('end')"
    link = "[the file](sandbox:/mnt/data/größe.txt)"
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": told(code, answer=f"🙂 {link}, all.")}])
    heard = Heard()
    with sdk.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant_id(sdk), event_handler=heard
    ) as stream:
        stream.until_done()
    assert len(heard.input) > 1
    assert "".join(heard.input) == code
    assert heard.logs == 'é\t🙂 "quoted"\nend\n'
    step = heard.get_final_run_steps()[0]
    (call,) = step.step_details.tool_calls
    assert call.code_interpreter.input == code
    assert [each.logs for each in call.code_interpreter.outputs] == [heard.logs]
    (message,) = heard.get_final_messages()
    (part,) = message.content
    assert part.text.value == heard.text == f"🙂 {link}, all."
    (path,) = part.text.annotations
    assert (path.type, path.text) == ("file_path", "sandbox:/mnt/data/größe.txt")
    assert part.text.value[path.start_index : path.end_index] == path.text
    assert [each.file_path.file_id for each in heard.annotations] == [path.file_path.file_id]
    assert sdk.files.content(path.file_path.file_id).read().decode() == 'é\t🙂 "quoted"'
    assert sdk.files.retrieve(path.file_path.file_id).filename == "größe.txt"


def test_a_plot_is_told_of_in_a_stream(sdk: Any) -> None:
    sales = upload(sdk, "sales.csv", b"month,sales\n1,10\n2,20\n")
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": told(PLOT, answer="Look.")}])
    heard = Heard()
    with sdk.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant_id(sdk, sales), event_handler=heard
    ) as stream:
        stream.until_done()
    (message,) = heard.get_final_messages()
    image, text = message.content
    assert (image.type, text.text.value, heard.text) == ("image_file", "Look.", "Look.")
    assert heard.images == [image.image_file.file_id]
    assert sdk.files.content(image.image_file.file_id).read().startswith(PNG)


def test_an_error_is_an_output_that_the_model_goes_on_from(sdk: Any) -> None:
    run = ask(sdk, assistant_id(sdk), told("x = 6\n1 / 0", "print(x * 7)", answer="It works now."))
    first, second = outputs(sdk, run)
    assert "ZeroDivisionError" in first.logs
    assert second.logs == "42\n"
    assert content(sdk, run)[0].text.value == "It works now."


def test_code_that_does_not_end_is_ended_and_the_run_goes_on(start_service: Any) -> None:
    service: Service = start_service(sandbox_timeout_s=1)
    with OpenAI(base_url=service.base_url, api_key="sk-any", max_retries=0) as sdk:
        run = ask(sdk, assistant_id(sdk), told("x = 1\nwhile True: pass", "print('again')"))
        assert re.search("tim|second|long", logs(sdk, run), re.IGNORECASE)
        assert logs(sdk, run).endswith("again\n")


def test_a_crash_is_an_output_and_the_files_are_there_again(sdk: Any) -> None:
    kept = upload(sdk, "kept.txt", b"kept")
    run = ask(
        sdk,
        assistant_id(sdk, kept),
        told(
            "open('/mnt/data/made.txt', 'w').write('made')",
            "import os; os.abort()",
            "print(open('/mnt/data/kept.txt').read(), open('/mnt/data/made.txt').read())",
        ),
    )
    assert logs(sdk, run).endswith("kept made\n")
    assert "The sandbox is new" in logs(sdk, run)


def test_what_code_knows_stays_in_its_thread(sdk: Any) -> None:
    assistant = assistant_id(sdk)
    first = ask(sdk, assistant, told("secret = 41"))
    assert logs(sdk, ask(sdk, assistant, told("secret + 1"), first.thread_id)) == "42\n"
    assert "NameError" in logs(sdk, ask(sdk, assistant, told("secret + 1")))


def test_a_file_that_code_made_is_linked_to_in_a_later_run(sdk: Any) -> None:
    assistant = assistant_id(sdk)
    first = ask(sdk, assistant, told("open('/mnt/data/t.csv', 'w').write('a,b')", answer="Made."))
    assert content(sdk, first)[0].text.annotations == []
    second = ask(sdk, assistant, told("1", answer="See sandbox:/mnt/data/t.csv."), first.thread_id)
    (path,) = content(sdk, second)[0].text.annotations
    assert sdk.files.content(path.file_path.file_id).read() == b"a,b"
    unknown = ask(sdk, assistant, told("1", answer="See sandbox:/mnt/data/none.csv."), first.thread_id)
    assert content(sdk, unknown)[0].text.annotations == []


def test_a_function_is_called_beside_code_in_one_step(sdk: Any) -> None:
    code = "!call code_interpreter " + json.dumps({"code": "print(6 * 7)"})
    run = ask(sdk, assistant_id(sdk, tools=[CODE, WEATHER]), f"{code}\n!call get_weather {{}}\n!then\n!say Both.")
    assert run.status == "requires_action"
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert call.function.name == "get_weather"
    (step,) = sdk.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data
    assert [each.type for each in step.step_details.tool_calls] == ["code_interpreter", "function"]
    run = sdk.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=run.thread_id,
        tool_outputs=[{"tool_call_id": call.id, "output": "sunny"}],
        **FAST,
    )
    assert logs(sdk, run) == "42\n"
    _, step = sdk.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data
    assert step.step_details.tool_calls[1].function.output == "sunny"
    assert content(sdk, run)[0].text.value == "Both."


def test_cancelling_stops_the_code_and_keeps_the_variables(sdk: Any) -> None:
    assistant = assistant_id(sdk)
    run = ask(sdk, assistant, told("x = 41"))
    sdk.beta.threads.messages.create(
        run.thread_id, role="user", content=told("print('begun')\nimport time\nwhile True: time.sleep(0.01)")
    )
    stuck = ""
    with sdk.beta.threads.runs.create(thread_id=run.thread_id, assistant_id=assistant, stream=True) as events:
        for event in events:
            if event.event == "thread.run.step.delta" and "begun" in event.data.model_dump_json():
                sdk.beta.threads.runs.cancel(stuck, thread_id=run.thread_id)
                break
            if event.event == "thread.run.created":
                stuck = event.data.id
        *_, last = events
    assert last.event == "thread.run.cancelled"
    assert last.data.id == stuck
    again = ask(sdk, assistant, told("x + 1"), run.thread_id)
    assert [each.logs for each in outputs(sdk, again)] == ["42\n"]
