"""Holdover's own service, as ``holdover serve`` runs it: keys, logging and all. Says its port when it can be called.

python -m bench.peers.service DATABASE KEY
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from holdover.service import serve
from holdover.settings import load_service_settings, resolve_service


def main(database: str, key: str) -> None:
    """Serve a database on a free port of loopback to callers with a key."""
    given = {"port": 0, "database_url": database, "api_keys": (key,), "log_level": "info"}
    settings = load_service_settings(resolve_service(given))
    serve(settings, on_ready=lambda url: print(urlsplit(url).port, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
