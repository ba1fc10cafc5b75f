"""Models: which can be named, and since when, and the operations that tell."""

from __future__ import annotations

from holdover.errors import NotFoundError, PermissionDeniedError
from holdover.wire.models import KNOWN_MODELS, ModelDeleted, ModelList, ModelObject
from holdover.wire.refusals import shortened

from .core import Core, encode

#: Names whose owner the hosted list gave as "openai"; it gave "system" for all later ones.
_EARLY = ("gpt-4", "gpt-4-0613", "gpt-3.5-turbo")


def list_models() -> ModelList:
    """Return all models that the published reference names for assistants."""
    return ModelList(data=[_model(name) for name in KNOWN_MODELS])


def retrieve_model(name: str) -> ModelObject:
    """Return a model.

    Raises:
        NotFoundError: No model has this name.
    """
    if name not in KNOWN_MODELS:
        raise NotFoundError(f"The model '{shortened(name)}' does not exist", param="model", code="model_not_found")
    return _model(name)


def refuse_deletion(name: str) -> None:
    """Say why a model cannot be deleted: only fine-tuned ones can, and there are none here.

    Raises:
        NotFoundError: No model has this name.
        PermissionDeniedError: It is not a fine-tuned model.
    """
    retrieve_model(name)
    raise PermissionDeniedError(
        f"The model '{name}' cannot be deleted: only fine-tuned models can, and this service has none.",
        param="model",
    )


def _model(name: str) -> ModelObject:
    return ModelObject(id=name, created=KNOWN_MODELS[name], owned_by="openai" if name in _EARLY else "system")


class ModelOperations(Core):
    """The operations on models."""

    async def list_models(self) -> bytes:
        """Return all models."""
        return encode(list_models())

    async def retrieve_model(self, model: str) -> bytes:
        """Return a model.

        Raises:
            NotFoundError: No model has this name.
        """
        return encode(retrieve_model(model))

    async def delete_model(self, model: str) -> bytes:
        """Refuse to delete a model: there are no fine-tuned ones here.

        Raises:
            NotFoundError: No model has this name.
            PermissionDeniedError: It is not a fine-tuned model.
        """
        refuse_deletion(model)
        return encode(ModelDeleted(id=model))
