"""``holdover runs``: one command for each operation on runs and their steps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from holdover.wire.assistants import ReasoningEffort
from holdover.wire.runs import ModifyRun
from holdover.wire.steps import RunStep

from .bodies import changes, content, takes, takes_metadata, takes_nulls, takes_tool_resources
from .connection import Decorator, calls
from .deeds import lines_of
from .groups import Group
from .output import moment, one_line, shows, write_hint, write_line, write_lines, write_object, write_texts
from .pages import takes_page, write_page
from .values import JSON, ResponseFormat, Text

if TYPE_CHECKING:
    from holdover.client import Client

takes_include = click.option(
    "--include",
    multiple=True,
    callback=lambda _context, _option, given: list(given) or None,
    help="What is wanted beside what steps always show; may be repeated.",
)

#: What a run may have instead of its assistant's.
OVERRIDES: tuple[Decorator, ...] = (
    click.option("--model", help="Model that answers."),
    click.option("--instructions", type=Text(), help="What it is told beforehand."),
    click.option("--tools", type=JSON(list), help="What it may use."),
    click.option("--tool-choice", type=JSON(dict, names=("none", "auto", "required")), help="What it must use."),
    click.option("--parallel-tool-calls/--no-parallel-tool-calls", default=None, help="Several calls at once, or not."),
    click.option("--temperature", type=float, help="0 to 2."),
    click.option("--top-p", type=float, help="0 to 1."),
    click.option("--reasoning-effort", type=click.Choice(get_args(ReasoningEffort)), help="For models that reason."),
    click.option("--response-format", type=ResponseFormat(), help="auto, text, json_object, or JSON of a schema."),
    click.option("--max-prompt-tokens", type=int, help="Limit on all that is read."),
    click.option("--max-completion-tokens", type=int, help="Limit on all that is said."),
    click.option("--truncation-strategy", type=JSON(dict), help="What of a long thread is seen."),
    takes_metadata,
    takes_include,
)


def takes_overrides(command: Any) -> Any:
    """Give a command the options of a run."""
    return takes(OVERRIDES)(command)


@click.group(cls=Group)
def runs() -> None:
    """Have assistants work on threads, and see what they did.

    \b
    holdover runs create thread_… asst_…
    holdover runs show thread_… run_…
    holdover runs steps thread_… run_…
    """


@runs.command("create")
@click.argument("thread_id")
@click.argument("assistant_id")
@click.option("--additional-instructions", type=Text(), help="Said beside the instructions.")
@click.option("--additional-messages", type=JSON(list), help="Added to the thread before.")
@takes_overrides
@calls
@shows
def create(client: Client, *, thread_id: str, assistant_id: str, as_json: bool, **options: Any) -> None:
    """Have an assistant work on a thread.

    \b
    holdover runs create thread_… asst_…
    holdover runs create thread_… asst_… --max-completion-tokens 200
    """
    write_object(client.create_run(thread_id, assistant_id, **content(**options)), as_json)


@runs.command("start")
@click.argument("assistant_id")
@click.option("--thread", type=JSON(dict), help="The new thread: its messages, metadata and tool_resources.")
@takes_tool_resources
@takes_overrides
@calls
@shows
def start(client: Client, *, assistant_id: str, as_json: bool, **options: Any) -> None:
    """Create a thread and have an assistant work on it.

    \b
    holdover runs start asst_… --thread '{"messages": [{"role": "user", "content": "What is 2 + 2?"}]}'
    """
    write_object(client.create_thread_and_run(assistant_id, **content(**options)), as_json)


@runs.command("show")
@click.argument("thread_id")
@click.argument("run_id")
@calls
@shows
def show(client: Client, *, thread_id: str, run_id: str, as_json: bool) -> None:
    """Show a run; on a terminal also what it did: code and what came of it, searches, calls, what it said.

    \b
    holdover runs show thread_… run_…
    """
    write_object(client.get_run(thread_id, run_id), as_json)
    if as_json:
        return
    for step in client.list_run_steps(thread_id, run_id, order="asc"):
        said = None
        if step.step_details.type == "message_creation":
            said = client.get_message(thread_id, step.step_details.message_creation.message_id)
        write_lines(lines_of(step, said))


@runs.command("list")
@click.argument("thread_id")
@takes_page("run")
@calls
@shows
def list_(client: Client, *, thread_id: str, **options: Any) -> None:
    """List the runs of a thread, newest first.

    \b
    holdover runs list thread_…
    """
    write_page(
        partial(client.list_runs, thread_id),
        ("ID", "STATUS", "MODEL", "CREATED"),
        lambda each: (each.id, each.status, one_line(each.model), moment(each.created_at)),
        nothing=f"No runs. To start one: holdover runs create {one_line(thread_id)} asst_…",
        **options,
    )


@runs.command("modify")
@click.argument("thread_id")
@click.argument("run_id")
@takes_metadata
@takes_nulls(ModifyRun)
@calls
@shows
def modify(
    client: Client, *, thread_id: str, run_id: str, nulls: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Modify a run's metadata, which are replaced whole.

    \b
    holdover runs modify thread_… run_… --metadata seen=yes
    """
    write_object(client.modify_run(thread_id, run_id, **changes(content(**options), nulls)), as_json)


