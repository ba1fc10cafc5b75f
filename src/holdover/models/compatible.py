"""A model behind an endpoint that speaks chat completions, whoever runs it.

Retries are made before the first piece of an answer only: what was said cannot be taken back. All that one read brings
is one batch, and is handed on where it is received.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from random import random

import msgspec

from holdover import telemetry
from holdover.wire.sse import Parser, TooLong

from .completions import LAST, Likeness, Reader, Refused, body
from .protocol import Chunk, ModelError, ModelRequest, Sink, TextChunk, estimate_tokens
from .upstream import Incoming, Upstream

SORRY = "Sorry, something went wrong."
MAX_RETRIES = 2
FIRST_PAUSE_S = 0.5
#: Who asks for more patience than this is not waited for, in seconds.
LONGEST_PAUSE_S = 20.0
DEFAULT_TIMEOUT_S = 120.0
#: How long an answer may take to end behind its last event, in seconds, for its connection to be kept.
LAST_WORD_S = 0.1
#: How much is read of what an endpoint says when it refuses, and how long an answer may be that is no stream.
REFUSAL_LIMIT_BYTES = 64 * 1024
ANSWER_LIMIT_BYTES = 16 * 1024 * 1024

#: Codes by which endpoints say that it is the prompt that they refuse.
_PROMPT_CODES = ("content_filter", "content_policy_violation", "invalid_prompt", "context_length_exceeded")

_encode = msgspec.json.Encoder().encode


class CompatibleModel:
    """Asks an endpoint. See `holdover.models.protocol.Model`.

    Args:
        base_url: The endpoint's address, up to and including ``/v1``.
        api_key: What it is told as a bearer token.
        model: Its own name for the model.
        max_tokens_parameter: What it calls the limit on an answer; guessed from the model's name otherwise.
        timeout_s: How long it may be silent.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        base_url: str,
        model: str,
        api_key: str | None = None,
        context_tokens: int = 128_000,
        max_tokens_parameter: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.context_tokens = context_tokens
        self.model = model
        self._upstream = upstream
        self._url = f"{base_url}/chat/completions"
        self._headers = {"content-type": "application/json", "accept": "text/event-stream"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._max_tokens_parameter = max_tokens_parameter
        self._timeout_s = timeout_s
        self._sleep = sleep
        #: Whether it is asked what an answer took; an older server does not know that question.
        self.tells_usage = True

    def count_tokens(self, text: str) -> int:
        """Return about how many tokens a text has."""
        return estimate_tokens(text)

    def answer(self, request: ModelRequest) -> Answer:
        """Answer a request, batch by batch. See `Answer`."""
        return Answer(self, request)

    def ask(self, request: ModelRequest) -> Awaitable[Incoming]:
        """Send a request.

        Raises:
            OSError: There is no connection, or it broke off.
            TimeoutError: The endpoint was silent.
        """
        asked = body(
            request,
            model=self.model,
            tells_usage=self.tells_usage,
            max_tokens_parameter=self._max_tokens_parameter,
        )
        return self._upstream.ask(self._url, headers=self._headers, body=_encode(asked), timeout_s=self._timeout_s)

    def pause(self, error: Exception, attempts: int) -> float | None:
        """Return the seconds to wait before it is asked again; ``None`` where that is in vain."""
        refused = error if isinstance(error, Refused) else None
        if attempts >= MAX_RETRIES:
            return None
        if refused is not None and refused.status not in (408, 409, 429) and refused.status < 500:
            return None
        return _pause(attempts, refused)

    async def wait(self, seconds: float) -> None:
        """Wait between attempts."""
        await self._sleep(seconds)


class Answer:
    """An answer as it comes: an iterator of batches; or `pour` hands them on.

    Raises:
        ModelError: The endpoint refused, failed, or broke off.
    """

    def __init__(self, model: CompatibleModel, request: ModelRequest) -> None:
        self._model = model
        self._request = request
        self._attempts = 0
        self._incoming: Incoming | None = None
        self._parser = Parser()
        self._reader = Reader()
        self._likeness = Likeness()
        self._sink: Sink = lambda batch: True
        self._asked_for_usage = False
        self._wants_more = True
        self._has_begun = False
        self._has_said_all = False
        self._is_over = False

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> Sequence[Chunk]:
        taken: list[Sequence[Chunk]] = []

        def take(batch: Sequence[Chunk]) -> bool:
            taken.append(batch)
            return False

        while not taken:
            if not await self.pour(take) and not taken:
                raise StopAsyncIteration
        return taken[0]

    async def aclose(self) -> None:
        """Want no more of it."""
        self._is_over = True
        await self._let_go()

    async def pour(self, sink: Sink) -> bool:
        """Hand batches to ``sink`` as they come. See `holdover.models.protocol.pour`."""
        self._sink = sink
        while not self._is_over:
            try:
                return await self._go_on()
            except (Refused, OSError, TimeoutError, TooLong, msgspec.MsgspecError) as error:
                await self._let_go()
                if self._is_not_to_ask_for_usage(error):
                    continue
                pause = self._model.pause(error, self._attempts) if not self._has_begun else None
                told = {"model": self._model.model, "run_id": self._request.run_id, "error": error}
                if pause is None:
                    self._is_over = True
                    telemetry.emit("model.failure", **told)
                    raise (_told(error) if isinstance(error, Refused) else ModelError(SORRY)) from error
            telemetry.emit("model.retry", **told, seconds=pause)
            await self._model.wait(pause)
            self._attempts += 1
        return False

    def _is_not_to_ask_for_usage(self, error: Exception) -> bool:
        """Whether the endpoint refused because it was asked what the answer takes; it is not asked for that again."""
        is_so = isinstance(error, Refused) and error.status == 400 and "stream_options" in error.message
        if not is_so or not self._asked_for_usage:
            return False
        self._model.tells_usage = False
        return True

    async def _let_go(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            await incoming.close()

    async def _go_on(self) -> bool:
        """Hand on more of the answer, asking for it first; return whether there may be more."""
        incoming = self._incoming
        if incoming is None:
            self._asked_for_usage = self._model.tells_usage
            incoming = self._incoming = await self._model.ask(self._request)
            self._parser, self._reader, self._likeness = Parser(), Reader(), Likeness()
            if incoming.status != 200:
                raise Refused(incoming.status, incoming.headers, await _whole(incoming, REFUSAL_LIMIT_BYTES))
            if incoming.headers.get("content-type", "").startswith("application/json"):
                whole = await _whole(incoming, ANSWER_LIMIT_BYTES)
                if len(whole) >= ANSWER_LIMIT_BYTES:
                    raise TooLong(f"an answer of more than {ANSWER_LIMIT_BYTES:,} bytes")
                return await self._finish(self._reader.take(whole))
        self._wants_more = True
        await incoming.pour(self._take)
        if not self._wants_more and not self._has_said_all:
            return True
        if self._has_said_all:
            with contextlib.suppress(OSError, TimeoutError):
                await incoming.read(LAST_WORD_S)
        else:
            rest = [event.data for event in self._parser.end() if event.data != LAST]
            batch = [chunk for data in rest for chunk in self._reader.take(data)]
            if not self._reader.has_finished:
                raise ConnectionError("the answer broke off")
            return await self._finish(batch)
        return await self._finish()

    async def _finish(self, batch: Sequence[Chunk] = ()) -> bool:
        if batch:
            self._has_begun = True
            self._sink(batch)
        await self.aclose()
        return False

    def _take(self, data: bytes) -> bool:
        text = self._likeness.text(data)
        if text is not None and self._parser.is_between_events:
            self._wants_more = self._sink([TextChunk(text)])
            return self._wants_more
        batch: list[Chunk] = []
        for event in self._parser.feed(data):
            if event.data == LAST:
                self._has_said_all = True
                break
            batch += self._reader.take(event.data)
        if batch:
            self._has_begun = True
            if len(batch) == 1 and isinstance(batch[0], TextChunk) and self._parser.is_between_events:
                self._likeness.learn(data, batch[0].text)
            self._wants_more = self._sink(batch)
        return self._wants_more and not self._has_said_all


async def _whole(answer: Incoming, limit_bytes: int) -> bytes:
    """Return all that is still to come of an answer; no more than about ``limit_bytes`` of it."""
    parts: list[bytes] = []
    size = 0
    while size < limit_bytes and (data := await answer.read()):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def _told(refused: Refused) -> ModelError:
    """Return what a run says of a refusal: the endpoint's own words where they are the run's owner's concern."""
    code = refused.members.get("code")
    if refused.status == 429:
        return ModelError(refused.message, code="rate_limit_exceeded")
    if refused.status in (400, 413, 422):
        if code in _PROMPT_CODES or refused.members.get("type") in _PROMPT_CODES:
            return ModelError(refused.message, code="invalid_prompt")
        return ModelError(f"The model's endpoint refused the request: {refused.message}")
    if refused.status in (401, 403):
        return ModelError("The model's endpoint refused the service's key.")
    if refused.status == 404:
        return ModelError(f"The model's endpoint does not have it: {refused.message}")
    return ModelError(SORRY)


def _pause(attempt: int, refused: Refused | None) -> float | None:
    """Return the seconds to wait, ``None`` where the endpoint asks for more patience than there is."""
    if refused is not None:
        milliseconds, seconds = refused.retry_after
        try:
            told = float(milliseconds) / 1000 if milliseconds else float(seconds) if seconds else None
        except ValueError:
            told = None
        if told is not None:
            return told if 0 <= told <= LONGEST_PAUSE_S else None
    longest: float = FIRST_PAUSE_S * 2**attempt
    return longest * (1 - 0.25 * random())
