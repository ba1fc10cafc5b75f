"""Runs and their steps, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from holdover.wire.pages import ListPage
from holdover.wire.runs import Run, ToolOutput
from holdover.wire.steps import RunStep

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .options import (
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
from .pages import AsyncPage, Page


class RunMethods(Core):
    """Methods of `Client`."""

    def create_run(self, thread_id: str, assistant_id: str, **options: Unpack[CreateRunOptions]) -> Run:
        """Have an assistant work on a thread.

        Endpoint: ``POST /threads/{thread_id}/runs``

        Args:
            thread_id: The thread's id.
            assistant_id: The assistant's id.
            additional_instructions: Said beside the instructions, for this run.
            additional_messages: Added to the thread before.
            model, instructions, tools, temperature, top_p, reasoning_effort, response_format: Instead of the
                assistant's; ``tools`` has at most 20.
            tool_choice: ``"auto"``, ``"none"``, ``"required"``, or a tool that must be called.
            parallel_tool_calls: Whether several tools may be called at once (``True``).
            max_prompt_tokens, max_completion_tokens: Limits over all answers of the model; the run ends ``incomplete``.
            truncation_strategy: What of a long thread is seen: ``auto``, or the ``last_messages``.
            metadata: Up to 16 pairs of strings: keys up to 64 characters, values up to 512.
            stream_to: Also receives the run.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The run, queued. A call that is repeated after trouble makes one run only.

        Raises:
            NotFoundError: There is no such thread or assistant.
            BadRequestError: The thread has an active run, or nothing to answer; or nobody answers for the model.
            APIConnectionError: No answer came.

        Source: createRun.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call("create_run", thread_id, reply=Run, options=rest, given={"assistant_id": assistant_id})
            ),
        )

    def create_thread_and_run(self, assistant_id: str, **options: Unpack[CreateThreadAndRunOptions]) -> Run:
        """Create a thread and have an assistant work on it.

        Endpoint: ``POST /threads/runs``

        Args:
            assistant_id: The assistant's id.
            thread: The thread: ``messages``, ``metadata``, ``tool_resources``.
            tool_resources: The thread's, where it has none of its own.
            model, instructions, tools, temperature, top_p, reasoning_effort, response_format: Instead of the
                assistant's; ``tools`` has at most 20.
            tool_choice: ``"auto"``, ``"none"``, ``"required"``, or a tool that must be called.
            parallel_tool_calls: Whether several tools may be called at once (``True``).
            max_prompt_tokens, max_completion_tokens: Limits over all answers of the model; the run ends ``incomplete``.
            truncation_strategy: What of a long thread is seen: ``auto``, or the ``last_messages``.
            metadata: Up to 16 pairs of strings: keys up to 64 characters, values up to 512.
            stream_to: Also receives the run.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The run, queued. A call that is repeated after trouble makes one run only.

        Raises:
            NotFoundError: There is no such assistant, or something that the thread names does not exist.
            BadRequestError: There is nothing to answer, or nobody answers for the model.
            APIConnectionError: No answer came.

        Source: createThreadAndRun.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call("create_thread_and_run", reply=Run, options=rest, given={"assistant_id": assistant_id})
            ),
        )

    def get_run(self, thread_id: str, run_id: str, **options: Unpack[CallOptions]) -> Run:
        """Retrieve a run.

        Endpoint: ``GET /threads/{thread_id}/runs/{run_id}``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such run in this thread.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: getRun.
        """
        return self._run(call("get_run", thread_id, run_id, reply=Run, options=options))

    def list_runs(self, thread_id: str, **options: Unpack[PageOptions]) -> Page[Run]:
        """Return a list of a thread's runs, newest first.

        Endpoint: ``GET /threads/{thread_id}/runs``

        Args:
            thread_id: The thread's id.
            after: The id of a run; the page begins behind it.
            before: The id of a run; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every run of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: There is no such thread, or a cursor is not the id of any run of it.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listRuns.
        """
        return self._streamed_pages(options, partial(self._page_of_runs, thread_id))

    def modify_run(self, thread_id: str, run_id: str, **options: Unpack[ModifyRunOptions]) -> Run:
        """Modify a run's metadata.

        Endpoint: ``POST /threads/{thread_id}/runs/{run_id}``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            metadata: Replaces all pairs.
            stream_to: Also receives the run.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such run in this thread.
            BadRequestError: It is being worked on.
            APIConnectionError: No answer came.

        Source: modifyRun.
        """
        return self._streamed(
            options, lambda rest: self._run(call("modify_run", thread_id, run_id, reply=Run, options=rest))
        )

    def cancel_run(self, thread_id: str, run_id: str, **options: Unpack[StreamedCallOptions]) -> Run:
        """Cancel a run that has not ended.

        Endpoint: ``POST /threads/{thread_id}/runs/{run_id}/cancel``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            stream_to: Also receives the run.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such run in this thread.
            BadRequestError: It has ended, or is being cancelled already.
            APIConnectionError: No answer came.

        Source: cancelRun.
        """
        return self._streamed(
            options, lambda rest: self._run(call("cancel_run", thread_id, run_id, reply=Run, options=rest))
        )

    def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: Sequence[ToolOutput | ToolOutputParam],
        **options: Unpack[StreamedCallOptions],
    ) -> Run:
        """Submit the outputs of all calls that a run waits for; it goes on with them.

        Endpoint: ``POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            tool_outputs: Of every call: ``tool_call_id`` and ``output``.
            stream_to: Also receives the run.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such run in this thread.
            BadRequestError: It waits for no outputs, or for others.
            APIConnectionError: No answer came.

        Source: submitToolOutputsToRun.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call(
                    "submit_tool_outputs_to_run",
                    thread_id,
                    run_id,
                    reply=Run,
                    options=rest,
                    given={"tool_outputs": tool_outputs},
                )
            ),
        )

    def list_run_steps(self, thread_id: str, run_id: str, **options: Unpack[StepPageOptions]) -> Page[RunStep]:
        """Return a list of a run's steps, newest first.

        Endpoint: ``GET /threads/{thread_id}/runs/{run_id}/steps``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            include: What is wanted beside the steps.
            after: The id of a step; the page begins behind it.
            before: The id of a step; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every step of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: There is no such run in this thread, or a cursor is not the id of any step of it.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listRunSteps.
        """
        return self._streamed_pages(options, partial(self._page_of_steps, thread_id, run_id))

    def get_run_step(self, thread_id: str, run_id: str, step_id: str, **options: Unpack[IncludeOptions]) -> RunStep:
        """Retrieve a run step.

        Endpoint: ``GET /threads/{thread_id}/runs/{run_id}/steps/{step_id}``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            step_id: The step's id.
            include: What is wanted beside the step.
            stream_to: Also receives the step.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such step in this run.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: getRunStep.
        """
        return self._streamed(
            options,
            lambda rest: self._run(call("get_run_step", thread_id, run_id, step_id, reply=RunStep, options=rest)),
        )

    def _page_of_runs(self, thread_id: str, options: Mapping[str, Any]) -> Page[Run]:
        page = self._run(call("list_runs", thread_id, reply=ListPage[Run], options=options))
        return Page(page, options, partial(self._page_of_runs, thread_id))

    def _page_of_steps(self, thread_id: str, run_id: str, options: Mapping[str, Any]) -> Page[RunStep]:
        page = self._run(call("list_run_steps", thread_id, run_id, reply=ListPage[RunStep], options=options))
        return Page(page, options, partial(self._page_of_steps, thread_id, run_id))


class AsyncRunMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(RunMethods.create_run)
    async def create_run(self, thread_id: str, assistant_id: str, **options: Unpack[CreateRunOptions]) -> Run:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call("create_run", thread_id, reply=Run, options=rest, given={"assistant_id": assistant_id})
            ),
        )

    @same_docstring(RunMethods.create_thread_and_run)
    async def create_thread_and_run(self, assistant_id: str, **options: Unpack[CreateThreadAndRunOptions]) -> Run:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call("create_thread_and_run", reply=Run, options=rest, given={"assistant_id": assistant_id})
            ),
        )

    @same_docstring(RunMethods.get_run)
    async def get_run(self, thread_id: str, run_id: str, **options: Unpack[CallOptions]) -> Run:
        return await self._run(call("get_run", thread_id, run_id, reply=Run, options=options))

    @same_docstring(RunMethods.list_runs)
    async def list_runs(self, thread_id: str, **options: Unpack[PageOptions]) -> AsyncPage[Run]:
        return await self._streamed_pages(options, partial(self._page_of_runs, thread_id))

    @same_docstring(RunMethods.modify_run)
    async def modify_run(self, thread_id: str, run_id: str, **options: Unpack[ModifyRunOptions]) -> Run:
        return await self._streamed(
            options, lambda rest: self._run(call("modify_run", thread_id, run_id, reply=Run, options=rest))
        )

    @same_docstring(RunMethods.cancel_run)
    async def cancel_run(self, thread_id: str, run_id: str, **options: Unpack[StreamedCallOptions]) -> Run:
        return await self._streamed(
            options, lambda rest: self._run(call("cancel_run", thread_id, run_id, reply=Run, options=rest))
        )

    @same_docstring(RunMethods.submit_tool_outputs_to_run)
    async def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: Sequence[ToolOutput | ToolOutputParam],
        **options: Unpack[StreamedCallOptions],
    ) -> Run:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call(
                    "submit_tool_outputs_to_run",
                    thread_id,
                    run_id,
                    reply=Run,
                    options=rest,
                    given={"tool_outputs": tool_outputs},
                )
            ),
        )

    @same_docstring(RunMethods.list_run_steps)
    async def list_run_steps(
        self, thread_id: str, run_id: str, **options: Unpack[StepPageOptions]
    ) -> AsyncPage[RunStep]:
        return await self._streamed_pages(options, partial(self._page_of_steps, thread_id, run_id))

    @same_docstring(RunMethods.get_run_step)
    async def get_run_step(
        self, thread_id: str, run_id: str, step_id: str, **options: Unpack[IncludeOptions]
    ) -> RunStep:
        return await self._streamed(
            options,
            lambda rest: self._run(call("get_run_step", thread_id, run_id, step_id, reply=RunStep, options=rest)),
        )

    async def _page_of_runs(self, thread_id: str, options: Mapping[str, Any]) -> AsyncPage[Run]:
        page = await self._run(call("list_runs", thread_id, reply=ListPage[Run], options=options))
        return AsyncPage(page, options, partial(self._page_of_runs, thread_id))

    async def _page_of_steps(self, thread_id: str, run_id: str, options: Mapping[str, Any]) -> AsyncPage[RunStep]:
        page = await self._run(call("list_run_steps", thread_id, run_id, reply=ListPage[RunStep], options=options))
        return AsyncPage(page, options, partial(self._page_of_steps, thread_id, run_id))
