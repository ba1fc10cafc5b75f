"""Who answers for a name."""

from __future__ import annotations

import pytest

from holdover.errors import ConfigurationError
from holdover.models.catalog import Catalog, Entry, Names
from holdover.models.scripted import ScriptedModel
from holdover.models.upstream import checked

LLAMA, BIG, UPSTREAM = Entry(base_url="http://a"), Entry(base_url="http://b", model="big-9"), Entry(base_url="http://c")


def who(names: Names, name: str) -> tuple[str | None, str] | None:
    target = names.resolve(name)
    return None if target is None else (target.entry.base_url or target.entry.provider, target.name)


NAMES = Names(
    entries={"llama": LLAMA, "big": BIG},
    aliases={"gpt-4o": "big", "gpt-*": "llama", "gpt-3*": "gpt-4o", "o1": "local"},
    has_local=True,
)


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("llama", ("http://a", "llama")),
        ("big", ("http://b", "big-9")),
        ("gpt-4o", ("http://b", "big-9")),
        ("gpt-4o-mini", ("http://a", "llama")),
        ("gpt-3.5-turbo", ("http://b", "big-9")),
        ("o1", ("local", "local")),
        ("scripted", ("scripted", "scripted")),
        ("anything", ("local", "local")),
    ],
)
def test_a_name_is_answered_by_its_entry_its_alias_its_pattern_or_the_rest(name: str, answers: tuple[str, str]) -> None:
    NAMES.check()
    assert who(NAMES, name) == answers


def test_the_upstream_answers_for_all_other_names_as_they_are() -> None:
    names = Names(entries={"llama": LLAMA}, aliases={"gpt-4o": "mistral"}, upstream=UPSTREAM, has_local=True)
    names.check()
    assert who(names, "anything") == ("http://c", "anything")
    assert who(names, "gpt-4o") == ("http://c", "mistral")
    assert who(names, "local") == ("local", "local")


def test_without_anything_nobody_answers() -> None:
    assert who(Names(), "gpt-4o") is None
    assert who(Names(entries={"llama": LLAMA}, default="llama"), "gpt-4o") == ("http://a", "llama")


@pytest.mark.parametrize(
    "names",
    [
        Names(aliases={"a": "b", "b": "a"}),
        Names(aliases={"a": "nobody"}),
        Names(default="nobody"),
    ],
)
def test_what_leads_nowhere_is_refused_before_anything_starts(names: Names) -> None:
    with pytest.raises(ConfigurationError):
        names.check()


def test_a_model_is_made_once() -> None:
    made: list[str] = []

    def make(target: object) -> ScriptedModel:
        made.append(str(target))
        return ScriptedModel()

    catalog = Catalog(NAMES, make)
    assert catalog.find("gpt-4o") is catalog.find("big")
    assert len(made) == 1
    assert catalog.names() == ["big", "gpt-4o", "llama", "o1"]


@pytest.mark.parametrize(
    "url", ["127.0.0.1/v1", "http://", "http://127.0.0.1:99999/v1", "http://[::1/v1", "http://a:x/v1"]
)
def test_what_is_no_address_of_an_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the address of a model"):
        checked(url, host="127.0.0.1", port=8026)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8026/v1", "http://localhost:8026/v1/", "http://[::1]:8026/v1"])
def test_an_endpoint_that_is_the_service_itself_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="this service itself"):
        checked(url, host="127.0.0.1", port=8026)
    assert checked("http://127.0.0.1:11434/v1/", host="127.0.0.1", port=8026) == "http://127.0.0.1:11434/v1"
