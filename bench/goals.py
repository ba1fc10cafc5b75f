"""Every row of the table: what is measured, what it must reach, what it aims for.

Most rows are ratios: how many times better Holdover is ("at least"), or what it may cost ("at most"). Where there is
nothing to compare with, a row is a figure with a unit of its own; those depend on the machine.
"""

from __future__ import annotations

import msgspec


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """One row.

    Attributes:
        name: Its key in the JSON report.
        what: One line for people.
        must: What it has to reach; else the command fails.
        aim: What it is meant to reach.
        at_most: Whether smaller is better.
        unit: What the figures are counted in: ``x`` for a ratio, or as it is printed behind a number.
    """

    name: str
    what: str
    must: float
    aim: float
    at_most: bool = False
    unit: str = "x"

    def shown(self, value: float) -> str:
        """Return a figure of this row for people."""
        return f"{value:.3g}{self.unit}"

    def reaches(self, ratio: float, bound: float) -> bool:
        """Whether a ratio is as good as a bound, or better."""
        return ratio <= bound if self.at_most else ratio >= bound


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a row came to.

    Attributes:
        goal: The row's name.
        ratio: The median over the rounds' ratios, or figures; ``None`` where the row was skipped.
        rounds: Each round's.
        sides: Each side's median, in the unit that its key ends with.
        skipped: Why the row was not measured.
    """

    goal: str
    ratio: float | None = None
    rounds: list[float] = []
    sides: dict[str, float] = {}
    skipped: str | None = None


GOALS: dict[str, Goal] = {
    goal.name: goal
    for goal in (
        Goal(name="start_cpu", what="import and make a client, CPU; openai / holdover", must=15, aim=25),
        Goal(name="start_memory", what="memory added by that; holdover / openai", must=1 / 6, aim=1 / 8, at_most=True),
        Goal(name="call_sync", what="one GET, client CPU; openai / holdover", must=6, aim=10),
        Goal(name="call_async", what="the same, async", must=5, aim=10),
        Goal(name="call_async_64", what="the same, 64 at a time", must=10, aim=30),
        Goal(name="decode_list", what="decode a list of 100 assistants, CPU; openai / holdover", must=30, aim=45),
        Goal(name="get", what="GET by id, requests/s; service / bare hello", must=0.5, aim=0.75),
        Goal(name="create", what="durable create, 32 at a time, requests/s; service / ORM peer", must=6, aim=12),
        Goal(name="page_store", what="a page of 20, p50; 1,000,000 rows / 10,000", must=2.5, aim=1.5, at_most=True),
        *(
            Goal(name=name, what=what, must=must, aim=aim, unit="")
            for name, what, must, aim in (
                ("citations", "generated answers whose citations are exact", 1, 1),
                ("search_ndcg", "SciFact test, nDCG@10 through the search operation", 0.705, 0.734),
                ("search_recall", "the same, recall@20", 0.89, 0.91),
                ("span_recall", "chunkspan, recall of 5 chunks of 800/400", 0.92, 0.95),
            )
        ),
        Goal(name="search_p95", what="a search of 100,000 chunks, p95", must=100, aim=40, at_most=True, unit=" ms"),
        Goal(name="ingest", what="chunks indexed for a second of one core", must=4, aim=6, unit="/s"),
        Goal(
            name="search_memory",
            what="the service, its model loaded, idle",
            must=400,
            aim=260,
            at_most=True,
            unit=" MB",
        ),
        Goal(name="page_http", what="the same through HTTP", must=2.5, aim=1.5, at_most=True),
        Goal(name="run_cpu", what="a run with an instant model, CPU", must=1, aim=0.5, at_most=True, unit=" ms"),
        Goal(name="run_wall", what="the same, p50, where a flush is free", must=2, aim=1, at_most=True, unit=" ms"),
        Goal(name="run_postgres", what="a three-step run on PostgreSQL, CPU", must=3, aim=2, at_most=True, unit=" ms"),
        Goal(name="relay_64", what="relay a token, 64 streams, CPU; FastAPI + openai / service", must=4, aim=7),
        Goal(name="relay_256", what="the same, 256 streams", must=6, aim=8),
        Goal(name="arrive_256", what="tokens that arrive of those sent, 256 streams", must=1, aim=1),
        Goal(name="arrive_512", what="the same, 512 streams", must=0.97, aim=1),
        Goal(
            name="first_token",
            what="time added to the first token, p50, 256 streams",
            must=5,
            aim=2,
            at_most=True,
            unit=" ms",
        ),
        Goal(name="stream_memory", what="memory of an idle open stream", must=25, aim=15, at_most=True, unit=" KB"),
        Goal(name="decode_events", what="decode a run's events, CPU; openai / holdover", must=30, aim=45),
        Goal(name="sandbox_open", what="open a jail, run 1+1", must=300, aim=100, at_most=True, unit=" ms"),
        Goal(name="sandbox_pool", what="the same, one being warm", must=100, aim=10, at_most=True, unit=" ms"),
        Goal(name="sandbox_cell", what="run 1+1 in an open one", must=5, aim=1, at_most=True, unit=" ms"),
        Goal(name="sandbox_plot", what="pandas, Matplotlib, PNG, loaded", must=600, aim=400, at_most=True, unit=" ms"),
        Goal(name="sandbox_memory", what="a session with both loaded", must=120, aim=100, at_most=True, unit=" MB"),
        Goal(name="sandbox_sessions", what="of 50 in turn, lost", must=0, aim=0, at_most=True, unit=""),
    )
}
