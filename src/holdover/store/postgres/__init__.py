"""The store in a PostgreSQL database, for any number of processes.

``database.py`` has its story; the other files are one for a noun, as in ``sqlite``.
"""

from .database import inspect
from .store import PostgresStore

__all__ = ["PostgresStore", "inspect"]
