"""Ctrl-C, once and again, wherever it comes."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from holdover.cli.interrupts import Interrupts


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_one_ends_what_is_under_way_and_the_next_one_is_raised() -> None:
    ended: list[int] = []
    with Interrupts() as interrupts, interrupts.ending(lambda: ended.append(interrupts.count)):
        press()
        assert ended == [1]
        with pytest.raises(KeyboardInterrupt):
            press()
    assert ended == [1]


def test_one_that_came_before_ends_what_begins() -> None:
    ended: list[int] = []
    with Interrupts() as interrupts:
        press()
        with interrupts.ending(lambda: ended.append(interrupts.count)):
            assert ended == [1]
        interrupts.forget()
        with interrupts.ending(lambda: ended.append(interrupts.count)):
            assert ended == [1]


def in_time(interrupts: Interrupts, end: Callable[[], None]) -> None:
    with interrupts.ending(end):
        press()


def before(interrupts: Interrupts, end: Callable[[], None]) -> None:
    press()
    with interrupts.ending(end):
        raise AssertionError("it goes on")


@pytest.mark.parametrize("begin", [in_time, before])
def test_one_that_comes_while_the_first_one_ends_something_waits_for_that(
    begin: Callable[[Interrupts, Callable[[], None]], None],
) -> None:
    steps: list[str] = []

    def end() -> None:
        steps.append("begun")
        press()
        steps.append("done")

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        begin(interrupts, end)
    assert steps == ["begun", "done"]


def test_every_one_is_raised_while_somebody_is_asked() -> None:
    with Interrupts() as interrupts, interrupts.asking():
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                press()
