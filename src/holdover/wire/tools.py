"""Tools that an assistant may use, and the resources they work on."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from .record import UNSET, Record, UnsetType
from .vector_stores import HybridSearch, NewVectorStore

MAX_TOOLS = 128
MAX_CODE_INTERPRETER_FILES = 20
MAX_VECTOR_STORES = 1

#: Names of functions and schemas. The look-ahead refuses a newline that ``$`` would let pass in Python.
NAME_PATTERN = r"^[a-zA-Z0-9_-]+(?!\n)$"
FunctionName = Annotated[str, Meta(min_length=1, max_length=64, pattern=NAME_PATTERN)]

DEFAULT_RANKER: Literal["default_2024_08_21"] = "default_2024_08_21"


class CodeInterpreterTool(Record, frozen=True, kw_only=True, tag_field="type", tag="code_interpreter"):
    """Lets the model write and run Python."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"


class RankingOptions(Record, frozen=True, kw_only=True):
    """How file search ranks: the ranker, and the least score (0..1) a result must have."""

    ranker: Literal["auto", "default_2024_08_21"] | UnsetType = UNSET
    score_threshold: Annotated[float, Meta(ge=0, le=1)]
    hybrid_search: HybridSearch | None | UnsetType = UNSET


class FileSearchOptions(Record, frozen=True, kw_only=True):
    """Overrides for file search; ``max_num_results`` is 1..50."""

    max_num_results: Annotated[int, Meta(ge=1, le=50)] | None | UnsetType = UNSET
    ranking_options: RankingOptions | None | UnsetType = UNSET


class FileSearchTool(Record, frozen=True, kw_only=True, tag_field="type", tag="file_search"):
    """Lets the model search the files of the attached vector stores."""

    type: ClassVar[Literal["file_search"]] = "file_search"
    file_search: FileSearchOptions | None | UnsetType = UNSET


class FunctionDefinition(Record, frozen=True, kw_only=True):
    """A function the model may call: its name, when to use it, and its parameters as a JSON schema."""

    _shown = ("name",)

    name: FunctionName
    description: Annotated[str, Meta(max_length=1024)] | None | UnsetType = UNSET
    parameters: dict[str, Any] | None | UnsetType = UNSET
    strict: bool | None | UnsetType = UNSET


class FunctionTool(Record, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """Lets the model ask the application to call a function."""

    type: ClassVar[Literal["function"]] = "function"
    function: FunctionDefinition


AssistantTool = CodeInterpreterTool | FileSearchTool | FunctionTool
Tools = Annotated[list[AssistantTool], Meta(max_length=MAX_TOOLS)]


class CodeInterpreterResources(Record, frozen=True, kw_only=True):
    """Files that the code interpreter sees; at most 20."""

    file_ids: Annotated[list[str], Meta(max_length=MAX_CODE_INTERPRETER_FILES)] | UnsetType = UNSET


class FileSearchResources(Record, frozen=True, kw_only=True):
    """The vector store that file search looks in; at most one."""

    vector_store_ids: Annotated[list[str], Meta(max_length=MAX_VECTOR_STORES)] | None | UnsetType = UNSET


class NewFileSearchResources(Record, frozen=True, kw_only=True):
    """The same at creation, where ``vector_stores`` may describe a store to make instead."""

    vector_store_ids: Annotated[list[str], Meta(max_length=MAX_VECTOR_STORES)] | None | UnsetType = UNSET
    vector_stores: Annotated[list[NewVectorStore], Meta(max_length=MAX_VECTOR_STORES)] | None | UnsetType = UNSET


class ToolResources(Record, frozen=True, kw_only=True):
    """What an assistant's tools work on, by tool."""

    code_interpreter: CodeInterpreterResources | None | UnsetType = UNSET
    file_search: FileSearchResources | None | UnsetType = UNSET


class NewToolResources(Record, frozen=True, kw_only=True):
    """The same at creation."""

    code_interpreter: CodeInterpreterResources | None | UnsetType = UNSET
    file_search: NewFileSearchResources | None | UnsetType = UNSET
