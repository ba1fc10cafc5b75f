"""Runs and their steps: the rules and the operations. How a run lives is in `lifecycle`; who drives it, in `driver`.

Source: createRun, createThreadAndRun, modifyRun, cancelRun, submitToolOutputsToRun and RunObject; defaults, echoes and
refusals are those of the recorded exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from holdover.errors import APIStatusError, BadRequestError, HoldoverError
from holdover.models.protocol import Models
from holdover.store.protocol import (
    Changed,
    NewObject,
    Reference,
    RunChange,
    RunColumns,
    RunRow,
    ThreadBusy,
    ThreadChange,
)
from holdover.wire.assistants import Assistant
from holdover.wire.events import RUN_EVENTS, frame
from holdover.wire.messages import CreateMessage, Message
from holdover.wire.pages import PageQuery
from holdover.wire.record import UNSET
from holdover.wire.refusals import shortened
from holdover.wire.runs import (
    CancelRun,
    CreateRun,
    CreateThreadAndRun,
    ModifyRun,
    Run,
    SubmitToolOutputs,
    ToolOutput,
    TruncationStrategy,
    is_streamed,
)
from holdover.wire.steps import FunctionCall, IncludeQuery, RunStep, StepPageQuery, ToolCalls
from holdover.wire.threads import CreateThread
from holdover.wire.tools import NewToolResources, ToolResources

from . import lifecycle
from .acting import Tools
from .assistants import DEFAULT_TEMPERATURE, DEFAULT_TOP_P, echoed
from .attaching import RunAttaching
from .broadcast import EventStream
from .core import RetryKey, encode, not_found, references_told, repeatable
from .endings import ended, expired
from .lifecycle import RunState, decode_run, state_of
from .messages import files_of, new_messages
from .steps import page_as_read, step_as_read, without_passages
from .threads import ThreadOperations, as_read
from .turn import run_frame, step_frame, streamed_run
from .worker import Worker

Body = CreateRun | CreateThreadAndRun


def new_run(body: Body, assistant: Assistant, *, id: str, thread_id: str, created_at: int, lifetime_s: float) -> Run:
    """Return the run that a body describes: what it leaves out is the assistant's, copied."""

    def chosen(name: str, otherwise: Any) -> Any:
        given = getattr(body, name)
        return otherwise if given is UNSET or given is None else given

    instructions = chosen("instructions", assistant.instructions)
    additional = getattr(body, "additional_instructions", None) or None
    if additional:
        instructions = f"{instructions}\n\n{additional}" if instructions else additional
    tools = assistant.tools if body.tools is UNSET or body.tools is None else [echoed(tool) for tool in body.tools]
    return Run(
        id=id,
        created_at=created_at,
        assistant_id=assistant.id,
        thread_id=thread_id,
        status="queued",
        expires_at=created_at + max(1, round(lifetime_s)),
        model=chosen("model", assistant.model),
        instructions=instructions,
        tools=tools,
        tool_resources=ToolResources(),
        metadata=body.metadata or {},
        temperature=chosen("temperature", assistant.temperature or DEFAULT_TEMPERATURE),
        top_p=chosen("top_p", assistant.top_p or DEFAULT_TOP_P),
        reasoning_effort=chosen("reasoning_effort", assistant.reasoning_effort),
        max_completion_tokens=body.max_completion_tokens or None,
        max_prompt_tokens=body.max_prompt_tokens or None,
        truncation_strategy=_truncation(body),
        response_format=chosen("response_format", assistant.response_format),
        tool_choice=chosen("tool_choice", "auto"),
        parallel_tool_calls=chosen("parallel_tool_calls", True),
    )


