"""Messages: functions for the default client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from holdover.wire.messages import Message, MessageDeleted, ModifiedMessage, Role

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import CallOptions, CreateMessageOptions, MessagePageOptions, ModifyMessageOptions
from ..pages import Page
from ..params import NewPartParam

__all__ = ["create_message", "delete_message", "get_message", "list_messages", "modify_message"]


@same_docstring(Client.create_message)
def create_message(
    thread_id: str, role: Role, content: str | Sequence[NewPartParam], **options: Unpack[CreateMessageOptions]
) -> Message:
    return default_client().create_message(thread_id, role, content, **options)


@same_docstring(Client.get_message)
def get_message(thread_id: str, message_id: str, **options: Unpack[CallOptions]) -> Message:
    return default_client().get_message(thread_id, message_id, **options)


@same_docstring(Client.list_messages)
def list_messages(thread_id: str, **options: Unpack[MessagePageOptions]) -> Page[Message]:
    return default_client().list_messages(thread_id, **options)


@same_docstring(Client.modify_message)
def modify_message(thread_id: str, message_id: str, **options: Unpack[ModifyMessageOptions]) -> ModifiedMessage:
    return default_client().modify_message(thread_id, message_id, **options)


@same_docstring(Client.delete_message)
def delete_message(thread_id: str, message_id: str, **options: Unpack[CallOptions]) -> MessageDeleted:
    return default_client().delete_message(thread_id, message_id, **options)
