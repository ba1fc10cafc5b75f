"""``holdover vector-stores``, and the files that ``holdover assistants create`` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Invoke, Terminal


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    path = tmp_path / "handbook.md"
    path.write_text("# Leave\n\nEmployees have 28 days of leave a year.")
    return path


def told(result: Any) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_store_is_made_of_files_of_this_machine_searched_and_deleted(holdover: Invoke, handbook: Path) -> None:
    store = told(holdover("vector-stores", "create", "--name", "Handbook", "--file", str(handbook)))
    assert (store["name"], store["status"], store["file_counts"]["completed"]) == ("Handbook", "completed", 1)
    found = told(holdover("vector-stores", "search", store["id"], "How many days of leave?"))
    assert "28 days" in found["data"][0]["content"][0]["text"]
    both = told(holdover("vector-stores", "search", store["id"], "leave", "holidays", "--max-num-results", "1"))
    assert both["search_query"] == ["leave", "holidays"]
    assert store["id"] in holdover("vector-stores", "list", "--all").stdout
    assert told(holdover("vector-stores", "delete", store["id"]))["deleted"] is True
    assert holdover("vector-stores", "show", store["id"]).exit_code == 4


def test_files_of_a_store_are_added_labelled_seen_and_removed(holdover: Invoke, handbook: Path) -> None:
    store = told(holdover("vector-stores", "create", "--expires-after-days", "3"))
    assert store["expires_after"] == {"anchor": "last_active_at", "days": 3}
    batch = told(holdover("vector-stores", "add-many", store["id"], "--file", str(handbook)))
    assert (batch["status"], batch["file_counts"]["completed"]) == ("completed", 1)
    (file,) = told(holdover("vector-stores", "files", store["id"]))["data"]
    assert told(holdover("vector-stores", "batch-files", store["id"], batch["id"]))["data"][0]["id"] == file["id"]
    assert told(holdover("vector-stores", "batch", store["id"], batch["id"])) == batch
    assert told(holdover("vector-stores", "cancel", store["id"], batch["id"]))["status"] == "completed"
    labelled = told(holdover("vector-stores", "label", store["id"], file["id"], '{"year": 2024}'))
    assert labelled["attributes"] == {"year": 2024}
    filters = '{"type": "eq", "key": "year", "value": 2023}'
    assert told(holdover("vector-stores", "search", store["id"], "leave", "--filters", filters))["data"] == []
    assert "28 days" in told(holdover("vector-stores", "text", store["id"], file["id"]))["data"][0]["text"]
    assert told(holdover("vector-stores", "remove", store["id"], file["id"]))["deleted"] is True
    added = told(holdover("vector-stores", "add", store["id"], file["id"], "--attributes", '{"a": true}'))
    assert (added["status"], added["attributes"]) == ("completed", {"a": True})
    assert told(holdover("vector-stores", "file", store["id"], file["id"])) == added
    changed = told(holdover("vector-stores", "modify", store["id"], "--name", "n", "--null", "expires_after"))
    assert (changed["name"], changed["expires_after"]) == ("n", None)


def test_who_waits_is_told_which_files_could_not_be_indexed(holdover: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_text("no PDF")
    made = holdover("vector-stores", "create", "--file", str(path))
    assert told(made)["file_counts"]["failed"] == 1
    assert "could not be indexed: " in made.stderr


def test_an_assistant_is_made_that_reads_a_file(holdover: Invoke, handbook: Path) -> None:
    tools = ("--tool", "file_search", "--tool", "code_interpreter")
    made = told(holdover("assistants", "create", "gpt-4o", *tools, "--file", str(handbook)))
    (store_id,) = made["tool_resources"]["file_search"]["vector_store_ids"]
    (file_id,) = made["tool_resources"]["code_interpreter"]["file_ids"]
    assert told(holdover("vector-stores", "show", store_id))["file_counts"]["completed"] == 1
    assert told(holdover("vector-stores", "files", store_id))["data"][0]["id"] == file_id


def test_a_file_for_no_tool_is_refused_before_it_is_sent(holdover: Invoke, handbook: Path) -> None:
    for more, said in (
        ((), "--file is for --tool file_search"),
        (("--tool", "file_search", "--tool-resources", '{"file_search": {}}'), "both say what file_search works on"),
    ):
        refused = holdover("assistants", "create", "gpt-4o", *more, "--file", str(handbook))
        assert (refused.exit_code, said in refused.stderr) == (2, True)


def test_a_terminal_gets_a_table_of_what_was_found(
    terminal: Terminal, holdover: Invoke, handbook: Path, shared_url: str
) -> None:
    store = told(holdover("vector-stores", "create", "--file", str(handbook)))
    code, shown = terminal("vector-stores", "search", store["id"], "leave", OPENAI_BASE_URL=shared_url)
    assert code == 0
    assert "handbook.md" in shown
    assert "28 days of leave" in shown
    code, shown = terminal("vector-stores", "create", "--file", str(handbook), OPENAI_BASE_URL=shared_url)
    assert code == 0
    assert "completed" in shown


def test_a_terminal_is_not_told_to_do_things_by_a_file(
    terminal: Terminal, holdover: Invoke, tmp_path: Path, shared_url: str
) -> None:
    path = tmp_path / "odd.txt"
    path.write_text("Tea is \x1b[31mred.\nAlways.")
    store = told(holdover("vector-stores", "create", "--file", str(path)))
    (file,) = told(holdover("vector-stores", "files", store["id"]))["data"]
    code, shown = terminal("vector-stores", "text", store["id"], file["id"], OPENAI_BASE_URL=shared_url)
    assert (code, shown) == (0, "Tea is \\u001b[31mred.\nAlways.\n")
