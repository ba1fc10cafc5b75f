"""The two clients: how they are made, what they send through, how they are closed."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from holdover.errors import ConfigurationError
from holdover.settings import DEFAULT_TIMEOUT_S, ClientSettings, load_client_settings, mask

from .assistants import AssistantMethods, AsyncAssistantMethods
from .exchange import Call, Target, exchange_raw, run, run_async
from .files import AsyncFileMethods, FileMethods
from .messages import AsyncMessageMethods, MessageMethods
from .models import AsyncModelMethods, ModelMethods
from .runs import AsyncRunMethods, RunMethods
from .steps import AsyncStepMethods, StepMethods
from .threads import AsyncThreadMethods, ThreadMethods
from .transports import AsyncTransport, Response, Transport
from .uploads import AsyncUploadMethods, UploadMethods
from .vector_store_files import AsyncVectorStoreFileMethods, VectorStoreFileMethods
from .vector_stores import AsyncVectorStoreMethods, VectorStoreMethods

DEFAULT_MAX_RETRIES = 2


class Client(
    AssistantMethods,
    ThreadMethods,
    MessageMethods,
    RunMethods,
    StepMethods,
    FileMethods,
    UploadMethods,
    VectorStoreMethods,
    VectorStoreFileMethods,
    ModelMethods,
):
    """A client of any service that speaks the wire.

    Args:
        api_key: Sent as a bearer token (``OPENAI_API_KEY``). A service without keys takes any, or none.
        organization_key: Sent as ``OpenAI-Organization`` (``OPENAI_ORG_ID``).
        base_url: The service's address (``OPENAI_BASE_URL``; ``http://127.0.0.1:8026/v1``).
        http_headers: Sent with every request; they beat the usual ones.
        timeout_s: For one attempt, in seconds (600).
        project: Sent as ``OpenAI-Project`` (``OPENAI_PROJECT_ID``).
        max_retries: How often a call is repeated after trouble that may pass (2).
        http_client: An ``httpx.Client`` or ``httpx2.Client`` to send through, with all its settings.
        transport: Another way to send (`holdover.client.transports`).

    Raises:
        ConfigurationError: A setting cannot be used.

    A client may be shared by threads, and goes on working in processes forked from its own.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        organization_key: str | None = None,
        base_url: str | None = None,
        http_headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        project: str | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: Any = None,
        transport: Transport | None = None,
    ) -> None:
        self._settings = _settings(api_key, organization_key, base_url, project)
        self._target = _target(self._settings, http_headers, timeout_s, max_retries)
        self._transport = transport or _transport(http_client)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """Send any request and return the answer, whatever its status; ``path`` is the part after ``/v1``.

        Raises:
            APIConnectionError: No answer came.
        """
        call = _raw_call(method, path, query, body, timeout_s)
        return run(exchange_raw(self._target, call), self._transport.send, self._sleep)

    @property
    def base_url(self) -> str:
        """The address of the service."""
        return self._target.base_url

    def close(self) -> None:
        """Close all connections; the client can be used again."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return _shown(self, self._settings)


class AsyncClient(
    AsyncAssistantMethods,
    AsyncThreadMethods,
    AsyncMessageMethods,
    AsyncRunMethods,
    AsyncStepMethods,
    AsyncFileMethods,
    AsyncUploadMethods,
    AsyncVectorStoreMethods,
    AsyncVectorStoreFileMethods,
    AsyncModelMethods,
):
    """The same client for ``async`` code; it takes the same arguments as `Client`."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        organization_key: str | None = None,
        base_url: str | None = None,
        http_headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        project: str | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: Any = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        self._settings = _settings(api_key, organization_key, base_url, project)
        self._target = _target(self._settings, http_headers, timeout_s, max_retries)
        self._transport = transport or _async_transport(http_client)
        self._tasks = set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """Send any request and return the answer, whatever its status; ``path`` is the part after ``/v1``.

        Raises:
            APIConnectionError: No answer came.
        """
        call = _raw_call(method, path, query, body, timeout_s)
        return await run_async(exchange_raw(self._target, call), self._transport.send, self._sleep)

    @property
    def base_url(self) -> str:
        """The address of the service."""
        return self._target.base_url

    async def close(self) -> None:
        """Close all connections; the client can be used again."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return _shown(self, self._settings)


def _settings(
    api_key: str | None, organization_key: str | None, base_url: str | None, project: str | None
) -> ClientSettings:
    found = load_client_settings()
    return ClientSettings(
        api_key=found.api_key if api_key is None else api_key,
        organization_key=found.organization_key if organization_key is None else organization_key,
        base_url=found.base_url if base_url is None else base_url,
        project=found.project if project is None else project,
    )


def _target(
    settings: ClientSettings, http_headers: Mapping[str, str] | None, timeout_s: float | None, max_retries: int
) -> Target:
    if max_retries < 0:
        raise ConfigurationError(f"max_retries is 0 or more, not {max_retries}.")
    return Target(
        settings,
        http_headers=http_headers,
        timeout_s=DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s,
        max_retries=max_retries,
    )


def _transport(http_client: Any) -> Transport:
    if http_client is not None:
        from .transports.httpx import HttpxTransport

        return HttpxTransport(http_client)
    from .transports.sockets import SocketTransport

    return SocketTransport()


def _async_transport(http_client: Any) -> AsyncTransport:
    if http_client is not None:
        from .transports.httpx import AsyncHttpxTransport

        return AsyncHttpxTransport(http_client)
    from .transports.loops import LoopTransport

    return LoopTransport()


def _raw_call(
    method: str, path: str, query: Mapping[str, Any] | None, body: bytes | None, timeout_s: float | None
) -> Call[bytes]:
    from urllib.parse import urlencode

    path = f"/{path.lstrip('/')}"
    if query:
        path += f"{'&' if '?' in path else '?'}{urlencode(query)}"
    return Call(
        method=method.upper(),
        path=path,
        body=body,
        decode=bytes,
        creates=method.upper() == "POST",
        ended=path.startswith(("/assistants", "/threads")),
        timeout_s=timeout_s,
    )


def _shown(client: object, settings: ClientSettings) -> str:
    key = f", api_key='{mask(settings.api_key)}'" if settings.api_key else ""
    return f"{type(client).__name__}(base_url='{settings.base_url}'{key})"
