"""Files of every kind become text or a reason, and what was made to break a reader breaks a child at most."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tools import documents
from tests.tools.documents import SENTENCE

from holdover.tools.file_search import failures, parsers
from holdover.tools.file_search.failures import Unreadable
from holdover.tools.file_search.parsing import Parsers
from holdover.tools.file_search.protocol import ENDINGS


@pytest.fixture
async def pool() -> AsyncIterator[Parsers]:
    """A pool of one child."""
    made = Parsers(1)
    yield made
    await made.close()


async def read(pool: Parsers, folder: Path, name: str, content: bytes) -> str:
    path = folder / "blob"
    path.write_bytes(content)
    return await pool.read_text(str(path), name)


async def refused(pool: Parsers, folder: Path, name: str, content: bytes) -> Unreadable:
    with pytest.raises(Unreadable) as raised:
        await read(pool, folder, name, content)
    return raised.value


def test_the_endings_that_are_offered_are_those_that_are_read() -> None:
    assert set(parsers.PARSERS) == ENDINGS


@pytest.mark.parametrize("ending", sorted(ENDINGS - {".html", ".pdf", ".docx", ".pptx", ".xlsx"}))
async def test_text_is_read_as_it_is(pool: Parsers, tmp_path: Path, ending: str) -> None:
    text = f"# {SENTENCE}\r\n\tü €  東京 😀\n"
    assert await read(pool, tmp_path, f"a{ending.upper()}", text.encode()) == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "ascii"])
async def test_the_encodings_of_the_hosted_api_are_read(pool: Parsers, tmp_path: Path, encoding: str) -> None:
    text = SENTENCE if encoding == "ascii" else f"{SENTENCE} – ü €"
    assert await read(pool, tmp_path, "a.txt", text.encode(encoding)) == text


async def test_an_older_encoding_is_guessed(pool: Parsers, tmp_path: Path) -> None:
    text = "Le garçon préféré de la reine a été très étonné d'être invité à la fête du château. " * 5
    assert await read(pool, tmp_path, "a.txt", text.encode("cp1252")) == text


async def test_html_loses_its_marks_scripts_and_styles(pool: Parsers, tmp_path: Path) -> None:
    html = f"""<html><head><title>Port &amp; ships</title><style>p {{}}</style></head>
        <body><script>alert("no")</script><h1>Log</h1><p>{SENTENCE}</p><noscript>no</noscript></body></html>"""
    assert await read(pool, tmp_path, "a.html", html.encode()) == f"Port & ships\nLog\n{SENTENCE}"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Hello <b>wor</b>ld", "Hello world"),
        ("<p><strong>J<i>o</i></strong>hn <em>D</em>oe</p>", "John Doe"),
        ("capa<wbr>city ca&shy;pa\xadcity", "capacity capacity"),
        ("x<!-- no -->y<em></em>z<b><i></i></b>w<script>no</script>v", "xyzwv"),
        ("<p>one\n  two<p>three<br>four<br/>five", "one two\nthree\nfour\nfive"),
        ("<div>a<p>b</div>c<h1>d</h1>e<hr>f", "a\nb\nc\nd\ne\nf"),
        ("<ul><li>a<li><b>b</b>c</ul><dl><dt>d<dd>e</dl>", "a\nbc\nd\ne"),
        ("<table><tr><td>a<td>b<tr><th>c</th><th>d</th></table>", "a\nb\nc\nd"),
        ("<nav><a href='1'>Home</a><a href='2'>About</a></nav><a>link</a>s", "Home\nAbout\nlinks"),
        ("<a><div>a</div></a>b<x-card>c</x-card>d", "a\nb\nc\nd"),
        ("<pre>def <b>f</b>():\r\n    <i>pass</i>\n<span>f</span>()</pre>end", "def f():\npass\nf()\nend"),
        ("<title>Port\n &amp; ships</title>q", "Port & ships\nq"),
    ],
)
def test_html_has_a_line_where_a_browser_has_one(html: str, text: str) -> None:
    assert parsers._html(io.BytesIO(html.encode())) == text


INLINE = st.recursive(
    st.text("ab ", max_size=3),
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{'<wbr>'.join(parts)}</{tag}>",
        st.sampled_from(sorted(parsers.INLINE_TAGS - {"a", "nobr"})),  # these are never nested
        st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)


@given(blocks=st.lists(st.lists(INLINE, max_size=4), max_size=4))
def test_words_of_html_are_whole_whatever_is_marked_in_them(blocks: list[list[str]]) -> None:
    html = "".join(f"<p>{''.join(parts)}</p>" for parts in blocks)
    expected = [" ".join(re.sub("<[^>]*>", "", "".join(parts)).split()) for parts in blocks]
    assert parsers._html(io.BytesIO(html.encode())) == "\n".join(line for line in expected if line)


async def test_a_pdf_is_read_page_by_page(pool: Parsers, tmp_path: Path) -> None:
    assert await read(pool, tmp_path, "a.pdf", documents.pdf(SENTENCE, "Second page")) == f"{SENTENCE}\n\nSecond page"


async def test_a_document_is_read_with_its_tables_in_order(pool: Parsers, tmp_path: Path) -> None:
    text = await read(pool, tmp_path, "a.docx", documents.docx(SENTENCE, "and more"))
    assert text == f"{SENTENCE}\nand more\nleft cell | right cell\nafter the table"


async def test_slides_are_read_with_their_notes(pool: Parsers, tmp_path: Path) -> None:
    text = await read(pool, tmp_path, "a.pptx", documents.pptx(SENTENCE, "say it slowly"))
    assert text.split("\n")[:3] == ["Title of the slide", SENTENCE, "say it slowly"]


async def test_sheets_are_read_row_by_row(pool: Parsers, tmp_path: Path) -> None:
    text = await read(
        pool, tmp_path, "a.xlsx", documents.xlsx(["name", "tons"], ["Anna", 12.5], [None, None], ["Bo", 7])
    )
    assert text == "# Ships\nname\ttons\nAnna\t12.5\nBo\t7\n"


def sheet(rows: str) -> bytes:
    """Return a spreadsheet with these rows of XML, which says of itself that it is as large as a sheet can be."""
    xml = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>'
    )
    return documents.with_member(documents.xlsx(["x"]), "xl/worksheets/sheet1.xml", xml.encode())


async def test_one_cell_far_out_does_not_make_a_sheet_large(pool: Parsers, tmp_path: Path) -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(2, 401))
    far = '<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>7</v></c></row>'
    down = '<row r="1048576"><c r="A1048576"><v>9</v></c></row>'
    text = await read(pool, tmp_path, "a.xlsx", sheet(far + rows + down))
    assert text.split() == ["#", "Ships", "1", "7", *map(str, range(2, 401)), "9"]
    assert len(text) < 20_000


@pytest.mark.parametrize(
    "rows",
    [
        "".join(f'<row r="{n}"><c r="XFD{n}"><v>7</v></c></row>' for n in range(1, 400)),
        '<row r="99999999999"><c r="A99999999999"><v>7</v></c></row>',
    ],
)
async def test_a_sheet_of_too_many_cells_or_rows_is_refused(pool: Parsers, tmp_path: Path, rows: str) -> None:
    assert (await refused(pool, tmp_path, "a.xlsx", sheet(rows))).message == failures.TOO_LARGE.message


async def test_one_child_reads_file_after_file_and_after_a_bad_one(pool: Parsers, tmp_path: Path) -> None:
    assert (await refused(pool, tmp_path, "a.pdf", b"%PDF-1.4 rubbish")).code == "invalid_file"
    [child] = pool._idle
    assert await read(pool, tmp_path, "a.txt", b"one") == "one"
    assert await read(pool, tmp_path, "b.txt", b"two") == "two"
    assert pool._idle == [child]
    assert child.files == 3


PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
DOCX = documents.docx(SENTENCE)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
LOCKED = documents.pdf(SENTENCE).replace(
    b"trailer <<",
    b"trailer << /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <"
    + b"41" * 32
    + b"> /U <"
    + b"42" * 32
    + b"> >> /ID [<00> <00>]",
)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.exe", b"MZ", failures.UNSUPPORTED),
        ("a", b"text", failures.UNSUPPORTED),
        ("a.png", PNG, failures.UNSUPPORTED),
        ("a.doc", OLE, failures.LEGACY),
        ("a.txt", b"", failures.EMPTY),
        ("a.docx", b"", failures.EMPTY),
        ("a.txt", b" \n\t ", failures.NO_TEXT),
        ("a.html", b"<html><body><script>x</script></body></html>", failures.NO_TEXT),
        ("a.pdf", documents.pdf(""), failures.NO_TEXT),
        ("a.txt", documents.pdf(SENTENCE), failures.mislabelled("a PDF document")),
        ("a.md", PNG, failures.mislabelled("an image")),
        ("a.json", DOCX, failures.mislabelled("a ZIP archive or an Office document")),
        ("a.pdf", SENTENCE.encode(), failures.mislabelled("not a PDF document")),
        ("a.docx", documents.xlsx(["a"]), failures.mislabelled("an archive of another kind")),
        ("a.pptx", DOCX, failures.mislabelled("an archive of another kind")),
        ("a.txt", bytes(range(256)) * 40, failures.NOT_TEXT),
        ("a.txt", b"\xff\xfe\x00\xd8\x41", failures.NOT_TEXT),
        ("a.docx", OLE, failures.ENCRYPTED),
        ("a.pdf", LOCKED, failures.ENCRYPTED),
        ("a.docx", SENTENCE.encode(), failures.BROKEN),
        ("a.docx", DOCX[:-200], failures.BROKEN),
        ("a.docx", DOCX[: len(DOCX) // 2], failures.BROKEN),
        ("a.xlsx", documents.archive({"xl/workbook.xml": b"<not-closed"}), failures.BROKEN),
        ("a.docx", documents.archive({"word/document.xml": b"<a/>"}), failures.BROKEN),
        ("a.docx", documents.entities(), failures.BROKEN),
        ("a.docx", documents.archive({f"word/{n}": b"" for n in range(10_001)}), failures.TOO_LARGE),
    ],
)
async def test_what_cannot_be_read_is_told_why(
    pool: Parsers, tmp_path: Path, name: str, content: bytes, expected: Unreadable
) -> None:
    failure = await refused(pool, tmp_path, name, content)
    assert (failure.code, failure.message) == (expected.code, expected.message)


async def test_content_that_is_gone_is_no_fault_of_the_file(pool: Parsers, tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as raised:
        await pool.read_text(str(tmp_path / "none"), "a.txt")
    assert raised.value.code == "server_error"


async def test_an_archive_that_unpacks_to_too_much_is_refused_before_that(pool: Parsers, tmp_path: Path) -> None:
    content = documents.bomb(310)
    assert len(content) < 2_000_000
    assert (await refused(pool, tmp_path, "a.docx", content)).message == failures.TOO_LARGE.message
    assert pool._idle  # the child did not have to go


async def test_a_pdf_of_a_hundred_thousand_pages_is_refused(pool: Parsers, tmp_path: Path) -> None:
    assert (await refused(pool, tmp_path, "a.pdf", documents.pdf("x", repeated=100_000))).message == (
        failures.TOO_LARGE.message
    )


async def test_a_truncated_pdf_gives_what_is_left_or_a_reason(pool: Parsers, tmp_path: Path) -> None:
    whole = documents.pdf(SENTENCE, "Second page")
    for length in range(0, len(whole), 97):
        outcome: str | None
        try:
            outcome = await read(pool, tmp_path, "a.pdf", whole[:length])
        except Unreadable as failure:
            outcome = failure.code
        assert outcome == "invalid_file" or "page" in outcome or SENTENCE in outcome


async def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    pool = Parsers(1, timeout_s=0.001)  # less than it takes to start
    assert (await refused(pool, tmp_path, "a.txt", b"text")).message == failures.TOO_LARGE.message
    assert pool._idle == []
    await pool.close()


async def test_a_child_that_dies_fails_its_file_and_no_other(pool: Parsers, tmp_path: Path) -> None:
    await read(pool, tmp_path, "a.txt", b"text")
    for sent, expected in ((signal.SIGSEGV, failures.BROKEN), (signal.SIGKILL, failures.TOO_LARGE)):
        [child] = pool._idle
        os.kill(child._process.pid, sent)
        assert (await refused(pool, tmp_path, "a.txt", b"text")).message == expected.message
        assert await read(pool, tmp_path, "a.txt", b"text") == "text"


async def test_a_child_sees_nothing_of_the_environment(
    pool: Parsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    await read(pool, tmp_path, "a.txt", b"text")
    [child] = pool._idle
    seen = await asyncio.to_thread(Path(f"/proc/{child._process.pid}/environ").read_bytes)
    assert b"sk-secret" not in seen


async def test_a_child_without_work_ends(tmp_path: Path) -> None:
    pool = Parsers(1, idle_s=0)
    await read(pool, tmp_path, "a.txt", b"text")
    [child] = pool._idle
    assert await child._process.wait() != 0
    assert pool._idle == []
    await pool.close()


async def test_files_that_come_together_take_turns(tmp_path: Path) -> None:
    pool = Parsers(2)
    for n in range(6):
        (tmp_path / str(n)).write_text(f"text {n}")
    texts = await asyncio.gather(*(pool.read_text(str(tmp_path / str(n)), "a.txt") for n in range(6)))
    assert texts == [f"text {n}" for n in range(6)]
    assert len(pool._idle) == 2
    await pool.close()


async def test_a_closed_pool_leaves_no_child_behind(tmp_path: Path) -> None:
    pool = Parsers(1)
    await read(pool, tmp_path, "a.txt", b"text")
    [child] = pool._idle
    await pool.close()
    assert child._process.returncode is not None
