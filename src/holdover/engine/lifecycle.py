"""The life of a run: one table says what may follow what. Pure.

Whoever changes a run's status asks this table (`after`), inside the transaction that changes it; the manual's diagram
is drawn from it. A line more here needs: the effect of the new status (`changed`), its event (`wire.events`), and a
word in ``docs/explanation/life-of-a-run.md``.

Cancelling wins: whatever a run that is being cancelled comes to, it ends cancelled.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from holdover.wire.messages import IncompleteMessageDetails
from holdover.wire.runs import (
    CachedTokens,
    IncompleteRunDetails,
    ReasoningTokens,
    RequiredAction,
    Run,
    RunError,
    RunStatus,
    Usage,
)
from holdover.wire.steps import RunStep, StepStatus

Happening = Literal["start", "ask", "submit", "complete", "stop_short", "fail", "cancel", "expire", "lose"]
HAPPENINGS: tuple[Happening, ...] = get_args(Happening)

#: What each happening means, for the manual.
MEANINGS: dict[Happening, str] = {
    "start": "a worker begins with it, or goes on",
    "ask": "the model called functions of the application",
    "submit": "their outputs were submitted",
    "complete": "the model said all it had to say",
    "stop_short": "a limit on tokens was reached, or a filter stopped the model",
    "fail": "the model could not answer, or workers died of it again and again",
    "cancel": "the application asked for it",
    "expire": "its time is up",
    "lose": "its worker gave no sign of life",
}

TABLE: dict[tuple[RunStatus, Happening], RunStatus] = {
    ("queued", "start"): "in_progress",
    ("queued", "cancel"): "cancelled",
    ("queued", "expire"): "expired",
    ("queued", "fail"): "failed",
    ("in_progress", "ask"): "requires_action",
    ("in_progress", "complete"): "completed",
    ("in_progress", "stop_short"): "incomplete",
    ("in_progress", "fail"): "failed",
    ("in_progress", "cancel"): "cancelling",
    ("in_progress", "expire"): "expired",
    ("in_progress", "lose"): "queued",
    ("requires_action", "submit"): "queued",
    ("requires_action", "cancel"): "cancelled",
    ("requires_action", "expire"): "expired",
    ("cancelling", "ask"): "cancelled",
    ("cancelling", "complete"): "cancelled",
    ("cancelling", "stop_short"): "cancelled",
    ("cancelling", "fail"): "cancelled",
    ("cancelling", "expire"): "cancelled",
    ("cancelling", "lose"): "cancelled",
}

TERMINAL: frozenset[RunStatus] = frozenset(("cancelled", "failed", "completed", "incomplete", "expired"))

#: How many times a run may lose its worker before it is taken for the cause.
MAX_ATTEMPTS = 3

#: What becomes of the open step, and why its message is incomplete, when a run ends.
STEP_ENDS: dict[RunStatus, StepStatus] = {
    "completed": "completed",
    "incomplete": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}
MESSAGE_ENDS: dict[RunStatus, Any] = {
    "incomplete": "max_tokens",
    "failed": "run_failed",
    "cancelled": "run_cancelled",
    "expired": "run_expired",
}


def after(status: str, happening: Happening) -> RunStatus | None:
    """Return the status that follows, ``None`` where this cannot happen."""
    return TABLE.get((status, happening))  # type: ignore[arg-type]


def changed(
    run: Run,
    status: RunStatus,
    now: int,
    *,
    usage: Usage | None = None,
    error: RunError | None = None,
    reason: Literal["max_completion_tokens", "max_prompt_tokens", "content_filter"] | None = None,
    action: RequiredAction | None = None,
) -> Run:
    """Return a run with another status, and what comes with that."""
    changes: dict[str, Any] = {"status": status, "required_action": None}
    if status in TERMINAL:
        changes["usage"] = usage or no_usage()
        # A run that expired keeps the time at which it did; of others nothing expires any more.
        changes["expires_at"] = run.expires_at if status == "expired" else None
    match status:
        case "in_progress":
            changes["started_at"] = now  # also when it goes on after function calls: as recorded
        case "requires_action":
            changes["required_action"] = action
        case "completed":
            changes["completed_at"] = now
        case "incomplete":
            changes |= {
                "completed_at": now,
                "incomplete_details": IncompleteRunDetails(reason=reason or "content_filter"),
            }
        case "failed":
            changes |= {"failed_at": now, "last_error": error}
        case "cancelled":
            changes["cancelled_at"] = now
        case "queued" | "cancelling" | "expired":
            pass
    return msgspec.structs.replace(run, **changes)


def ended_step(
    step: RunStep, status: StepStatus, now: int, *, usage: Usage | None = None, error: RunError | None = None
) -> RunStep:
    """Return a step that is over."""
    changes: dict[str, Any] = {"status": status, "expires_at": None, "usage": usage or step.usage or no_usage()}
    changes[f"{status}_at"] = now
    if status == "failed":
        changes["last_error"] = error
    return msgspec.structs.replace(step, **changes)


def message_end(status: RunStatus, reason: str | None, now: int) -> dict[str, Any]:
    """Return what changes in a message whose run ends with this status."""
    why: Any = "content_filter" if reason == "content_filter" else MESSAGE_ENDS.get(status)
    if why is None:
        return {"status": "completed", "completed_at": now}
    return {"status": "incomplete", "incomplete_at": now, "incomplete_details": IncompleteMessageDetails(reason=why)}


class RunState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run's row keeps that its document does not show, between two transactions.

    Attributes:
        step: The step that is under way, or waits for the outputs of its calls.
        message_id: The message that it writes.
        before: The step and the message that the same answer of the model finished before it called functions: until
            the calls are whole, all of that is one attempt.
        usage: Tokens of all model calls so far.
        shows_found: Whether streams show the passages that searches found (``include[]``).
        queries: What searches looked for, by the id of their call: the wire has no place for it.
        files: Files that the code interpreter made, by their names, for messages that point to them.
        images: Files of images that the next message shows.
        shown: Those that the message under way shows; of one that is taken away, the next shows them again.
    """

    step: RunStep | None = None
    message_id: str | None = None
    before: tuple[str, str] | None = None
    usage: Usage | None = None
    shows_found: bool = False
    queries: dict[str, str] = {}
    files: dict[str, str] = {}
    images: list[str] = []
    shown: list[str] = []

    def between_steps(self, usage: Usage | None) -> RunState:
        """Return the state with nothing under way."""
        return msgspec.structs.replace(self, step=None, message_id=None, before=None, shown=[], usage=usage)

    def begun_anew(self) -> RunState:
        """Return the state without what is under way: it is taken away, and done again."""
        return msgspec.structs.replace(self.between_steps(self.usage), images=[*self.shown, *self.images])


def no_usage() -> Usage:
    """Return the usage of a step that took nothing."""
    return new_usage(0, 0)


def new_usage(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> Usage:
    """Return a usage of these tokens."""
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_token_details=CachedTokens(cached_tokens=cached),
        completion_tokens_details=ReasoningTokens(reasoning_tokens=reasoning),
    )


def added_usage(one: Usage | None, other: Usage | None) -> Usage | None:
    """Return the sum of two usages."""
    if one is None or other is None:
        return one or other
    return new_usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        _cached(one) + _cached(other),
        _reasoning(one) + _reasoning(other),
    )


def _cached(usage: Usage) -> int:
    return usage.prompt_token_details.cached_tokens if usage.prompt_token_details else 0


def _reasoning(usage: Usage) -> int:
    return usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else 0


decode_run = msgspec.json.Decoder(Run).decode
decode_step = msgspec.json.Decoder(RunStep).decode
_decode_state = msgspec.json.Decoder(RunState).decode


def state_of(extra: bytes | None) -> RunState:
    """Return what a row keeps."""
    return _decode_state(extra) if extra else RunState()
