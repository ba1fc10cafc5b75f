"""Questions whose answers are known, and how well a search finds them. The data is not part of the project.

It is looked for beside the checkout (``../shared/data``) or where ``BENCH_DATA`` says: ``scifact`` (BEIR's split of
SciFact) and ``chunkspan`` (part of Chroma's chunking evaluation); each folder's files are named below.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .processes import ROOT


class Question(msgspec.Struct, frozen=True):
    """A question and the documents that answer it."""

    text: str
    relevant: frozenset[str]


class SpanQuestion(msgspec.Struct, frozen=True):
    """A question and the parts of a file that answer it, in code points."""

    text: str
    file: str
    spans: list[tuple[int, int]]


def data_folder() -> Path | None:
    """Return where the data is; ``None`` if it is nowhere."""
    folder = Path(os.environ.get("BENCH_DATA") or ROOT.parent / "shared" / "data")
    return folder if (folder / "scifact").is_dir() and (folder / "chunkspan").is_dir() else None


def read_documents(folder: Path) -> dict[str, str]:
    """Return SciFact's documents, title and text, by id."""
    with gzip.open(folder / "scifact" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {each["_id"]: f"{each['title']} {each['text']}" for each in map(json.loads, lines)}


def read_questions(folder: Path, split: str) -> list[Question]:
    """Return SciFact's claims of a split that documents are known for. Tune on ``train``, report on ``test``."""
    relevant: dict[str, set[str]] = {}
    for line in (folder / "scifact" / f"qrels.{split}.tsv").read_text("utf-8").splitlines():
        query, document, grade = line.split("\t")[:3]
        if grade.isdigit() and int(grade) > 0:
            relevant.setdefault(query, set()).add(document)
    with (folder / "scifact" / f"queries.{split}.jsonl").open(encoding="utf-8") as lines:
        return [
            Question(each["text"], frozenset(relevant[each["_id"]]))
            for each in map(json.loads, lines)
            if each["_id"] in relevant
        ]


def read_span_files(folder: Path) -> dict[str, str]:
    """Return the texts of chunkspan's files, line ends untouched."""
    names = {question.file for question in read_span_questions(folder)}
    return {name: (folder / "chunkspan" / name).read_bytes().decode() for name in sorted(names)}


def read_span_questions(folder: Path) -> list[SpanQuestion]:
    """Return chunkspan's questions."""
    with (folder / "chunkspan" / "questions.jsonl").open(encoding="utf-8") as lines:
        return [
            SpanQuestion(each["question"], each["file"], [(start, end) for start, end in each["spans"]])
            for each in map(json.loads, lines)
        ]


def ndcg(found: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """Return the normalised discounted cumulative gain of the first ``k``, each document relevant or not."""
    gain = sum(1 / math.log2(place + 1) for place, each in enumerate(found[:k], 1) if each in relevant)
    return gain / sum(1 / math.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))


def recall(found: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """Return which part of the relevant documents is among the first ``k``."""
    return len(relevant & set(found[:k])) / len(relevant)


def span_recall(question: SpanQuestion, found: Sequence[tuple[str, int, int]]) -> float:
    """Return which part of the characters that answer a question is in what was found: files, starts and ends."""
    wanted = {place for start, end in question.spans for place in range(start, end)}
    had = {place for file, start, end in found if file == question.file for place in range(start, end)}
    return len(wanted & had) / len(wanted)
