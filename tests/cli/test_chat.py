"""``holdover chat``: in pipes, and on terminals that somebody sits at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

import holdover as package
from holdover import service
from holdover.cli import talking
from holdover.cli.remembered import Conversation, Memory, Remembered

from .dialog import CTRL_C, CTRL_D, Dialog

#: In the services of these tests every model name but a few obeys the directives of what is said.
Chat = Callable[..., Dialog]


@pytest.fixture
def client(shared_url: str) -> Iterator[package.Client]:
    with package.Client(base_url=shared_url) as client:
        yield client


@pytest.fixture
def chat(command: list[str], shared_url: str) -> Iterator[Chat]:
    """Begin a conversation on a terminal."""
    with ExitStack() as stack:

        def begin(*arguments: str, **options: Any) -> Dialog:
            words = [*command, "chat", *arguments]
            return stack.enter_context(Dialog(words, OPENAI_BASE_URL=shared_url, **options))

        yield begin


def last(client: package.Client) -> Conversation:
    """Return the conversation that is remembered."""
    remembered = Memory().of(client.base_url).last
    assert remembered is not None
    return remembered


def texts(client: package.Client) -> list[str]:
    """Return what was said in the conversation that is remembered, oldest first."""
    thread_id = last(client).thread_id
    assert thread_id is not None
    return [each.text for each in client.list_messages(thread_id, order="asc")]


# ----------------------------------------------------------------------------------------------- pipes


def test_what_is_piped_in_gets_one_answer_and_nothing_else(holdover: Any) -> None:
    result = holdover("chat", input="2+2?")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "You said: 2+2?\n", "")


def test_a_message_gets_one_answer(holdover: Any) -> None:
    result = holdover("chat", "!say It is 4.")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "It is 4.\n", "")


def test_what_is_piped_in_stands_behind_the_message(holdover: Any) -> None:
    assert holdover("chat", "Say again:", input="one\ntwo\n").stdout == "You said: Say again:\n\none\ntwo\n"


def test_a_message_may_be_a_file(holdover: Any, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear all")
    assert holdover("chat", f"@{tmp_path / 'letter.txt'}").stdout == "You said: Dear all\n"


@pytest.mark.parametrize("arguments", [(), ("",), ("  \n",)])
def test_there_must_be_something_to_say(holdover: Any, arguments: tuple[str, ...]) -> None:
    result = holdover("chat", *arguments, input=" \n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "There is nothing to say" in result.stderr


def test_a_pipe_gets_the_text_as_it_is_and_no_line_break_twice(holdover: Any) -> None:
    assert holdover("chat", input="!say \x1b[31mred ☃").stdout == "\x1b[31mred ☃\n"
    assert holdover("chat", input="hello\n\n").stdout == "You said: hello\n"


def test_a_refusal_is_an_answer(holdover: Any) -> None:
    result = holdover("chat", "!refuse I would rather not.")
    assert (result.exit_code, result.stdout) == (0, "I would rather not.\n")


def test_what_the_events_did_not_tell_is_asked_for(
    holdover: Any, client: package.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking, "_said", lambda delta: "")
    assert holdover("chat", "!say It is 4.").stdout == "It is 4.\n"
    assert holdover("chat", "--json", "!say It is 4.").stdout.count("\n") > 5


def test_an_answer_whose_events_ended_early_is_waited_for_and_shown_whole(
    holdover: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking.Talk, "_follow", _ends_early(talking.Talk._follow))
    assert holdover("chat", "!say It is 4.").stdout == "It is 4.\nIt is 4.\n"


def _ends_early(follow: Callable[..., Any]) -> Callable[..., Any]:
    """Return a way to follow events that ends as if their last ones had not been told."""

    def followed(self: talking.Talk, begin: Any) -> Any:
        run = follow(self, begin)
        return msgspec.structs.replace(run, status="in_progress")

    return followed


def test_events_are_lines_of_json_when_asked_for(holdover: Any) -> None:
    result = holdover("chat", "--json", "!say one two")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(each.keys() == {"event", "data"} for each in events)
    names = [each["event"] for each in events]
    assert (names[0], names.count("thread.message.delta"), names[-1]) == ("thread.created", 2, "thread.run.completed")


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        ("!fail rate_limit_exceeded Too much.", 5, "The run failed: Too much. (rate_limit_exceeded)"),
        ("!say half\n!finish length", 1, "The answer is not whole: max_completion_tokens."),
        ('!call get_weather {"city":\n "Rome"}', 1, "The assistant calls get_weather("),
    ],
)
def test_an_answer_that_is_none_is_told_and_in_the_exit_code(holdover: Any, said: str, code: int, told: str) -> None:
    result = holdover("chat", said)
    assert result.exit_code == code
    assert told in result.stderr


def test_a_call_that_nobody_can_answer_cancels_the_run(holdover: Any, client: package.Client) -> None:
    result = holdover("chat", '!call get_weather {"city": "Rome"}')
    told, ended = result.stderr.splitlines()
    assert told.startswith('holdover: The assistant calls get_weather({"city": "Rome"}), which nobody here can answer.')
    assert ended == "holdover: The run is cancelled."
    (run,) = client.list_runs(str(last(client).thread_id)).data
    assert run.status == "cancelled"


def test_a_model_that_nobody_answers_for_is_told_of_with_what_helps(
    invoke: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(service.models, "is_available", lambda data_dir: False)
    with service.running(tmp_path / "holdover.db") as base_url:
        result = invoke("chat", "--base-url", base_url, "hello")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "holdover models pull" in result.stderr
    assert "The requested model 'gpt-4o' cannot be used" in result.stderr
    assert Memory().of(base_url).last is None


def test_a_service_that_does_not_run_is_told_of_with_the_command_that_helps(invoke: Any, tmp_path: Path) -> None:
    result = invoke("chat", "--base-url", "http://127.0.0.1:9/v1", "hello")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("holdover: Nothing is listening at http://127.0.0.1:9/v1.")
    assert "run: holdover serve" in result.stderr


# ------------------------------------------------------------------------------------------- with whom


def test_where_nobody_is_named_one_assistant_is_made_once(holdover: Any, client: package.Client) -> None:
    holdover("chat", "one")
    first = last(client)
    holdover("chat", "two")
    second = last(client)
    assert first.assistant_id == second.assistant_id
    assert first.thread_id != second.thread_id
    assert client.get_assistant(str(first.assistant_id)).name == "Chat"
    client.delete_assistant(str(first.assistant_id))
    assert holdover("chat", "three").exit_code == 0
    assert last(client).assistant_id != first.assistant_id


def test_who_is_named_answers(holdover: Any, client: package.Client) -> None:
    shouting = client.create_assistant("gpt-4o", instructions="!say HELLO")
    assert holdover("chat", "--assistant", shouting.id, "hello").stdout == "HELLO\n"
    assert holdover("chat", "--assistant", "asst_gone", "hello").exit_code == 4


def test_a_model_and_instructions_may_be_others_than_the_assistants(holdover: Any, client: package.Client) -> None:
    told = holdover("chat", "--model", "gpt-4.1", "--instructions", "!say Arr!", "hello")
    assert told.stdout == "Arr!\n"
    (run,) = client.list_runs(str(last(client).thread_id)).data
    assert (run.model, run.instructions) == ("gpt-4.1", "!say Arr!")


def test_the_last_conversation_goes_on_as_it_was(holdover: Any, client: package.Client) -> None:
    holdover("chat", "--instructions", "!say Arr!", "one")
    begun = last(client)
    assert holdover("chat", "-c", "two").stdout == "Arr!\n"
    assert last(client) == begun
    assert texts(client) == ["one", "Arr!", "two", "Arr!"]


def test_a_given_thread_goes_on_with_whoever_answered_last(holdover: Any, client: package.Client) -> None:
    shouting = client.create_assistant("gpt-4o", instructions="!say HELLO")
    run = client.create_thread_and_run(shouting.id, thread={"messages": [{"role": "user", "content": "hi"}]})
    client.wait_for_run(run.thread_id, run.id)
    assert holdover("chat", "--thread", run.thread_id, "hello").stdout == "HELLO\n"
    assert last(client) == Conversation(thread_id=run.thread_id, assistant_id=shouting.id)
    thread = client.create_thread()
    assert holdover("chat", "--thread", thread.id, "hello").stdout == "You said: hello\n"


def test_what_cannot_go_on_is_told(holdover: Any, client: package.Client) -> None:
    result = holdover("chat", "-c", "hello")
    assert result.exit_code == 2
    assert "No conversation with http://127.0.0.1" in result.stderr
    assert holdover("chat", "-c", "--thread", "thread_x", "hello").exit_code == 2
    holdover("chat", "hello")
    client.delete_thread(str(last(client).thread_id))
    assert holdover("chat", "-c", "hello").exit_code == 4


def test_a_memory_that_cannot_be_read_or_written_is_no_hindrance(
    holdover: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = tmp_path / "state" / "holdover"
    state.mkdir(parents=True)
    (state / "chat.json").write_bytes(b'{"a": \xff')
    assert holdover("chat", "hello").exit_code == 0
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    result = holdover("chat", "hello")
    assert (result.exit_code, result.stdout) == (0, "You said: hello\n")
    assert "cannot be remembered" in result.stderr


def test_every_service_has_a_memory_of_its_own(tmp_path: Path) -> None:
    memory = Memory(str(tmp_path / "state"))
    one, two = Remembered(assistant_id="asst_1"), Remembered(last=Conversation(thread_id="thread_2"))
    memory.keep("http://a/v1", one)
    memory.keep("http://b/v1", two)
    assert (memory.of("http://a/v1"), memory.of("http://b/v1"), memory.of("http://c/v1")) == (one, two, Remembered())
    assert [each.name for each in (tmp_path / "state").iterdir()] == ["chat.json"]


# ------------------------------------------------------------------------------------------- terminals


def test_a_terminal_has_a_conversation(chat: Chat, client: package.Client) -> None:
    dialog = chat()
    assert dialog.read_until("> ") == "Chat (gpt-4o) listens. /help tells what there is; Ctrl-D leaves.\n> "
    dialog.type("!say one two\n")
    assert dialog.read_until("> ") == "!say one two\none two\n> "
    dialog.type("\n")
    dialog.read_until("> ")
    dialog.type("hello\n")
    dialog.read_until("You said: hello\n> ")
    dialog.type(CTRL_D)
    assert dialog.end() == 0
    assert texts(client) == ["!say one two", "one two", "hello", "You said: hello"]
    again = chat("--continue")
    again.read_until("> ")
    again.type("again\n")
    again.read_until("You said: again\n> ")
    again.type("/quit\n")
    assert again.end() == 0
    assert texts(client)[4:] == ["again", "You said: again"]


def test_words_that_begin_with_a_slash_are_for_the_command(chat: Chat, client: package.Client) -> None:
    dialog = chat()
    for typed, shown in [
        ("/help", "/new       begin a new conversation\n"),
        ("/hepl", "There is no /hepl; /help tells what there is.\n"),
        ("/etc/hosts is what?", "You said: /etc/hosts is what?\n"),
    ]:
        dialog.read_until("> ")
        dialog.type(f"{typed}\n")
        dialog.read_until(shown)
    dialog.read_until("> ")
    first = texts(client)
    dialog.type("/new\n")
    dialog.read_until("A new conversation.\n> ")
    dialog.type("hello\n")
    dialog.read_until("You said: hello\n> ")
    assert (first, texts(client)) == (
        ["/etc/hosts is what?", "You said: /etc/hosts is what?"],
        ["hello", "You said: hello"],
    )


def test_quotes_begin_a_message_of_several_lines_and_end_it(chat: Chat, client: package.Client) -> None:
    dialog = chat()
    dialog.read_until("> ")
    dialog.type('"""one\n')
    dialog.read_until(". ")
    dialog.type('two"""\n')
    dialog.read_until("You said: one\ntwo\n> ")
    dialog.type('"""three"""\n')
    dialog.read_until("You said: three\n> ")
    assert texts(client)[::2] == ["one\ntwo", "three"]


