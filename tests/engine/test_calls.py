"""Calls as they grow."""

from __future__ import annotations

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.engine.calls import CodeCall, CodeReader, GrowingCall, SearchCall, query_of
from holdover.wire.steps import CodeImage, CodeImageFile, CodeLogs, FileSearchCallDetails


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[low:high] for low, high in pairwise(places)]


def read(pieces: list[str]) -> tuple[str, str]:
    """Return what was told piece by piece, and the whole."""
    reader = CodeReader()
    told = "".join([*map(reader.feed, pieces), reader.end()])
    return told, reader.text


@given(st.text(), st.lists(st.integers(0, 400), max_size=30), st.booleans(), st.sampled_from([None, 2]))
def test_code_is_read_out_of_json_wherever_that_is_cut(code: str, cuts: list[int], ascii: bool, indent: None) -> None:
    arguments = json.dumps({"code": code}, ensure_ascii=ascii, indent=indent)
    assert read(pieces_of(arguments, cuts)) == (code, code)


@given(st.text(alphabet=st.sampled_from("ab\n\"\\'{}éは😀"), min_size=1), st.lists(st.integers(0, 50)))
def test_bare_code_is_code(code: str, cuts: list[int]) -> None:
    code = "x = 1\n" + code
    assert read(pieces_of(code, cuts)) == (code, code)


def test_code_is_told_as_soon_as_it_is_there() -> None:
    reader = CodeReader()
    assert [reader.feed(each) for each in ['{"co', 'de": "pri', "nt(1)\\", 'n2"', "}"]] == [
        "",
        "pri",
        "nt(1)",
        "\n2",
        "",
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"note": 1, "code": "a"}', "a"),
        ('{"python": "a"}', "a"),
        ('{"a": "x", "b": "y"}', ""),
        ("[1]", "[1]"),
        ("{", "{"),
        ("", ""),
        ('{"code": "a\nb"}', "a\nb"),
        (r'{"code": "a\uZZ b', r"a\uZZ b"),
        ('{"code": "\\ud83d\\ude00"}', "😀"),
        ('{"code": "\\ud83d!\\n"}', "\ufffd!\n"),
        (r'{"code": "re.match(\'\d\', a)"}', r"re.match(\'\d\', a)"),
    ],
)
def test_other_shapes_are_read_as_well_as_they_can_be(arguments: str, code: str) -> None:
    assert read([arguments]) == (code, code)


def test_a_function_that_is_given_nothing_is_given_an_empty_object() -> None:
    call = GrowingCall("call_1", "f")
    assert call.begin() == {"name": "f", "arguments": "", "output": None}
    assert call.end() == {"arguments": "{}"}
    assert call.end() is None


def test_what_code_comes_to_is_told_behind_it() -> None:
    call = CodeCall("call_1", "code_interpreter")
    assert call.begin() == {"input": "", "outputs": []}
    assert call.grow('{"code": "1') == {"input": "1"}
    assert call.grow('"}') is None
    assert call.answer([CodeLogs(logs="1\n")]) == {"outputs": [{"index": 0, "type": "logs", "logs": "1\n"}]}
    assert call.answer([CodeLogs(logs="2\n")]) == {"outputs": [{"index": 0, "type": "logs", "logs": "2\n"}]}
    assert call.answer([CodeImage(image=CodeImageFile(file_id="file-1"))]) == {
        "outputs": [{"index": 1, "type": "image", "image": {"file_id": "file-1"}}]
    }
    assert call.answer([]) is None
    details = msgspec.to_builtins(call.details())
    assert details["code_interpreter"]["input"] == "1"
    logs, image = details["code_interpreter"]["outputs"]
    assert (logs["logs"], image["type"]) == ("1\n2\n", "image")


def test_a_search_is_told_of_when_it_is_done() -> None:
    call = SearchCall("call_1", "file_search")
    assert (call.begin(), call.grow('{"query": "a b"}'), call.end()) == (None, None, None)
    assert call.query == "a b"
    call.answer(FileSearchCallDetails(results=[]))
    assert msgspec.to_builtins(call.details())["file_search"] == {"results": []}


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ('{"query": " a "}', "a"),
        ('{"queries": ["a", "b"]}', "a b"),
        ('"a"', "a"),
        ("what is it?", "what is it?"),
        ("{}", ""),
        ("7", "7"),
    ],
)
def test_a_query_is_found_in_what_models_write(arguments: str, query: str) -> None:
    assert query_of(arguments) == query
