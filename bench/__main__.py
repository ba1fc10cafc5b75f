"""``python -m bench [NAME...]``: measure, print the table, and fail where a row misses what it must reach."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import msgspec

from . import calls, create, decoding, events, get, pages, relay, runs, sandbox, search, start
from .goals import Measured
from .report import FAIL, as_data, show, verdict
from .rounds import Effort

MEASUREMENTS: dict[str, Callable[[Effort], list[Measured]]] = {
    "start": start.measure,
    "calls": calls.measure,
    "decoding": decoding.measure,
    "events": events.measure,
    "get": get.measure,
    "create": create.measure,
    "pages": pages.measure,
    "runs": runs.measure,
    "relay": relay.measure,
    "search": search.measure,
    "sandbox": sandbox.measure,
}
#: Takes an hour, and is measured only when it is named.
ON_REQUEST = ("search",)


def main() -> int:
    """Run the command; return its exit status."""
    arguments = _parser().parse_args()
    unknown = [name for name in arguments.names if name not in MEASUREMENTS]
    if unknown:
        print(f"There is no measurement '{unknown[0]}'; there are: {', '.join(MEASUREMENTS)}.", file=sys.stderr)
        return 2
    effort = Effort(rounds=arguments.rounds or 3, share=0.25) if arguments.quick else Effort(arguments.rounds or 7)
    rows: list[Measured] = []
    for name in arguments.names or [name for name in MEASUREMENTS if name not in ON_REQUEST]:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += MEASUREMENTS[name](effort)
    show(rows)
    if arguments.json:
        with open(arguments.json, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(as_data(rows, effort)), indent=2))
    return int(any(verdict(row) == FAIL for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the figures of the README, most of them ratios of two sides that take turns here.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"what to measure: {', '.join(MEASUREMENTS)} (all but {', '.join(ON_REQUEST)})",
    )
    parser.add_argument("--quick", action="store_true", help="a fast look: few rounds, little work in each")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds that count (7; 3 with --quick)")
    parser.add_argument("--json", metavar="FILE", help="write the report for programs to a file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
