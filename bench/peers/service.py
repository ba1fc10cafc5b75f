"""Holdover's own service, as ``holdover serve`` runs it: keys, logging and all. Says its port when it can be called.

python -m bench.peers.service DATABASE KEY [MODEL_BASE_URL]
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from holdover.service import serve
from holdover.settings import load_service_settings, resolve_service


def main(database: str, key: str, model_base_url: str | None = None) -> None:
    """Serve a database on a free port of loopback to callers with a key."""
    given = {"port": 0, "database_url": database, "api_keys": (key,), "log_level": "info"}
    if model_base_url is not None:
        given["model_base_url"] = model_base_url
    settings = load_service_settings(resolve_service(given))
    serve(settings, on_ready=lambda url: print(urlsplit(url).port, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
