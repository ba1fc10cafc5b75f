"""The table of operations: what can be asked of a service that speaks this wire.

Client functions, routes, the command line, the OpenAPI document and the manual are projections of this table; a test
keeps them equal. To add an operation, add it here and follow what the test says is missing.

Source: names, methods and paths are those of the published reference.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import msgspec

from .assistants import Assistant, AssistantDeleted, CreateAssistant, ModifyAssistant
from .files import MAX_FILE_BYTES, CreateFile, FileDeleted, FileObject, FileQuery
from .messages import CreateMessage, Message, MessageDeleted, MessageQuery, ModifiedMessage, ModifyMessage
from .models import ModelDeleted, ModelList, ModelObject
from .pages import ListPage, PageQuery
from .runs import CancelRun, CreateRun, CreateThreadAndRun, ModifyRun, Run, RunEventsQuery, SubmitToolOutputs
from .steps import IncludeQuery, RunStep, StepPageQuery
from .threads import CreateThread, ModifyThread, Thread, ThreadDeleted, ThreadQuery
from .uploads import MAX_PART_BYTES, AddUploadPart, CancelUpload, CompleteUpload, CreateUpload, Upload, UploadPart
from .vector_stores import (
    CancelFileBatch,
    CreateFileBatch,
    CreateVectorStore,
    CreateVectorStoreFile,
    FileBatch,
    ModifyVectorStore,
    SearchResults,
    SearchVectorStore,
    UpdateVectorStoreFileAttributes,
    VectorStore,
    VectorStoreDeleted,
    VectorStoreFile,
    VectorStoreFileContent,
    VectorStoreFileDeleted,
    VectorStoreFileQuery,
)


class FormFile(msgspec.Struct, frozen=True):
    """The field of a form that holds bytes, and how many these may be."""

    name: str
    limit_bytes: int


class Operation(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One operation.

    Attributes:
        name: The function's name: the specification's operation id in snake case.
        group: The noun it belongs to; names the client's module and the command line's group.
        method, path: How it is called; ``{…}`` in the path are required arguments.
        command: Its verb on the command line, after the group's noun.
        summary: One sentence.
        kind: The kind of object it is about (`holdover.wire.ids`), ``None`` where ids have no prefix.
        query, body: Records that its parameters and body are decoded into, or ``None``.
        file: The field that holds bytes, where the body is a form (``multipart/form-data``); ``body`` is the record of
            the form's other fields then. Other bodies are JSON.
        reply: The record it answers with, in JSON; or ``bytes``, where it answers with bytes as they are.
        creates: Whether doing it twice makes two objects, so that it needs an ``Idempotency-Key`` to be repeated.
        ended: Whether the hosted service stopped answering it on 2026-08-26.
        streams: Whether it can answer with events: where the body asks for them, or always if there is none.
        is_extension: Whether the published reference does not have it.
    """

    name: str
    group: str
    method: str
    path: str
    command: str
    summary: str
    kind: str | None = None
    query: Any = None
    body: Any = None
    file: FormFile | None = None
    reply: Any
    creates: bool = False
    ended: bool = True
    streams: bool = False
    is_extension: bool = False

    @property
    def operation_id(self) -> str:
        """The specification's name: ``createAssistant`` for ``create_assistant``."""
        first, *rest = self.name.split("_")
        return first + "".join(word.capitalize() for word in rest)

    @property
    def always_streams(self) -> bool:
        """Whether it never answers with anything but events."""
        return self.streams and self.body is None

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="create_assistant",
        group="assistants",
        method="POST",
        path="/assistants",
        command="create",
        summary="Create an assistant with a model and instructions.",
        kind="assistant",
        body=CreateAssistant,
        reply=Assistant,
        creates=True,
    ),
    Operation(
        name="get_assistant",
        group="assistants",
        method="GET",
        path="/assistants/{assistant_id}",
        command="show",
        summary="Retrieve an assistant.",
        kind="assistant",
        reply=Assistant,
    ),
    Operation(
        name="list_assistants",
        group="assistants",
        method="GET",
        path="/assistants",
        command="list",
        summary="Return a list of assistants, page by page.",
        kind="assistant",
        query=PageQuery,
        reply=ListPage[Assistant],
    ),
    Operation(
        name="modify_assistant",
        group="assistants",
        method="POST",
        path="/assistants/{assistant_id}",
        command="modify",
        summary="Modify an assistant; what is left out keeps its value.",
        kind="assistant",
        body=ModifyAssistant,
        reply=Assistant,
    ),
    Operation(
        name="delete_assistant",
        group="assistants",
        method="DELETE",
        path="/assistants/{assistant_id}",
        command="delete",
        summary="Delete an assistant.",
        kind="assistant",
        reply=AssistantDeleted,
    ),
    Operation(
        name="create_thread",
        group="threads",
        method="POST",
        path="/threads",
        command="create",
        summary="Create a thread, with its first messages if any.",
        kind="thread",
        body=CreateThread,
        reply=Thread,
        creates=True,
    ),
    Operation(
        name="get_thread",
        group="threads",
        method="GET",
        path="/threads/{thread_id}",
        command="show",
        summary="Retrieve a thread.",
        kind="thread",
        reply=Thread,
    ),
    Operation(
        name="list_threads",
        group="threads",
        method="GET",
        path="/threads",
        command="list",
        summary="Return a list of threads, page by page; the hosted API had no such operation.",
        kind="thread",
        query=ThreadQuery,
        reply=ListPage[Thread],
        is_extension=True,
    ),
    Operation(
        name="modify_thread",
        group="threads",
        method="POST",
        path="/threads/{thread_id}",
        command="modify",
        summary="Modify a thread; what is left out keeps its value.",
        kind="thread",
        body=ModifyThread,
        reply=Thread,
    ),
    Operation(
        name="delete_thread",
        group="threads",
        method="DELETE",
        path="/threads/{thread_id}",
        command="delete",
        summary="Delete a thread and its messages.",
        kind="thread",
        reply=ThreadDeleted,
    ),
    Operation(
        name="create_message",
        group="messages",
        method="POST",
        path="/threads/{thread_id}/messages",
        command="create",
        summary="Add a message to a thread.",
        kind="message",
        body=CreateMessage,
        reply=Message,
        creates=True,
    ),
    Operation(
        name="get_message",
        group="messages",
        method="GET",
        path="/threads/{thread_id}/messages/{message_id}",
        command="show",
        summary="Retrieve a message.",
        kind="message",
        reply=Message,
    ),
    Operation(
        name="list_messages",
        group="messages",
        method="GET",
        path="/threads/{thread_id}/messages",
        command="list",
        summary="Return a list of a thread's messages, page by page.",
        kind="message",
        query=MessageQuery,
        reply=ListPage[Message],
    ),
    Operation(
        name="modify_message",
        group="messages",
        method="POST",
        path="/threads/{thread_id}/messages/{message_id}",
        command="modify",
        summary="Modify a message's metadata.",
        kind="message",
        body=ModifyMessage,
        reply=ModifiedMessage,
    ),
    Operation(
        name="delete_message",
        group="messages",
        method="DELETE",
        path="/threads/{thread_id}/messages/{message_id}",
        command="delete",
        summary="Delete a message.",
        kind="message",
        reply=MessageDeleted,
    ),
    Operation(
        name="create_run",
        group="runs",
        method="POST",
        path="/threads/{thread_id}/runs",
        command="create",
        summary="Have an assistant work on a thread.",
        kind="run",
        query=IncludeQuery,
        body=CreateRun,
        reply=Run,
        creates=True,
        streams=True,
    ),
    Operation(
        name="create_thread_and_run",
        group="runs",
        method="POST",
        path="/threads/runs",
        command="start",
        summary="Create a thread and have an assistant work on it.",
        kind="run",
        query=IncludeQuery,
        body=CreateThreadAndRun,
        reply=Run,
        creates=True,
        streams=True,
    ),
    Operation(
        name="get_run",
        group="runs",
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}",
        command="show",
        summary="Retrieve a run.",
        kind="run",
        reply=Run,
    ),
    Operation(
        name="list_runs",
        group="runs",
        method="GET",
        path="/threads/{thread_id}/runs",
        command="list",
        summary="Return a list of a thread's runs, page by page.",
        kind="run",
        query=PageQuery,
        reply=ListPage[Run],
    ),
    Operation(
        name="modify_run",
        group="runs",
        method="POST",
        path="/threads/{thread_id}/runs/{run_id}",
        command="modify",
        summary="Modify a run's metadata.",
        kind="run",
        body=ModifyRun,
        reply=Run,
    ),
    Operation(
        name="cancel_run",
        group="runs",
        method="POST",
        path="/threads/{thread_id}/runs/{run_id}/cancel",
        command="cancel",
        summary="Cancel a run that has not ended.",
        kind="run",
        body=CancelRun,
        reply=Run,
    ),
    Operation(
        name="submit_tool_outputs_to_run",
        group="runs",
        method="POST",
        path="/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
        command="submit",
        summary="Submit the outputs of all calls that a run waits for; it goes on with them.",
        kind="run",
        query=IncludeQuery,
        body=SubmitToolOutputs,
        reply=Run,
        creates=True,
        streams=True,
    ),
    Operation(
        name="stream_run",
        group="runs",
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}/stream",
        command="follow",
        summary="Attach to a run and hear its events; the hosted API had no such operation.",
        kind="run",
        query=RunEventsQuery,
        reply=Run,
        streams=True,
        is_extension=True,
    ),
    Operation(
        name="list_run_steps",
        group="runs",
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}/steps",
        command="steps",
        summary="Return a list of a run's steps, page by page.",
        kind="step",
        query=StepPageQuery,
        reply=ListPage[RunStep],
    ),
    Operation(
        name="get_run_step",
        group="runs",
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}/steps/{step_id}",
        command="step",
        summary="Retrieve a run step.",
        kind="step",
        query=IncludeQuery,
        reply=RunStep,
    ),
    Operation(
        name="create_file",
        group="files",
        method="POST",
        path="/files",
        command="upload",
        summary="Upload a file of up to 512 MB.",
        body=CreateFile,
        file=FormFile("file", MAX_FILE_BYTES),
        reply=FileObject,
        creates=True,
        ended=False,
    ),
    Operation(
        name="list_files",
        group="files",
        method="GET",
        path="/files",
        command="list",
        summary="Return a list of files, page by page.",
        kind="file",
        query=FileQuery,
        reply=ListPage[FileObject],
        ended=False,
    ),
    # No kind: an id that is none of a file's gets the same answer as one of a file that is not there, as recorded.
    Operation(
        name="retrieve_file",
        group="files",
        method="GET",
        path="/files/{file_id}",
        command="show",
        summary="Retrieve what is known of a file.",
        reply=FileObject,
        ended=False,
    ),
    Operation(
        name="delete_file",
        group="files",
        method="DELETE",
        path="/files/{file_id}",
        command="delete",
        summary="Delete a file, and take it out of all that names it.",
        reply=FileDeleted,
        ended=False,
    ),
    Operation(
        name="download_file",
        group="files",
        method="GET",
        path="/files/{file_id}/content",
        command="download",
        summary="Return the content of a file.",
        reply=bytes,
        ended=False,
    ),
    Operation(
        name="create_upload",
        group="uploads",
        method="POST",
        path="/uploads",
        command="create",
        summary="Begin to upload a file of up to 8 GB in parts.",
        kind="upload",
        body=CreateUpload,
        reply=Upload,
        creates=True,
        ended=False,
    ),
    Operation(
        name="add_upload_part",
        group="uploads",
        method="POST",
        path="/uploads/{upload_id}/parts",
        command="add",
        summary="Add a part of up to 64 MB to an upload.",
        kind="upload",
        body=AddUploadPart,
        file=FormFile("data", MAX_PART_BYTES),
        reply=UploadPart,
        creates=True,
        ended=False,
    ),
    Operation(
        name="complete_upload",
        group="uploads",
        method="POST",
        path="/uploads/{upload_id}/complete",
        command="complete",
        summary="Make the parts of an upload a file.",
        kind="upload",
        body=CompleteUpload,
        reply=Upload,
        creates=True,
        ended=False,
    ),
    Operation(
        name="cancel_upload",
        group="uploads",
        method="POST",
        path="/uploads/{upload_id}/cancel",
        command="cancel",
        summary="Give an upload up; its parts go away.",
        kind="upload",
        body=CancelUpload,
        reply=Upload,
        ended=False,
    ),
    Operation(
        name="create_vector_store",
        group="vector_stores",
        method="POST",
        path="/vector_stores",
        command="create",
        summary="Create a vector store, with its first files if any.",
        kind="vector_store",
        body=CreateVectorStore,
        reply=VectorStore,
        creates=True,
        ended=False,
    ),
    Operation(
        name="get_vector_store",
        group="vector_stores",
        method="GET",
        path="/vector_stores/{vector_store_id}",
        command="show",
        summary="Retrieve a vector store.",
        kind="vector_store",
        reply=VectorStore,
        ended=False,
    ),
    Operation(
        name="list_vector_stores",
        group="vector_stores",
        method="GET",
        path="/vector_stores",
        command="list",
        summary="Return a list of vector stores, page by page.",
        kind="vector_store",
        query=PageQuery,
        reply=ListPage[VectorStore],
        ended=False,
    ),
    Operation(
        name="modify_vector_store",
        group="vector_stores",
        method="POST",
        path="/vector_stores/{vector_store_id}",
        command="modify",
        summary="Modify a vector store; what is left out keeps its value.",
        kind="vector_store",
        body=ModifyVectorStore,
        reply=VectorStore,
        ended=False,
    ),
    Operation(
        name="delete_vector_store",
        group="vector_stores",
        method="DELETE",
        path="/vector_stores/{vector_store_id}",
        command="delete",
        summary="Delete a vector store; its files stay.",
        kind="vector_store",
        reply=VectorStoreDeleted,
        ended=False,
    ),
    Operation(
        name="search_vector_store",
        group="vector_stores",
        method="POST",
        path="/vector_stores/{vector_store_id}/search",
        command="search",
        summary="Search a vector store for passages that fit a query.",
        kind="vector_store",
        body=SearchVectorStore,
        reply=SearchResults,
        ended=False,
    ),
    Operation(
        name="create_vector_store_file",
        group="vector_stores",
        method="POST",
        path="/vector_stores/{vector_store_id}/files",
        command="add",
        summary="Add a file to a vector store and have it indexed.",
        kind="file",
        body=CreateVectorStoreFile,
        reply=VectorStoreFile,
        creates=True,
        ended=False,
    ),
    Operation(
        name="get_vector_store_file",
        group="vector_stores",
        method="GET",
        path="/vector_stores/{vector_store_id}/files/{file_id}",
        command="file",
        summary="Retrieve a file of a vector store.",
        kind="file",
        reply=VectorStoreFile,
        ended=False,
    ),
    Operation(
        name="list_vector_store_files",
        group="vector_stores",
        method="GET",
        path="/vector_stores/{vector_store_id}/files",
        command="files",
        summary="Return a list of a vector store's files, page by page.",
        kind="file",
        query=VectorStoreFileQuery,
        reply=ListPage[VectorStoreFile],
        ended=False,
    ),
    Operation(
        name="update_vector_store_file_attributes",
        group="vector_stores",
        method="POST",
        path="/vector_stores/{vector_store_id}/files/{file_id}",
        command="label",
        summary="Replace the attributes of a file, by which searches are filtered.",
        kind="file",
        body=UpdateVectorStoreFileAttributes,
        reply=VectorStoreFile,
        ended=False,
    ),
    Operation(
        name="delete_vector_store_file",
        group="vector_stores",
        method="DELETE",
        path="/vector_stores/{vector_store_id}/files/{file_id}",
        command="remove",
        summary="Take a file out of a vector store; the file itself stays.",
        kind="file",
        reply=VectorStoreFileDeleted,
        ended=False,
    ),
    Operation(
        name="retrieve_vector_store_file_content",
        group="vector_stores",
        method="GET",
        path="/vector_stores/{vector_store_id}/files/{file_id}/content",
        command="text",
        summary="Retrieve the text that was read from a file.",
        kind="file",
        reply=VectorStoreFileContent,
        ended=False,
    ),
    Operation(
        name="create_vector_store_file_batch",
        group="vector_stores",
        method="POST",
        path="/vector_stores/{vector_store_id}/file_batches",
        command="add-many",
        summary="Add many files to a vector store and have them indexed.",
        kind="batch",
        body=CreateFileBatch,
        reply=FileBatch,
        creates=True,
        ended=False,
    ),
    Operation(
        name="get_vector_store_file_batch",
        group="vector_stores",
        method="GET",
        path="/vector_stores/{vector_store_id}/file_batches/{batch_id}",
        command="batch",
        summary="Retrieve a batch of files.",
        kind="batch",
        reply=FileBatch,
        ended=False,
    ),
    Operation(
        name="cancel_vector_store_file_batch",
        group="vector_stores",
        method="POST",
        path="/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel",
        command="cancel",
        summary="Cancel what is left of a batch of files.",
        kind="batch",
        body=CancelFileBatch,
        reply=FileBatch,
        ended=False,
    ),
    Operation(
        name="list_files_in_vector_store_batch",
        group="vector_stores",
        method="GET",
        path="/vector_stores/{vector_store_id}/file_batches/{batch_id}/files",
        command="batch-files",
        summary="Return a list of a batch's files, page by page.",
        kind="file",
        query=VectorStoreFileQuery,
        reply=ListPage[VectorStoreFile],
        ended=False,
    ),
    Operation(
        name="list_models",
        group="models",
        method="GET",
        path="/models",
        command="list",
        summary="List the models that can be named.",
        reply=ModelList,
        ended=False,
    ),
    Operation(
        name="retrieve_model",
        group="models",
        method="GET",
        path="/models/{model}",
        command="show",
        summary="Retrieve a model.",
        reply=ModelObject,
        ended=False,
    ),
    Operation(
        name="delete_model",
        group="models",
        method="DELETE",
        path="/models/{model}",
        command="delete",
        summary="Delete a fine-tuned model.",
        reply=ModelDeleted,
        ended=False,
    ),
)

BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OPERATIONS}
