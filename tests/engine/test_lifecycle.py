"""The table of what may follow what, in a run's life."""

from __future__ import annotations

import pytest

from holdover.engine.lifecycle import HAPPENINGS, MEANINGS, STEP_ENDS, TABLE, TERMINAL, after, changed, new_usage
from holdover.store.protocol import ACTIVE, DRIVEN
from holdover.wire.events import RUN_EVENTS, STEP_EVENTS
from holdover.wire.runs import RUN_STATUSES, Run, RunError

RUN = Run(
    id="run_1",
    created_at=100,
    assistant_id="asst_1",
    thread_id="thread_1",
    status="queued",
    expires_at=700,
    model="m",
    tools=[],
)

#: Written out a second time, in the words of the manual: a slip in the table is not repeated here.
FOLLOWS = {
    "queued": {"start": "in_progress", "cancel": "cancelled", "expire": "expired", "fail": "failed"},
    "in_progress": {
        "ask": "requires_action",
        "complete": "completed",
        "stop_short": "incomplete",
        "fail": "failed",
        "cancel": "cancelling",
        "expire": "expired",
        "lose": "queued",
    },
    "requires_action": {"submit": "queued", "cancel": "cancelled", "expire": "expired"},
    "cancelling": dict.fromkeys(("ask", "complete", "stop_short", "fail", "expire", "lose"), "cancelled"),
}


@pytest.mark.parametrize("status", RUN_STATUSES)
@pytest.mark.parametrize("happening", HAPPENINGS)
def test_what_follows_is_what_the_manual_says(status: str, happening: str) -> None:
    assert after(status, happening) == FOLLOWS.get(status, {}).get(happening)  # type: ignore[arg-type]


def test_nothing_follows_an_end_and_something_every_other_status() -> None:
    assert {status for status, _ in TABLE} == set(RUN_STATUSES) - TERMINAL == set(ACTIVE)


def test_every_status_can_be_reached_and_every_active_one_can_end() -> None:
    assert {*TABLE.values(), "queued"} == set(RUN_STATUSES)
    for status in ACTIVE:
        reached, before = {status}, set()
        while reached != before:
            before = set(reached)
            reached |= {follows for (earlier, _), follows in TABLE.items() if earlier in reached}
        assert reached & TERMINAL


def test_time_ends_whatever_is_active() -> None:
    assert all(after(status, "expire") in TERMINAL for status in ACTIVE)


def test_what_is_driven_can_be_lost() -> None:
    assert {status for status in RUN_STATUSES if after(status, "lose")} == set(DRIVEN)


def test_every_status_has_its_event_and_every_end_its_steps_end() -> None:
    assert set(RUN_EVENTS) == set(RUN_STATUSES)
    assert set(STEP_ENDS) == TERMINAL
    assert set(STEP_ENDS.values()) <= set(STEP_EVENTS)
    assert set(MEANINGS) == set(HAPPENINGS)


@pytest.mark.parametrize(
    ("status", "members"),
    [
        ("queued", {}),
        ("in_progress", {"started_at": 200}),
        ("cancelling", {}),
        ("cancelled", {"cancelled_at": 200, "expires_at": None}),
        ("failed", {"failed_at": 200, "expires_at": None, "last_error": RunError(code="server_error", message="x")}),
        ("completed", {"completed_at": 200, "expires_at": None}),
        ("expired", {}),
    ],
)
def test_a_status_brings_its_time(status: str, members: dict[str, object]) -> None:
    error = RunError(code="server_error", message="x")
    usage = new_usage(3, 4)
    run = changed(RUN, status, 200, usage=usage, error=error)  # type: ignore[arg-type]
    shown = {name: getattr(run, name) for name in run.__struct_fields__ if getattr(run, name) != getattr(RUN, name)}
    shown.pop("status", None)
    assert shown == {**members, **({"usage": usage} if status in TERMINAL else {})}


def test_an_incomplete_run_says_why() -> None:
    run = changed(RUN, "incomplete", 200, reason="max_prompt_tokens")
    assert (run.completed_at, run.expires_at) == (200, None)
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_prompt_tokens"
