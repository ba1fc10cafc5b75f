"""Models: which can be named, and since when, and the operations that tell."""

from __future__ import annotations

from collections.abc import Sequence

from holdover.errors import NotFoundError, PermissionDeniedError
from holdover.models.protocol import Models
from holdover.wire.models import KNOWN_MODELS, ModelList, ModelObject
from holdover.wire.refusals import shortened

from .core import Core, encode

#: Names whose owner the hosted list gave as "openai"; it gave "system" for all later ones.
_EARLY = ("gpt-4", "gpt-4-0613", "gpt-3.5-turbo")


def listed(own: Sequence[str]) -> ModelList:
    """Return the service's own models, and all that the published reference names for assistants."""
    return ModelList(data=[_model(name) for name in dict.fromkeys((*own, *KNOWN_MODELS))])


def found(name: str, own: Sequence[str]) -> ModelObject:
    """Return a model.

    Raises:
        NotFoundError: No model has this name.
    """
    if name not in KNOWN_MODELS and name not in own:
        raise NotFoundError(f"The model '{shortened(name)}' does not exist", param="model", code="model_not_found")
    return _model(name)


def _model(name: str) -> ModelObject:
    if name not in KNOWN_MODELS:
        return ModelObject(id=name, created=0, owned_by="holdover")
    return ModelObject(id=name, created=KNOWN_MODELS[name], owned_by="openai" if name in _EARLY else "system")


class ModelOperations(Core):
    """The operations on models."""

    _models: Models

    async def list_models(self) -> bytes:
        """Return all models."""
        return encode(listed(self._models.names()))

    async def retrieve_model(self, model: str) -> bytes:
        """Return a model.

        Raises:
            NotFoundError: No model has this name.
        """
        return encode(found(model, self._models.names()))

    async def delete_model(self, model: str) -> bytes:
        """Refuse to delete a model: only fine-tuned ones can be, and there are none here.

        Raises:
            NotFoundError: No model has this name.
            PermissionDeniedError: It is not a fine-tuned model.
        """
        found(model, self._models.names())
        raise PermissionDeniedError(
            f"The model '{model}' cannot be deleted: only fine-tuned models can, and this service has none.",
            param="model",
        )
