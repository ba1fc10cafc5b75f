"""How answers are shown: tables on a terminal, the wire's JSON in a pipe; hints go to standard error."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import Any

import click
import msgspec

#: Control characters, which could move a terminal's cursor or colour its text, by what is shown instead. JSON reads
#: the escapes as it reads the characters.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}

#: Columns that a table has at least; a narrower terminal breaks its lines, which reads better than narrower columns.
NARROWEST = 72


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout is not None and sys.stdout.isatty()


def shows(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--json``; it is told whether JSON is wanted: asked for, or because nobody watches."""

    @wraps(command)
    def show(*arguments: Any, as_json: bool, **options: Any) -> None:
        command(*arguments, as_json=as_json or not is_terminal(), **options)

    return click.option("--json", "as_json", is_flag=True, help="JSON also on a terminal.")(show)


def visible(text: str) -> str:
    """Return a text with its control characters written out, line breaks and tabs excepted."""
    return text.translate(_ESCAPES)


def one_line(text: str) -> str:
    """Return a text as one line that is safe to show."""
    return visible(" ".join(text.split()))


def write_json(value: Any) -> None:
    """Write a JSON document: indented on a terminal, on one line in a pipe."""
    write_bytes(msgspec.json.encode(value))


def write_bytes(body: bytes, *, is_json: bool = True) -> None:
    """Write what a service answered: to a terminal readable and harmless, to a pipe as it is."""
    if not is_terminal():
        # Something that is not JSON may be a file: it is left as it is, to the byte.
        click.echo(body, nl=is_json and not body.endswith(b"\n"))
        return
    if is_json:
        with suppress(msgspec.DecodeError):  # it only says that it is JSON
            body = msgspec.json.format(body, indent=2)
    click.echo(visible(body.decode("utf-8", "replace")).encode())


def write_piece(text: str) -> None:
    """Write a piece of a text that goes on, at once: to a terminal harmless, to a pipe as it is."""
    if not is_terminal():
        click.echo(text.encode(), nl=False)  # of a text, click would leave out what a terminal obeys
        return
    _show_all_characters()
    click.echo(visible(text), nl=False)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table to the terminal; the first column, which names things, is never cut."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(columns))
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    _console().print(table)


def write_fields(fields: Mapping[str, Any]) -> None:
    """Write one object to the terminal: a line for each field."""
    write_table(("", ""), fields.items())


def write_object(record: Any, as_json: bool) -> None:
    """Write one object of the service: its JSON, or a line for each field, times as local time."""
    if as_json:
        write_json(record)
        return
    fields = record.to_dict()
    del fields["object"]
    write_fields(fields | {"created_at": moment(record.created_at)})


def write_lines(lines: Iterable[str]) -> None:
    """Write lines of text to the terminal."""
    for line in lines:
        click.echo(visible(line))


def write_line(value: Any) -> None:
    """Write one JSON document on a line of its own, at once."""
    click.echo(msgspec.json.encode(value))
    sys.stdout.flush()


def write_texts(events: Iterable[Any]) -> None:
    """Write what messages say to the terminal, as it comes; of a message without deltas, all at its end."""
    heard: set[str] = set()  # who attaches in the middle of a message has heard its beginning before
    for event in events:
        if event.name == "thread.message.delta":
            text = event.data.text
            heard.add(event.data.id)
        elif event.name in ("thread.message.completed", "thread.message.incomplete"):
            text = "\n" if event.data.id in heard else event.data.text + "\n"
        else:
            continue
        click.echo(visible(text), nl=False)
        sys.stdout.flush()


def write_hint(text: str) -> None:
    """Tell the person at the terminal something that is not part of the answer."""
    click.echo(visible(text), err=True)


def moment(seconds: int) -> str:
    """Return Unix seconds as local time, to the minute."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return visible(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _show_all_characters() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may not know every character


def _console() -> Any:
    from rich.console import Console

    _show_all_characters()
    console = Console(file=sys.stdout, highlight=False)
    console.width = max(console.width, NARROWEST)
    return console
