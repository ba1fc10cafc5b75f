"""Two sides taking turns, so that whatever else the machine does slows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

import msgspec

from .goals import Measured

Side = Callable[[], float]


class Effort(msgspec.Struct, frozen=True):
    """How long to measure: the rounds that count, and how much of the usual work one does."""

    rounds: int = 7
    share: float = 1.0

    def count(self, usual: int) -> int:
        """Return how often to do what a full round does ``usual`` times."""
        return max(1, round(usual * self.share))


def take_turns(sides: Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Return each side's measurements: a warm-up round that does not count, then ``rounds`` more.

    Each round begins with the side that the one before ended with, so that none is always first.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for turn in range(rounds + 1):
        for name in order:
            value = sides[name]()
            if turn:
                found[name].append(value)
        order.reverse()
    return found


def ratio(goal: str, over: list[float], under: list[float], sides: Mapping[str, list[float]]) -> Measured:
    """Return a row: the median of ``over / under``, round by round, and each side's own median."""
    ratios = [one / other for one, other in zip(over, under, strict=True)]
    return Measured(
        goal=goal,
        ratio=median(ratios),
        rounds=ratios,
        sides={name: median(values) for name, values in sides.items()},
    )


def figure(goal: str, values: list[float], sides: Mapping[str, list[float]] | None = None) -> Measured:
    """Return a row that is compared with nothing: the median of its rounds."""
    return Measured(
        goal=goal,
        ratio=median(values),
        rounds=values,
        sides={name: median(each) for name, each in (sides or {}).items()},
    )