def test_trouble_with_one_answer_does_not_end_the_conversation(chat: Chat, start_service: Any) -> None:
    started = start_service()
    dialog = chat("--base-url", started.base_url)
    dialog.read_until("> ")
    dialog.type("!fail server_error Out of order.\n")
    dialog.read_until("holdover: The run failed: Out of order. (server_error)\n> ")
    started.stop()
    dialog.type("hello\n")
    dialog.read_until("run: holdover serve\n> ")
    dialog.type(CTRL_D)
    assert dialog.end() == 0


def test_a_terminal_is_not_told_to_do_things(chat: Chat) -> None:
    dialog = chat("!say \x1b[31mred\x07")
    assert dialog.end() == 0
    assert dialog.rest == "\\u001b[31mred\\u0007\n"


def test_a_person_may_say_what_a_call_comes_to(chat: Chat, client: package.Client) -> None:
    dialog = chat()
    dialog.read_until("> ")
    dialog.type('!call add {"a": 1}\n')
    dialog.read_until('It calls add({"a": 1}). Type what this comes to, or cancel the run with Ctrl-C.\nadd> ')
    dialog.type("42\n")
    dialog.read_until("The answer is: 42\n> ")
    dialog.type("!call add {}\n")
    dialog.read_until("add> ")
    dialog.read_until("holdover: The run is cancelled.\n> ", pressing=CTRL_C)
    dialog.type("hello\n")
    dialog.read_until("You said: hello\n> ")
    dialog.type(CTRL_D)
    assert dialog.end() == 0
    statuses = [run.status for run in client.list_runs(str(last(client).thread_id), order="asc")]
    assert statuses == ["completed", "cancelled", "completed"]


