"""The figures of the README, measured: ``make bench``, or ``python -m bench``.

Nearly every row is a ratio of two sides that were measured side by side: the same machine, the same minute, taking
turns (`bench.rounds`). So a busy machine slows both, and a row can be compared between machines though no time can.
The rows with a unit of their own (milliseconds, KB) say what a thing takes here.

goals.py       the table: every row, what it must reach and what it aims for
rounds.py      sides take turns; medians
processes.py   child processes: pinned to a core, asked line by line, stopped by their own handle
load.py        the load generator, lean and the same for both sides
listening.py   the same for streams
report.py      the table for people and for programs

One file a measurement: start.py, calls.py, decoding.py, events.py, get.py, create.py, pages.py, runs.py, relay.py.
What Holdover is measured against stands in ``peers/``.
"""
