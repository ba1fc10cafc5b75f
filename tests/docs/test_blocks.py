from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.conftest import Service
from tests.docs.blocks import PAGES, ROOT, Reader, blocks_of, fits

import holdover

RUN = [page for page in PAGES if any(not block.note for block in blocks_of(page))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_says_to_do_works(page: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = service.database.parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OPENAI_BASE_URL", service.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    holdover.configure()
    reader = Reader(service.url.removeprefix("http://"), folder)
    for block in blocks_of(page):
        if not block.note:
            reader.follow(block)
    reader.run_tests()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    for block in blocks_of(page):
        assert hasattr(Reader, f"_{block.language}") or block.note, f"{page}:{block.line}: nothing runs this"
        assert not block.note or block.note.startswith("no-run: "), f"{page}:{block.line}: {block.note}"


@pytest.mark.parametrize(
    ("shown", "got", "does"),
    [
        ("Deleted asst_….", "Deleted asst_abc.\r\n", True),
        ("a\n…\nz", "a b\nc z", True),
        ("at 2026-01-01 10:00", "at 2027-02-03 04:05", True),
        ("http://127.0.0.1:8026/v1", "http://127.0.0.1:40123/v1", True),
        ("", "anything", True),
        ("a … z", "a b c", False),
        ("one", "one more", False),
    ],
)
def test_outputs_are_compared_loosely(shown: str, got: str, does: bool) -> None:
    assert fits(shown, got) is does