# -------------------------------------------------------------------------------------------- Ctrl-C


def newest_thread(client: package.Client) -> str | None:
    threads = client.list_threads(limit=1).data
    return threads[0].id if threads else None


def interrupt(dialog: Any, client: package.Client, said: str) -> None:
    """Say something and press Ctrl-C once it is being answered: one that comes before belongs to the prompt."""
    before = newest_thread(client)
    dialog.type(said)
    deadline = time.monotonic() + 20
    while (thread_id := newest_thread(client)) in (None, before) or not client.list_runs(str(thread_id)).data:
        assert time.monotonic() < deadline, "no run was begun"
    dialog.type(CTRL_C)
    dialog.read_until("Cancelling; Ctrl-C again leaves.\n")


@pytest.mark.parametrize("said", ["!say one two\n!hang", "!hang"])
def test_ctrl_c_cancels_the_run_and_the_conversation_goes_on(chat: Chat, client: package.Client, said: str) -> None:
    dialog = chat()
    dialog.read_until("> ")
    interrupt(dialog, client, f'"""{said}"""\n')
    dialog.read_until("holdover: The run is cancelled.\n> ")
    dialog.type("hello\n")
    dialog.read_until("You said: hello\n> ")
    dialog.type(CTRL_D)
    assert dialog.end() == 0
    statuses = [run.status for run in client.list_runs(str(last(client).thread_id), order="asc")]
    assert statuses == ["cancelled", "completed"]


