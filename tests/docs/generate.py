"""What the manual takes from the code: ``python -m tests.docs.generate`` writes it, a test checks that it is current.

A page marks where such a part begins and ends, and names it; the prose round it is written by hand.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

import click
import msgspec
from tests.docs.blocks import PAGES

import holdover
from holdover import errors, telemetry
from holdover.cli import exit_codes
from holdover.cli.main import main
from holdover.cli.serve import FLAGS
from holdover.client.calls import CALL_OPTIONS
from holdover.client.exchange import status_error
from holdover.engine import indexing
from holdover.engine.lifecycle import MEANINGS, TABLE, TERMINAL
from holdover.errors import APIStatusError
from holdover.server.access import Access
from holdover.server.app import _check_content_type
from holdover.settings import CLIENT_SETTINGS, SERVICE_SETTINGS, Setting, resolve
from holdover.store.protocol import reused_key
from holdover.wire.models import KNOWN_MODELS
from holdover.wire.openapi import openapi_document
from holdover.wire.operations import OPERATIONS, Operation

_PART = re.compile(
    r"(<!-- ([\w-]+): written by python -m tests\.docs\.generate -->\n).*?(<!-- end -->)", re.MULTILINE | re.DOTALL
)


def regenerated(text: str) -> str:
    """Return a page with all that comes from the code as it is now."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]().strip()}\n\n{part[3]}", text)


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: object) -> str:
    return f"`{text}`" if text not in ("", None, ()) else ""


# ----------------------------------------------------------------------------------------- operations


def operations() -> str:
    return "\n\n".join(_operation(each) for each in OPERATIONS)


def _operation(operation: Operation) -> str:
    summary, _, rest = inspect.cleandoc(getattr(holdover.Client, operation.name).__doc__).partition("\n\n")
    said = dict(re.findall(r"(?ms)^(\w+):\s(.*?)(?=^\w+:\s|\Z)", rest))
    body = msgspec.structs.fields(operation.body) if operation.body is not None else ()
    file = [operation.file.name] if operation.file else []
    required = [*operation.arguments, *file, *(each.encode_name for each in body if each.required)]
    parts = [
        f"## {operation.name}\n\n{_flat(summary)}",
        f"`{operation.method} /v1{operation.path}`, in Python "
        f"`{operation.name}({', '.join([*required, '**options'])})`, "
        f"on the command line `holdover {operation.group} {operation.command}`.",
        f"Answer: {_reply(operation)}." + (f"\n{_sentences(said['Returns'])}" if "Returns" in said else ""),
    ]
    if entries := list(_entries(said["Args"], required)):
        parts.insert(2, table(("argument", "", ""), entries))
    if "Raises" in said:
        parts.append(table(("raises", "when"), ((code(name), text) for name, text in _listed(said["Raises"]))))
    return "\n\n".join(parts)


def _entries(text: str, required: list[str]) -> Iterator[tuple[str, str, str]]:
    for names, meaning in _listed(text):
        for name in [each for each in names.split(", ") if each not in CALL_OPTIONS]:
            yield code(name), "required" if name in required else "", meaning


def _listed(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"(?ms)^ {4}(\w[\w, ]*):\s+(.*?)(?=^ {4}\w|\Z)", text)
    return [(" ".join(names.split()), _flat(meaning)) for names, meaning in found]


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def _sentences(text: str) -> str:
    return re.sub(r"(?<=[.]) (?=[A-Z`])", "\n", _flat(text))


def _reply(operation: Operation) -> str:
    if operation.reply is bytes:
        return "the content, as it is"
    name = getattr(operation.reply, "__name__", "")
    if of := getattr(operation.reply, "__args__", ()):
        return f"a page of [{of[0].__name__}](#{of[0].__name__.lower()})"
    return f"[{name}](#{name.lower()})"


def objects() -> str:
    schemas = openapi_document("")["components"]["schemas"]
    return "\n\n".join(_object(name, schemas[name]) for name in schemas if not name.startswith(_TOLD_ELSEWHERE))


_TOLD_ELSEWHERE = ("ListPage", "PageQuery", "Error")


def _object(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    summary = inspect.cleandoc(schema.get("description", "")).partition("\n\n")[0]
    rows = (
        (code(field), _kind(each), "required" if field in required else "")
        for field, each in schema.get("properties", {}).items()
    )
    return f"### {name}\n\n{_flat(summary)}\n\n{table(('field', 'is', ''), rows)}"


def _kind(schema: dict[str, Any]) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_kind(each) for each in several))
    if values := schema.get("enum"):
        return " or ".join(code(each) for each in values)
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        most = f"up to {schema['maxItems']} of" if "maxItems" in schema else "array of"
        return f"{most} {_kind(schema['items'])}"
    least, most = (schema.get(key) for key in _BOUNDS.get(kind, ("", "")))
    bounds = (
        f"{'' if least is None else least}..{'' if most is None else most}" if (least, most) != (None, None) else ""
    )
    return f"{kind} ({bounds})" if bounds else str(kind)


