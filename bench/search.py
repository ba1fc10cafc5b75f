"""Search in files through the service: how well it finds, how fast, and what it takes. An hour, mostly of embedding.

Every figure comes from a service of its own, with the default settings, asked by the official SDK.
"""

from __future__ import annotations

import io
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import mean, median
from typing import Any

from .answers import SOURCES, answer, pieces
from .goals import Measured
from .processes import Child
from .retrieval import (
    Question,
    data_folder,
    ndcg,
    read_documents,
    read_questions,
    read_span_files,
    read_span_questions,
    recall,
    span_recall,
)
from .rounds import Effort

KEY = "sk-bench"
ROWS = ("search_ndcg", "search_recall", "span_recall", "search_p95", "ingest", "search_memory")
#: Words of a chunk of about 800 tokens, chunks of a file, and of the store that is searched for speed.
WORDS, FILE_CHUNKS, MANY_CHUNKS = 560, 100, 100_000
USUAL_SEARCHES = 300
ANSWERS = 1000


def measure(effort: Effort) -> list[Measured]:
    """Measure the rows of search; in a quick look, those that need no hour."""
    rows = [_citations(effort)]
    folder = data_folder()
    if folder is None:
        reason = "there is no test data: BENCH_DATA names its folder"
        return rows + [Measured(goal=row, skipped=reason) for row in ROWS]
    with tempfile.TemporaryDirectory(prefix="holdover-bench-") as name:
        rows += _spans(folder, Path(name))
        if effort.share < 1:
            return rows + [
                Measured(goal=row, skipped="takes too long for a quick look") for row in ROWS[:2] + ROWS[3:4]
            ]
        rows += _documents(folder, Path(name))
        rows.append(_speed(folder, Path(name), effort))
    return rows


class Searched:
    """A service of our own with its database in a folder, and the official SDK that talks to it."""

    def __init__(self, child: Child, client: Any) -> None:
        self.child = child
        self.client = client

    def fill(self, files: dict[str, bytes]) -> tuple[str, dict[str, str]]:
        """Put files into a new vector store; return its id, and the names by the ids of the files."""
        store = self.client.vector_stores.create(name="bench")
        names = {
            self.client.files.create(file=(name, io.BytesIO(content)), purpose="assistants").id: name
            for name, content in files.items()
        }
        ids = list(names)
        for at in range(0, len(ids), 500):
            batch = self.client.vector_stores.file_batches.create(store.id, file_ids=ids[at : at + 500])
            while batch.status == "in_progress":
                time.sleep(1)
                batch = self.client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
            if batch.file_counts.completed != batch.file_counts.total:
                raise RuntimeError(f"not all files were indexed: {batch.file_counts}")
        return store.id, names

    def search(self, store_id: str, query: str, limit: int) -> list[Any]:
        return list(self.client.vector_stores.search(store_id, query=query, max_num_results=limit).data)


@contextmanager
def _service(database: Path) -> Iterator[Searched]:
    import openai

    with ExitStack() as stack:
        log = stack.enter_context(database.with_suffix(".log").open("ab"))
        child = stack.enter_context(Child("-m", "bench.peers.service", str(database), KEY, core=None, log=log))
        url = f"http://127.0.0.1:{child.read()}/v1"
        client = stack.enter_context(openai.OpenAI(api_key=KEY, base_url=url, max_retries=0, timeout=600))
        yield Searched(child, client)


def _spans(folder: Path, place: Path) -> list[Measured]:
    """Measure how much of what answers is found, how fast files are indexed, and what the service has in memory."""
    texts = read_span_files(folder)
    found = []
    with _service(place / "spans.db") as service:
        warm_up, _ = service.fill({"warm-up.txt": b"Load the model."})
        service.search(warm_up, "load", 1)
        memory_mb = service.child.memory_bytes() / 1e6
        before = service.child.cpu_s()
        store_id, names = service.fill({name: text.encode() for name, text in texts.items()})
        cpu_s = service.child.cpu_s() - before
        chunks = {
            (names[each.file_id], each.content[0].text)
            for question in read_span_questions(folder)
            for each in service.search(store_id, question.text, 50)
        }
        for question in read_span_questions(folder):
            hits = []
            for each in service.search(store_id, question.text, 5):
                name, passage = names[each.file_id], each.content[0].text
                start = texts[name].index(passage)
                hits.append((name, start, start + len(passage)))
            found.append(span_recall(question, hits))
    return [
        Measured(goal="span_recall", ratio=mean(found), sides={"questions": len(found), "chunks": len(chunks)}),
        Measured(goal="ingest", ratio=len(chunks) / cpu_s, sides={"cpu_s": cpu_s}),
        Measured(goal="search_memory", ratio=memory_mb),
    ]


