"""What makes a request that its caller repeats be carried out once."""

from __future__ import annotations

import msgspec

from holdover.errors import BadRequestError

#: How long the answer to a request with an ``Idempotency-Key`` is remembered, in seconds.
REPLY_LIFETIME_S = 24 * 60 * 60


class Repeatable(msgspec.Struct, frozen=True, kw_only=True):
    """A request that its caller may repeat: its key, what it is for, a digest of its content, and when it came."""

    operation: str
    key: str
    fingerprint: bytes
    now: int


def reused_key(key: str) -> BadRequestError:
    """Return the error for an ``Idempotency-Key`` that came with two different requests."""
    return BadRequestError(
        f"The Idempotency-Key '{key}' was already used for a request with other content.",
        param="Idempotency-Key",
        code="idempotency_key_reused",
    )
