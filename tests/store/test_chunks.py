"""Chunks of files: written, found, replaced and taken away, the same on both databases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from tests.store.objects import add

from holdover.store import words
from holdover.store.postgres import PostgresStore
from holdover.store.postgres import chunks as postgres_chunks
from holdover.store.protocol import MissingReference, NewChunk, NewIndexedFile, Store
from holdover.store.sqlite import SQLiteStore
from holdover.store.sqlite import chunks as sqlite_chunks

STORES = ("vs_one", "vs_two")


async def carry_out(store: Any, name: str, *arguments: Any) -> None:
    """Call one of the functions that write, in a transaction."""
    if isinstance(store, SQLiteStore):
        await store._database.write(lambda connection: getattr(sqlite_chunks, name)(connection, *arguments))
    else:
        assert isinstance(store, PostgresStore)
        await store._database.write(lambda connection: getattr(postgres_chunks, name)(connection, *arguments))


def file(file_id: str = "file-a", **attributes: Any) -> NewIndexedFile:
    return NewIndexedFile(
        file_id=file_id, file_name=f"{file_id}.txt", attributes=attributes, embedder="test", text="all of it"
    )


def chunks(*texts: str) -> list[NewChunk]:
    return [
        NewChunk(text=text, start=10 * n, end=10 * n + len(text), tokens=n + 1, vector=bytes([n, 0] * 4))
        for n, text in enumerate(texts)
    ]


async def found(store: Store, text: str, store_id: str = "vs_one", **options: Any) -> list[str]:
    """Return the texts of the chunks with words of a text, the best first."""
    matches = await store.match_words(store_id, text, limit=10, **options)
    read = {each.chunk: each.text for each in await store.passages([chunk for chunk, _ in matches])}
    assert [score for _, score in matches] == sorted((score for _, score in matches), reverse=True)
    return [read[chunk] for chunk, _ in matches if chunk in read]


@pytest.fixture
async def filled(store: Store) -> Store:
    """A store with two vector stores and three files."""
    await add(store, *STORES, kind="vector_store")
    await carry_out(
        store, "index_file", "vs_one", file("file-a", year=2024.0), chunks("Ships sailed north.", "A harbour")
    )
    await carry_out(store, "index_file", "vs_one", file("file-b", year=2025.0), chunks("The sailing ship returned"))
    await carry_out(store, "index_file", "vs_two", file("file-a"), chunks("Nobody sailed here"))
    return store


async def numbers(store: Store, store_id: str = "vs_one") -> Mapping[str, int]:
    return {each.file_id: each.indexed for each in await store.indexed_files(store_id)}


async def test_words_are_found_by_their_stem_in_their_vector_store_only(filled: Store) -> None:
    assert set(await found(filled, "sail")) == {"Ships sailed north.", "The sailing ship returned"}
    assert await found(filled, "sail", "vs_two") == ["Nobody sailed here"]
    assert await found(filled, "harbours?") == ["A harbour"]
    assert await found(filled, "sail", "vs_none") == []


async def test_rare_words_weigh_more_than_frequent_ones(filled: Store) -> None:
    assert (await found(filled, "harbour ship"))[0] == "A harbour"


async def test_stop_words_find_nothing(filled: Store) -> None:
    assert await found(filled, "the a of") == []
    assert await found(filled, "") == []


async def test_only_chosen_files_are_ranked(filled: Store) -> None:
    number = (await numbers(filled))["file-b"]
    assert await found(filled, "ship", indexed=[number]) == ["The sailing ship returned"]
    assert await found(filled, "ship", indexed=[]) == []


async def test_a_passage_has_its_place(filled: Store) -> None:
    [(chunk, _)] = await filled.match_words("vs_one", "harbour", limit=1)
    [passage] = await filled.passages([chunk, chunk + 5])
    assert (passage.chunk, passage.start, passage.end, passage.text) == (chunk, 10, 19, "A harbour")
    assert passage.indexed == (await numbers(filled))["file-a"]


async def test_vectors_come_back_file_by_file(filled: Store) -> None:
    by_file = await numbers(filled)
    first, second = await filled.load_vectors([by_file["file-b"], by_file["file-a"], 9999])
    assert (first.indexed, first.vectors) == (by_file["file-a"], bytes([0, 0] * 4 + [1, 0] * 4))
    assert (second.indexed, second.vectors) == (by_file["file-b"], bytes([0, 0] * 4))
    [(chunk, _)] = await filled.match_words("vs_one", "harbour", limit=1)
    assert chunk == first.first_chunk + 1


async def test_files_are_told_with_their_attributes_and_text(filled: Store) -> None:
    one, two = await filled.indexed_files("vs_one")
    assert (one.file_id, one.file_name, one.attributes, one.embedder) == (
        "file-a",
        "file-a.txt",
        {"year": 2024.0},
        "test",
    )
    assert two.file_id == "file-b"
    assert await filled.indexed_text("vs_one", "file-a") == "all of it"
    assert await filled.indexed_text("vs_two", "file-b") is None


async def test_new_attributes_replace_the_old_ones(filled: Store) -> None:
    before = await numbers(filled)
    await carry_out(filled, "relabel", "vs_one", "file-a", {"draft": True})
    assert [each.attributes for each in await filled.indexed_files("vs_one")] == [{"draft": True}, {"year": 2025.0}]
    assert await numbers(filled) == before


async def test_what_is_indexed_again_replaces_what_was_there(filled: Store) -> None:
    before = await numbers(filled)
    await carry_out(filled, "index_file", "vs_one", file("file-a"), chunks("Trains left"))
    after = await numbers(filled)
    assert after["file-a"] > max(before.values())
    assert set(await found(filled, "sail train harbour")) == {"Trains left", "The sailing ship returned"}
    assert await found(filled, "sail", "vs_two") == ["Nobody sailed here"]


async def test_what_is_gone_is_not_found_and_leaves_nothing_after_the_sweep(filled: Store) -> None:
    gone = (await numbers(filled))["file-a"]
    await carry_out(filled, "unindex", "vs_one", "file-a")
    assert await found(filled, "sail harbour") == ["The sailing ship returned"]
    assert [await filled.sweep_chunks(1), await filled.sweep_chunks(1), await filled.sweep_chunks(1)] == [1, 1, 0]
    assert await filled.load_vectors([gone]) == []
    assert await found(filled, "sail harbour") == ["The sailing ship returned"]


async def test_a_vector_store_takes_its_chunks_with_it(filled: Store) -> None:
    await filled.delete("vector_store", "vs_one")
    assert await filled.indexed_files("vs_one") == []
    assert await filled.sweep_chunks(100) == 3
    assert await filled.sweep_chunks(100) == 0
    assert await found(filled, "sail", "vs_two") == ["Nobody sailed here"]


async def test_all_files_of_a_vector_store_can_go_at_once(filled: Store) -> None:
    await carry_out(filled, "unindex", "vs_one")
    assert await filled.indexed_files("vs_one") == []
    assert await filled.sweep_chunks(100) == 3


async def test_a_vector_store_that_is_gone_gets_no_chunks(filled: Store) -> None:
    await filled.delete("vector_store", "vs_one")
    with pytest.raises(MissingReference):
        await carry_out(filled, "index_file", "vs_one", file(), chunks("Late"))
    assert await filled.sweep_chunks(100) == 3


async def test_a_file_without_chunks_and_one_with_many_are_written(filled: Store) -> None:
    await carry_out(filled, "index_file", "vs_one", file("file-c"), [])
    await carry_out(filled, "index_file", "vs_one", file("file-d"), chunks(*(f"number {n}" for n in range(1, 200))) * 6)
    assert await found(filled, "199") == ["number 199"] * 6
    await carry_out(filled, "unindex", "vs_one", "file-c")
    await carry_out(filled, "unindex", "vs_one", "file-d")
    assert await filled.sweep_chunks(10_000) == 6 * 199
    assert await found(filled, "number") == []


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("naïve Café", "CAFÉ"),
        ("東京都に住んでいます", "東京"),
        ("snake_case_name", "case"),
        ("it's 3.5% - “quoted” AND NEAR(x)", '"quoted" NEAR'),
        ("nul\0inside", "inside"),
        ("ｆｕｌｌｗｉｄｔｈ", "fullwidth"),
        ("Überraschung ß", "überraschung"),
        ("x" * 5000 + " end", "end"),
        ("Привет мир", "привет"),
        ("don't * ' ; -- :1 $1 %s", "don"),
    ],
)
async def test_any_text_can_be_indexed_found_and_removed(store: Store, text: str, question: str) -> None:
    await add(store, "vs_one", kind="vector_store")
    await carry_out(store, "index_file", "vs_one", file(), chunks(text))
    assert len(await found(store, question)) == 1
    await carry_out(store, "unindex", "vs_one")
    assert await store.sweep_chunks(10) == 1
    assert await found(store, question) == []
    if isinstance(store, SQLiteStore):
        await store._database.write(
            lambda connection: connection.execute("INSERT INTO chunk_words (chunk_words) VALUES ('integrity-check')")
        )


def test_words_are_what_existing_indexes_hold() -> None:
    """If this fails, indexes that were built before cannot be emptied any more: a migration must build them again."""
    text = "The Ship's 2nd log_book, naïve 東京都 e\u0301t\u00e9 ﬁne " + "y" * 60
    assert words.marked_words(text, 103) == (
        "cbfxship cbfxs cbfx2nd cbfxlog cbfxbook cbfxnaïve cbfx東京 cbfx京都 cbfxété cbfxfine cbfx" + "y" * 48
    )
    assert hashlib.sha256(words.STOP_WORDS.encode()).hexdigest()[:8] == "5e506f95"


def test_the_rarest_words_choose_when_there_are_too_many() -> None:
    assert words.rarest([(9_000, "b"), (0, "none"), (5, "a"), (20_000, "c")]) == [(5, "a"), (9_000, "b")]
    assert words.rarest([(20_000, "c")]) == [(20_000, "c")]
    assert words.rarest([(0, "none")]) == []


async def test_a_score_is_the_part_of_the_most_that_the_words_could_score(filled: Store) -> None:
    async def best(text: str) -> float:
        return (await filled.match_words("vs_one", text, limit=1))[0][1]

    whole, with_one_missing = await best("harbour"), await best("harbour lighthouse")
    assert 0 < with_one_missing < whole <= 1
    assert await best("harbour harbour") == pytest.approx(whole)
