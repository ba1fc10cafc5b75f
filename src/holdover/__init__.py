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
from .client.functions import assistants, files, messages, runs, threads, uploads, vector_stores
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
from .client.functions.vector_stores import (
    cancel_vector_store_file_batch,
    create_vector_store,
    create_vector_store_file,
    create_vector_store_file_batch,
    delete_vector_store,
    delete_vector_store_file,
    get_vector_store,
    get_vector_store_file,
    get_vector_store_file_batch,
    list_files_in_vector_store_batch,
    list_vector_store_files,
    list_vector_stores,
    modify_vector_store,
    retrieve_vector_store_file_content,
    search_vector_store,
    update_vector_store_file_attributes,
    wait_for_vector_store,
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
from .wire.vector_stores import FileBatch, SearchResults, VectorStore, VectorStoreFile

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
    "FileBatch",
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
    "SearchResults",
    "Thread",
    "ThreadDeleted",
    "UnknownOptionError",
    "UnprocessableEntityError",
    "Upload",
    "UploadPart",
    "VectorStore",
    "VectorStoreFile",
    "add_upload_part",
    "assistants",
    "cancel_run",
    "cancel_upload",
    "cancel_vector_store_file_batch",
    "complete_upload",
    "configure",
    "create_assistant",
    "create_file",
    "create_message",
    "create_run",
    "create_thread",
    "create_thread_and_run",
    "create_upload",
    "create_vector_store",
    "create_vector_store_file",
    "create_vector_store_file_batch",
    "delete_assistant",
    "delete_file",
    "delete_message",
    "delete_model",
    "delete_thread",
    "delete_vector_store",
    "delete_vector_store_file",
    "download_file",
    "embedded",
    "files",
    "function_tool",
    "get_assistant",
    "get_message",
    "get_run",
    "get_run_step",
    "get_thread",
    "get_vector_store",
    "get_vector_store_file",
    "get_vector_store_file_batch",
    "list_assistants",
    "list_files",
    "list_files_in_vector_store_batch",
    "list_messages",
    "list_models",
    "list_run_steps",
    "list_runs",
    "list_threads",
    "list_vector_store_files",
    "list_vector_stores",
    "messages",
    "modify_assistant",
    "modify_message",
    "modify_run",
    "modify_thread",
    "modify_vector_store",
    "retrieve_file",
    "retrieve_model",
    "retrieve_vector_store_file_content",
    "run_and_wait",
    "runs",
    "save_file",
    "search_vector_store",
    "stream_run",
    "submit_tool_outputs_to_run",
    "threads",
    "update_vector_store_file_attributes",
    "upload_in_parts",
    "uploads",
    "vector_stores",
    "wait_for_file",
    "wait_for_run",
    "wait_for_vector_store",
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
