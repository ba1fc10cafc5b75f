"""Models: which can be named, and since when."""

from __future__ import annotations

from holdover.errors import NotFoundError, PermissionDeniedError
from holdover.wire.models import KNOWN_MODELS, ModelList, ModelObject
from holdover.wire.refusals import shortened

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
