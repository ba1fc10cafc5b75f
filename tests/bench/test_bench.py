"""The benchmark's harness works; the figures themselves are `make bench`'s."""

from __future__ import annotations

import msgspec
import pytest
from bench import create, decoding, events, get, report, retrieval, runs, sandbox, search
from bench.goals import GOALS, Measured
from bench.rounds import Effort, figure, ratio, take_turns

ONE_ROUND = Effort(rounds=1, share=0.02)


def test_sides_take_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = take_turns({"a": lambda: side("a"), "b": lambda: side("b")}, rounds=2)

    assert "".join(order) == "abbaab"
    assert found == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    measured = ratio("get", [1.0, 4.0, 9.0], [1.0, 2.0, 3.0], {"service": [1.0, 4.0, 9.0]})

    assert measured.ratio == 2.0
    assert measured.sides == {"service": 4.0}


def test_a_figure_that_is_compared_with_nothing_has_its_unit() -> None:
    measured = figure("run_cpu", [1.0, 9.0, 2.0])

    assert measured.ratio == 2.0
    assert GOALS["run_cpu"].shown(2.0) == "2 ms"
    assert GOALS["get"].shown(2.0) == "2x"


@pytest.mark.parametrize(
    ("goal", "came_to", "verdict"),
    [
        ("get", 0.49, report.FAIL),
        ("get", 0.5, report.PASS),
        ("get", 0.75, report.AIM),
        ("page_store", 2.6, report.FAIL),
        ("page_store", 1.5, report.AIM),
        ("page_store", None, report.SKIPPED),
    ],
)
def test_a_row_is_judged_by_its_goal(goal: str, came_to: float | None, verdict: str) -> None:
    assert report.verdict(Measured(goal=goal, ratio=came_to)) == verdict


def test_a_sandbox_is_measured_or_skipped() -> None:
    rows = sandbox.measure(ONE_ROUND)

    assert [row.goal for row in rows] == list(sandbox.ROWS)
    assert all(row.skipped or row.ratio is not None for row in rows)


@pytest.mark.parametrize("measurement", [decoding, events, get, create, runs])
def test_a_measurement_comes_to_its_rows(measurement) -> None:  # type: ignore[no-untyped-def]
    rows = measurement.measure(ONE_ROUND)

    assert rows
    for row in rows:
        assert row.goal in GOALS
        assert row.skipped or (row.ratio is not None and row.ratio > 0)
    assert msgspec.json.encode(report.as_data(rows, ONE_ROUND))


def test_gains_and_recalls_are_those_of_the_field() -> None:
    relevant = frozenset("ab")

    assert retrieval.ndcg(["a", "b", "c"], relevant, 10) == 1
    assert retrieval.ndcg(["c", "a"], relevant, 10) == pytest.approx((1 / 1.58496) / (1 + 1 / 1.58496), abs=1e-5)
    assert retrieval.ndcg(["c", "a"], relevant, 1) == 0
    assert retrieval.recall(["c", "a"], relevant, 20) == 0.5
    question = retrieval.SpanQuestion("", "f", [(0, 10), (20, 30)])
    assert retrieval.span_recall(question, [("f", 5, 25), ("g", 0, 30)]) == 0.5


def test_citations_are_measured_without_any_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "data_folder", lambda: None)
    cited, *others = search.measure(ONE_ROUND)

    assert (cited.goal, cited.ratio) == ("citations", 1)
    assert {row.goal for row in others} == set(search.ROWS)
    assert all(row.skipped for row in others)
    assert {cited.goal, *search.ROWS} <= set(GOALS)
