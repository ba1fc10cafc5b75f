"""Assistants: the five functions of the seed, for the default client."""

from __future__ import annotations

from typing import Unpack

from holdover.wire.assistants import Assistant, AssistantDeleted

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import CallOptions, CreateAssistantOptions, Model, ModifyAssistantOptions, PageOptions
from ..pages import Page

__all__ = ["create_assistant", "delete_assistant", "get_assistant", "list_assistants", "modify_assistant"]


@same_docstring(Client.create_assistant)
def create_assistant(model: Model, **options: Unpack[CreateAssistantOptions]) -> Assistant:
    return default_client().create_assistant(model, **options)


@same_docstring(Client.get_assistant)
def get_assistant(assistant_id: str, **options: Unpack[CallOptions]) -> Assistant:
    return default_client().get_assistant(assistant_id, **options)


@same_docstring(Client.list_assistants)
def list_assistants(**options: Unpack[PageOptions]) -> Page[Assistant]:
    return default_client().list_assistants(**options)


@same_docstring(Client.modify_assistant)
def modify_assistant(assistant_id: str, **options: Unpack[ModifyAssistantOptions]) -> Assistant:
    return default_client().modify_assistant(assistant_id, **options)


@same_docstring(Client.delete_assistant)
def delete_assistant(assistant_id: str, **options: Unpack[CallOptions]) -> AssistantDeleted:
    return default_client().delete_assistant(assistant_id, **options)
