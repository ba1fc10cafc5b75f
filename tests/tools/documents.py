"""Small documents of every kind that file search reads, and some that were made to break it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

SENTENCE = "The harbour master counts the ships at noon."


def docx(*paragraphs: str) -> bytes:
    import docx as library

    document = library.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text = "left cell"
    table.rows[0].cells[1].text = "right cell"
    document.add_paragraph("after the table")
    return _saved(document)


def pptx(text: str, notes: str) -> bytes:
    import pptx as library

    presentation = library.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Title of the slide"
    slide.placeholders[1].text = text
    slide.notes_slide.notes_text_frame.text = notes
    return _saved(presentation)


def xlsx(*rows: list[Any]) -> bytes:
    import openpyxl

    workbook = openpyxl.Workbook()
    workbook.active.title = "Ships"
    for row in rows:
        workbook.active.append(row)
    return _saved(workbook)


def pdf(*pages: str, repeated: int = 1) -> bytes:
    """Return a PDF with a line of text a page; the pages ``repeated`` times, which costs few bytes each."""
    objects: list[bytes] = []

    def add(content: bytes) -> int:
        objects.append(content)
        return len(objects)

    font = add(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    streams = []
    for text in pages:
        drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode("latin-1")
        streams.append(add(b"<< /Length %d >> stream\n%b\nendstream" % (len(drawn), drawn)))
    parent = len(objects) + len(streams) * repeated + 1
    kids = [
        add(
            b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F1 %d 0 R >> >> >>" % (parent, stream, font)
        )
        for _ in range(repeated)
        for stream in streams
    ]
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    add(b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), listed))
    root = add(b"<< /Type /Catalog /Pages %d 0 R >>" % parent)
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%b\nendobj\n" % (number, content))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer << /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, root, table))
    return out.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


def with_member(content: bytes, name: str, member: bytes) -> bytes:
    """Return an archive with one of its members replaced."""
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        members = {each: read.read(each) for each in read.namelist()}
    return archive({**members, name: member})


def bomb(megabytes: int) -> bytes:
    """Return a document of a few hundred kilobytes whose text unpacks to so many megabytes."""
    body = b"<w:p><w:r><w:t>" + b"A" * 1000 + b"</w:t></w:r></w:p>"
    xml = (
        b'<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w='
        b'"http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
        + body * (megabytes * 1000)
        + b"</w:body></w:document>"
    )
    return with_member(docx("x"), "word/document.xml", xml)


def entities() -> bytes:
    """Return a document whose entities grow to a billion letters."""
    names = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    xml = (
        f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "lol">{names}]><w:document xmlns:w='
        '"http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>&l9;</w:t></w:r></w:p>'
        "</w:body></w:document>"
    )
    return with_member(docx("x"), "word/document.xml", xml.encode())


def _saved(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()
