"""Models: the object, and the names that assistants of the hosted API were made with.

``KNOWN_MODELS`` gives each name its release time in Unix seconds. Source: AssistantSupportedModels of the published
reference; times from the hosted model list where recorded, else midnight UTC of the published release day.
"""

from __future__ import annotations

from typing import Literal

from .record import Record


class ModelObject(Record, frozen=True, kw_only=True):
    """A model that can be named. ``created`` is in Unix seconds."""

    _shown = ("id",)

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(Record, frozen=True, kw_only=True):
    """All models; this list has no pages."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class ModelDeleted(Record, frozen=True, kw_only=True):
    """The answer to a deletion."""

    id: str
    object: Literal["model"] = "model"
    deleted: bool = True


KnownModel = Literal[
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5-2025-08-07",
    "gpt-5-mini-2025-08-07",
    "gpt-5-nano-2025-08-07",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-4.1-2025-04-14",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano-2025-04-14",
    "o3-mini",
    "o3-mini-2025-01-31",
    "o1",
    "o1-2024-12-17",
    "gpt-4o",
    "gpt-4o-2024-11-20",
    "gpt-4o-2024-08-06",
    "gpt-4o-2024-05-13",
    "gpt-4o-mini",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.5-preview",
    "gpt-4.5-preview-2025-02-27",
    "gpt-4-turbo",
    "gpt-4-turbo-2024-04-09",
    "gpt-4-0125-preview",
    "gpt-4-turbo-preview",
    "gpt-4-1106-preview",
    "gpt-4-vision-preview",
    "gpt-4",
    "gpt-4-0314",
    "gpt-4-0613",
    "gpt-4-32k",
    "gpt-4-32k-0314",
    "gpt-4-32k-0613",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-16k",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-16k-0613",
]

KNOWN_MODELS: dict[str, int] = {
    "gpt-5": 1754524800,
    "gpt-5-mini": 1754524800,
    "gpt-5-nano": 1754524800,
    "gpt-5-2025-08-07": 1754524800,
    "gpt-5-mini-2025-08-07": 1754524800,
    "gpt-5-nano-2025-08-07": 1754524800,
    "gpt-4.1": 1744588800,
    "gpt-4.1-mini": 1744588800,
    "gpt-4.1-nano": 1744588800,
    "gpt-4.1-2025-04-14": 1744588800,
    "gpt-4.1-mini-2025-04-14": 1744588800,
    "gpt-4.1-nano-2025-04-14": 1744588800,
    "o3-mini": 1738281600,
    "o3-mini-2025-01-31": 1738281600,
    "o1": 1734393600,
    "o1-2024-12-17": 1734393600,
    "gpt-4o": 1715558400,
    "gpt-4o-2024-11-20": 1732060800,
    "gpt-4o-2024-08-06": 1722902400,
    "gpt-4o-2024-05-13": 1715558400,
    "gpt-4o-mini": 1721172741,
    "gpt-4o-mini-2024-07-18": 1721260800,
    "gpt-4.5-preview": 1740614400,
    "gpt-4.5-preview-2025-02-27": 1740614400,
    "gpt-4-turbo": 1712620800,
    "gpt-4-turbo-2024-04-09": 1712620800,
    "gpt-4-0125-preview": 1706140800,
    "gpt-4-turbo-preview": 1706140800,
    "gpt-4-1106-preview": 1699228800,
    "gpt-4-vision-preview": 1699228800,
    "gpt-4": 1687882411,
    "gpt-4-0314": 1678752000,
    "gpt-4-0613": 1686588896,
    "gpt-4-32k": 1686614400,
    "gpt-4-32k-0314": 1678752000,
    "gpt-4-32k-0613": 1686614400,
    "gpt-3.5-turbo": 1677610602,
    "gpt-3.5-turbo-16k": 1686614400,
    "gpt-3.5-turbo-0613": 1686614400,
    "gpt-3.5-turbo-1106": 1699228800,
    "gpt-3.5-turbo-0125": 1706140800,
    "gpt-3.5-turbo-16k-0613": 1686614400,
}
