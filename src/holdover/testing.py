"""What the pytest fixture ``holdover_server`` gives: a whole service in the process, and a model that obeys the test.

The fixture itself is in the package ``pytest_holdover``, which pytest imports whether or not it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .models.scripted import Reply, ScriptedModel

if TYPE_CHECKING:
    from .client import AsyncClient, Client
    from .models.protocol import ModelRequest
    from .service import Stage

__all__ = ["HoldoverServer", "ScriptedModel"]


class HoldoverServer:
    """A service on a port of this process, which knows nothing at the beginning of each test.

    Attributes:
        base_url: Its address, up to and including ``/v1``, for any client.
        model: The `ScriptedModel` that answers for every name.
    """

    def __init__(self, base_url: str, model: ScriptedModel) -> None:
        self.base_url = base_url
        self.model = model

    def __repr__(self) -> str:
        return f"HoldoverServer('{self.base_url}')"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which Holdover's own clients and the official SDKs find it."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "any"}

    @property
    def requests(self) -> list[ModelRequest]:
        """What the model was asked, in order."""
        return self.model.requests

    def reply(self, *replies: Reply) -> None:
        """Have the model say these, one each time it is asked; the last one again and again.

        Args:
            replies: Each a text to be said, or directives (``!call get_weather {"city": "Rome"}``), or chunks.
        """
        self.model.script = replies or None

    def client(self, **options: Any) -> Client:
        """Return a client of it; ``options`` are those of `holdover.Client`."""
        from .client import Client

        return Client(**{"base_url": self.base_url, "api_key": "any", **options})

    def async_client(self, **options: Any) -> AsyncClient:
        """Return an async client of it; ``options`` are those of `holdover.AsyncClient`."""
        from .client import AsyncClient

        return AsyncClient(**{"base_url": self.base_url, "api_key": "any", **options})


@contextmanager
def server_on(stage: Stage) -> Iterator[HoldoverServer]:
    """Have a new service on a stage."""
    model = ScriptedModel()
    with stage.service({"*": model}):
        yield HoldoverServer(stage.base_url, model)
