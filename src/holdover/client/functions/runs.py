"""Runs and their steps: functions for the default client."""

from __future__ import annotations

from typing import Literal, Unpack, overload

from holdover.wire.runs import Run
from holdover.wire.steps import RunStep

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import (
    CallOptions,
    CreateRunOptions,
    CreateThreadAndRunOptions,
    IncludeOptions,
    ModifyRunOptions,
    PageOptions,
    RunAndWaitOptions,
    StepPageOptions,
    StreamedCallOptions,
    StreamRunOptions,
    SubmitToolOutputsOptions,
    WaitOptions,
)
from ..pages import Page
from ..run_streams import RunStream
from ..runs import ToolOutputs
from ..streams import Receiver

__all__ = [
    "cancel_run",
    "create_run",
    "create_thread_and_run",
    "get_run",
    "get_run_step",
    "list_run_steps",
    "list_runs",
    "modify_run",
    "run_and_wait",
    "stream_run",
    "submit_tool_outputs_to_run",
    "wait_for_run",
]


@overload
def create_run(
    thread_id: str, assistant_id: str, *, stream: Literal[False] | None = False, **options: Unpack[CreateRunOptions]
) -> Run: ...


@overload
def create_run(
    thread_id: str, assistant_id: str, *, stream: Literal[True], **options: Unpack[CreateRunOptions]
) -> RunStream: ...


@same_docstring(Client.create_run)
def create_run(
    thread_id: str, assistant_id: str, *, stream: bool | None = False, **options: Unpack[CreateRunOptions]
) -> Run | RunStream:
    return default_client().create_run(thread_id, assistant_id, stream=stream, **options)  # type: ignore[arg-type]


@overload
def create_thread_and_run(
    assistant_id: str, *, stream: Literal[False] | None = False, **options: Unpack[CreateThreadAndRunOptions]
) -> Run: ...


@overload
def create_thread_and_run(
    assistant_id: str, *, stream: Literal[True], **options: Unpack[CreateThreadAndRunOptions]
) -> RunStream: ...


@same_docstring(Client.create_thread_and_run)
def create_thread_and_run(
    assistant_id: str, *, stream: bool | None = False, **options: Unpack[CreateThreadAndRunOptions]
) -> Run | RunStream:
    return default_client().create_thread_and_run(assistant_id, stream=stream, **options)  # type: ignore[arg-type]


@same_docstring(Client.get_run)
def get_run(thread_id: str, run_id: str, **options: Unpack[CallOptions]) -> Run:
    return default_client().get_run(thread_id, run_id, **options)


@same_docstring(Client.list_runs)
def list_runs(thread_id: str, **options: Unpack[PageOptions]) -> Page[Run]:
    return default_client().list_runs(thread_id, **options)


@same_docstring(Client.modify_run)
def modify_run(thread_id: str, run_id: str, **options: Unpack[ModifyRunOptions]) -> Run:
    return default_client().modify_run(thread_id, run_id, **options)


@same_docstring(Client.cancel_run)
def cancel_run(thread_id: str, run_id: str, **options: Unpack[StreamedCallOptions]) -> Run:
    return default_client().cancel_run(thread_id, run_id, **options)


@overload
def submit_tool_outputs_to_run(
    thread_id: str,
    run_id: str,
    tool_outputs: ToolOutputs,
    *,
    stream: Literal[False] | None = False,
    **options: Unpack[SubmitToolOutputsOptions],
) -> Run: ...


@overload
def submit_tool_outputs_to_run(
    thread_id: str,
    run_id: str,
    tool_outputs: ToolOutputs,
    *,
    stream: Literal[True],
    **options: Unpack[SubmitToolOutputsOptions],
) -> RunStream: ...


@same_docstring(Client.submit_tool_outputs_to_run)
def submit_tool_outputs_to_run(
    thread_id: str,
    run_id: str,
    tool_outputs: ToolOutputs,
    *,
    stream: bool | None = False,
    **options: Unpack[SubmitToolOutputsOptions],
) -> Run | RunStream:
    return default_client().submit_tool_outputs_to_run(thread_id, run_id, tool_outputs, stream=stream, **options)  # type: ignore[arg-type]


@overload
def stream_run(
    thread_id: str, run_id: str, *, stream_to: None = None, **options: Unpack[StreamRunOptions]
) -> RunStream: ...


@overload
def stream_run(thread_id: str, run_id: str, *, stream_to: Receiver, **options: Unpack[StreamRunOptions]) -> Run: ...


@same_docstring(Client.stream_run)
def stream_run(
    thread_id: str, run_id: str, *, stream_to: Receiver | None = None, **options: Unpack[StreamRunOptions]
) -> Run | RunStream:
    return default_client().stream_run(thread_id, run_id, stream_to=stream_to, **options)


@same_docstring(Client.list_run_steps)
def list_run_steps(thread_id: str, run_id: str, **options: Unpack[StepPageOptions]) -> Page[RunStep]:
    return default_client().list_run_steps(thread_id, run_id, **options)


@same_docstring(Client.get_run_step)
def get_run_step(thread_id: str, run_id: str, step_id: str, **options: Unpack[IncludeOptions]) -> RunStep:
    return default_client().get_run_step(thread_id, run_id, step_id, **options)


@same_docstring(Client.run_and_wait)
def run_and_wait(thread_id: str, assistant_id: str, **options: Unpack[RunAndWaitOptions]) -> Run:
    return default_client().run_and_wait(thread_id, assistant_id, **options)


@same_docstring(Client.wait_for_run)
def wait_for_run(thread_id: str, run_id: str, **options: Unpack[WaitOptions]) -> Run:
    return default_client().wait_for_run(thread_id, run_id, **options)
