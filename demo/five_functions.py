"""The five functions against a service of their own: every call, and what it answers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import holdover


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="holdover-demo-") as folder:
        database = Path(folder) / "holdover.db"
        with subprocess.Popen(
            [sys.executable, "-m", "holdover", "serve", "--port", "0", "--database", database, "--log-level", "warning"],
            stderr=subprocess.PIPE,
            text=True,
        ) as service:
            try:
                base_url = address(service)
                print(f"$ holdover serve --database {database}\n  listening at {base_url}\n")
                five_functions(base_url)
                print(f"Every answer was on disk before it was given: {database.name} has {size(database):,} bytes.")
            finally:
                service.terminate()
    print(f"The service ended with status {service.returncode}. To start one that stays: holdover serve")


def five_functions(base_url: str) -> None:
    holdover.configure(base_url=base_url, timeout_s=10)

    step('assistant = holdover.create_assistant("gpt-4o", name="Tutor", tools=[{"type": "code_interpreter"}])')
    assistant = holdover.create_assistant(
        "gpt-4o", name="Tutor", instructions="You teach mathematics.", tools=[{"type": "code_interpreter"}]
    )
    show(assistant, assistant.tools, assistant.tool_resources)

    step("holdover.get_assistant(assistant.id)")
    show(holdover.get_assistant(assistant.id))

    step('holdover.modify_assistant(assistant.id, temperature=0.2, metadata={"team": "maths"})')
    changed = holdover.modify_assistant(assistant.id, temperature=0.2, metadata={"team": "maths"})
    show(f"temperature={changed.temperature} metadata={changed.metadata} name={changed.name!r} (kept)")

    step('[each.name for each in holdover.list_assistants(order="asc", limit=2).all_pages()]')
    for number in range(1, 5):
        holdover.create_assistant("gpt-4o-mini", name=f"Helper {number}")
    show([each.name for each in holdover.list_assistants(order="asc", limit=2).all_pages()])

    step("holdover.delete_assistant(assistant.id)")
    show(holdover.delete_assistant(assistant.id))

    step("holdover.get_assistant(assistant.id)   # it is gone: errors say what happened")
    try:
        holdover.get_assistant(assistant.id)
    except holdover.NotFoundError as error:
        show(f"NotFoundError: {error} (request {error.request_id})")

    step('holdover.create_assistant("gpt-4o", instruction="…")   # a slip of the pen')
    try:
        holdover.create_assistant("gpt-4o", instruction="…")  # type: ignore[call-arg]
    except holdover.UnknownOptionError as error:
        show(f"UnknownOptionError: {error}")


def address(service: subprocess.Popen[str]) -> str:
    """Return the base URL that the service announces."""
    assert service.stderr is not None
    said = []
    for line in service.stderr:
        said.append(line)
        for word in line.split():
            if word.startswith("http://") or "=http://" in word:
                url = word[word.index("http://") :].rstrip("/.,")
                return url if url.endswith("/v1") else f"{url}/v1"
    sys.exit("The service did not start:\n" + "".join(said))


def size(database: Path) -> int:
    return sum(file.stat().st_size for file in database.parent.glob(f"{database.name}*"))


def step(code: str) -> None:
    print(f">>> {code}")


def show(*values: object) -> None:
    for value in values:
        print(f"    {value}")
    print()


if __name__ == "__main__":
    main()
