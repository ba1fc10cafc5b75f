"""Why a file cannot be read, in the wire's words: the code and the message of its ``last_error``.

Two of the texts are the hosted API's, `UNSUPPORTED` and `TOO_LARGE`; the others are made like them.
Source: contract notes on failed files, which quote users' reports.
"""

from __future__ import annotations

from typing import Literal

Code = Literal["server_error", "unsupported_file", "invalid_file"]

#: The longest text that is taken from a file: more than 5,000,000 tokens, the most that the hosted API indexed.
MAX_TEXT_BYTES = 32 * 1024 * 1024
MAX_TOKENS = 5_000_000


class Unreadable(Exception):
    """A file has no text that could be searched. The code and the message are the wire's ``last_error``."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message


def _because(reason: str) -> Unreadable:
    return Unreadable("invalid_file", f"The file could not be parsed because {reason}.")


def mislabelled(found: str) -> Unreadable:
    """Return the failure of a file whose content is not what its name says."""
    return _because(f"it is not what its name says; its content is {found}")


UNSUPPORTED = Unreadable("unsupported_file", "The file type is not supported.")
LEGACY = Unreadable("unsupported_file", "The file type is not supported. Save the .doc document as .docx.")
TOO_LARGE = _because("it is too large")
EMPTY = _because("it is empty")
ENCRYPTED = _because("it is encrypted, or of an older format")
BROKEN = _because("it is damaged")
NO_TEXT = _because("it has no text; pages that are images are not read")
NOT_TEXT = _because("it is not text in UTF-8, UTF-16 or ASCII")
GONE = Unreadable("server_error", "The content of the file is gone.")
UNSTARTED = Unreadable("server_error", "The file could not be read for a reason of the service's own.")
