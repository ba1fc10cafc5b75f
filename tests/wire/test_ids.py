"""Identifiers: their shape, and what they refuse."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.wire import ids
from holdover.wire.refusals import Refused
from holdover.wire.strict import check_id

from .strategies import quick


@pytest.mark.parametrize("kind", ["assistant", "thread", "message", "run", "step"])
@given(seed=st.binary(min_size=24, max_size=24))
@quick
def test_an_id_is_a_prefix_and_24_letters_or_digits(kind: str, seed: bytes) -> None:
    made = ids.new_id(kind, lambda count: seed[:count])
    assert re.fullmatch(rf"{ids.PREFIXES[kind]}[A-Za-z0-9]{{24}}", made)
    assert ids.kind_of(made) == kind


@given(now=st.integers(0, 2**33), seed=st.binary(min_size=12, max_size=12))
@quick
def test_a_vector_store_id_begins_with_its_time(now: int, seed: bytes) -> None:
    made = ids.new_vector_store_id(now, lambda count: seed[:count])
    assert re.fullmatch(r"vs_[0-9a-f]{32}", made)
    assert int(made[3:11], 16) == now % 2**32


def test_a_request_id_is_req_and_32_hexadecimal_digits() -> None:
    assert re.fullmatch(r"req_[0-9a-f]{32}", ids.new_request_id())


def test_ids_do_not_repeat() -> None:
    assert len({ids.new_id("assistant") for _ in range(10_000)}) == 10_000


def test_every_character_is_drawn() -> None:
    made = ids.new_id("assistant", lambda count: bytes(range(count)))
    everything = "".join(ids.new_id("run", lambda count, at=at: bytes((at + i) % 256 for i in range(count)))[4:]
                         for at in range(0, 256, 24))  # fmt: skip
    assert made.startswith("asst_ABC")
    assert len(set(everything)) == 62


def test_an_id_of_no_known_kind_has_none() -> None:
    assert ids.kind_of("wf_1") is None
    assert ids.kind_of("") is None


@pytest.mark.parametrize(
    ("name", "value", "kind", "begins"),
    [
        ("thread_id", "undefined", "thread", "thread"),
        ("assistant_id", "wf_68e4", "assistant", "asst"),
        ("assistant_id", "", "assistant", "asst"),
        ("assistant_id", "ASST_1", "assistant", "asst"),
        ("file_id", "vs_1", "file", "file"),
    ],
)
def test_an_id_of_another_shape_is_refused_in_the_observed_words(name: str, value: str, kind: str, begins: str) -> None:
    with pytest.raises(Refused) as refused:
        check_id(name, value, kind)
    assert refused.value.message == f"Invalid '{name}': '{value}'. Expected an ID that begins with '{begins}'."
    assert (refused.value.param, refused.value.code) == (name, "invalid_value")


def test_every_kind_has_a_prefix_and_a_noun() -> None:
    assert ids.PREFIXES.keys() == ids.NOUNS.keys()
    assert len(set(ids.PREFIXES.values())) == len(ids.PREFIXES)
