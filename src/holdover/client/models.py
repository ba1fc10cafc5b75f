"""Models: functions for the default client and methods of both clients."""

from __future__ import annotations

from typing import Unpack

from holdover.wire.models import ModelDeleted, ModelList, ModelObject

from .calls import call
from .core import AsyncCore, Core, default_client, same_docstring
from .options import CallOptions

__all__ = ["delete_model", "list_models", "retrieve_model"]


def list_models(**options: Unpack[CallOptions]) -> ModelList:
    """List the models that can be named.

    Endpoint: ``GET /models``

    Args:
        openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

    Source: listModels.
    """
    return default_client().list_models(**options)


def retrieve_model(model: str, **options: Unpack[CallOptions]) -> ModelObject:
    """Retrieve a model.

    Endpoint: ``GET /models/{model}``

    Args:
        model: The model's name.
        openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

    Raises:
        NotFoundError: No model has this name.

    Source: retrieveModel.
    """
    return default_client().retrieve_model(model, **options)


def delete_model(model: str, **options: Unpack[CallOptions]) -> ModelDeleted:
    """Delete a fine-tuned model.

    Endpoint: ``DELETE /models/{model}``

    Args:
        model: The model's name.
        openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

    Raises:
        NotFoundError: No model has this name.
        PermissionDeniedError: It is not the caller's own model; Holdover's service has no fine-tuned ones.

    Source: deleteModel.
    """
    return default_client().delete_model(model, **options)


class ModelMethods(Core):
    """The same as methods of the client."""

    @same_docstring(list_models)
    def list_models(self, **options: Unpack[CallOptions]) -> ModelList:
        return self._run(call("list_models", reply=ModelList, options=options))

    @same_docstring(retrieve_model)
    def retrieve_model(self, model: str, **options: Unpack[CallOptions]) -> ModelObject:
        return self._run(call("retrieve_model", model, reply=ModelObject, options=options))

    @same_docstring(delete_model)
    def delete_model(self, model: str, **options: Unpack[CallOptions]) -> ModelDeleted:
        return self._run(call("delete_model", model, reply=ModelDeleted, options=options))


class AsyncModelMethods(AsyncCore):
    """The same as methods of the async client."""

    @same_docstring(list_models)
    async def list_models(self, **options: Unpack[CallOptions]) -> ModelList:
        return await self._run(call("list_models", reply=ModelList, options=options))

    @same_docstring(retrieve_model)
    async def retrieve_model(self, model: str, **options: Unpack[CallOptions]) -> ModelObject:
        return await self._run(call("retrieve_model", model, reply=ModelObject, options=options))

    @same_docstring(delete_model)
    async def delete_model(self, model: str, **options: Unpack[CallOptions]) -> ModelDeleted:
        return await self._run(call("delete_model", model, reply=ModelDeleted, options=options))
