"""Reads the text of a file. Runs in a child process that is thrown away when a file was too much for it (`parsing`).

What a file is, is told by the ending of its name, and its content has to agree. Archives are looked over before
anything unpacks them: a limit on memory alone let a document of 700 KB unpack to 310 MB.

Nothing of ours is imported but words, so that a child starts fast; each library is imported by the first file that
needs it.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from .failures import (
    BROKEN,
    EMPTY,
    ENCRYPTED,
    GONE,
    LEGACY,
    MAX_TEXT_BYTES,
    NO_TEXT,
    NOT_TEXT,
    TOO_LARGE,
    UNSUPPORTED,
    Unreadable,
    mislabelled,
)

MIB = 1024 * 1024
#: What a child may take, in bytes and in seconds of processor time for one file.
MEMORY_LIMIT_BYTES = 1536 * MIB
CPU_LIMIT_S = 120

#: What an archive may have: members, bytes unpacked, and of these how many for each packed, where they are not few.
MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 256 * MIB
MAX_RATIO = 100
SMALL_BYTES = 16 * MIB

#: pypdfium2 reads some hundred a second.
MAX_PAGES = 20_000
MAX_CELLS = 5_000_000
#: More no sheet has, so a row that says that it is further down is made up; those above it are gone through one by one.
MAX_ROWS = 1_048_576

#: How files begin that are not text, whatever they are called.
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"PK\x05\x06", "a ZIP archive or an Office document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document of an older format, or an encrypted one"),
    (b"\x89PNG\r\n", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3\0", "a database"),
)
#: Those that text was written in before UTF-8, as far as they are still met and can be told from each other.
OLDER_ENCODINGS = ["cp1252", "cp1250", "cp1251", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]
#: Tags of HTML that stand in a line of text, or in a word of it. All others begin a line: also those that nobody knows,
#: which are used for boxes more often than for words.
INLINE_TAGS = frozenset(
    (
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font"),
        *("i", "ins", "kbd", "label", "mark", "nobr", "q", "rb", "ruby", "s", "samp", "small", "span", "strike"),
        *("strong", "sub", "sup", "time", "tt", "u", "var"),
    )
)
#: Stands where a line of HTML ends; the ends of lines that its source has are spaces.
_LINE = "\x1e"
_SOFT_HYPHEN = "\xad"
_OLE = SIGNATURES[3][0]
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def read_text(path: str, file_name: str) -> str:
    """Return the text of a file.

    Raises:
        Unreadable: It has none, or it is not what its name says.
    """
    parse = PARSERS.get(os.path.splitext(file_name)[1].lower())
    if parse is None:
        raise LEGACY if file_name.lower().endswith(".doc") else UNSUPPORTED
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise EMPTY
            text = parse(file)
    except FileNotFoundError:
        raise GONE from None
    except MemoryError:
        raise TOO_LARGE from None
    # NUL is nothing that a database or a program downstream would keep; halves of pairs have no encoding.
    text = text.replace("\0", " ").encode("utf-8", "replace").decode()
    if not text.strip():
        raise NO_TEXT
    return text


# -------------------------------------------------------------------------------------------- formats


def _text(file: IO[bytes]) -> str:
    content = file.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise TOO_LARGE
    found = next((what for signature, what in SIGNATURES if content.startswith(signature)), None)
    if found is not None:
        raise mislabelled(found)
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _decoded(content[len(mark) :], encoding)
    with contextlib.suppress(UnicodeDecodeError):
        narrow = content.decode()
        if _is_readable(narrow):
            return narrow
    wide_encoding = _wide(content)
    if wide_encoding is not None:
        wide = _decoded(content, wide_encoding)
        if _is_readable(wide):
            return wide
    return _guessed(content)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise NOT_TEXT from None


def _guessed(content: bytes) -> str:
    """Return a text in an older encoding, if it is certain enough which; the hosted API took none of them."""
    if b"\0" in content:
        raise NOT_TEXT
    import charset_normalizer

    guesses = charset_normalizer.from_bytes(content[:MIB], cp_isolation=OLDER_ENCODINGS)
    best = min(((each.chaos, -each.coherence) for each in guesses), default=(1.0, 0.0))
    if best[0] > 0.05:
        raise NOT_TEXT
    # Several may fit as well; then it is the most usual.
    fitting = [name for each in guesses if (each.chaos, -each.coherence) == best for name in each.could_be_from_charset]
    text = _decoded(content, min(fitting, key=OLDER_ENCODINGS.index))
    if not _is_readable(text):
        raise NOT_TEXT
    return text


def _wide(content: bytes) -> str | None:
    """Return which UTF-16 it is, if it is one without a mark: most of every other byte is zero then."""
    start = content[:4096]
    for encoding, first in (("utf-16-be", 0), ("utf-16-le", 1)):
        if len(content) % 2 == 0 and start[first::2].count(0) * 2 > len(start[first::2]):
            return encoding
    return None


def _is_readable(text: str) -> bool:
    """Whether a text has hardly any characters that no text has."""
    start = text[:65_536]
    return sum(character < " " and character not in "\t\n\r\f\x1b" for character in start) <= len(start) // 100


def _html(file: IO[bytes]) -> str:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(_text(file))
    tree.strip_tags(["script", "style", "noscript", "template", "svg", "wbr"])
    root = tree.body or tree.root
    title = tree.css_first("title")
    texts = [title.text()] if title is not None and tree.body is not None else []
    if root is not None:
        _unwrap(root)
        texts += root.text(separator=_LINE).split(_LINE)
    lines = (" ".join(text.replace(_SOFT_HYPHEN, "").split()) for text in texts)
    return "\n".join(line for line in lines if line)


def _unwrap(root: Any) -> None:
    """Make one text of what stands in one line, so that no tag within a word breaks it."""
    for preformatted in root.css("pre, textarea"):
        for node in [node for node in preformatted.traverse(include_text=True) if node.is_text_node]:
            node.replace_with((node.text_content or "").replace("\n", _LINE))
    tags, comments, links = set(), [], []
    for node in root.traverse():
        tags.add(node.tag)
        if node.tag == "-comment":
            comments.append(node)
        elif node.tag == "a" and node.prev is not None and node.prev.tag == "a":
            links.append(node)  # of a menu: words have no two links
    for comment in comments:
        comment.decompose()
    for link in links:
        link.insert_before(_LINE)
    root.unwrap_tags(sorted(INLINE_TAGS & tags), delete_empty=True)  # each goes through the whole document
    root.merge_text_nodes()


def _pdf(file: IO[bytes]) -> str:
    if b"%PDF-" not in file.read(1024):
        raise mislabelled("not a PDF document")
    import pypdfium2  # type: ignore[import-untyped]

    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        raise (ENCRYPTED if "password" in str(error).lower() else BROKEN) from None
    with contextlib.closing(document):
        if len(document) > MAX_PAGES:
            raise TOO_LARGE
        return "\n\n".join(_bounded(_pages(document)))


def _pages(document: Any) -> Iterator[str]:
    import pypdfium2

    for number in range(len(document)):
        try:
            page = document[number]
        except pypdfium2.PdfiumError:
            continue  # a damaged page does not take the others with it
        with contextlib.closing(page), contextlib.closing(page.get_textpage()) as text:
            yield text.get_text_bounded().replace("\r\n", "\n").strip()


def _docx(file: IO[bytes]) -> str:
    _check_archive(file, "word/")
    import docx

    return "\n".join(_bounded(_blocks(docx.Document(file))))


def _blocks(container: Any) -> Iterator[str]:
    """Yield paragraphs and the rows of tables, in the document's order."""
    for block in container.iter_inner_content():
        if hasattr(block, "rows"):
            for row in block.rows:
                cells = dict.fromkeys(cell._tc for cell in row.cells)  # one that was merged is there several times
                texts = ("\n".join(_blocks(type(row.cells[0])(cell, block))) for cell in cells)
                yield " | ".join(" ".join(text.split()) for text in texts)
        else:
            yield block.text


