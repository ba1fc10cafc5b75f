from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.blocks import PAGES, ROOT
from tests.docs.generate import PARTS, regenerated

INDEX = ROOT / "docs" / "README.md"
GENERATED = [page for page in PAGES if "written by python -m tests.docs.generate" in page.read_text("utf-8")]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> list[tuple[Path, str]]:
    """The files that a page refers to, each with the heading it names."""
    prose = _CODE.sub("``", page.read_text("utf-8"))
    targets = [link.partition("#") for link in _LINK.findall(prose) if "://" not in link]
    return [((page.parent / path).resolve() if path else page, heading) for path, _, heading in targets]


def headings(page: Path) -> set[str]:
    """What a link may name on a page, as GitHub makes it of the headings."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text("utf-8"))
    titles = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, heading in links(page):
        assert target.exists(), f"{named(page)} refers to {target}"
        assert not heading or heading in headings(target), f"{named(page)} refers to {target.name}#{heading}"


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [INDEX]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [target for target, _ in links(page) if target.suffix == ".md" and target.exists()]
    assert {named(page) for page in PAGES if page.is_relative_to(INDEX.parent)} <= {named(page) for page in reached}


@pytest.mark.parametrize("page", GENERATED, ids=named)
def test_what_is_taken_from_the_code_is_current(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == regenerated(text), "to write it anew: python -m tests.docs.generate"


def test_every_part_that_can_be_generated_is_in_a_page() -> None:
    texts = "".join(page.read_text("utf-8") for page in GENERATED)
    assert [name for name in PARTS if f"<!-- {name}: written" not in texts] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_prose_has_one_sentence_a_line(page: Path) -> None:
    prose = _CODE.sub("", page.read_text("utf-8"))
    for line in prose.splitlines():
        if not line.startswith(("|", "#", "<")):
            assert not re.search(r"[a-z)`][.?!] [A-Z]", line), line
