"""The client behind the package's functions."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from .clients import DEFAULT_MAX_RETRIES, Client

_lock = Lock()
_default: Client | None = None


def configure(
    *,
    api_key: str | None = None,
    organization_key: str | None = None,
    base_url: str | None = None,
    http_headers: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    project: str | None = None,
    max_retries: int = DEFAULT_MAX_RETRIES,
) -> None:
    """Settle what the module's functions use; what is left out comes from the environment, read anew.

    Args: As of `Client`.

    Raises:
        ConfigurationError: A setting cannot be used; the settings before stay in force.
    """
    global _default
    client = Client(
        api_key=api_key,
        organization_key=organization_key,
        base_url=base_url,
        http_headers=http_headers,
        timeout_s=timeout_s,
        project=project,
        max_retries=max_retries,
    )
    with _lock:
        _default = client  # the earlier one is left open: calls may be under way


def default_client() -> Client:
    """Return the client behind the module's functions; made from the environment at the first call."""
    global _default
    client = _default
    if client is None:
        with _lock:
            if _default is None:
                _default = Client()
            client = _default
    return client
