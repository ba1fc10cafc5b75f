"""What `holdover chat` remembers between calls: for each service the last conversation, and the assistant it made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from holdover.settings import find_state_dir


class Conversation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation: its thread, who answers in it, and what every run has instead of the assistant's own."""

    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    instructions: str | None = None


class Remembered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one service.

    Attributes:
        assistant_id: The assistant that was made where none was named.
        last: The conversation that ``--continue`` continues.
    """

    assistant_id: str | None = None
    last: Conversation | None = None


class Memory:
    """The file that holds it, by the address of each service. What cannot be read was never known.

    Args:
        folder: Where it lies; the user's own otherwise.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = Path(folder or find_state_dir())
        self._file = self._folder / "chat.json"

    @property
    def history(self) -> Path:
        """The file of lines that were typed."""
        return self._folder / "chat_history"

    def of(self, base_url: str) -> Remembered:
        """Return what is known of a service."""
        return self._read().get(base_url, Remembered())

    def keep(self, base_url: str, remembered: Remembered) -> None:
        """Remember this of a service.

        Raises:
            OSError: The file cannot be written.
        """
        known = self._read() | {base_url: remembered}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            new.write_bytes(msgspec.json.encode(known))
            new.replace(self._file)
        finally:
            new.unlink(missing_ok=True)

    def _read(self) -> dict[str, Remembered]:
        with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, Remembered])
        return {}