@runs.command("cancel")
@click.argument("thread_id")
@click.argument("run_id")
@calls
@shows
def cancel(client: Client, *, thread_id: str, run_id: str, as_json: bool) -> None:
    """Cancel a run that has not ended.

    \b
    holdover runs cancel thread_… run_…
    """
    write_object(client.cancel_run(thread_id, run_id), as_json)


@runs.command("submit")
@click.argument("thread_id")
@click.argument("run_id")
@click.argument("tool_outputs", type=JSON(list), metavar="JSON|@FILE")
@takes_include
@calls
@shows
def submit(
    client: Client, *, thread_id: str, run_id: str, tool_outputs: Any, as_json: bool, include: list[str] | None
) -> None:
    """Submit the outputs of all calls that a run waits for; it goes on with them.

    \b
    holdover runs submit thread_… run_… '[{"tool_call_id": "call_…", "output": "18 degrees"}]'
    """
    included = content(include=include)
    write_object(client.submit_tool_outputs_to_run(thread_id, run_id, tool_outputs, **included), as_json)


@runs.command("follow")
@click.argument("thread_id")
@click.argument("run_id")
@click.option("--last-event-id", type=click.IntRange(min=0), help="Only what comes behind the event of this number.")
@calls
@shows
def follow(client: Client, *, thread_id: str, run_id: str, last_event_id: int | None, as_json: bool) -> None:
    """Hear a run as it goes on: its text as it comes, or in a pipe its events, one JSON object a line.

    \b
    holdover runs follow thread_… run_…
    holdover runs follow thread_… run_… | jq -r .event
    """
    with client.stream_run(thread_id, run_id, **content(last_event_id=last_event_id)) as stream:
        if as_json:
            for event in stream:
                write_line({"event": event.name, "data": event.data})
            return
        write_texts(stream)
        run = stream.until_done()
    if run.required_action is not None:
        wanted = run.required_action.submit_tool_outputs.tool_calls
        for each in wanted:
            write_hint(f"{each.id} wants the output of {each.function.name}({each.function.arguments})")
        write_hint(f"To submit them: holdover runs submit {one_line(thread_id)} {one_line(run_id)} JSON")
    elif run.status != "completed":
        reason = f": {run.last_error.message}" if run.last_error is not None else ""
        write_hint(f"The run is {run.status}{reason}")


@runs.command("steps")
@click.argument("thread_id")
@click.argument("run_id")
@takes_include
@takes_page("step")
@calls
@shows
def steps(client: Client, *, thread_id: str, run_id: str, include: list[str] | None, **options: Any) -> None:
    """List the steps of a run, newest first.

    \b
    holdover runs steps thread_… run_… --order asc
    """
    write_page(
        partial(client.list_run_steps, thread_id, run_id, **content(include=include)),
        ("ID", "STATUS", "DID", "CREATED"),
        lambda each: (each.id, each.status, one_line(_in_short(each)), moment(each.created_at)),
        nothing="No steps.",
        **options,
    )


def _in_short(step: RunStep) -> str:
    details = step.step_details
    if details.type == "message_creation":
        return details.message_creation.message_id
    return ", ".join(call.function.name if call.type == "function" else call.type for call in details.tool_calls)


@runs.command("step")
@click.argument("thread_id")
@click.argument("run_id")
@click.argument("step_id")
@takes_include
@calls
@shows
def step(
    client: Client, *, thread_id: str, run_id: str, step_id: str, include: list[str] | None, as_json: bool
) -> None:
    """Show a step of a run.

    \b
    holdover runs step thread_… run_… step_…
    """
    included = content(include=include)
    write_object(client.get_run_step(thread_id, run_id, step_id, **included), as_json)
