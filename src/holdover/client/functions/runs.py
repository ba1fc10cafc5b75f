"""Runs and their steps: functions for the default client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from holdover.wire.runs import Run, ToolOutput
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
    StepPageOptions,
    StreamedCallOptions,
    ToolOutputParam,
)
from ..pages import Page

__all__ = [
    "cancel_run",
    "create_run",
    "create_thread_and_run",
    "get_run",
    "get_run_step",
    "list_run_steps",
    "list_runs",
    "modify_run",
    "submit_tool_outputs_to_run",
]


@same_docstring(Client.create_run)
def create_run(thread_id: str, assistant_id: str, **options: Unpack[CreateRunOptions]) -> Run:
    return default_client().create_run(thread_id, assistant_id, **options)


@same_docstring(Client.create_thread_and_run)
def create_thread_and_run(assistant_id: str, **options: Unpack[CreateThreadAndRunOptions]) -> Run:
    return default_client().create_thread_and_run(assistant_id, **options)


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


@same_docstring(Client.submit_tool_outputs_to_run)
def submit_tool_outputs_to_run(
    thread_id: str,
    run_id: str,
    tool_outputs: Sequence[ToolOutput | ToolOutputParam],
    **options: Unpack[StreamedCallOptions],
) -> Run:
    return default_client().submit_tool_outputs_to_run(thread_id, run_id, tool_outputs, **options)


@same_docstring(Client.list_run_steps)
def list_run_steps(thread_id: str, run_id: str, **options: Unpack[StepPageOptions]) -> Page[RunStep]:
    return default_client().list_run_steps(thread_id, run_id, **options)


@same_docstring(Client.get_run_step)
def get_run_step(thread_id: str, run_id: str, step_id: str, **options: Unpack[IncludeOptions]) -> RunStep:
    return default_client().get_run_step(thread_id, run_id, step_id, **options)
