"""Models, as methods of both clients."""

from __future__ import annotations

from typing import Unpack

from holdover.wire.models import ModelDeleted, ModelList, ModelObject

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .options import CallOptions


class ModelMethods(Core):
    """Methods of `Client`."""

    def list_models(self, **options: Unpack[CallOptions]) -> ModelList:
        """List the models that can be named.

        Endpoint: ``GET /models``

        Args:
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Source: listModels.
        """
        return self._run(call("list_models", reply=ModelList, options=options))

    def retrieve_model(self, model: str, **options: Unpack[CallOptions]) -> ModelObject:
        """Retrieve a model.

        Endpoint: ``GET /models/{model}``

        Args:
            model: The model's name.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: No model has this name.

        Source: retrieveModel.
        """
        return self._run(call("retrieve_model", model, reply=ModelObject, options=options))

    def delete_model(self, model: str, **options: Unpack[CallOptions]) -> ModelDeleted:
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
        return self._run(call("delete_model", model, reply=ModelDeleted, options=options))


class AsyncModelMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(ModelMethods.list_models)
    async def list_models(self, **options: Unpack[CallOptions]) -> ModelList:
        return await self._run(call("list_models", reply=ModelList, options=options))

    @same_docstring(ModelMethods.retrieve_model)
    async def retrieve_model(self, model: str, **options: Unpack[CallOptions]) -> ModelObject:
        return await self._run(call("retrieve_model", model, reply=ModelObject, options=options))

    @same_docstring(ModelMethods.delete_model)
    async def delete_model(self, model: str, **options: Unpack[CallOptions]) -> ModelDeleted:
        return await self._run(call("delete_model", model, reply=ModelDeleted, options=options))
