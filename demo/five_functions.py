"""The five functions against a service of their own: every call, and what it answers."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from pathlib import Path

import holdover

#: What is shown and run, a step at a time; the last line of a step is a value when it can be one.
STEPS = (
    """\
assistant = holdover.create_assistant(
    "gpt-4o",
    name="Tutor",
    instructions="You teach mathematics.",
    tools=[{"type": "code_interpreter"}],
)
assistant""",
    "holdover.get_assistant(assistant.id).tool_resources",
    """\
changed = holdover.modify_assistant(assistant.id, temperature=0.2, metadata={"team": "maths"})
changed.name, changed.temperature, changed.metadata""",
    """\
for number in range(1, 5):
    holdover.create_assistant("gpt-4o-mini", name=f"Helper {number}")
[each.name for each in holdover.list_assistants(order="asc", limit=2).all_pages()]""",
    "holdover.delete_assistant(assistant.id)",
    "holdover.get_assistant(assistant.id)  # it is gone, and the error says so",
    'holdover.create_assistant("gpt-4o", instruction="…")  # a slip of the pen',
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="holdover-demo-") as folder:
        database = Path(folder) / "holdover.db"
        command = [sys.executable, "-m", "holdover", "serve", "--port", "0", "--database", str(database)]
        with subprocess.Popen([*command, "--log-level", "warning"], stderr=subprocess.PIPE, text=True) as service:
            try:
                base_url = announced_address(service)
                print(f"A service of its own, at {base_url}, with a SQLite file.\n")
                holdover.configure(base_url=base_url, timeout_s=10)
                names: dict[str, object] = {"holdover": holdover}
                for code in STEPS:
                    take(code, names)
            finally:
                service.terminate()
    print(f"The service ended with status {service.returncode}. To start one that stays: .venv/bin/holdover serve")


def announced_address(service: subprocess.Popen[str]) -> str:
    """Return the base URL that a service announces when it can be called."""
    assert service.stderr is not None
    said = []
    for line in service.stderr:
        said.append(line)
        _, found, address = line.partition("OPENAI_BASE_URL=")
        if found:
            return address.strip()
    sys.exit("The service did not start:\n" + "".join(said))


def take(code: str, names: dict[str, object]) -> None:
    """Show a step, run it, and show its value or its error."""
    *statements, last = ast.parse(code).body
    lines = code.split("\n")
    for statement in (*statements, last):
        print(">>> " + "\n... ".join(lines[statement.lineno - 1 : statement.end_lineno]))
    try:
        for statement in statements:
            exec(compile(ast.Module([statement], []), "<demo>", "exec"), names)
        assert isinstance(last, ast.Expr)
        value = eval(compile(ast.Expression(last.value), "<demo>", "eval"), names)
        print(f"{value!r}\n")
    except holdover.HoldoverError as error:
        print(f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main()
