"""What commands there are, and how they are found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import NoneType
from typing import Any, get_args, get_type_hints

import click
import pytest

from holdover import __version__
from holdover.cli.main import COMMANDS, main
from holdover.wire.assistants import CreateAssistant, ModifyAssistant
from holdover.wire.messages import MessageQuery, ModifyMessage
from holdover.wire.models import KNOWN_MODELS
from holdover.wire.operations import OPERATIONS
from holdover.wire.pages import PageQuery
from holdover.wire.threads import CreateThread, ModifyThread

#: The nouns that the table of operations knows.
GROUPS = {operation.group.replace("_", "-") for operation in OPERATIONS}
#: What a noun's group has besides operations.
BESIDE = {"models pull"}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {verb}", each) for verb, each in command.commands.items())
        else:
            yield name, command


def parameters(words: str) -> set[str]:
    return {str(each.name) for each in dict(commands())[words].params}


def test_every_operation_has_its_command() -> None:
    of_operations = {words for words, _ in commands() if words.partition(" ")[0] in GROUPS} - BESIDE
    assert of_operations == {f"{each.group.replace('_', '-')} {each.command}" for each in OPERATIONS}


@pytest.mark.parametrize(
    ("words", "record"),
    [
        ("assistants create", CreateAssistant),
        ("assistants modify", ModifyAssistant),
        ("assistants list", PageQuery),
        ("threads create", CreateThread),
        ("threads modify", ModifyThread),
        ("threads list", PageQuery),
        ("messages modify", ModifyMessage),
        ("messages list", MessageQuery),
    ],
)
def test_every_member_of_a_request_is_an_option(words: str, record: Any) -> None:
    assert set(record.__struct_fields__) <= parameters(words)


@pytest.mark.parametrize(
    "words",
    [each for each, _ in commands() if each.partition(" ")[0] in {*GROUPS, "api", "chat"} and each not in BESIDE],
)
def test_every_call_takes_the_options_of_the_client(words: str) -> None:
    assert parameters(words) >= {"base_url", "api_key", "organization_key", "timeout_s"}


@pytest.mark.parametrize(("words", "command"), [*commands()])
def test_help_begins_with_a_sentence_and_an_example(words: str, command: click.Command) -> None:
    sentence, example, *_ = (command.help or "").split("\n\n")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert f"holdover {words}" in example


@pytest.mark.parametrize("arguments", [(), ("assistants",), ("threads",), ("messages",), ("models",), ("sandbox",)])
def test_a_group_alone_shows_its_help(invoke: Any, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: holdover")


def test_the_version_is_shown(invoke: Any) -> None:
    assert invoke("--version").stdout == f"holdover {__version__}\n"


def test_the_version_is_shown_without_importing_what_commands_need() -> None:
    code = (
        "import sys\n"
        "from holdover.cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules)"
    )
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"rich", "uvicorn", "uvloop", "sqlite3", "holdover.service", "holdover.server"}
    assert not heavy.intersection(imported)
    assert not {each.partition(":")[0] for each in COMMANDS.values()}.intersection(imported)


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["asistants", "list"], "Did you mean 'assistants'?"),
        (["assistants", "lst"], "Did you mean 'list'?"),
        (["assistants", "create", "gpt-4o", "--nme", "Tutor"], "Did you mean '--name'?"),
    ],
)
def test_a_misspelt_word_is_refused_with_a_suggestion(invoke: Any, arguments: list[str], suggestion: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert suggestion in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(invoke: Any, shell: str) -> None:
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert f"_HOLDOVER_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ass"], {"assistants"}),
        (["assistants", "mo"], {"modify"}),
        (["assistants", "create", "gpt-4o-mini"], {name for name in KNOWN_MODELS if name.startswith("gpt-4o-mini")}),
        (["assistants", "modify", "asst_x", "--null", "temp"], {"temperature"}),
    ],
)
def test_words_are_completed(invoke: Any, words: list[str], expected: set[str]) -> None:
    result = invoke(
        env={
            "_HOLDOVER_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["holdover", *words]),
            "COMP_CWORD": str(len(words)),
        }
    )
    assert {line.partition(",")[2] for line in result.stdout.splitlines()} == expected


@pytest.mark.parametrize(
    ("words", "record"),
    [("assistants modify", ModifyAssistant), ("threads modify", ModifyThread), ("messages modify", ModifyMessage)],
)
def test_null_can_be_given_to_every_field_that_takes_it(words: str, record: Any) -> None:
    null = next(each for each in dict(commands())[words].params if each.name == "nulls")
    assert isinstance(null.type, click.Choice)
    hints = get_type_hints(record)
    takes_null = {name for name in record.__struct_fields__ if NoneType in get_args(hints[name])}
    assert set(null.type.choices) == takes_null
