"""The one wiring place: settings become a store, an engine and an application, served or embedded.

Nobody else knows every room. What is started, and how it ends, is in `serving` and `embedded`; what it is made of, in
`wiring` and the files that it names.
"""

from __future__ import annotations

from .embedded import Embedded, Stage, embedded, running, stage
from .models import UpstreamTransport, inspect_models, pull_weights
from .sandboxes import inspect_sandbox, prepare_sandbox, serve_sandbox
from .serving import serve, work
from .wiring import database_path, inspect_database

__all__ = [
    "Embedded",
    "Stage",
    "UpstreamTransport",
    "database_path",
    "embedded",
    "inspect_database",
    "inspect_models",
    "inspect_sandbox",
    "prepare_sandbox",
    "pull_weights",
    "running",
    "serve",
    "serve_sandbox",
    "stage",
    "work",
]
