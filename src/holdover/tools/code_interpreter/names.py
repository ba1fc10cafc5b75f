"""Names of files, whoever gave them: made such that they name nothing else and mislead nobody who reads them."""

from __future__ import annotations

import unicodedata

from .protocol import DATA

#: What most file systems take.
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
#: Control, format (also what turns the direction of writing), surrogate, private and unassigned characters, and breaks.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean_file_name(name: str) -> str:
    """Return a name for a file in a folder: one component, visible, short enough, never ``.`` or ``..``."""
    seen = "".join("_" if unicodedata.category(each) in _UNSEEN or each in "/\\" else each for each in name).strip()
    if not seen.strip("."):
        seen = "file"
    return _shortened(seen)


def _shortened(name: str) -> str:
    """Cut a long name, but keep its ending: it tells what the file is."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or not stem or len(ending.encode()) > 16:
        stem, ending = name, ""
    ending = dot + ending if ending else ""
    return stem.encode()[: MAX_NAME_BYTES - len(ending.encode())].decode("utf-8", "ignore") + ending


def clean_path(name: str) -> str:
    """Return the path that is shown for a guest's file: under ``/mnt/data``, each component cleaned."""
    parts = [clean_file_name(part) for part in name.split("/") if part not in ("", ".", "..")]
    while parts and len("/".join(parts).encode()) > MAX_PATH_BYTES:
        parts.pop(0)
    return "/".join((DATA, *parts))