def _pptx(file: IO[bytes]) -> str:
    _check_archive(file, "ppt/")
    import pptx

    return "\n".join(_bounded(_slides(pptx.Presentation(file))))


def _slides(presentation: Any) -> Iterator[str]:
    for slide in presentation.slides:
        yield from _shapes(slide.shapes)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield slide.notes_slide.notes_text_frame.text
        yield ""


def _shapes(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield " | ".join(" ".join(cell.text.split()) for cell in row.cells)
        elif shape.has_text_frame:
            yield shape.text_frame.text


def _xlsx(file: IO[bytes]) -> str:
    _check_archive(file, "xl/")
    import openpyxl  # type: ignore[import-untyped]

    workbook = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    with contextlib.closing(workbook):
        return "\n".join(_bounded(_rows(workbook)))


def _rows(workbook: Any) -> Iterator[str]:
    cells = 0
    for sheet in workbook.worksheets:
        yield f"# {sheet.title}"
        # Else all rows are filled up to the widest, by what the sheet says of itself, and the filling counts. A row is
        # filled up to its own last cell still, one row at a time.
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            cells += len(row)
            if cells > MAX_CELLS or number > MAX_ROWS:
                raise TOO_LARGE
            values = ["" if value is None else str(value) for value in row]
            if any(values):
                yield "\t".join(values).rstrip("\t")
        yield ""


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    """Yield parts as long as they are not too much together."""
    characters = 0
    for part in parts:
        characters += len(part)
        if characters > MAX_TEXT_BYTES:
            raise TOO_LARGE
        yield part


def _check_archive(file: IO[bytes], folder: str) -> None:
    """Look over an archive without unpacking it.

    Raises:
        Unreadable: It is none, it is encrypted, it would unpack to too much, it has not the folder of its format, or a
            part of it defines entities, as bombs do and documents do not.
    """
    if file.read(len(_OLE)) == _OLE:
        raise ENCRYPTED  # or of the older format, which has another ending
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise TOO_LARGE
            unpacked = sum(member.file_size for member in members)
            packed = max(1, sum(member.compress_size for member in members))
            if unpacked > MAX_UNPACKED_BYTES or (unpacked > SMALL_BYTES and unpacked > MAX_RATIO * packed):
                raise TOO_LARGE
            if any(member.flag_bits & 1 for member in members):
                raise ENCRYPTED
            if not any(member.filename.startswith(folder) for member in members):
                raise mislabelled("an archive of another kind")
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    with archive.open(member) as part:
                        if b"<!DOCTYPE" in part.read(4096).replace(b"\0", b""):
                            raise BROKEN
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError):
        raise BROKEN from None
    file.seek(0)


