"""Drives one run from ``in_progress`` to its next rest: ``requires_action``, or an end.

It alone writes the run while it holds its lease. Every write is fenced: made only if the row still bears the epoch that
the run was given with. What decides is elsewhere: what may follow (`lifecycle`), what is asked (`context`), what the
answer becomes (`turn`).

An interruption (cancelled, expired, lease lost …) breaks into a wait for the model, never into a write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from holdover import telemetry
from holdover.errors import InternalServerError
from holdover.models.protocol import Model, ModelError, ModelRequest, Models
from holdover.store.protocol import DRIVEN, Blobs, Changed, Kind, NewObject, Reference, RunChange, RunRow, Store
from holdover.wire.events import RUN_EVENTS, frame
from holdover.wire.messages import Message
from holdover.wire.runs import RequiredAction, RequiredToolCalls, Run, RunError, Usage
from holdover.wire.steps import RunStep
from holdover.wire.tools import CodeInterpreterResources, ToolResources

from . import context, images, lifecycle, turn
from .broadcast import Broadcast, Channel
from .core import encode
from .lifecycle import Happening, RunState, decode_run, state_of
from .turn import Answer, CallsBegin, Frames, MessageBegins

Interruption = Literal["cancel", "expire", "lost", "release", "deleted"]

#: How often the text so far is written down, in seconds, for those who poll.
CHECKPOINT_S = 2.0
#: How often a write is tried again while the database does not answer, and after how many seconds.
WRITE_PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
#: How many objects are read at once.
PAGE = 100
#: Bytes of documents for each token that fits: more than this need not be read.
BYTES_PER_TOKEN = 16

SORRY = "Sorry, something went wrong."


class Interrupted(Exception):
    """The run is not to be driven on."""

    def __init__(self, why: Interruption) -> None:
        super().__init__(why)
        self.why = why


class Work:
    """What all drivers of a process share."""

    def __init__(
        self,
        store: Store,
        models: Models,
        broadcast: Broadcast,
        *,
        new_id: Callable[[str], str],
        blobs: Blobs,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.models = models
        self.broadcast = broadcast
        self.new_id = new_id
        self.sleep = sleep


class Driver:
    """Drives one run.

    Args:
        row: The run as it was given, with its lease.
        epoch: The epoch that came with it.
    """

    def __init__(self, work: Work, row: RunRow, epoch: int, *, document: bytes, status: str) -> None:
        self._work = work
        self._store = work.store
        self._thread_id = row.thread_id
        self._row_now = row.now
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._status = status
        self._run = decode_run(document)
        self._state = state_of(row.extra)
        self._answer: Answer | None = None
        self._channel: Channel = work.broadcast.open(row.id)
        self._is_waiting = False
        self._interruption: Interruption | None = None
        self._task: asyncio.Task[None] | None = None
        self.run_id = row.id
        self.epoch = epoch

    @property
    def given_at(self) -> float:
        """When the run was given to this driver, by the loop's clock."""
        return self._began

    @property
    def expires_in_s(self) -> float:
        """Seconds until the run expires."""
        return (self._run.expires_at or 0) - self._now_exactly()

    def interrupt(self, why: Interruption) -> None:
        """Have the run driven no further, as soon as nothing is being written."""
        if self._interruption is None or why in ("lost", "deleted"):
            self._interruption = why
        if self._is_waiting and self._task is not None:
            self._is_waiting = False
            self._task.cancel()

    async def drive(self) -> None:
        """Drive the run to its next rest. Raises nothing but cancellation."""
        self._task = asyncio.current_task()
        expiry = self._loop.call_later(max(0.0, self.expires_in_s), self.interrupt, "expire")
        try:
            await self._drive()
        finally:
            expiry.cancel()

    async def _drive(self) -> None:
        try:
            try:
                await self._go_on()
            except ModelError as error:
                await self._end("fail", error=RunError(code=error.code, message=error.message))
            except (Interrupted, InternalServerError, asyncio.CancelledError):
                raise
            except Exception as error:
                telemetry.emit("run.failure", run_id=self.run_id, error=error)
                await self._end("fail", error=RunError(code="server_error", message=SORRY))
        except Interrupted as interrupted:
            await self._stop(interrupted.why)
        except InternalServerError as error:
            # The database does not take what is to be written: the lease runs out, and whoever finds the run goes on.
            telemetry.emit("run.failure", run_id=self.run_id, error=error)
            self._work.broadcast.forget(self.run_id)

    async def _stop(self, why: Interruption) -> None:
        try:
            match why:
                case "cancel":
                    await self._end("lose")  # a run that is being cancelled ends so, whatever happens
                case "expire":
                    await self._end("expire")
                case "release":
                    await self._release()
                case "lost":
                    self._work.broadcast.forget(self.run_id)
                case "deleted":
                    self._tell_deletion()
        except Interrupted as interrupted:
            if interrupted.why == "deleted":
                self._tell_deletion()
            else:
                self._work.broadcast.forget(self.run_id)
        except InternalServerError as error:
            telemetry.emit("run.failure", run_id=self.run_id, error=error)
            self._work.broadcast.forget(self.run_id)

    def _tell_deletion(self) -> None:
        """End the stream of a run whose thread was deleted: nothing of it is left but who listens."""
        run = lifecycle.changed(self._run, "cancelled", self._now())
        self._publish(run_frame(run), 1)
        self._work.broadcast.end(self.run_id)

    # ------------------------------------------------------------------------------------------- going on

    async def _go_on(self) -> None:
        if self._status == "queued":
            await self._begin()
        self._publish(run_frame(self._run), 1)
        model = self._work.models.find(self._run.model)
        if model is None:
            raise ModelError(f"No model answers for '{self._run.model}' any more.")
        while await self._take_turn(model):
            pass

    async def _begin(self) -> None:
        def change(row: RunRow) -> RunChange:
            run = lifecycle.changed(self._run, "in_progress", int(row.now))
            return RunChange(status=run.status, document=encode(run), expires_at=row.expires_at, lease="keep")

        changed = await self._write(change, durable=False, expected=("queued",))
        self._run = decode_run(changed.document)

    async def _take_turn(self, model: Model) -> bool:
        """Have the model answer once; return whether it is to be asked again."""
        used = self._state.usage
        if self._is_used_up(used):
            await self._end("stop_short", reason=self._limit_reached(used))
            return False
        try:
            asked = await self._request(model)
        except context.NoRoom:
            await self._end("stop_short", reason="max_prompt_tokens")
            return False
        answer = self._answer = Answer(self._run, self._work.new_id, self._now)
        await self._listen(model, asked, answer)
        for outcome in answer.end():
            await self._carry_out(outcome)
        usage = _usage(answer, asked, model)
        if answer.reason == "content_filter":
            await self._end("stop_short", reason="content_filter", usage=usage)
        elif answer.reason == "length":
            # Half a call is no call: it is not asked for.
            await self._end("stop_short", reason="max_completion_tokens", usage=usage)
        elif answer.has_calls:
            await self._ask_for_outputs(answer, usage)
        else:
            await self._end("complete", usage=usage)
        return False

    async def _listen(self, model: Model, asked: ModelRequest, answer: Answer) -> None:
        batches = model.answer(asked)
        last_checkpoint = self._loop.time()
        try:
            while True:
                self._check()
                self._is_waiting = True
                try:
                    batch = await anext(batches)
                except StopAsyncIteration:
                    break
                except asyncio.CancelledError:
                    if self._interruption is None or self._task is None:
                        raise  # the process itself ends
                    self._task.uncancel()
                    raise Interrupted(self._interruption) from None
                finally:
                    self._is_waiting = False
                for outcome in answer.take(batch):
                    if isinstance(outcome, Frames):
                        self._publish(outcome.data, outcome.count)
                    else:
                        await self._carry_out(outcome)
                if self._loop.time() - last_checkpoint > CHECKPOINT_S:
                    last_checkpoint = self._loop.time()
                    await self._checkpoint(answer)
        finally:
            await batches.aclose()  # type: ignore[attr-defined]

    async def _request(self, model: Model) -> ModelRequest:
        messages, steps = await self._conversation(model)
        spent = self._state.usage.completion_tokens if self._state.usage else 0
        asked = context.request(self._run, messages, steps, spent=spent)
        limit = self._run.max_prompt_tokens
        if limit is not None and self._state.usage is not None:
            limit -= self._state.usage.prompt_tokens
        asked = context.fitted(asked, context_tokens=model.context_tokens, limit=limit, count=model.count_tokens)
        return await images.with_content(asked, self._store, self._work.blobs)

    async def _conversation(self, model: Model) -> tuple[list[Message], list[RunStep]]:
        """Read as much of the thread as the model could take, oldest first, and the run's steps."""
        wanted = context.last_messages(self._run)
        room = model.context_tokens * BYTES_PER_TOKEN
        newest: list[Message] = []
        after: str | None = None
        steps = await self._steps()
        if wanted is not None:
            wanted += sum(step.type == "message_creation" for step in steps)
        while True:
            limit = PAGE if wanted is None else min(PAGE, wanted - len(newest))
            page = await self._store.page(
                "message", limit=limit, ascending=False, after=after, before=None, owner=self._thread_id
            )
            newest += [_decode_message(document) for document in page.documents]
            room -= sum(map(len, page.documents))
            if not page.has_more or (wanted is not None and len(newest) >= wanted):
                break
            if room < 0:
                oldest = await self._store.page(
                    "message", limit=1, ascending=True, after=None, before=None, owner=self._thread_id
                )
                newest += [_decode_message(document) for document in oldest.documents]
                break
            after = page.ids[-1]
        return newest[::-1], steps

    async def _steps(self) -> list[RunStep]:
        if self._state.usage is None:
            return []  # nothing was answered yet
        steps: list[RunStep] = []
        after: str | None = None
        while True:
            page = await self._store.page(
                "step", limit=PAGE, ascending=True, after=after, before=None, owner=self.run_id
            )
            steps += [lifecycle.decode_step(document) for document in page.documents]
            if not page.has_more:
                return [step for step in steps if step.status == "completed"]
            after = page.ids[-1]

    def _is_used_up(self, used: Usage | None) -> bool:
        return used is not None and self._limit_reached(used) is not None

    def _limit_reached(self, used: Usage | None) -> Literal["max_completion_tokens", "max_prompt_tokens"] | None:
        run = self._run
        if used is None:
            return None
        if run.max_completion_tokens is not None and used.completion_tokens >= run.max_completion_tokens:
            return "max_completion_tokens"
        if run.max_prompt_tokens is not None and used.prompt_tokens >= run.max_prompt_tokens:
            return "max_prompt_tokens"
        return None

    # -------------------------------------------------------------------------------------------- writing

    async def _carry_out(self, outcome: MessageBegins | CallsBegin | Frames) -> None:
        match outcome:
            case Frames():
                self._publish(outcome.data, outcome.count)
            case MessageBegins(step=step, message=message):
                state = msgspec.structs.replace(self._state, step=step, message_id=message.id)
                await self._keep(state, added=[stored_step(step), stored_message(message)])
                self._publish(turn.step_began(step) + turn.message_began(message), 4)
            case CallsBegin(step=step):
                await self._begin_calls(step)

    async def _begin_calls(self, step: RunStep) -> None:
        """Store a step of calls; the message before it, if there is one, is complete."""
        assert self._answer is not None
        said, wrote = self._answer.grown_message(), self._state.step
        state = msgspec.structs.replace(self._state, step=step, message_id=None)
        if said is None or wrote is None:
            await self._keep(state, added=[stored_step(step)])
            self._publish(turn.step_began(step), 2)
            return
        now = self._now()
        said = msgspec.structs.replace(said, **lifecycle.message_end("completed", None, now))
        wrote = lifecycle.ended_step(wrote, "completed", now)
        await self._keep(
            state,
            added=[stored_step(step)],
            replaced=[("message", said.id, encode(said)), ("step", wrote.id, encode(wrote))],
        )
        self._answer.message = None
        frames = turn.message_frame(said) + turn.step_frame(wrote, self._run) + turn.step_began(step)
        self._publish(frames, 4)

    async def _keep(
        self, state: RunState, *, added: list[NewObject], replaced: list[tuple[Kind, str, bytes]] | None = None
    ) -> None:
        extra = encode(state)

        def change(row: RunRow) -> RunChange:
            return RunChange(
                status=row.status,
                document=row.document,
                expires_at=row.expires_at,
                extra=extra,
                lease="keep",
                added=added,
                replaced=replaced or (),
                attempts=0 if row.attempts else None,
            )

        await self._write(change, durable=False, expected=("in_progress",))
        self._state = state

    async def _checkpoint(self, answer: Answer) -> None:
        message = answer.grown_message()
        if message is not None:
            await self._keep(self._state, added=[], replaced=[("message", message.id, encode(message))])

    async def _ask_for_outputs(self, answer: Answer, usage: Usage) -> None:
        step = msgspec.structs.replace(answer.grown_calls(), usage=usage)
        total = lifecycle.added_usage(self._state.usage, usage)
        state = RunState(step=step, usage=total)
        calls = answer.required_calls()
        action = RequiredAction(submit_tool_outputs=RequiredToolCalls(tool_calls=calls))

        def change(row: RunRow) -> RunChange:
            run = lifecycle.changed(decode_run(row.document), "requires_action", int(row.now), action=action)
            return RunChange(
                status=run.status,
                document=encode(run),
                expires_at=row.expires_at,
                extra=encode(state),
                attempts=0,
                # While it waits, a step shows no usage.
                replaced=[("step", step.id, encode(msgspec.structs.replace(step, usage=None)))],
            )

        changed = await self._write(change, expected=("in_progress",))
        self._run, self._state = decode_run(changed.document), state
        self._publish(run_frame(self._run), 1)
        self._channel.end_leg(is_over=False)

    async def _end(
        self,
        happening: Happening,
        *,
        usage: Usage | None = None,
        error: RunError | None = None,
        reason: Literal["max_completion_tokens", "max_prompt_tokens", "content_filter"] | None = None,
    ) -> None:
        """End the run, its open step and its message, in one transaction that is durable before anybody is told."""
        total = lifecycle.added_usage(self._state.usage, usage)
        ended: dict[str, Any] = {}

        def change(row: RunRow) -> RunChange:
            status = lifecycle.after(row.status, happening)
            if status is None or (happening == "lose" and row.status != "cancelling"):
                raise Interrupted("lost")
            now = int(row.now)
            run = lifecycle.changed(decode_run(row.document), status, now, usage=total, error=error, reason=reason)
            step, message = self._ended_step(status, now, usage, error), self._ended_message(status, reason, now)
            ended.update(run=run, step=step, message=message)
            replaced: list[tuple[Kind, str, bytes]] = []
            if message is not None:
                replaced.append(("message", message.id, encode(message)))
            if step is not None:
                replaced.append(("step", step.id, encode(step)))
            return RunChange(
                status=status,
                document=encode(run),
                expires_at=None,
                extra=encode(RunState(usage=total)),
                replaced=replaced,
            )

        await self._write(change, expected=DRIVEN if self._status != "queued" else (*DRIVEN, "queued"))
        self._tell_end(**ended)

    def _tell_end(self, *, run: Run, step: RunStep | None, message: Message | None) -> None:
        frames = []
        if message is not None:
            frames.append(turn.message_frame(message))
        if step is not None:
            frames.append(turn.step_frame(step, self._run))
        if run.status == "cancelled":
            frames.append(run_frame(msgspec.structs.replace(self._run, status="cancelling")))
        frames.append(run_frame(run))
        self._publish(b"".join(frames), len(frames))
        self._run = run
        self._work.broadcast.end(self.run_id)
        telemetry.emit("run.end", run_id=self.run_id, status=run.status, seconds=self._loop.time() - self._began)

    def _ended_step(self, status: Any, now: int, usage: Usage | None, error: RunError | None) -> RunStep | None:
        step = self._state.step
        if step is None:
            return None
        if self._answer is not None and self._answer.has_calls:
            step = self._answer.grown_calls()
        if error is not None and error.code == "invalid_prompt":
            error = RunError(code="server_error", message=error.message)  # a step knows no other word for it
        return lifecycle.ended_step(step, lifecycle.STEP_ENDS[status], now, usage=usage, error=error)

    def _ended_message(self, status: Any, reason: str | None, now: int) -> Message | None:
        message = self._answer.grown_message() if self._answer is not None and self._state.message_id else None
        if message is None:
            return None
        return msgspec.structs.replace(message, **lifecycle.message_end(status, reason, now))

    async def _release(self) -> None:
        """Give the run back to the queue: this process ends, another goes on."""

        def change(row: RunRow) -> RunChange:
            left = given_up(row, counts=False)
            assert left is not None  # a run that is driven can always be given up
            return left

        await self._write(change, expected=DRIVEN)
        self._work.broadcast.forget(self.run_id)

    async def _write(
        self, make: Callable[[RunRow], RunChange], *, durable: bool = True, expected: tuple[str, ...]
    ) -> RunChange:
        """Make a fenced change; try again while the database does not answer.

        Raises:
            Interrupted: The run is cancelled, not this driver's any more, or gone; nothing was written.
            InternalServerError: The database did not answer for so long that the lease is over.
        """
        made: RunChange | None = None

        def change(row: RunRow) -> RunChange | None:
            nonlocal made
            if row.epoch != self.epoch:
                raise Interrupted("lost")
            if made is not None and (row.status, row.document, row.extra) == (made.status, made.document, made.extra):
                return None  # it was written, only the database's word of it was lost
            if row.status not in expected:
                raise Interrupted("cancel" if row.status == "cancelling" else "lost")
            made = make(row)
            return made

        for pause in (*WRITE_PAUSES_S, None):
            try:
                changed: Changed | None = await self._store.change_run(self.run_id, change, durable=durable)
            except InternalServerError:
                if pause is None:
                    raise
                await self._work.sleep(pause)
                continue
            if changed is None:
                raise Interrupted("deleted")
            assert made is not None
            self._status = made.status
            return made
        raise AssertionError("unreachable")

    # ---------------------------------------------------------------------------------------------- small

    def _check(self) -> None:
        if self._interruption is not None:
            raise Interrupted(self._interruption)

    def _publish(self, frames: bytes, count: int) -> None:
        self._channel.publish(frames, count)

    def _now_exactly(self) -> float:
        # The database's time at the start, and what passed since by a clock that nobody sets.
        return self._row_now + (self._loop.time() - self._began)

    def _now(self) -> int:
        return int(self._now_exactly())