def test_one_ctrl_c_after_a_cancelled_answer_does_not_leave(chat: Chat, client: package.Client) -> None:
    dialog = chat()
    dialog.read_until("> ")
    interrupt(dialog, client, "!hang\n")
    dialog.read_until("holdover: The run is cancelled.\n> ")
    dialog.read_until("Ctrl-C again leaves.\n> ", pressing=CTRL_C)
    dialog.type("hello\n")
    dialog.read_until("You said: hello\n> ")


def test_ctrl_c_twice_leaves(chat: Chat, client: package.Client) -> None:
    dialog = chat()
    dialog.read_until("> ")
    interrupt(dialog, client, "!hang\n")
    # Where the run was cancelled before the second one came, that is the first of two. The last of these has no race.
    assert dialog.end(pressing=CTRL_C) == 130


def test_ctrl_c_twice_leaves_where_nothing_is_under_way_as_well(chat: Chat) -> None:
    dialog = chat()
    dialog.read_until("> ")
    dialog.read_until("Ctrl-C again leaves.\n> ", pressing=CTRL_C)
    assert dialog.end(pressing=CTRL_C) == 130
    assert "Traceback" not in dialog.shown


def test_ctrl_c_twice_leaves_a_service_that_says_nothing(chat: Chat, start_service: Any) -> None:
    started = start_service()
    dialog = chat("--base-url", started.base_url)
    dialog.read_until("> ")
    dialog.type('"""!say one\n!hang"""\n')
    dialog.read_until('!hang"""\n')
    dialog.read_until("one")  # it is being answered
    started.process.send_signal(signal.SIGSTOP)
    try:
        dialog.type(CTRL_C)
        dialog.read_until("Cancelling; Ctrl-C again leaves.\n")
        dialog.type(CTRL_C)
        assert dialog.end() == 130
    finally:
        started.process.send_signal(signal.SIGCONT)


def test_ctrl_c_cancels_the_answer_to_a_message_and_ends(
    command: list[str], shared_url: str, client: package.Client
) -> None:
    process = subprocess.Popen(
        [*command, "chat", "--base-url", shared_url, "!say one two\n!hang"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    while said != "one two":
        said += process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == (
        "\n",
        "Cancelling; Ctrl-C again leaves.\nholdover: The run is cancelled.\n",
    )
    assert process.returncode == 130
    (run,) = client.list_runs(str(last(client).thread_id)).data
    assert run.status == "cancelled"


def test_an_output_elsewhere_gets_the_answer_alone(chat: Chat, tmp_path: Path) -> None:
    with open(tmp_path / "answer.txt", "wb") as file:
        dialog = chat("!say one two", stdout=file.fileno())
        assert dialog.end() == 0
    assert (tmp_path / "answer.txt").read_text() == "one two\n"
    assert dialog.shown == ""


def test_what_was_typed_can_be_had_again(chat: Chat, tmp_path: Path) -> None:
    pytest.importorskip("readline")
    dialog = chat()
    dialog.read_until("> ")
    dialog.type("hello\n")
    dialog.read_until("You said: hello\n> ")
    dialog.type(CTRL_D)
    assert dialog.end() == 0
    history = tmp_path / "state" / "holdover" / "chat_history"
    assert "hello" in history.read_text()
    assert os.stat(history).st_mode & 0o077 == 0
