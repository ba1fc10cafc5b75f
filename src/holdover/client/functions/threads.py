"""Threads: functions for the default client."""

from __future__ import annotations

from typing import Unpack

from holdover.wire.threads import Thread, ThreadDeleted

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import CallOptions, CreateThreadOptions, ModifyThreadOptions, ThreadPageOptions
from ..pages import Page

__all__ = ["create_thread", "delete_thread", "get_thread", "list_threads", "modify_thread"]


@same_docstring(Client.create_thread)
def create_thread(**options: Unpack[CreateThreadOptions]) -> Thread:
    return default_client().create_thread(**options)


@same_docstring(Client.get_thread)
def get_thread(thread_id: str, **options: Unpack[CallOptions]) -> Thread:
    return default_client().get_thread(thread_id, **options)


@same_docstring(Client.list_threads)
def list_threads(**options: Unpack[ThreadPageOptions]) -> Page[Thread]:
    return default_client().list_threads(**options)


@same_docstring(Client.modify_thread)
def modify_thread(thread_id: str, **options: Unpack[ModifyThreadOptions]) -> Thread:
    return default_client().modify_thread(thread_id, **options)


@same_docstring(Client.delete_thread)
def delete_thread(thread_id: str, **options: Unpack[CallOptions]) -> ThreadDeleted:
    return default_client().delete_thread(thread_id, **options)