class RunOperations(ThreadOperations, RunAttaching):
    """The operations on runs and their steps."""

    _models: Models
    _worker: Worker
    _run_lifetime_s: float
    _tools: Tools

    # ------------------------------------------------------------------------------------------- making one

    async def create_run(
        self, thread_id: str, body: CreateRun, retry_key: RetryKey | None = None, *, shows_found: bool = False
    ) -> bytes | EventStream:
        """Have an assistant work on a thread; ``shows_found``: its streams show the passages that searches find.

        Raises:
            NotFoundError: There is no such thread or assistant.
            BadRequestError: The thread has an active run, there is nothing to answer, or nobody answers for the model.
        """
        additional = body.additional_messages or []
        try:
            run, assistant = await self._new_run(body, thread_id)
            added = self._new_messages(additional, thread_id, run.created_at)
            if not assistant.instructions and not run.instructions:
                await self._check_there_is_a_question(thread_id, additional)
            return await self._started(
                run,
                [*added],
                requires=[Reference("thread", thread_id), *files_of(additional)],
                on_thread=await self._equipping(thread_id, additional, run.created_at),
                streams=is_streamed(body),
                shows_found=shows_found,
                operation=f"create_run {thread_id}",
                retry_key=retry_key,
            )
        except HoldoverError:
            await self._document("thread", thread_id)  # of several errors, that it is missing is the one to tell
            raise

    async def create_thread_and_run(
        self, body: CreateThreadAndRun, retry_key: RetryKey | None = None, *, shows_found: bool = False
    ) -> bytes | EventStream:
        """Make a thread and have an assistant work on it.

        Raises:
            NotFoundError: There is no such assistant, or something that the thread names does not exist.
            BadRequestError: There is nothing to answer, or nobody answers for the model.
        """
        given = body.thread or CreateThread()
        if body.tool_resources and not given.tool_resources:
            given = msgspec.structs.replace(given, tool_resources=_as_new(body.tool_resources))
        thread = await self._new_thread(given, self._now())
        run, assistant = await self._new_run(body, thread.id)
        asks = any(message.role == "user" for message in given.messages or [])
        if not asks and not run.instructions and not assistant.instructions:
            raise _nothing_to_answer()
        return await self._started(
            run,
            thread.objects,
            requires=thread.requires,
            streams=is_streamed(body),
            shows_found=shows_found,
            operation="create_thread_and_run",
            retry_key=retry_key,
            before=frame("thread.created", as_read(thread.document)),
        )

    async def _new_run(self, body: Body, thread_id: str) -> tuple[Run, Assistant]:
        assistant = _decode_assistant(await self._document("assistant", body.assistant_id))
        run = new_run(
            body,
            assistant,
            id=self._new_id("run"),
            thread_id=thread_id,
            created_at=self._now(),
            lifetime_s=self._run_lifetime_s,
        )
        if self._models.find(run.model) is None:
            raise BadRequestError(
                f"The requested model '{shortened(run.model)}' cannot be used with the Assistants API.",
                param="model",
                code="unsupported_model",
            )
        return run, assistant

    def _new_messages(self, bodies: list[CreateMessage], thread_id: str, created_at: int) -> list[NewObject]:
        ids = [self._new_id("message") for _ in bodies]
        return new_messages(bodies, ids=ids, thread_id=thread_id, created_at=created_at)

    async def _check_there_is_a_question(self, thread_id: str, additional: Sequence[CreateMessage]) -> None:
        if any(message.role == "user" for message in additional):
            return
        after: str | None = None
        while True:
            page = await self._store.page(
                "message", limit=100, ascending=True, after=after, before=None, owner=thread_id
            )
            if any(_decode_message(document).role == "user" for document in page.documents):
                return
            if not page.has_more:
                raise _nothing_to_answer()
            after = page.ids[-1]

    async def _started(
        self,
        run: Run,
        objects: list[NewObject],
        *,
        requires: list[Reference],
        streams: bool,
        shows_found: bool,
        operation: str,
        retry_key: RetryKey | None,
        on_thread: Callable[[bytes], ThreadChange] | None = None,
        before: bytes = b"",
    ) -> bytes | EventStream:
        """Store a run with all that is made with it, and have it driven: here, if there is room.

        The answer shows it queued. One that is driven here is stored as it is from then on: in progress.
        """
        queued = encode(run)
        lease = self._worker.lease(always=streams)
        begun = run if lease is None else lifecycle.changed(run, "in_progress", run.created_at)
        document = queued if lease is None else encode(begun)
        expires_at = float(run.expires_at or 0)
        extra = encode(RunState(shows_found=True)) if shows_found else None
        made = NewObject(
            kind="run",
            id=run.id,
            created_at=run.created_at,
            document=document,
            owner=run.thread_id,
            extra=extra,
            run=RunColumns(status=begun.status, expires_at=expires_at, lease=lease),
        )
        try:
            with references_told():
                reply = await self._store.create(
                    [*objects, made],
                    reply=queued,
                    requires=[*requires, Reference("assistant", run.assistant_id)],
                    repeatable=repeatable(operation, retry_key, run.created_at),
                    idle_thread=None if before else run.thread_id,
                    on_thread=on_thread,
                )
        except ThreadBusy as busy:
            raise already_active(run.thread_id, busy.run_id) from None
        if reply != queued:  # the request was carried out before
            earlier = decode_run(reply)
            if not before:
                await self._document("thread", run.thread_id)
            return await self._repeated(earlier.id, earlier.thread_id) if streams else reply
        if lease is None:
            self._worker.wake()  # whoever drives it tells of it
            if not streams:
                return reply
        channel = self._broadcast.open(run.id, is_new=True)
        listener = channel.listen() if streams else None
        shown = streamed_run(run)
        first = frame("thread.run.created", shown) + frame(RUN_EVENTS["queued"], shown)
        channel.publish(before + first, 3 if before else 2)
        if lease is not None:
            row = RunRow(
                id=run.id,
                thread_id=run.thread_id,
                document=document,
                extra=extra,
                status=begun.status,
                epoch=0,
                attempts=0,
                worker=lease.worker,
                lease_until=run.created_at + lease.seconds,
                expires_at=expires_at,
                now=float(run.created_at),
            )
            is_new = bool(before)
            said = [each.document for each in objects if each.kind == "message"] if is_new else None
            self._worker.drive(row, begun, said)
        else:
            self._broadcast.forget(run.id)  # this process ends: another drives it
        return reply if listener is None else EventStream(listener)

    # ---------------------------------------------------------------------------------------------- reading

    async def get_run(self, thread_id: str, run_id: str) -> bytes:
        """Return a run.

        Raises:
            NotFoundError: There is none with this id in this thread.
        """
        return await self._document("run", run_id, owner=thread_id)

    async def list_runs(self, thread_id: str, query: PageQuery) -> bytes:
        """Return a page of a thread's runs.

        Raises:
            NotFoundError: There is no such thread, or a cursor is not the id of any run of it.
        """
        await self._document("thread", thread_id)
        return await self._page("run", query, owner=thread_id)

    async def list_run_steps(self, thread_id: str, run_id: str, query: StepPageQuery) -> bytes:
        """Return a page of a run's steps.

        Raises:
            NotFoundError: There is no such run in this thread, or a cursor is not the id of any step of it.
        """
        await self.get_run(thread_id, run_id)
        page = await self._page("step", query, owner=run_id)
        return page_as_read(page, with_passages=bool(query.include))

    async def get_run_step(self, thread_id: str, run_id: str, step_id: str, query: IncludeQuery) -> bytes:
        """Return a step.

        Raises:
            NotFoundError: There is none with this id in this run.
        """
        await self.get_run(thread_id, run_id)
        document = await self._store.get("step", step_id, owner=run_id)
        if document is None:
            raise not_found("step", step_id)
        return step_as_read(document, with_passages=bool(query.include))

    # --------------------------------------------------------------------------------------------- changing

    async def modify_run(self, thread_id: str, run_id: str, body: ModifyRun) -> bytes:
        """Change a run's metadata.

        Raises:
            NotFoundError: There is none with this id in this thread.
            BadRequestError: It is being worked on.
        """

        def change(row: RunRow) -> RunChange | None:
            if row.status in ("queued", "in_progress", "cancelling"):
                raise BadRequestError(f"Cannot update run with status '{row.status}'.")
            run = decode_run(row.document)
            if body.metadata is UNSET:
                return None
            run = msgspec.structs.replace(run, metadata=body.metadata or {})
            return RunChange(status=row.status, document=encode(run), expires_at=row.expires_at, lease="keep")

        changed = await self._changed(thread_id, run_id, change)
        return changed.reply

    async def cancel_run(self, thread_id: str, run_id: str, body: CancelRun) -> bytes:
        """Cancel a run; the answer shows it ``cancelling``, as the hosted one did.

        Raises:
            NotFoundError: There is none with this id in this thread.
            BadRequestError: It has ended, or is being cancelled.
        """
        shown = b""

        def change(row: RunRow) -> RunChange:
            nonlocal shown
            status = lifecycle.after(row.status, "cancel")
            if status is None:
                raise BadRequestError(f"Cannot cancel run with status '{row.status}'.")
            run = msgspec.structs.replace(decode_run(row.document), status="cancelling")
            shown = encode(run)
            if status == "cancelling":
                return RunChange(status=status, document=shown, expires_at=row.expires_at, lease="keep")
            return ended(row, status)

        changed = await self._changed(thread_id, run_id, change)
        run = decode_run(shown)
        if changed.change is not None and changed.change.status == "cancelling":
            self._worker.interrupt(run_id, "cancel")
        elif changed.change is not None:
            self._tell(run_id, run_frame(run) + run_frame(decode_run(changed.change.document)), 2)
        return shown

    async def submit_tool_outputs_to_run(
        self,
        thread_id: str,
        run_id: str,
        body: SubmitToolOutputs,
        retry_key: RetryKey | None = None,
        *,
        shows_found: bool = False,
    ) -> bytes | EventStream:
        """Give a run the outputs that it waits for; it goes on with them.

        Raises:
            NotFoundError: There is none with this id in this thread.
            BadRequestError: It waits for none, or for others.
        """
        streams = is_streamed(body)
        lease = self._worker.lease(always=streams)
        completed: RunStep | None = None
        queued: Run | None = None
        begun: Run | None = None

        def change(row: RunRow) -> RunChange | None:
            nonlocal completed, queued, begun, shows_found
            if row.status == "requires_action" and row.expires_at is not None and row.now >= row.expires_at:
                return expired(row)
            if row.status != "requires_action":
                raise _does_not_accept(row.status)
            state = state_of(row.extra)
            step = state.step
            assert step is not None
            shows_found = shows_found or state.shows_found
            state = msgspec.structs.replace(state, shows_found=shows_found)
            now = int(row.now)
            completed = _with_outputs(step, body.tool_outputs, now)
            queued = lifecycle.changed(decode_run(row.document), "queued", now)
            begun = queued if lease is None else lifecycle.changed(queued, "in_progress", now)
            return RunChange(
                status=begun.status,
                document=encode(begun),
                expires_at=row.expires_at,
                extra=encode(state.between_steps(state.usage)),
                lease=lease,
                replaced=[("step", completed.id, encode(completed))],
                reply=encode(queued),
            )

        operation = f"submit_tool_outputs_to_run {run_id}"
        changed = await self._changed(thread_id, run_id, change, retry=repeatable(operation, retry_key, self._now()))
        if changed.change is None:  # the request was carried out before
            if decode_run(changed.reply).status == "expired":
                raise _does_not_accept("expired")
            return await self._repeated(run_id, thread_id) if streams else changed.reply
        if changed.change.status == "expired":
            self._tell(run_id, run_frame(decode_run(changed.change.document)), 1)
            raise _does_not_accept("expired")
        if lease is None:
            self._broadcast.forget(run_id)  # others drive it: what is kept here would soon be a part only
            self._worker.wake()
            if not streams:
                return changed.reply
        assert completed is not None
        assert queued is not None
        assert begun is not None
        channel = self._broadcast.open(run_id)
        listener = channel.listen() if streams else None
        after_id = channel.next_id - 1 if channel.is_whole else None
        told = completed if shows_found else without_passages(completed)
        channel.publish(step_frame(told, queued) + run_frame(queued), 2)
        if lease is not None:
            self._worker.drive(changed.after, begun)
        else:
            self._broadcast.forget(run_id)  # this process ends
        return changed.reply if listener is None else EventStream(listener, after_id=after_id)

    async def delete_thread(self, thread_id: str) -> bytes:
        """Delete a thread with all that belongs to it; a run that is active ends.

        Raises:
            NotFoundError: There is none with this id.
        """
        active = await self._store.find_active_run(thread_id)
        reply = await super().delete_thread(thread_id)
        if active is not None and not self._worker.interrupt(active, "deleted"):
            self._broadcast.end(active)
        await self._tools.forget(thread_id)
        return reply

    async def _changed(
        self,
        thread_id: str,
        run_id: str,
        change: Callable[[RunRow], RunChange | None],
        *,
        retry: Any = None,
        durable: bool = True,
    ) -> Changed:
        changed = await self._store.change_run(run_id, change, thread_id=thread_id, durable=durable, repeatable=retry)
        if changed is None:
            raise await self._missing("run", run_id, thread_id)
        return changed

    def _tell(self, run_id: str, frames: bytes, count: int) -> None:
        """Tell who listens here of a run's end."""
        channel = self._broadcast.find(run_id)
        if channel is not None:
            channel.publish(frames, count)
            self._broadcast.end(run_id)


