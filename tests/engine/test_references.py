"""Paths of files in texts that come piece by piece."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from holdover.engine.references import Chain, Paths
from holdover.engine.turn import References
from holdover.wire.messages import Annotation, FilePathAnnotation

FILES = {"a.csv": "file-a", "a.csv.gz": "file-gz", "plot 1.png": "file-p", "é.txt": "file-e"}
WORDS = st.sampled_from(
    [*(f"sandbox:/mnt/data/{name}" for name in FILES), "sandbox:/mnt/data/", "x", ".", " ", ")", "é"]
)


def told(finder: References, text: str, cuts: list[int]) -> tuple[str, list[Annotation]]:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [piece for low, high in pairwise(places) for piece in finder.feed(text[low:high])]
    pieces += finder.end()
    for piece, annotation in pieces:
        assert annotation is None or annotation.text == piece, "a reference comes in one piece"
    return "".join(piece for piece, _ in pieces), [each for _, each in pieces if each is not None]


@given(st.lists(WORDS).map("".join), st.lists(st.integers(0, 200)))
def test_paths_are_found_wherever_the_text_is_cut(text: str, cuts: list[int]) -> None:
    whole, annotations = told(Paths(FILES), text, cuts)
    assert whole == text
    assert (whole, annotations) == told(Paths(FILES), text, [])
    for each in annotations:
        assert text[each.start_index : each.end_index] == each.text


def test_only_files_that_are_there_are_referred_to() -> None:
    text = (
        "[a](sandbox:/mnt/data/a.csv), sandbox:/mnt/data/a.csv.gz, sandbox:/mnt/data/a.csv2, "
        "sandbox:/mnt/data/b.csv, sandbox:/mnt/data/a.csv."
    )
    _, annotations = told(Paths(FILES), text, [])
    assert [
        (each.text.rpartition("/")[2], each.file_path.file_id)
        for each in annotations
        if isinstance(each, FilePathAnnotation)
    ] == [("a.csv", "file-a"), ("a.csv.gz", "file-gz"), ("a.csv", "file-a")]


def test_nothing_is_held_back_that_can_be_no_path() -> None:
    finder = Paths(FILES)
    assert [piece for piece, _ in finder.feed("see s")] == ["see "]
    assert [piece for piece, _ in finder.feed("and")] == [], "it may still be sandbox"
    assert [piece for piece, _ in finder.feed("y")] == ["sandy"]


@given(st.lists(WORDS).map(" ".join), st.lists(st.integers(0, 200)))
def test_finders_stand_one_behind_the_other(text: str, cuts: list[int]) -> None:
    one, other = dict(list(FILES.items())[:2]), dict(list(FILES.items())[2:])
    assert told(Chain([Paths(one), Paths(other)]), text, cuts) == told(Paths(FILES), text, cuts)
