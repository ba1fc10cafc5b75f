"""Which model answers for a name: entries and aliases of the settings file, the upstream, the local one.

In this order: an entry of that name; an alias; an alias that ends in ``*`` (the longest wins); the names ``local`` and
``scripted``; the upstream, asked by the name as it is; the default; the local model, where it is installed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from holdover.errors import ConfigurationError

from .protocol import Model
from .upstream import Upstream

PROVIDERS = ("compatible", "local", "scripted")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be asked for: who provides it, and how.

    Attributes:
        provider: ``compatible`` (an endpoint that speaks chat completions), ``local`` or ``scripted``.
        base_url: The endpoint's, up to and including ``/v1``; the service's upstream otherwise.
        api_key: What it is told; ``api_key_env`` names the variable that holds it.
        model: The endpoint's own name for it; the name that was asked for otherwise.
        context_tokens: How long a conversation with its answer may be.
        max_tokens_parameter: What it calls the limit on an answer.
        timeout_s: How long it may be silent, in seconds.
        path: A file of weights (``local``).
    """

    provider: str = "compatible"
    base_url: str | None = None
    api_key: str | None = None
    api_key_env: str | None = None
    model: str | None = None
    context_tokens: int = 128_000
    max_tokens_parameter: str | None = None
    timeout_s: float | None = None
    path: str | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers: an entry, and the name it is asked by."""

    entry: Entry
    name: str


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides who answers for a name."""

    entries: Mapping[str, Entry] = {}
    aliases: Mapping[str, str] = {}
    upstream: Entry | None = None
    default: str | None = None
    has_local: bool = False

    def resolve(self, name: str) -> Target | None:
        """Return who answers for a name, ``None`` if nobody does."""
        known = self._known(name) or self._known(self._alias(name))
        if known is not None:
            return known
        if self.upstream is not None:
            return Target(entry=self.upstream, name=self._alias(name))
        if self.default is not None:
            return self._known(self._alias(self.default))
        return Target(entry=Entry(provider="local"), name="local") if self.has_local else None

    def check(self) -> None:
        """Refuse what can lead nowhere.

        Raises:
            ConfigurationError: Aliases go round in a circle, or an alias or the default names nobody.
        """
        for name in self.aliases:
            self._alias(name)
            if self.resolve(name) is None:
                raise ConfigurationError(
                    f"aliases: '{name}' stands for '{self.aliases[name]}', which nobody answers for."
                )
        if self.default is not None and self._known(self._alias(self.default)) is None and self.upstream is None:
            raise ConfigurationError(f"default_model: nobody answers for '{self.default}'.")

    def _known(self, name: str) -> Target | None:
        entry = self.entries.get(name)
        if entry is not None:
            return Target(entry=entry, name=entry.model or name)
        if name == "scripted" or (name == "local" and self.has_local):
            return Target(entry=Entry(provider=name), name=name)
        return None

    def _alias(self, name: str) -> str:
        """Follow aliases to what they stand for in the end."""
        seen = [name]
        while (following := self._one_alias(seen[-1])) is not None:
            if following in seen:
                raise ConfigurationError(f"aliases go round in a circle: {' → '.join([*seen, following])}.")
            seen.append(following)
        return seen[-1]

    def _one_alias(self, name: str) -> str | None:
        if name in self.entries:
            return None
        if name in self.aliases:
            return self.aliases[name]
        patterns = [each for each in self.aliases if each.endswith("*") and name.startswith(each[:-1])]
        following = self.aliases[max(patterns, key=len)] if patterns else None
        return None if following == name else following  # what stands for everything stands for itself, too


class Catalog:
    """Knows who answers for a name, and keeps them. See `holdover.models.protocol.Models`.

    Args:
        names: What decides.
        make: Makes the model of a target when it is first asked for.
        own: Models by name that are there already; ``*`` answers for all other names.
        close: Lets go of what the models share.
        upstream: The connections that they share.
    """

    def __init__(
        self,
        names: Names,
        make: Callable[[Target], Model],
        *,
        own: Mapping[str, Model] | None = None,
        close: Callable[[], Awaitable[None]] | None = None,
        upstream: Upstream | None = None,
    ) -> None:
        self.upstream = upstream
        self.table = names
        self._make = make
        self._own = dict(own or {})
        self._close = close
        self._made: dict[Target, Model] = {}
        self._resolve = lru_cache(1000)(names.resolve)  # names are the callers' to invent

    def find(self, name: str) -> Model | None:
        """Return the model that answers for a name, ``None`` if nobody does."""
        own = self._own.get(name) or self._own.get("*")
        if own is not None:
            return own
        target = self._resolve(name)
        if target is None:
            return None
        model = self._made.get(target)
        if model is None:
            if len(self._made) >= 1000:
                self._made.clear()
            model = self._made[target] = self._make(target)
        return model

    def names(self) -> Sequence[str]:
        """Return the names that are listed beside those of the published reference."""
        return sorted({*self.table.entries, *(name for name in self.table.aliases if not name.endswith("*"))})

    async def close(self) -> None:
        """Let go of what the models hold."""
        for model in self._made.values():
            if hasattr(model, "close"):
                await model.close()
        if self._close is not None:
            await self._close()