def given_up(row: RunRow, *, counts: bool) -> RunChange | None:
    """Return what becomes of a run whose worker is gone: it goes back to the queue, or ends.

    What an attempt that died had begun is taken away with it: what a thread keeps is what an attempt finished.

    Args:
        counts: Whether the run may have been the cause.
    """
    happening: Happening = "lose"
    attempts = row.attempts + counts
    error = None
    if attempts >= lifecycle.MAX_ATTEMPTS and row.status == "in_progress":
        happening, error = "fail", RunError(code="server_error", message=SORRY)
    status = lifecycle.after(row.status, happening)
    if status is None:
        return None
    state = state_of(row.extra)
    run = lifecycle.changed(decode_run(row.document), status, int(row.now), usage=state.usage, error=error)
    removed = [Reference("step", state.step.id)] if state.step is not None else []
    if state.message_id is not None:
        removed.append(Reference("message", state.message_id))
    return RunChange(
        status=status,
        document=encode(run),
        expires_at=None if run.is_terminal else row.expires_at,
        extra=encode(RunState(usage=state.usage)),
        attempts=attempts,
        removed=removed,
    )


def run_frame(run: Run) -> bytes:
    """Return the frame of a run's status."""
    return frame(RUN_EVENTS[run.status], streamed_run(run))


