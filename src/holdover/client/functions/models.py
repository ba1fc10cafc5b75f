"""Models: functions for the default client."""

from __future__ import annotations

from typing import Unpack

from holdover.wire.models import ModelDeleted, ModelList, ModelObject

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import CallOptions

__all__ = ["delete_model", "list_models", "retrieve_model"]


@same_docstring(Client.list_models)
def list_models(**options: Unpack[CallOptions]) -> ModelList:
    return default_client().list_models(**options)


@same_docstring(Client.retrieve_model)
def retrieve_model(model: str, **options: Unpack[CallOptions]) -> ModelObject:
    return default_client().retrieve_model(model, **options)


@same_docstring(Client.delete_model)
def delete_model(model: str, **options: Unpack[CallOptions]) -> ModelDeleted:
    return default_client().delete_model(model, **options)
