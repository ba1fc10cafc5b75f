"""Drives one run from ``in_progress`` to its next rest: ``requires_action``, or an end.

It alone writes the run while it holds its lease. Every write is fenced: made only if the row is as this driver left it,
with the epoch that it was given with, its worker's name, and the state that it wrote last. The epoch alone would not
do: a database that crashes forgets what was not flushed, and counts again from what it remembers.

What decides is elsewhere: what may follow (`lifecycle`), what is asked (`context`), what the answer becomes (`turn`).

What one read of the model's answer brings is written in one transaction, and what it brings last, with the end: an
answer that comes whole is written once. Its frames wait until then (`Draft`).

An interruption (cancelled, expired, lease lost …) breaks into a wait for the model, never into a write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from holdover import telemetry
from holdover.errors import InternalServerError
from holdover.models.protocol import Chunk, Model, ModelError, ModelRequest, Models, pour
from holdover.store.protocol import DRIVEN, Blobs, Changed, Kind, RunChange, RunRow, Store
from holdover.wire.messages import Message
from holdover.wire.runs import RequiredAction, RequiredToolCalls, Run, RunError, Usage
from holdover.wire.steps import RunStep

from . import context, images, lifecycle, turn
from .acting import Room, ToolFailure, Tools, found_in
from .broadcast import Broadcast, Channel
from .core import encode
from .draft import Draft, stored_step
from .endings import SORRY, given_up
from .lifecycle import Happening, RunState, decode_run, state_of
from .messages import stored_message
from .reading import read_messages, read_steps
from .steps import without_passages
from .turn import Answer, CallsBegin, Frames, MessageBegins, run_frame

T = TypeVar("T")

Interruption = Literal["cancel", "expire", "lost", "release", "deleted"]

#: How often the text so far is written down, in seconds, for those who poll.
CHECKPOINT_S = 2.0
#: How often a write is tried again while the database does not answer, and after how many seconds.
WRITE_PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
#: What the passages of one search may take, in tokens (as with the hosted service).
PASSAGES_TOKENS = 16_000


class Interrupted(Exception):
    """The run is not to be driven on."""

    def __init__(self, why: Interruption) -> None:
        super().__init__(why)
        self.why = why


class Work:
    """What all drivers of a process share; ``worker`` is the name under which it holds leases."""

    def __init__(
        self,
        store: Store,
        models: Models,
        broadcast: Broadcast,
        *,
        worker: str,
        new_id: Callable[[str], str],
        blobs: Blobs,
        tools: Tools,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.models = models
        self.tools = tools
        self.broadcast = broadcast
        self.worker = worker
        self.new_id = new_id
        self.sleep = sleep


class Driver:
    """Drives one run.

    Args:
        row: The run's row as it is stored: the lease on it was given to this driver.
        run: The run that it is the row of: in progress.
        messages: The messages of its thread as they are stored, oldest first, where that was made with it.
    """

    def __init__(self, work: Work, row: RunRow, run: Run, messages: Sequence[bytes] | None = None) -> None:
        self._work = work
        self._store = work.store
        self._thread_id = row.thread_id
        self._row = row
        self._row_now = row.now
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._run = run
        self._messages = messages
        self._state = state_of(row.extra)
        self._answer: Answer | None = None
        self._finished: list[RunStep] = []
        self._draft = Draft()
        self._channel: Channel = work.broadcast.open(row.id)
        self._channel.follow(row.epoch)
        self._is_waiting = False
        self._interruption: Interruption | None = None
        self._task: asyncio.Task[None] | None = None
        self.run_id = row.id
        self.epoch = row.epoch

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
            except (ModelError, ToolFailure) as error:
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
            self._forget()

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
                    self._forget()
                case "deleted":
                    self._tell_deletion()
        except Interrupted as interrupted:
            if interrupted.why == "deleted":
                self._tell_deletion()
            else:
                self._forget()
        except InternalServerError as error:
            telemetry.emit("run.failure", run_id=self.run_id, error=error)
            self._forget()

    def _tell_deletion(self) -> None:
        """End the stream of a run whose thread was deleted: nothing of it is left but who listens."""
        self._draft = Draft()
        run = lifecycle.changed(self._run, "cancelled", self._now())
        self._publish(run_frame(run), 1)
        self._work.broadcast.end(self.run_id)

    # ------------------------------------------------------------------------------------------- going on

    async def _go_on(self) -> None:
        self._publish(run_frame(self._run), 1)
        model = self._work.models.find(self._run.model)
        if model is None:
            raise ModelError(f"No model answers for '{self._run.model}' any more.")
        while await self._take_turn(model):
            pass

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
        references = None
        if self._state.queries or self._state.files:
            references = self._work.tools.references(found_in(self._finished), self._state.files)
        answer = self._answer = Answer(
            self._run, self._work.new_id, self._now, references=references, images=self._state.images
        )
        await self._listen(model, asked, answer)
        for outcome in answer.end():
            self._carry_out(outcome)
        usage = _usage(answer, asked, model)
        if answer.reason == "content_filter":
            await self._end("stop_short", reason="content_filter", usage=usage)
        elif answer.reason == "length":
            # Half a call is no call: it is not asked for.
            await self._end("stop_short", reason="max_completion_tokens", usage=usage)
        elif answer.has_calls:
            await self._act(answer, model)
            if answer.required_calls():
                await self._ask_for_outputs(answer, usage)
            else:
                await self._complete_calls(answer, usage)
                return True
        else:
            await self._end("complete", usage=usage)
        return False

    async def _listen(self, model: Model, asked: ModelRequest, answer: Answer) -> None:
        """Take a model's answer, batch by batch; what each one brings is told as it comes, or written down first."""
        batches = model.answer(asked)
        checkpoint_at = self._loop.time() + CHECKPOINT_S

        def take(batch: Sequence[Chunk]) -> bool:
            # This is what happens to every token; the functions it goes through were counted.
            text = answer.continued(batch)
            if text is not None and not self._draft.is_begun:
                self._channel.publish(text, 1)
            elif text is not None:
                self._draft.hold(text, 1)
            else:
                for outcome in answer.take(batch):
                    self._carry_out(outcome)
            return not self._draft.is_begun and self._interruption is None and self._loop.time() < checkpoint_at

        try:
            while await self._wait(pour(batches, take)):
                if self._draft.is_begun and answer.reason is None:
                    await self._keep(self._state)
                if self._loop.time() >= checkpoint_at:
                    checkpoint_at = self._loop.time() + CHECKPOINT_S
                    await self._checkpoint(answer)
        finally:
            await batches.aclose()  # type: ignore[attr-defined]

    async def _wait(self, awaited: Awaitable[T]) -> T:
        """Wait for something that an interruption may break into: nothing is being written meanwhile."""
        try:
            self._check()
        except Interrupted:
            if asyncio.iscoroutine(awaited):
                awaited.close()
            raise
        self._is_waiting = True
        try:
            return await awaited
        except asyncio.CancelledError:
            if self._interruption is None or self._task is None:
                raise  # the process itself ends
            self._task.uncancel()
            raise Interrupted(self._interruption) from None
        finally:
            self._is_waiting = False

    async def _act(self, answer: Answer, model: Model) -> None:
        """Carry out the calls of built-in tools, one after the other, and tell what they come to."""
        if answer.searches or answer.code:
            await self._keep(self._state)  # what is waited for is seen
        tools, state = self._work.tools, self._state
        # Several searches, the conversation and the answer share the model's window.
        room = Room(min(PASSAGES_TOKENS, model.context_tokens // 3), model.count_tokens)
        for search in answer.searches:
            found = await self._wait(tools.search(self._run, search.query, room))
            state = msgspec.structs.replace(state, queries={**state.queries, search.id: search.query})
            shown = found if state.shows_found else without_passages(found)
            self._carry_out(answer.found(search, found, shown))
        for code in answer.code:
            running = tools.execute(self._run, code.code)
            try:
                while True:
                    try:
                        made = await self._wait(anext(running))
                    except StopAsyncIteration:
                        break
                    self._carry_out(answer.printed(code, made.outputs))
                    state = msgspec.structs.replace(
                        state, files={**state.files, **made.files}, images=[*state.images, *made.images]
                    )
            finally:
                await running.aclose()  # type: ignore[attr-defined]
        self._state = state

    async def _request(self, model: Model) -> ModelRequest:
        # Before its first answer a run has no steps.
        steps = self._finished = await read_steps(self._store, self._run) if self._state.usage else []
        known, self._messages = self._messages, None  # only before the first answer nobody has said anything more
        messages = await read_messages(self._store, self._run, steps, context_tokens=model.context_tokens, known=known)
        spent = self._state.usage.completion_tokens if self._state.usage else 0
        asked = context.request(
            self._run, messages, steps, spent=spent, queries=self._state.queries, tools=self._work.tools
        )
        limit = self._run.max_prompt_tokens
        if limit is not None and self._state.usage is not None:
            limit -= self._state.usage.prompt_tokens
        asked = context.fitted(asked, context_tokens=model.context_tokens, limit=limit, count=model.count_tokens)
        return await images.with_content(asked, self._store, self._work.blobs)

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

    def _carry_out(self, outcome: MessageBegins | CallsBegin | Frames) -> None:
        match outcome:
            case Frames():
                self._publish(outcome.data, outcome.count)
            case MessageBegins(step=step, message=message):
                self._state = msgspec.structs.replace(
                    self._state, step=step, message_id=message.id, images=[], shown=self._state.images
                )
                self._draft.add([stored_step(step), stored_message(message)])
                self._publish(turn.step_began(step) + turn.message_began(message), 4)
            case CallsBegin(step=step):
                self._begin_calls(step)

    def _begin_calls(self, step: RunStep) -> None:
        """Store a step of calls; the message before it, if there is one, is complete."""
        assert self._answer is not None
        said, wrote = self._answer.grown_message(), self._state.step
        self._state = msgspec.structs.replace(self._state, step=step, message_id=None)
        if said is None or wrote is None:
            self._draft.add([stored_step(step)])
            self._publish(turn.step_began(step), 2)
            return
        now = self._now()
        said = msgspec.structs.replace(said, **lifecycle.message_end("completed", None, now))
        wrote = lifecycle.ended_step(wrote, "completed", now)
        self._state = msgspec.structs.replace(self._state, before=(wrote.id, said.id))
        self._draft.add([stored_step(step)], [("message", said.id, encode(said)), ("step", wrote.id, encode(wrote))])
        self._answer.message = None
        frames = turn.message_frame(said) + turn.step_frame(wrote, self._run) + turn.step_began(step)
        self._publish(frames, 4)

    async def _keep(
        self, state: RunState, *, replaced: Sequence[tuple[Kind, str, bytes]] = (), attempts: int | None = None
    ) -> None:
        """Write down how far the run is, and the draft."""
        extra = encode(state)

        def change(row: RunRow) -> RunChange:
            return RunChange(
                status=row.status,
                document=row.document,
                expires_at=row.expires_at,
                extra=extra,
                lease="keep",
                replaced=replaced,
                attempts=attempts,
            )

        await self._write(change, durable=False, expected=("in_progress",))
        self._state = state

    async def _checkpoint(self, answer: Answer) -> None:
        message = answer.grown_message()
        if message is not None:
            await self._keep(self._state, replaced=[("message", message.id, encode(message))])

    async def _complete_calls(self, answer: Answer, usage: Usage) -> None:
        """Complete a step of calls that were all carried out here; the model is asked again."""
        step = lifecycle.ended_step(answer.grown_calls(), "completed", self._now(), usage=usage)
        state = self._state.between_steps(lifecycle.added_usage(self._state.usage, usage))
        await self._keep(state, replaced=[("step", step.id, encode(step))], attempts=0)
        self._publish(turn.step_frame(self._as_shown(step), self._run), 1)
        self._answer = None

    def _as_shown(self, step: RunStep) -> RunStep:
        """Return a step as this run's streams show it."""
        return step if self._state.shows_found else without_passages(step)

    async def _ask_for_outputs(self, answer: Answer, usage: Usage) -> None:
        step = msgspec.structs.replace(answer.grown_calls(), usage=usage)
        total = lifecycle.added_usage(self._state.usage, usage)
        state = msgspec.structs.replace(self._state.between_steps(total), step=step)
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
        self._work.broadcast.rest(self.run_id)

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
                extra=encode(self._state.between_steps(total)),
                replaced=replaced,
            )

        await self._write(change, expected=DRIVEN)
        self._tell_end(**ended)

    def _tell_end(self, *, run: Run, step: RunStep | None, message: Message | None) -> None:
        frames = []
        if message is not None:
            frames.append(turn.message_frame(message))
        if step is not None:
            frames.append(turn.step_frame(self._as_shown(step), self._run))
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
        self._draft = Draft()

        def change(row: RunRow) -> RunChange:
            left = given_up(row, counts=False)
            assert left is not None  # a run that is driven can always be given up
            return left

        await self._write(change, expected=DRIVEN)
        self._forget()

    async def _write(
        self, make: Callable[[RunRow], RunChange], *, durable: bool = True, expected: tuple[str, ...]
    ) -> RunChange:
        """Make a fenced change; try again while the database does not answer.

        Raises:
            Interrupted: The run is cancelled, not this driver's any more, or gone; nothing was written.
            InternalServerError: The database did not answer for so long that the lease is over.
        """
        made: RunChange | None = None
        wrote: tuple[str, bytes, bytes | None] | None = None
        known: RunRow | None = self._row
        extra = self._row.extra

        def change(row: RunRow) -> RunChange | None:
            nonlocal made, wrote
            if row.epoch != self.epoch or row.worker != self._work.worker:
                raise Interrupted("lost")
            if known is None and (row.status, row.document, row.extra) == wrote:
                return None  # it was written, only the database's word of it was lost
            if row.lease_until is None or row.extra != extra or self._interruption == "lost":
                raise Interrupted("lost")
            if row.status not in expected:
                raise Interrupted("cancel" if row.status == "cancelling" else "lost")
            made = self._draft.with_change(make(row))
            wrote = made.status, made.document, extra if made.extra is None else made.extra
            return made

        for pause in (*WRITE_PAUSES_S, None):
            try:
                changed: Changed | None = await self._store.change_run(
                    self.run_id, change, durable=durable, known=known
                )
            except InternalServerError:
                known = None  # perhaps it was written: the row tells
                if pause is None:
                    raise
                await self._work.sleep(pause)
                continue
            if changed is None:
                raise Interrupted("deleted")
            assert made is not None
            self._row = changed.after
            frames, count = self._draft.take_frames()
            if count:
                self._publish(frames, count)
            return made
        raise AssertionError("unreachable")

    # ---------------------------------------------------------------------------------------------- small

    def _check(self) -> None:
        if self._interruption is not None:
            raise Interrupted(self._interruption)

    def _publish(self, frames: bytes, count: int) -> None:
        if not count:
            return
        if self._draft.is_begun:
            self._draft.hold(frames, count)
        else:
            self._channel.publish(frames, count)

    def _forget(self) -> None:
        """End the run's stream, if it has not gone on here under another driver."""
        if self._channel.epoch == self.epoch:
            self._work.broadcast.forget(self.run_id)

    def _now_exactly(self) -> float:
        # The database's time at the start, and what passed since by a clock that nobody sets.
        return self._row_now + (self._loop.time() - self._began)

    def _now(self) -> int:
        return int(self._now_exactly())


def _usage(answer: Answer, asked: ModelRequest, model: Model) -> Usage:
    """Return what a model says that its answer took; counted here where it does not say."""
    if answer.usage is not None:
        told = answer.usage
        return lifecycle.new_usage(
            told.prompt_tokens, told.completion_tokens, told.cached_tokens, told.reasoning_tokens
        )
    count = model.count_tokens
    prompt = count(asked.instructions or "") + sum(context.size_of(each, count) for each in asked.turns)
    return lifecycle.new_usage(prompt, count(answer.written) if answer.written else 0)