def _truncation(body: Body) -> TruncationStrategy:
    given = body.truncation_strategy
    if not given:
        return TruncationStrategy(type="auto")
    return TruncationStrategy(type=given.type, last_messages=given.last_messages or None)


def already_active(thread_id: str, run_id: str) -> APIStatusError:
    """Return the error for a second run on a thread."""
    return BadRequestError(f"Thread {thread_id} already has an active run {run_id}.")


def _nothing_to_answer() -> BadRequestError:
    return BadRequestError(
        "Run creation requires a Thread with a user message or an assistant with instructions.", code="invalid_thread"
    )


def _does_not_accept(status: str) -> BadRequestError:
    return BadRequestError(f'Runs in status "{status}" do not accept tool outputs.')


def _with_outputs(step: RunStep, outputs: list[ToolOutput], now: int) -> RunStep:
    """Return the step with its calls answered.

    Raises:
        BadRequestError: The outputs are not those of exactly these calls.
    """
    assert isinstance(step.step_details, ToolCalls)
    calls = step.step_details.tool_calls
    expected = [call.id for call in calls if isinstance(call, FunctionCall)]
    given = {each.tool_call_id: each.output or "" for each in outputs}
    if given.keys() != set(expected):
        raise BadRequestError(
            f"Expected tool outputs for call_ids {expected}, got {[shortened(each) for each in given]}"
        )
    answered = [
        msgspec.structs.replace(call, function=msgspec.structs.replace(call.function, output=given[call.id]))
        if isinstance(call, FunctionCall)
        else call
        for call in calls
    ]
    step = msgspec.structs.replace(step, step_details=ToolCalls(tool_calls=answered))
    return lifecycle.ended_step(step, "completed", now)


def _as_new(resources: ToolResources) -> NewToolResources:
    return msgspec.convert(msgspec.to_builtins(resources), NewToolResources)


_decode_assistant = msgspec.json.Decoder(Assistant).decode
_decode_message = msgspec.json.Decoder(Message).decode