def streamed_run(run: Run) -> bytes:
    """Return a run as streams show it: the code interpreter's list is there even when it is empty (as recorded)."""
    resources = run.tool_resources
    if resources is None or (not resources.code_interpreter and not resources.file_search):
        run = msgspec.structs.replace(
            run, tool_resources=ToolResources(code_interpreter=CodeInterpreterResources(file_ids=[]))
        )
    return encode(run)


def stored_step(step: RunStep) -> NewObject:
    """Return a step as the store takes it."""
    return NewObject(kind="step", id=step.id, created_at=step.created_at, document=encode(step), owner=step.run_id)


def stored_message(message: Message) -> NewObject:
    """Return a run's message as the store takes it."""
    return NewObject(
        kind="message",
        id=message.id,
        created_at=message.created_at,
        document=encode(message),
        owner=message.thread_id,
        run_id=message.run_id,
    )


def _usage(answer: Answer, asked: ModelRequest, model: Model) -> Usage:
    """Return what a model says that its answer took; counted here where it does not say."""
    if answer.usage is not None:
        told = answer.usage
        return lifecycle.new_usage(
            told.prompt_tokens, told.completion_tokens, told.cached_tokens, told.reasoning_tokens
        )
    count = model.count_tokens
    prompt = count(asked.instructions or "") + sum(context.size_of(each, count) for each in asked.turns)
    said = answer.text + "".join(each.function.name + each.function.arguments for each in answer.required_calls())
    return lifecycle.new_usage(prompt, count(said) if said else 0)


_decode_message = msgspec.json.Decoder(Message).decode
