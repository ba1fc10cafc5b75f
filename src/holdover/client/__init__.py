"""Who asks: clients of any service that speaks the wire."""

from .clients import AsyncClient, Client
from .default import configure

__all__ = ["AsyncClient", "Client", "configure"]
