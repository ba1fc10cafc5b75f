"""What a script learns from the exit status."""

from __future__ import annotations

from holdover.errors import APIStatusError, APITimeoutError, InternalServerError, UnknownOptionError

OK = 0
FAILURE = 1
USAGE = 2
TIMEOUT = 3
CLIENT_FAULT = 4
SERVER_FAULT = 5
INTERRUPTED = 130

#: The first class that an error is of decides; any other error is a `FAILURE`.
BY_ERROR: tuple[tuple[type[Exception], int], ...] = (
    (UnknownOptionError, USAGE),
    (APITimeoutError, TIMEOUT),
    (InternalServerError, SERVER_FAULT),
    (APIStatusError, CLIENT_FAULT),
)

#: By the hundreds of an HTTP status; any other is a `FAILURE`.
BY_STATUS: dict[int, int] = {2: OK, 4: CLIENT_FAULT, 5: SERVER_FAULT}


def of_error(error: Exception) -> int:
    """Return the exit code for an error."""
    return next((code for cls, code in BY_ERROR if isinstance(error, cls)), FAILURE)


def of_status(status: int) -> int:
    """Return the exit code for an answer with this HTTP status."""
    return BY_STATUS.get(status // 100, FAILURE)
