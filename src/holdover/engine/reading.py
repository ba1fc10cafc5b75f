"""Reads what a model is to be told: as much of a thread as it could take, and what the run did so far."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdover.store.protocol import Store
from holdover.wire.messages import Message, TextPart
from holdover.wire.runs import Run
from holdover.wire.steps import RunStep

from . import context, lifecycle

#: How many objects are read at once.
PAGE = 100
#: No token has more characters, as good as never: more than fits so need not be read.
CHARACTERS_PER_TOKEN = 16
#: More is not read in any case: documents have metadata that the model does not see.
LIMIT_BYTES = 64 * 1024 * 1024


async def read_steps(store: Store, run: Run) -> list[RunStep]:
    """Return a run's steps that are completed, oldest first."""
    steps: list[RunStep] = []
    after: str | None = None
    while True:
        page = await store.page("step", limit=PAGE, ascending=True, after=after, before=None, owner=run.id)
        steps += [lifecycle.decode_step(document) for document in page.documents]
        if not page.has_more:
            return [step for step in steps if step.status == "completed"]
        after = page.ids[-1]


async def read_messages(
    store: Store,
    run: Run,
    steps: list[RunStep],
    *,
    context_tokens: int,
    known: Sequence[bytes] | None = None,
) -> list[Message]:
    """Return as much of a run's thread as a model could take, oldest first: the newest messages, and the first.

    Args:
        steps: The run's, whose messages count beside those that its truncation wants.
        known: The thread's messages as they are stored, oldest first, where they need not be read.
    """
    wanted = context.last_messages(run)
    if wanted is not None:
        wanted += sum(step.type == "message_creation" for step in steps)
    if known is not None:
        return [_decode_message(document) for document in (known if wanted is None else known[-wanted:])]
    room, room_bytes = context_tokens, LIMIT_BYTES
    newest: list[Message] = []
    after: str | None = None
    while True:
        limit = PAGE if wanted is None else min(PAGE, wanted - len(newest))
        page = await store.page("message", limit=limit, ascending=False, after=after, before=None, owner=run.thread_id)
        read = [_decode_message(document) for document in page.documents]
        newest += read
        room -= sum(map(_least_tokens, read))
        room_bytes -= sum(map(len, page.documents))
        if not page.has_more or (wanted is not None and len(newest) >= wanted):
            break
        if room < 0 or room_bytes < 0:
            oldest = await store.page("message", limit=1, ascending=True, after=None, before=None, owner=run.thread_id)
            newest += [_decode_message(document) for document in oldest.documents]
            break
        after = page.ids[-1]
    return newest[::-1]


def _least_tokens(message: Message) -> int:
    texts = (part.text.value for part in message.content if isinstance(part, TextPart))
    return context.TURN_TOKENS + sum(map(len, texts)) // CHARACTERS_PER_TOKEN


_decode_message = msgspec.json.Decoder(Message).decode