PARSERS: dict[str, Callable[[IO[bytes]], str]] = {
    **dict.fromkeys((".c", ".cpp", ".cs", ".css", ".csv", ".go", ".java", ".js", ".json"), _text),
    **dict.fromkeys((".md", ".php", ".py", ".rb", ".sh", ".tex", ".ts", ".txt"), _text),
    ".html": _html,
    ".pdf": _pdf,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
}


# ------------------------------------------------------------------------------------------- the child


def serve() -> None:
    """Answer requests, a line of JSON each, until there are no more.

    A request is ``[path, name]``. An answer is a line, ``[bytes]`` and then so many bytes of text in UTF-8, or
    ``[code, message]``.
    """
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    _limit(resource.RLIMIT_AS, MEMORY_LIMIT_BYTES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    for line in requests:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + CPU_LIMIT_S)
        text = b""
        try:
            text = read_text(*json.loads(line)).encode()
            head: list[Any] = [len(text)] if len(text) <= MAX_TEXT_BYTES else [TOO_LARGE.code, TOO_LARGE.message]
        except Unreadable as failure:
            head = [failure.code, failure.message]
        except MemoryError:
            head = [TOO_LARGE.code, TOO_LARGE.message]
        except Exception:  # whatever a library makes of what it cannot read; recursion, too
            head = [BROKEN.code, BROKEN.message]
        answers.write(json.dumps(head).encode() + b"\n" + (text if len(head) == 1 else b""))
        answers.flush()


def _limit(what: int, value: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # a system that does not know it, or allows less already
        resource.setrlimit(what, (value, resource.getrlimit(what)[1]))
