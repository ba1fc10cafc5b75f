"""Runs, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, Unpack, overload

from holdover.wire.pages import ListPage
from holdover.wire.runs import Run, ToolOutput

from .calls import OF_EVENTS, call
from .core import AsyncCore, Core, same_docstring
from .exchange import Call, run, run_async, streaming, streaming_async
from .options import (
    CallOptions,
    CreateRunOptions,
    CreateThreadAndRunOptions,
    ModifyRunOptions,
    PageOptions,
    RunAndWaitOptions,
    StreamedCallOptions,
    StreamRunOptions,
    SubmitToolOutputsOptions,
    WaitOptions,
)
from .pages import AsyncPage, Page
from .params import ToolOutputParam
from .run_receivers import (
    Wishes,
    hand_over,
    hand_over_async,
    hand_over_in_background,
    hand_over_in_background_async,
)
from .run_streams import AsyncRunStream, RunStream
from .streams import Receiver

ToolOutputs = Sequence[ToolOutput | ToolOutputParam]


class RunMethods(Core):
    """Methods of `Client`."""

    @overload
    def create_run(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        stream: Literal[False] | None = False,
        **options: Unpack[CreateRunOptions],
    ) -> Run: ...

    @overload
    def create_run(
        self, thread_id: str, assistant_id: str, *, stream: Literal[True], **options: Unpack[CreateRunOptions]
    ) -> RunStream: ...

    def create_run(
        self, thread_id: str, assistant_id: str, *, stream: bool | None = False, **options: Unpack[CreateRunOptions]
    ) -> Run | RunStream:
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
            include: What the events show beside what they always do: the passages that searches find.
            stream: Whether to return the events, as they come, instead of the run.
            stream_to: Receives every event, a `holdover.RunEvent`: a function or a queue. The call returns the run when
                there are no more; with ``background=True`` at once, and a thread or a task hands them over.
            functions: Python functions that answer calls, by name or in a list; the run goes on by itself.
            on_function_error: What becomes of what they raise: ``"tell"`` the model, or cancel the run and ``"raise"``.
            max_rounds: How often the run may come back with calls (16).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's. Of a
                stream, ``timeout_s`` bounds every silence, not the whole.

        Returns:
            The run, queued; as last told with ``stream_to``; or its events. A call that is repeated after trouble makes
            one run only.

        Raises:
            NotFoundError: There is no such thread or assistant.
            BadRequestError: The thread has an active run, or nothing to answer; or nobody answers for the model.
            APIConnectionError: No answer came.

        Source: createRun.
        """
        return self._begin("create_run", [thread_id], {"assistant_id": assistant_id}, stream, options)

    @overload
    def create_thread_and_run(
        self, assistant_id: str, *, stream: Literal[False] | None = False, **options: Unpack[CreateThreadAndRunOptions]
    ) -> Run: ...

    @overload
    def create_thread_and_run(
        self, assistant_id: str, *, stream: Literal[True], **options: Unpack[CreateThreadAndRunOptions]
    ) -> RunStream: ...

    def create_thread_and_run(
        self, assistant_id: str, *, stream: bool | None = False, **options: Unpack[CreateThreadAndRunOptions]
    ) -> Run | RunStream:
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
            include: What the events show beside what they always do: the passages that searches find.
            stream: Whether to return the events, as they come, instead of the run.
            stream_to: Receives every event, a `holdover.RunEvent`: a function or a queue. The call returns the run when
                there are no more; with ``background=True`` at once, and a thread or a task hands them over.
            functions: Python functions that answer calls, by name or in a list; the run goes on by itself.
            on_function_error: What becomes of what they raise: ``"tell"`` the model, or cancel the run and ``"raise"``.
            max_rounds: How often the run may come back with calls (16).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's. Of a
                stream, ``timeout_s`` bounds every silence, not the whole.

        Returns:
            The run, queued; as last told with ``stream_to``; or its events. A call that is repeated after trouble makes
            one run only.

        Raises:
            NotFoundError: There is no such assistant, or something that the thread names does not exist.
            BadRequestError: There is nothing to answer, or nobody answers for the model.
            APIConnectionError: No answer came.

        Source: createThreadAndRun.
        """
        return self._begin("create_thread_and_run", [], {"assistant_id": assistant_id}, stream, options)

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

    @overload
    def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs,
        *,
        stream: Literal[False] | None = False,
        **options: Unpack[SubmitToolOutputsOptions],
    ) -> Run: ...

    @overload
    def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs,
        *,
        stream: Literal[True],
        **options: Unpack[SubmitToolOutputsOptions],
    ) -> RunStream: ...

    def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs,
        *,
        stream: bool | None = False,
        **options: Unpack[SubmitToolOutputsOptions],
    ) -> Run | RunStream:
        """Submit the outputs of all calls that a run waits for; it goes on with them.

        Endpoint: ``POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            tool_outputs: Of every call: ``tool_call_id`` and ``output``.
            include: What the events show beside what they always do: the passages that searches find.
            stream: Whether to return the events, as they come, instead of the run.
            stream_to: Receives every event, a `holdover.RunEvent`: a function or a queue. The call returns the run when
                there are no more; with ``background=True`` at once, and a thread or a task hands them over.
            functions: Python functions that answer calls, by name or in a list; the run goes on by itself.
            on_function_error: What becomes of what they raise: ``"tell"`` the model, or cancel the run and ``"raise"``.
            max_rounds: How often the run may come back with calls (16).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's. Of a
                stream, ``timeout_s`` bounds every silence, not the whole.

        Returns:
            The run, queued again; as last told with ``stream_to``; or its events.

        Raises:
            NotFoundError: There is no such run in this thread.
            BadRequestError: It waits for no outputs, or for others.
            APIConnectionError: No answer came.

        Source: submitToolOutputsToRun.
        """
        return self._begin(
            "submit_tool_outputs_to_run", [thread_id, run_id], {"tool_outputs": tool_outputs}, stream, options
        )

    @overload
    def stream_run(
        self, thread_id: str, run_id: str, *, stream_to: None = None, **options: Unpack[StreamRunOptions]
    ) -> RunStream: ...

    @overload
    def stream_run(
        self, thread_id: str, run_id: str, *, stream_to: Receiver, **options: Unpack[StreamRunOptions]
    ) -> Run: ...

    def stream_run(
        self, thread_id: str, run_id: str, *, stream_to: Receiver | None = None, **options: Unpack[StreamRunOptions]
    ) -> Run | RunStream:
        """Attach to a run and hear its events: those behind one that was heard before, then those to come.

        Endpoint: ``GET /threads/{thread_id}/runs/{run_id}/stream``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            last_event_id: The number of the last event that was heard, as `RunStream.last_event_id` says it; without
                it, the events come from the first on. It is not known of a run whose events were not numbered.
            stream_to: Receives every event, a `holdover.RunEvent`: a function or a queue. The call returns the run when
                there are no more; with ``background=True`` at once, and a thread or a task hands them over.
            functions: Python functions that answer calls, by name or in a list; the run goes on by itself.
            on_function_error: What becomes of what they raise: ``"tell"`` the model, or cancel the run and ``"raise"``.
            max_rounds: How often the run may come back with calls (16).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's;
                ``timeout_s`` bounds every silence, not the whole.

        Returns:
            The events; with ``stream_to``, the run as last told. They end where the run ends, or waits for outputs. Of
            a run that ended some time ago, what is stored is told: whole objects, no deltas.

        Raises:
            NotFoundError: There is no such run in this thread.
            BadRequestError: Another process drives the run, or the events that are asked for are not kept any more.
            APIConnectionError: No answer came.

        Source: an extension.
        """
        wishes = Wishes(_received(stream_to, options), stream=stream_to is None, can_await=False)
        return self._heard("stream_run", [thread_id, run_id], wishes, attached_to=wishes.calls.get(thread_id, run_id))

    def _page_of_runs(self, thread_id: str, options: Mapping[str, Any]) -> Page[Run]:
        page = self._run(call("list_runs", thread_id, reply=ListPage[Run], options=options))
        return Page(page, options, partial(self._page_of_runs, thread_id))

    def run_and_wait(self, thread_id: str, assistant_id: str, **options: Unpack[RunAndWaitOptions]) -> Run:
        """Have an assistant work on a thread, and wait until it has.

        Args:
            thread_id: The thread's id.
            assistant_id: The assistant's id.
            poll_interval_s: How long to wait before asking again, in seconds; left out, the service says so, or it is
                0.1 at first and up to 1 later.
            functions: Python functions that answer calls, by name or in a list; the run goes on by itself.
            on_function_error: What becomes of what they raise: ``"tell"`` the model, or cancel the run and ``"raise"``.
            max_rounds: How often the run may come back with calls (16).
            additional_instructions, additional_messages, …: Further options of `create_run`.
            openai_api_key, openai_organization_key, base_url, timeout_s: For these calls instead of the client's;
                ``timeout_s`` bounds each of them, not the wait.

        Returns:
            The run: it has ended, in whatever way, or waits for outputs that no function gives.

        Raises:
            FunctionCallError: The run called what none of ``functions`` can answer; it was cancelled.
            APIError: As of `create_run` and `get_run`.
        """
        from .polling import run_and_wait

        flow = run_and_wait(self._target, thread_id, assistant_id, options, can_await=False)
        return run(flow, self._transport.send, self._sleep)

    def wait_for_run(self, thread_id: str, run_id: str, **options: Unpack[WaitOptions]) -> Run:
        """Wait until a run has ended, or waits for outputs that no function gives.

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            poll_interval_s, functions, on_function_error, max_rounds: As of `run_and_wait`.
            openai_api_key, openai_organization_key, base_url, timeout_s: For these calls instead of the client's;
                ``timeout_s`` bounds each of them, not the wait.

        Raises:
            FunctionCallError: The run called what none of ``functions`` can answer; it was cancelled.
            APIError: As of `get_run`.
        """
        from .polling import wait_for_run

        flow = wait_for_run(self._target, thread_id, run_id, options, can_await=False)
        return run(flow, self._transport.send, self._sleep)

    def _begin(
        self, name: str, arguments: list[str], given: dict[str, Any], stream: bool | None, options: Mapping[str, Any]
    ) -> Run | RunStream:
        """Make a call that can be answered with events."""
        if not stream and OF_EVENTS.isdisjoint(options):
            return self._run(call(name, *arguments, reply=Run, options=options, given=given))
        wishes = Wishes(options, stream=bool(stream), can_await=False)
        if not stream and wishes.receiver is None:
            return self._run(call(name, *arguments, reply=Run, options=wishes.rest, given=given))
        return self._heard(name, arguments, wishes, {**given, "stream": True})

    def _heard(
        self,
        name: str,
        arguments: list[str],
        wishes: Wishes,
        given: Mapping[str, Any] | None = None,
        attached_to: Call[Run] | None = None,
    ) -> Run | RunStream:
        """Make a call that is answered with events, and return them, or hand them over."""

        def open() -> RunStream:
            asked = call(name, *arguments, reply=Run, options=wishes.rest, given=given)
            return RunStream(self._target, asked, wishes, streaming(self._transport), self._sleep, attached_to).open()

        if wishes.receiver is None:
            return open()
        return (hand_over_in_background if wishes.in_background else hand_over)(wishes.receiver, open)


class AsyncRunMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @overload
    async def create_run(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        stream: Literal[False] | None = False,
        **options: Unpack[CreateRunOptions],
    ) -> Run: ...

    @overload
    async def create_run(
        self, thread_id: str, assistant_id: str, *, stream: Literal[True], **options: Unpack[CreateRunOptions]
    ) -> AsyncRunStream: ...

    @same_docstring(RunMethods.create_run)
    async def create_run(
        self, thread_id: str, assistant_id: str, *, stream: bool | None = False, **options: Unpack[CreateRunOptions]
    ) -> Run | AsyncRunStream:
        return await self._begin("create_run", [thread_id], {"assistant_id": assistant_id}, stream, options)

    @overload
    async def create_thread_and_run(
        self, assistant_id: str, *, stream: Literal[False] | None = False, **options: Unpack[CreateThreadAndRunOptions]
    ) -> Run: ...

    @overload
    async def create_thread_and_run(
        self, assistant_id: str, *, stream: Literal[True], **options: Unpack[CreateThreadAndRunOptions]
    ) -> AsyncRunStream: ...

    @same_docstring(RunMethods.create_thread_and_run)
    async def create_thread_and_run(
        self, assistant_id: str, *, stream: bool | None = False, **options: Unpack[CreateThreadAndRunOptions]
    ) -> Run | AsyncRunStream:
        return await self._begin("create_thread_and_run", [], {"assistant_id": assistant_id}, stream, options)

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

    @overload
    async def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs,
        *,
        stream: Literal[False] | None = False,
        **options: Unpack[SubmitToolOutputsOptions],
    ) -> Run: ...

    @overload
    async def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs,
        *,
        stream: Literal[True],
        **options: Unpack[SubmitToolOutputsOptions],
    ) -> AsyncRunStream: ...

    @same_docstring(RunMethods.submit_tool_outputs_to_run)
    async def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs,
        *,
        stream: bool | None = False,
        **options: Unpack[SubmitToolOutputsOptions],
    ) -> Run | AsyncRunStream:
        return await self._begin(
            "submit_tool_outputs_to_run", [thread_id, run_id], {"tool_outputs": tool_outputs}, stream, options
        )

    @overload
    async def stream_run(
        self, thread_id: str, run_id: str, *, stream_to: None = None, **options: Unpack[StreamRunOptions]
    ) -> AsyncRunStream: ...

    @overload
    async def stream_run(
        self, thread_id: str, run_id: str, *, stream_to: Receiver, **options: Unpack[StreamRunOptions]
    ) -> Run: ...

    @same_docstring(RunMethods.stream_run)
    async def stream_run(
        self, thread_id: str, run_id: str, *, stream_to: Receiver | None = None, **options: Unpack[StreamRunOptions]
    ) -> Run | AsyncRunStream:
        wishes = Wishes(_received(stream_to, options), stream=stream_to is None, can_await=True)
        return await self._heard(
            "stream_run", [thread_id, run_id], wishes, attached_to=wishes.calls.get(thread_id, run_id)
        )

    async def _page_of_runs(self, thread_id: str, options: Mapping[str, Any]) -> AsyncPage[Run]:
        page = await self._run(call("list_runs", thread_id, reply=ListPage[Run], options=options))
        return AsyncPage(page, options, partial(self._page_of_runs, thread_id))

    @same_docstring(RunMethods.run_and_wait)
    async def run_and_wait(self, thread_id: str, assistant_id: str, **options: Unpack[RunAndWaitOptions]) -> Run:
        from .polling import run_and_wait

        flow = run_and_wait(self._target, thread_id, assistant_id, options, can_await=True)
        return await run_async(flow, self._transport.send, self._sleep)

    @same_docstring(RunMethods.wait_for_run)
    async def wait_for_run(self, thread_id: str, run_id: str, **options: Unpack[WaitOptions]) -> Run:
        from .polling import wait_for_run

        flow = wait_for_run(self._target, thread_id, run_id, options, can_await=True)
        return await run_async(flow, self._transport.send, self._sleep)

    async def _begin(
        self, name: str, arguments: list[str], given: dict[str, Any], stream: bool | None, options: Mapping[str, Any]
    ) -> Run | AsyncRunStream:
        """Make a call that can be answered with events."""
        if not stream and OF_EVENTS.isdisjoint(options):
            return await self._run(call(name, *arguments, reply=Run, options=options, given=given))
        wishes = Wishes(options, stream=bool(stream), can_await=True)
        if not stream and wishes.receiver is None:
            return await self._run(call(name, *arguments, reply=Run, options=wishes.rest, given=given))
        return await self._heard(name, arguments, wishes, {**given, "stream": True})

    async def _heard(
        self,
        name: str,
        arguments: list[str],
        wishes: Wishes,
        given: Mapping[str, Any] | None = None,
        attached_to: Call[Run] | None = None,
    ) -> Run | AsyncRunStream:
        """Make a call that is answered with events, and return them, or hand them over."""

        async def open() -> AsyncRunStream:
            asked = call(name, *arguments, reply=Run, options=wishes.rest, given=given)
            return await AsyncRunStream(
                self._target, asked, wishes, streaming_async(self._transport), self._sleep, attached_to
            ).open()

        if wishes.receiver is None:
            return await open()
        if wishes.in_background:
            return await hand_over_in_background_async(wishes.receiver, open, self._tasks)
        return await hand_over_async(wishes.receiver, open)


def _received(receiver: Receiver | None, options: Mapping[str, Any]) -> Mapping[str, Any]:
    return options if receiver is None else {**options, "stream_to": receiver}
