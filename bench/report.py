"""The table: for people on the terminal, for programs as JSON."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from .goals import GOALS, Goal, Measured
from .rounds import Effort

SKIPPED, FAIL, PASS, AIM = "skipped", "FAIL", "pass", "aim"


def verdict(measured: Measured) -> str:
    """Return what became of a row: `FAIL`, `PASS`, `AIM` where it reached that too, or `SKIPPED`."""
    goal, ratio = GOALS[measured.goal], measured.ratio
    if ratio is None:
        return SKIPPED
    if not goal.reaches(ratio, goal.must):
        return FAIL
    return AIM if goal.reaches(ratio, goal.aim) else PASS


def show(rows: list[Measured]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what", overflow="fold")
    for name in ("must", "aim", "measured"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column("each side's median", overflow="fold", style="dim")
    for row in rows:
        goal = GOALS[row.goal]
        came_to = "-" if row.ratio is None else f"{row.ratio:.3g}{goal.unit}"
        table.add_row(goal.what, _bound(goal, goal.must), _bound(goal, goal.aim), came_to, verdict(row), _sides(row))
    Console(width=None if sys.stdout.isatty() else 150, highlight=False).print(table)


def _bound(goal: Goal, bound: float) -> str:
    return f"{'≤' if goal.at_most else '≥'} {bound:.3g}{goal.unit}"


def _sides(row: Measured) -> str:
    return row.skipped or ", ".join(f"{name} {_rounded(value)}" for name, value in row.sides.items())


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_data(rows: list[Measured], effort: Effort) -> dict[str, Any]:
    """Return the report for programs."""
    return {
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "rounds": effort.rounds,
        "share": effort.share,
        "rows": [
            {
                "name": row.goal,
                "what": GOALS[row.goal].what,
                "must": GOALS[row.goal].must,
                "aim": GOALS[row.goal].aim,
                "at_most": GOALS[row.goal].at_most,
                "measured": row.ratio,
                "rounds": row.rounds,
                "sides": row.sides,
                "verdict": verdict(row),
                "skipped": row.skipped,
            }
            for row in rows
        ],
    }
