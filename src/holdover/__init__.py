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
from .client.function_calls import function_tool
from .client.functions import assistants, files, messages, runs, threads, uploads
from .client.functions.assistants import (
    create_assistant,
    delete_assistant,
    get_assistant,
    list_assistants,
    modify_assistant,
)
from .client.functions.files import (
    create_file,
    delete_file,
    download_file,
    list_files,
    retrieve_file,
    save_file,
    wait_for_file,
)
from .client.functions.messages import (
    create_message,
    delete_message,
    get_message,
    list_messages,
    modify_message,
)
from .client.functions.models import delete_model, list_models, retrieve_model
from .client.functions.runs import (
    cancel_run,
    create_run,
    create_thread_and_run,
    get_run,
    get_run_step,
    list_run_steps,
    list_runs,
    modify_run,
    run_and_wait,
    stream_run,
    submit_tool_outputs_to_run,
    wait_for_run,
)
from .client.functions.threads import (
    create_thread,
    delete_thread,
    get_thread,
    list_threads,
    modify_thread,
)
from .client.functions.uploads import (
    add_upload_part,
    cancel_upload,
    complete_upload,
    create_upload,
    upload_in_parts,
)
from .client.run_streams import AsyncRunStream, RunEvent, RunStream
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
    FunctionCallError,
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
from .wire.files import FileDeleted, FileObject
from .wire.messages import Message, MessageDeleted
from .wire.record import UNSET
from .wire.runs import Run
from .wire.steps import RunStep
from .wire.threads import Thread, ThreadDeleted
from .wire.uploads import Upload, UploadPart

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
    "AsyncRunStream",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "Data",
    "Failure",
    "FileDeleted",
    "FileObject",
    "Finish",
    "FunctionCallError",
    "HoldoverError",
    "HostedAPIEndedError",
    "InternalServerError",
    "Message",
    "MessageDeleted",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "Run",
    "RunEvent",
    "RunStep",
    "RunStream",
    "Thread",
    "ThreadDeleted",
    "UnknownOptionError",
    "UnprocessableEntityError",
    "Upload",
    "UploadPart",
    "add_upload_part",
    "assistants",
    "cancel_run",
    "cancel_upload",
    "complete_upload",
    "configure",
    "create_assistant",
    "create_file",
    "create_message",
    "create_run",
    "create_thread",
    "create_thread_and_run",
    "create_upload",
    "delete_assistant",
    "delete_file",
    "delete_message",
    "delete_model",
    "delete_thread",
    "download_file",
    "embedded",
    "files",
    "function_tool",
    "get_assistant",
    "get_message",
    "get_run",
    "get_run_step",
    "get_thread",
    "list_assistants",
    "list_files",
    "list_messages",
    "list_models",
    "list_run_steps",
    "list_runs",
    "list_threads",
    "messages",
    "modify_assistant",
    "modify_message",
    "modify_run",
    "modify_thread",
    "retrieve_file",
    "retrieve_model",
    "run_and_wait",
    "runs",
    "save_file",
    "stream_run",
    "submit_tool_outputs_to_run",
    "threads",
    "upload_in_parts",
    "uploads",
    "wait_for_file",
    "wait_for_run",
]


def embedded(path: str | os.PathLike[str] = ":memory:", **options: Any) -> Embedded:
    """Run the service inside this process: no port, no server, the same client.

    Args:
        path: A SQLite file; left out, everything is gone when the block ends.
        options: ``models`` (who answers, by name; ``*`` for all other names), ``settings`` of the service by name;
            those of `Client`: ``timeout_s``, ``http_headers`` …

    Returns:
        Something for ``with`` (which gives a `Client`) or ``async with`` (an `AsyncClient`).

    Raises:
        ConfigurationError: On entering: the file cannot be used, or another process uses it.
    """
    from .service import embedded

    return embedded(path, **options)
