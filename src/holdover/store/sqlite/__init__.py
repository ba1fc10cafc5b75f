"""The store in one SQLite file, for one process. ``database.py`` has its story; the other files are one for a noun."""

from .database import inspect
from .store import SQLiteStore

__all__ = ["SQLiteStore", "inspect"]
