"""Attaching to a run that is there already: its events as they were kept, as they come, or told from what is stored."""

from __future__ import annotations

import asyncio

import msgspec

from holdover.errors import BadRequestError
from holdover.store.protocol import DRIVEN
from holdover.wire.events import frame
from holdover.wire.messages import Message
from holdover.wire.runs import Run, RunEventsQuery
from holdover.wire.steps import ToolCalls

from .broadcast import Broadcast, Channel, EventStream
from .core import Core
from .lifecycle import decode_run, decode_step
from .turn import message_frame, run_frame, step_frame, streamed_run

#: How long what is stored may take to be told of here, in seconds: looked at once more after each.
PAUSES_S = (0.0, 0.01, 0.05)
#: Statuses of runs that somebody works on, or is about to.
DRIVEN_OR_QUEUED = ("queued", *DRIVEN)


class RunAttaching(Core):
    """Streams of runs that somebody began before."""

    _broadcast: Broadcast

    async def stream_run(self, thread_id: str, run_id: str, query: RunEventsQuery) -> EventStream:
        """Attach to a run: the events behind one that was heard, then those to come.

        Of a run that rests and whose events are not kept any more, what is stored is told instead: whole objects, no
        deltas and no numbers.

        Raises:
            NotFoundError: There is no such run in this thread.
            BadRequestError: The run is driven by another process, or the events that are asked for are not kept.
        """
        run, channel = await self._run_and_channel(thread_id, run_id)
        after_id = query.last_event_id or 0
        if channel is not None and (channel.is_whole or not after_id):
            if after_id >= channel.next_id:
                raise _has_not_happened(after_id, channel.next_id - 1)
            after_id = after_id if channel.is_whole else channel.first_id - 1
            frames = channel.replay(after_id)
            if frames is not None:
                listener = channel.listen() if channel.is_live else None
                known_id = after_id if channel.is_whole else None
                return EventStream(listener, before=frames, after_id=known_id, is_numbered=True)
        if run.status in DRIVEN_OR_QUEUED:
            raise _is_elsewhere(run_id)
        if after_id:
            raise _not_kept(run_id)
        return EventStream(None, before=await self._retold(run), after_id=None)

    async def _run_and_channel(self, thread_id: str, run_id: str) -> tuple[Run, Channel | None]:
        """Return a run and its channel, if there is one here, as they are at the same time.

        What is stored is told of here a moment later; a channel that does not follow tells of what went on elsewhere.
        It is left alone: whoever drives the run here again finds the gap (`Channel.follow`).
        """
        for pause_s in (*PAUSES_S, None):
            run = decode_run(await self._document("run", run_id, owner=thread_id))
            channel = self._broadcast.find(run_id)
            if channel is None or channel.is_live or _tells_of(channel, run):
                return run, channel
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        return run, None

    async def _repeated(self, run_id: str, thread_id: str) -> EventStream:
        """Answer a request again that was carried out before, and whose answer was a stream: with its events."""
        channel = self._broadcast.find(run_id)
        if channel is not None and (frames := channel.replay(channel.leg_id - 1)) is not None:
            listener = channel.listen() if channel.is_live else None
            return EventStream(listener, before=frames, after_id=channel.leg_id - 1)
        return await self.stream_run(thread_id, run_id, RunEventsQuery())

    async def _retold(self, run: Run) -> list[bytes]:
        """Return the events of a run that rests, told from what is stored."""
        frames = [frame("thread.run.created", streamed_run(run))]
        after: str | None = None
        while True:
            page = await self._store.page("step", limit=100, ascending=True, after=after, before=None, owner=run.id)
            for document in page.documents:
                step = decode_step(document)
                frames.append(frame("thread.run.step.created", document))
                if not isinstance(step.step_details, ToolCalls):
                    message_id = step.step_details.message_creation.message_id
                    message = await self._store.get("message", message_id, owner=run.thread_id)
                    if message is not None:
                        frames += [frame("thread.message.created", message), message_frame(_decode_message(message))]
                if step.status != "in_progress":
                    frames.append(step_frame(step, run))
            if not page.has_more:
                return [*frames, run_frame(run)]
            after = page.ids[-1]


def _tells_of(channel: Channel, run: Run) -> bool:
    """Whether what a channel told last, of a run that came to rest, is how the run is."""
    last = channel.last_frame()
    if last is None:
        return False
    told = decode_run(last.partition(b"\ndata: ")[2])
    return (told.status, told.started_at, told.required_action) == (run.status, run.started_at, run.required_action)


def _has_not_happened(id: int, newest: int) -> BadRequestError:
    return BadRequestError(
        f"Invalid 'Last-Event-ID': {id}. The newest event of this run is {newest}.",
        param="Last-Event-ID",
        code="invalid_value",
    )


def _is_elsewhere(run_id: str) -> BadRequestError:
    return BadRequestError(
        f"The events of run {run_id} cannot be had here: another process drives it, or they were too many to be kept. "
        "Ask for the run itself (GET) until it has ended.",
        code="stream_not_here",
    )


def _not_kept(run_id: str) -> BadRequestError:
    return BadRequestError(
        f"The events of run {run_id} are not kept here any more. Without 'Last-Event-ID', what it did is told from its "
        "beginning.",
        param="Last-Event-ID",
        code="stream_not_here",
    )


_decode_message = msgspec.json.Decoder(Message).decode