_BOUNDS = {
    "string": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "object": ("minProperties", "maxProperties"),
}


def models() -> str:
    return ", ".join(code(name) for name in KNOWN_MODELS) + "."


# ------------------------------------------------------------------------------------------- settings


def settings_of(settings: tuple[Setting[Any], ...], has_flags: bool) -> str:
    with mock.patch.dict(os.environ, {"HOME": "~"}, clear=True):
        resolved = resolve(settings)
    return "\n\n".join(_setting(each, resolved[each.name].shown, has_flags) for each in settings)


def _setting(setting: Setting[Any], default: str, has_flags: bool) -> str:
    flags = FLAGS.get(setting.name, (f"--{setting.name.replace('_', '-')}",))
    row = {
        "variable": _codes(setting.environment),
        **({"flag": _codes(flags), "in the file": code(setting.name)} if has_flags else {}),
        "default": "none" if default == "-" else code(default),
    }
    return f"### {setting.name}\n\n{setting.summary}\n\n{table(tuple(row), [tuple(row.values())])}"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))


# --------------------------------------------------------------------------------------- command line


def command_line() -> str:
    context = click.Context(main, info_name="holdover", terminal_width=80, **main.context_settings)
    return "\n\n".join(_helps(main, context))


def _helps(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context).strip()}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (child := command.get_command(context, name)) is not None:
                yield from _helps(child, click.Context(child, context, name, terminal_width=80))


def exits() -> str:
    by_code: dict[int, list[str]] = {}
    for cls, number in exit_codes.BY_ERROR:
        by_code.setdefault(number, []).append(code(cls.__name__))
    named = {value: name for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    return table(
        ("code", "name", "errors"),
        (
            (number, name.lower().replace("_", " "), ", ".join(by_code.get(number, ())))
            for number, name in named.items()
        ),
    )


def events() -> str:
    rows = (meaning.partition(": ") for meaning in telemetry.EVENTS.values())
    return table(
        ("event", "measurements", "when"),
        [(code(name), what, when) for name, (what, _, when) in zip(telemetry.EVENTS, rows, strict=True)],
    )


# --------------------------------------------------------------------------------------------- errors


def error_tree() -> str:
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1]
    return f"```text\n{inspect.cleandoc(tree)}\n```"


def texts() -> str:
    with holdover.embedded(max_retries=0) as client:
        rows = [(situation, provoke(client), whose) for situation, whose, provoke in _SITUATIONS]
    return table(
        ("situation", "status", "message", "`param`", "`code`", "words"),
        (
            (situation, error.status, f"`{error.message}`", code(error.param), code(error.code), whose)
            for situation, error, whose in rows
        ),
    )


Provoke = Callable[[holdover.Client], APIStatusError]


def _asked(method: str, path: str, body: str | None = None) -> Provoke:
    return lambda client: status_error(client.request(method, path, body=None if body is None else body.encode()))


def _created(more: str) -> Provoke:
    return _asked("POST", "/assistants", '{"model": "gpt-4o", ' + more + "}")


def _in_thread(method: str, path: str, body: str | None = None) -> Provoke:
    return lambda client: _asked(method, f"/threads/{client.create_thread().id}/messages{path}", body)(client)


def _sent(headers: dict[str, str]) -> Provoke:
    def provoke(client: holdover.Client) -> APIStatusError:
        with holdover.embedded(http_headers=headers) as other:
            return status_error(other.request("POST", "/assistants", body=b'{"model": "gpt-4o"}'))

    return provoke


def _refused(check: Callable[[], object]) -> Provoke:
    def provoke(client: holdover.Client) -> APIStatusError:
        try:
            check()
        except APIStatusError as error:
            return error
        raise AssertionError("nothing was refused")

    return provoke


_KEYED = Access(["sk-known"], local_only=False)
_LOCAL = Access(local_only=True)
_PAIRS = ", ".join(f'"{number}": ""' for number in range(17))