def _documents(folder: Path, place: Path) -> list[Measured]:
    """Measure how well claims find the abstracts that bear on them."""
    documents = read_documents(folder)
    questions = read_questions(folder, "test")
    with _service(place / "documents.db") as service:
        store_id, names = service.fill({f"{name}.txt": text.encode() for name, text in documents.items()})
        found = [_found(service, store_id, names, question) for question in questions]
    gains = [ndcg(each, question.relevant, 10) for each, question in zip(found, questions, strict=True)]
    recalls = [recall(each, question.relevant, 20) for each, question in zip(found, questions, strict=True)]
    sides = {"questions": float(len(questions)), "documents": float(len(documents))}
    return [
        Measured(goal="search_ndcg", ratio=mean(gains), sides=sides),
        Measured(goal="search_recall", ratio=mean(recalls), sides=sides),
    ]


def _found(service: Searched, store_id: str, names: dict[str, str], question: Question) -> list[str]:
    hits = service.search(store_id, question.text, 20)
    return list(dict.fromkeys(names[each.file_id].removesuffix(".txt") for each in hits))


def _speed(folder: Path, place: Path, effort: Effort) -> Measured:
    """Measure a search among 100,000 chunks that were put into the database past the service."""
    database = place / "many.db"
    with _service(database) as service:
        store_id = service.client.vector_stores.create(name="many").id
    _fill_with_chunks(database, store_id, list(read_documents(folder).values()))
    questions = read_questions(folder, "train")
    times = []
    with _service(database) as service:
        for question in questions[:20]:
            service.search(store_id, question.text, 10)
        for at in range(effort.count(USUAL_SEARCHES)):
            began = time.perf_counter()
            service.search(store_id, questions[at % len(questions)].text, 10)
            times.append((time.perf_counter() - began) * 1e3)
    p95 = sorted(times)[int(len(times) * 0.95)]
    return Measured(goal="search_p95", ratio=p95, sides={"p50_ms": median(times), "chunks": MANY_CHUNKS})


def _fill_with_chunks(database: Path, store_id: str, texts: list[str]) -> None:
    """Write chunks of real words and random directions, as the indexer would; the embedder would take five hours."""
    import numpy as np

    from holdover.models.minilm import DIMENSIONS, MiniLM
    from holdover.store.protocol import NewChunk, NewIndexedFile
    from holdover.store.sqlite.chunks import index_file

    chance, directions = random.Random(1), np.random.default_rng(1)
    words = [text.split() for text in texts]

    def chunk() -> NewChunk:
        drawn: list[str] = []
        while len(drawn) < WORDS:
            drawn += chance.choice(words)
        text = " ".join(drawn[:WORDS])
        vector = directions.standard_normal(DIMENSIONS)
        vector /= np.linalg.norm(vector)
        return NewChunk(text=text, start=0, end=len(text), tokens=800, vector=vector.astype("<f2").tobytes())

    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        for number in range(MANY_CHUNKS // FILE_CHUNKS):
            file = NewIndexedFile(
                file_id=f"file-{number}", file_name=f"{number}.txt", attributes={}, embedder=MiniLM.identity, text=""
            )
            connection.execute("BEGIN IMMEDIATE")
            index_file(connection, store_id, file, [chunk() for _ in range(FILE_CHUNKS)])
            connection.execute("COMMIT")


def _citations(effort: Effort) -> Measured:
    """Measure how many generated answers, cut anywhere, come to exactly the text and the citations that they should."""
    from holdover.tools.file_search.citations import Citer

    exact = 0
    for seed in range(effort.count(ANSWERS)):
        made = answer(seed)
        citer = Citer(SOURCES)
        for piece in pieces(made.written, seed):
            citer.take(piece)
        citer.end()
        exact += (
            citer.value == made.value
            and [each.file_citation.file_id for each in citer.citations] == made.file_ids
            and all(citer.value[each.start_index : each.end_index] == each.text for each in citer.citations)
        )
    count = effort.count(ANSWERS)
    return Measured(goal="citations", ratio=exact / count, sides={"answers": count})
