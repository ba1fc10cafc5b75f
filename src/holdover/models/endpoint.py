"""Asks an endpoint for one JSON answer, again where it may help. What streams is asked in `compatible`."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from holdover import telemetry
from holdover.errors import InternalServerError

from .upstream import Upstream

MAX_RETRIES = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
#: The longest answer that is read: 64 vectors of 3,072 numbers are 4 MB.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class _Passing(Exception):
    """It did not succeed, and may if it is tried again, after so many seconds if the other side said so."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class Endpoint:
    """Some service that takes and gives JSON.

    Args:
        what: What it is to us, for messages: ``"embedder"``.
        api_key: What it is told as a bearer token.
        timeout_s: How long it may be silent.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        upstream: Upstream,
        url: str,
        *,
        what: str,
        api_key: str | None,
        timeout_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._upstream = upstream
        self._url = url
        self._what = what
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._timeout_s = timeout_s
        self._sleep = sleep

    async def ask(self, body: dict[str, Any]) -> Any:
        """Send a body and return the decoded answer.

        Raises:
            InternalServerError: It refused, or could not be reached, also when it was tried again. The message has no
                key and no address.
        """
        content = msgspec.json.encode(body)
        for attempt in range(MAX_RETRIES + 1):
            try:
                return await self._attempt(content)
            except _Passing as passing:
                reason, asked_s = str(passing), passing.pause_s
            except (OSError, TimeoutError):
                reason, asked_s = "it could not be reached", None
            except Exception as error:
                if not type(error).__module__.startswith("aiohttp"):
                    raise
                reason, asked_s = "it could not be reached", None
            if attempt == MAX_RETRIES:
                break
            pause_s = asked_s if asked_s is not None else FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1)
            telemetry.emit("endpoint.retry", what=self._what, reason=reason, seconds=pause_s)
            await self._sleep(min(pause_s, LONGEST_PAUSE_S))
        raise self._failure(reason)

    async def _attempt(self, content: bytes) -> Any:
        async with self._upstream.request(
            "POST", self._url, headers=self._headers, body=content, timeout_s=self._timeout_s
        ) as answer:
            read = await _limited(answer.content)
            if answer.status == 200:
                with contextlib.suppress(msgspec.MsgspecError):
                    return msgspec.json.decode(read)
                raise self._failure("its answer is not JSON")
            reason = f"it answered with {answer.status}: {_message(read)}"
            if answer.status in (408, 409, 429) or answer.status >= 500:
                raise _Passing(reason, _seconds(answer.headers.get("retry-after")))
            raise self._failure(reason)

    def _failure(self, reason: str) -> InternalServerError:
        telemetry.emit("endpoint.failure", what=self._what, reason=reason)
        return InternalServerError(f"The {self._what} cannot be used: {reason}.")


async def _limited(content: Any) -> bytes:
    read = bytearray()
    async for data in content.iter_any():
        read += data
        if len(read) > MAX_ANSWER_BYTES:
            raise _Passing("its answer is too long")
    return bytes(read)


def _message(content: bytes) -> str:
    """Return what an error says, shortened; its text is not ours."""
    try:
        decoded = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        decoded = None
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else decoded
    message = error.get("message") if isinstance(error, dict) else error
    return message.strip().rstrip(".")[:200] if isinstance(message, str) and message.strip() else "no reason given"


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
