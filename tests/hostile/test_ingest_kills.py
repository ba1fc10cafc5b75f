"""A service that is killed again and again while it indexes: every file ends with a reason, and all counts add up."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.conftest import Service, running_service

import holdover
from holdover import Client
from holdover.wire.vector_stores import VectorStore

#: How often the service is killed: 100 times in the long form.
KILLS = int(os.environ.get("INGEST_KILLS", "4"))
CLIENTS = 2
#: Files that each of a client's batches has; some cannot be read, and say so.
BATCH = 6
ENDS = {"completed", "failed", "cancelled"}


class Users:
    """Users who upload, attach, cancel, remove and delete, and remember which stores were acknowledged."""

    def __init__(self, address: Callable[[], str], seed: int) -> None:
        self._address = address
        self._seed = seed
        self.stores: list[str] = []
        self.deleted: list[str] = []
        self.batches: list[tuple[str, str, int]] = []
        self.stop = threading.Event()
        self.errors: list[BaseException] = []

    def live(self, number: int) -> None:
        chance = random.Random(self._seed * 1000 + number)
        client = Client(base_url="http://unused/v1", max_retries=0, timeout_s=10)
        try:
            while not self.stop.is_set():
                self._work(client, chance)
        except BaseException as error:
            self.errors.append(error)

    def _work(self, client: Client, chance: random.Random) -> None:
        url = self._address
        uploaded = [self._upload(client, chance) for _ in range(BATCH)]
        store = self._insist(lambda: client.create_vector_store(file_ids=uploaded[:2], base_url=url()))
        self.stores.append(store.id)
        batch = self._insist(
            lambda: client.create_vector_store_file_batch(store.id, file_ids=uploaded[1:], base_url=url())
        )
        self.batches.append((store.id, batch.id, batch.file_counts.total))
        match chance.randrange(5):
            case 0:
                self._insist(lambda: client.cancel_vector_store_file_batch(store.id, batch.id, base_url=url()))
            case 1:
                self._insist(lambda: client.delete_vector_store_file(store.id, uploaded[0], base_url=url()))
            case 2:
                self._insist(lambda: client.delete_file(uploaded[-1], base_url=url()))
                self.batches.remove((store.id, batch.id, batch.file_counts.total))
            case 3:
                self.stores.remove(store.id)
                self.batches.remove((store.id, batch.id, batch.file_counts.total))
                self._insist(lambda: client.delete_vector_store(store.id, base_url=url()))
                self.deleted.append(store.id)

    def _upload(self, client: Client, chance: random.Random) -> str:
        name, content = chance.choice(
            [
                ("a.txt", b"A word and another. " * chance.randrange(1, 100)),
                ("b.md", b"# Title\n\nText."),
                ("c.pdf", b"%PDF-1.4 and nothing else"),
                ("d.json", b'{"a": [1, 2, 3]}'),
            ]
        )
        made = self._insist(lambda: client.create_file(content, "assistants", filename=name, base_url=self._address()))
        return str(made.id)

    def _insist(self, ask: Callable[[], Any]) -> Any:
        """Ask until there is an answer; what was done by a request whose answer was lost is done."""
        while True:
            try:
                return ask()
            except (holdover.APIConnectionError, holdover.InternalServerError):
                if self.stop.is_set():
                    raise SystemExit from None
                self.stop.wait(0.01)
            except holdover.NotFoundError:
                return None


def test_killed_while_it_indexes_a_service_leaves_no_file_in_progress(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"CHAOS_SEED={seed}")  # shown when it fails
    chance = random.Random(seed)
    current: list[Service] = []
    users = Users(lambda: current[-1].base_url, seed)
    folder = tmp_path / "service"
    threads = []
    for _ in range(KILLS):
        with running_service(folder) as service:
            current.append(service)
            if not threads:
                threads = [threading.Thread(target=users.live, args=(n,), daemon=True) for n in range(CLIENTS)]
                for each in threads:
                    each.start()
            time.sleep(chance.uniform(0.3, 1.2))  # what is killed must have something to do
            service.kill()
    users.stop.set()
    for each in threads:
        each.join(20)
    assert [each for each in users.errors if not isinstance(each, SystemExit)] == []
    assert users.stores
    with running_service(folder) as service:
        client = Client(base_url=service.base_url)
        for store_id in users.stores:
            check_store(client, client.wait_for_vector_store(store_id, timeout_s=60))
        for store_id, batch_id, total in users.batches:
            counts = client.get_vector_store_file_batch(store_id, batch_id).file_counts
            assert counts.total == total == counts.completed + counts.failed + counts.cancelled
        for store_id in users.deleted:
            assert store_id not in {each.id for each in client.list_vector_stores(limit=100)}
        until_swept(folder / "holdover.db")


def check_store(client: Client, store: VectorStore) -> None:
    """All files of a store have ended, with a reason where they failed, and it counts and finds what there is."""
    files = list(client.list_vector_store_files(store.id, limit=100))
    by_status = {status: sum(each.status == status for each in files) for status in ENDS}
    counts = store.file_counts
    assert by_status == {"completed": counts.completed, "failed": counts.failed, "cancelled": counts.cancelled}
    assert counts.total == len(files) == sum(by_status.values())
    assert store.usage_bytes == sum(each.usage_bytes for each in files)
    for each in files:
        assert (each.last_error is not None) is (each.status == "failed")
        text = client.retrieve_vector_store_file_content(store.id, each.id).data
        assert bool(text) is (each.status == "completed")


def until_swept(database: Path) -> None:
    """Wait until there are no chunks but those of completed files."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with closing(sqlite3.connect(database)) as connection:
            left = [connection.execute(each).fetchone()[0] for each in LEFT_OVER]
            integrity = connection.execute("PRAGMA integrity_check").fetchall()
        if not any(left):
            assert integrity == [("ok",)]
            return
        time.sleep(0.1)
    raise AssertionError(f"orphans: {left}")


#: Counts what must not be there: chunks to be swept, chunks and vectors of no indexing, indexings of files that are not
#: completed, and completed files without one.
LEFT_OVER = (
    "SELECT count(*) FROM unindexed",
    "SELECT count(*) FROM chunks WHERE id >> 20 NOT IN (SELECT indexed FROM indexed_files)",
    "SELECT count(*) FROM chunk_vectors WHERE indexed NOT IN (SELECT indexed FROM indexed_files)",
    """SELECT count(*) FROM indexed_files JOIN vector_stores ON vector_stores.seq = indexed_files.store
    LEFT JOIN vector_store_files AS file ON file.owner = vector_stores.id AND file.id = indexed_files.file_id
    WHERE file.status IS NOT 'completed'""",
    """SELECT count(*) FROM vector_store_files AS file JOIN vector_stores ON vector_stores.id = file.owner
    LEFT JOIN indexed_files ON indexed_files.store = vector_stores.seq AND indexed_files.file_id = file.id
    WHERE file.status = 'completed' AND indexed_files.indexed IS NULL""",
)