#: What goes wrong; whose words it is told in (hosted: seen on the Assistants API; elsewhere: the hosted API's in other
#: places; ours); and how to bring it about.
_SITUATIONS: tuple[tuple[str, str, Provoke], ...] = (
    ("unknown assistant", "hosted", _asked("GET", "/assistants/asst_abc")),
    ("unknown thread", "hosted", _asked("GET", "/threads/thread_abc")),
    ("unknown message, or one of another thread", "elsewhere", _in_thread("GET", "/msg_abc")),
    ("unknown cursor", "hosted", _asked("GET", "/assistants?after=asst_abc")),
    ("unknown vector store", "hosted", _created('"tool_resources": {"file_search": {"vector_store_ids": ["vs_abc"]}}')),
    ("unknown file", "hosted", _created('"tool_resources": {"code_interpreter": {"file_ids": ["file-abc"]}}')),
    ("unknown model, read", "hosted", _asked("GET", "/models/gpt-9")),
    ("model that cannot be deleted", "ours", _asked("DELETE", "/models/gpt-4o")),
    ("id of another kind", "hosted", _asked("GET", "/assistants/thread_abc")),
    ("cursor of another kind", "elsewhere", _asked("GET", "/assistants?after=thread_abc")),
    ("unknown path", "hosted", _asked("POST", "/nothing", "{}")),
    ("wrong method", "elsewhere", _asked("PUT", "/assistants")),
    ("body is not JSON, or has a key twice", "hosted", _asked("POST", "/assistants", "{")),
    ("parameter missing", "hosted", _asked("POST", "/assistants", "{}")),
    ("parameter unknown", "elsewhere", _created('"instruction": ""')),
    ("parameter given twice in a query", "ours", _asked("GET", "/assistants?limit=1&limit=2")),
    ("wrong type", "hosted", _created('"metadata": {"modified": true}')),
    ("value not among the allowed", "elsewhere", _asked("GET", "/assistants?order=up")),
    ("string too long", "hosted", _created(f'"name": "{"n" * 257}"')),
    ("string too short", "elsewhere", _asked("POST", "/assistants", '{"model": ""}')),
    ("name of another pattern", "elsewhere", _created('"tools": [{"type": "function", "function": {"name": "a b"}}]')),
    ("NUL character", "ours", _created('"name": "\\u0000"')),
    ("number too large", "elsewhere", _asked("GET", "/assistants?limit=1000")),
    ("number too small", "elsewhere", _created('"temperature": -1')),
    ("array too long", "hosted", _created('"tool_resources": {"file_search": {"vector_store_ids": ["vs_a", "vs_b"]}}')),
    ("array empty", "elsewhere", _in_thread("POST", "", '{"role": "user", "content": []}')),
    ("message that says nothing", "hosted", _in_thread("POST", "", '{"role": "user", "content": ""}')),
    ("too many metadata pairs", "elsewhere", _created(f'"metadata": {{{_PAIRS}}}')),
    ("metadata key too long", "elsewhere", _created(f'"metadata": {{"{"k" * 65}": ""}}')),
    (
        "both ways to give a vector store",
        "elsewhere",
        _created('"tool_resources": {"file_search": {"vector_store_ids": ["vs_a"], "vector_stores": [{}]}}'),
    ),
    ("nested too deeply", "ours", _created(f'"metadata": {"[" * 200}{"]" * 200}')),
    ("body too large", "ours", _asked("POST", "/assistants", " " * (16 * 1024 * 1024 + 1))),
    ("content type", "elsewhere", _refused(lambda: _check_content_type(b"{}", {b"content-type": b"text/plain"}))),
    ("beta header of v1", "hosted", _sent({"openai-beta": "assistants=v1"})),
    ("idempotency key used for another body", "ours", _refused(lambda: _raise(reused_key("key-1")))),
    ("no key", "hosted", _refused(lambda: _KEYED.check_key({}))),
    ("key unknown", "hosted", _refused(lambda: _KEYED.check_key({b"authorization": b"Bearer sk-unknown-0123"}))),
    ("Host of another machine", "ours", _refused(lambda: _LOCAL.check_origin({b"host": b"example.org"}))),
    (
        "Origin of another site",
        "ours",
        _refused(lambda: _LOCAL.check_origin({b"host": b"localhost", b"origin": b"https://example.org"})),
    ),
)


def _raise(error: Exception) -> None:
    raise error


def lifecycle_diagram(
    transitions: Mapping[tuple[Any, Any], Any], meanings: Mapping[Any, str], first: str, terminal: Iterable[str]
) -> str:
    """Draw what may follow what, and say what each happening means."""
    edges: dict[tuple[str, str], list[str]] = {}
    for (before, happening), follows in transitions.items():
        edges.setdefault((before, follows), []).append(happening)
    drawn = [f"    {before} --> {follows}: {', '.join(names)}" for (before, follows), names in edges.items()]
    drawn += [f"    {status} --> [*]" for status in sorted(terminal)]
    diagram = "\n".join(["```mermaid no-run: a picture", "stateDiagram-v2", f"    [*] --> {first}", *drawn, "```"])
    return diagram + "\n\n" + table(("happening", "means"), ((code(name), meanings[name]) for name in meanings))


PARTS: dict[str, Callable[[], str]] = {
    "operations": operations,
    "objects": objects,
    "models": models,
    "client-settings": lambda: settings_of(CLIENT_SETTINGS, has_flags=False),
    "service-settings": lambda: settings_of(SERVICE_SETTINGS, has_flags=True),
    "command-line": command_line,
    "exit-codes": exits,
    "events": events,
    "lifecycle": lambda: lifecycle_diagram(TABLE, MEANINGS, "queued", TERMINAL),
    "life-of-a-file": lambda: lifecycle_diagram(
        indexing.TABLE, indexing.MEANINGS, "in_progress", ("completed", "failed", "cancelled")
    ),
    "error-tree": error_tree,
    "error-texts": texts,
}

if __name__ == "__main__":
    for page in PAGES:
        page.write_text(regenerated(page.read_text("utf-8")), "utf-8")
