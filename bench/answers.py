"""Answers as models write them, with markers of every kind, and what becomes of each; made from a seed."""

from __future__ import annotations

import random

import msgspec

from holdover.tools.file_search.citations import Source, list_sources, marker
from holdover.tools.file_search.protocol import Hit

NAMES = (
    "favorite_foods.txt",
    "Jahresbericht 2025 (final) [v2].pdf",
    "東京.md",
    "a†b【c】.txt",
    "evil\u202egpj.exe.txt",
    "😀 emoji.docx",
    "x" * 300 + ".txt",
    "line\nbreak.txt",
    "..",
)
TEXTS = (
    "The ship left at noon. ",
    "Ü",
    "😀👍🏽 ",
    "see [the map](https://a.example/[1]) and a[4:0] ",
    "John [3:16] says 【",
    "】",
    "【4:",
    "[4:0†",
    "[",
    "【【",
    "\n\n- item\n",
    "e\u0301 東京 ",
    "† 4:0 ",
    "",
)


class Answer(msgspec.Struct, frozen=True):
    """What a model wrote, and what is to come of it: the text, and for each citation the file."""

    written: str
    value: str
    file_ids: list[str]


def hits(search: int) -> list[Hit]:
    return [
        Hit(
            store_id="vs_1",
            file_id=f"file-{search}{n}",
            file_name=name,
            attributes={},
            score=0.5,
            text="",
            start=0,
            end=0,
        )
        for n, name in enumerate(NAMES)
    ]


SOURCES: dict[tuple[int, int], Source] = {**list_sources(4, hits(4)), **list_sources(5, hits(5))}


def answer(seed: int) -> Answer:
    """Return an answer with citations, variants of them, invented ones and text that looks like them.

    Pieces of text end markers that others began, so each is closed off by a letter where it matters.
    """
    chance = random.Random(seed)
    written, value, file_ids = [], [], []
    for _ in range(chance.randint(1, 12)):
        text = chance.choice(TEXTS) + "."  # no marker goes over a full stop that is not behind a dagger
        if text.endswith("†."):
            text += "\n"
        written.append(text)
        value.append(text)
        search, result = chance.choice((4, 5)), chance.randrange(len(NAMES))
        kind = chance.randrange(4)
        if kind == 0:
            invented = chance.choice((f"【{search}:99†a.txt】", "【6:0†source】", "【99999:0†x】", "[9:9†x]"))
            written.append(invented)
            value.append(invented)
        elif kind < 3:
            shown = marker(search, result, NAMES[result])
            variants = (shown, f"【{search}:{result}】", f"【{search}：{result}†source】", f"[{search}:{result}†L3-L9]")
            written.append(shown if kind == 1 else chance.choice(variants))
            value.append(shown)
            file_ids.append(f"file-{search}{result}")
    return Answer("".join(written), "".join(value), file_ids)


def pieces(text: str, seed: int) -> list[str]:
    """Return a text cut anywhere."""
    chance = random.Random(seed)
    cuts = sorted(chance.randint(0, len(text)) for _ in range(chance.randint(0, len(text))))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
