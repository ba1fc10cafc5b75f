"""Every error Holdover raises, in one tree.

    HoldoverError
    ├── ConfigurationError            a setting is missing, contradictory or cannot be used
    ├── HostedAPIEndedError           an assistants call was addressed to the hosted service
    ├── UnknownOptionError            an option that no such call takes (also a TypeError)
    ├── FunctionCallError             a run called what none of the given functions can answer
    └── APIError                      a call was made and did not succeed
        ├── APIConnectionError        no answer came
        │   └── APITimeoutError       … in time
        ├── APIResponseValidationError  an answer came that is not of the wire
        └── APIStatusError            the service answered with an error
            ├── BadRequestError           400
            ├── AuthenticationError       401
            ├── PermissionDeniedError     403
            ├── NotFoundError             404
            ├── ConflictError             409
            ├── UnprocessableEntityError  422
            ├── RateLimitError            429
            └── InternalServerError       500 and above

The names are those of the official SDKs, so that ``except`` clauses carry over.
The service raises the status errors itself; the server renders them into the wire's envelope, and the client
raises the same classes again.
"""

from __future__ import annotations

from typing import Any, ClassVar


class HoldoverError(Exception):
    """Base of every error raised by Holdover."""


class ConfigurationError(HoldoverError):
    """A setting is missing, contradicts another, or names something that cannot be used."""


class HostedAPIEndedError(HoldoverError):
    """An assistants call was addressed to api.openai.com, where the Assistants API ended on 2026-08-26."""


class UnknownOptionError(HoldoverError, TypeError):
    """A keyword that the operation does not take; the message suggests the nearest one that it does."""


class FunctionCallError(HoldoverError):
    """A run called a function that it was not given, or came back with calls too often; it was cancelled."""


class APIError(HoldoverError):
    """A call to a service did not succeed.

    Attributes:
        message: What happened, in the service's words where it answered.
        body: The decoded error object of the answer (its ``error`` member), or ``None``.
        request_id: The answer's ``x-request-id``, or ``None``.
        code, param, type: Members of the wire's error object, or ``None``.
    """

    message: str
    body: Any
    request_id: str | None
    code: str | None
    param: str | None
    type: str | None

    def __init__(
        self,
        message: str,
        *,
        body: Any = None,
        request_id: str | None = None,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,  # the wire's own word
    ) -> None:
        super().__init__(message)
        self.message = message
        self.body = body
        self.request_id = request_id
        self.code = code
        self.param = param
        self.type = type


class APIConnectionError(APIError):
    """No answer came: refused, unreachable, broken off, or a certificate that is not trusted."""


class APITimeoutError(APIConnectionError):
    """No answer came within ``timeout_s``."""


class APIResponseValidationError(APIError):
    """The service answered with something that is not of the wire (another kind of server, perhaps)."""

    def __init__(self, message: str, *, status: int, **details: Any) -> None:
        super().__init__(message, **details)
        self.status = status


class APIStatusError(APIError):
    """The service answered with an error status.

    Attributes:
        status: The HTTP status. ``status_code`` is the official SDKs' name for the same.
    """

    default_status: ClassVar[int] = 500
    default_type: ClassVar[str] = "invalid_request_error"
    status: int

    def __init__(self, message: str, *, status: int | None = None, **details: Any) -> None:
        if details.get("type") is None:
            details["type"] = self.default_type
        super().__init__(message, **details)
        self.status = status if status is not None else self.default_status

    @property
    def status_code(self) -> int:
        return self.status


class BadRequestError(APIStatusError):
    """The request is not one the service takes (400); ``param`` names the part at fault."""

    default_status = 400


class AuthenticationError(APIStatusError):
    """No key, or one the service does not know (401)."""

    default_status = 401


class PermissionDeniedError(APIStatusError):
    """The request is understood and refused (403)."""

    default_status = 403


class NotFoundError(APIStatusError):
    """No object has this id, or no operation this path (404)."""

    default_status = 404


class ConflictError(APIStatusError):
    """The request contradicts another one (409)."""

    default_status = 409


class UnprocessableEntityError(APIStatusError):
    """The request was read but cannot be carried out (422); Holdover's own service answers 400 instead."""

    default_status = 422


class RateLimitError(APIStatusError):
    """Too many requests, or a quota used up (429)."""

    default_status = 429
    default_type = "requests"


class InternalServerError(APIStatusError):
    """The service failed (500 and above)."""

    default_status = 500
    default_type = "server_error"


STATUS_ERRORS: dict[int, type[APIStatusError]] = {
    cls.default_status: cls
    for cls in (
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        UnprocessableEntityError,
        RateLimitError,
    )
}


def status_error_class(status: int) -> type[APIStatusError]:
    """Return the class that an answer with this status is raised as."""
    if status >= 500:
        return InternalServerError
    return STATUS_ERRORS.get(status, APIStatusError)
