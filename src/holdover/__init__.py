"""Holdover: the Assistants API, on your own machine.

    import holdover

    assistant = holdover.create_assistant("gpt-4o", name="Tutor", instructions="You teach mathematics.")
    holdover.modify_assistant(assistant.id, temperature=0.2)

The functions speak to the service that `holdover.configure` or the environment names, by default the one that
``holdover serve`` starts on this machine. `Client` and `AsyncClient` have the same functions as methods.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from .client import AsyncClient, Client, configure
from .client.functions import assistants
from .client.functions.assistants import (
    create_assistant,
    delete_assistant,
    get_assistant,
    list_assistants,
    modify_assistant,
)
from .client.functions.models import delete_model, list_models, retrieve_model
from .client.streams import Data, Failure, Finish
from .errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    HoldoverError,
    HostedAPIEndedError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnknownOptionError,
    UnprocessableEntityError,
)
from .wire.assistants import Assistant, AssistantDeleted
from .wire.record import UNSET

if TYPE_CHECKING:
    from .service import Embedded

__all__ = [
    "UNSET",
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "Assistant",
    "AssistantDeleted",
    "AsyncClient",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "Data",
    "Failure",
    "Finish",
    "HoldoverError",
    "HostedAPIEndedError",
    "InternalServerError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "UnknownOptionError",
    "UnprocessableEntityError",
    "assistants",
    "configure",
    "create_assistant",
    "delete_assistant",
    "delete_model",
    "embedded",
    "get_assistant",
    "list_assistants",
    "list_models",
    "modify_assistant",
    "retrieve_model",
]


def embedded(path: str | os.PathLike[str] = ":memory:", **client_options: Any) -> Embedded:
    """Run the service inside this process: no port, no server, the same client.

    Args:
        path: A SQLite file; left out, everything is gone when the block ends.
        client_options: Of `Client`: ``timeout_s``, ``http_headers`` …

    Returns:
        Something for ``with`` (which gives a `Client`) or ``async with`` (an `AsyncClient`).

    Raises:
        ConfigurationError: On entering: the file cannot be used, or another process uses it.
    """
    from .service import embedded

    return embedded(path, **client_options)
