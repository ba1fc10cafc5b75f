"""Who may call: keys, and on loopback the Host and Origin headers.

A service on loopback takes any key, so what keeps a web page in the user's own browser from calling it are these two
headers: a page that has its name resolve to 127.0.0.1 still says that name in Host, and one that posts from elsewhere
says where in Origin.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256

from holdover.errors import AuthenticationError, PermissionDeniedError

Headers = Mapping[bytes, bytes]

NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)


def is_loopback(host: str) -> bool:
    """Whether a name or address, without its port, means this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """Decides whether a request is let in.

    Args:
        api_keys: Keys of which a caller must send one; none lets every caller in.
        local_only: Whether Host and Origin must name this machine.
        allowed_hosts: Further names that they may carry.
    """

    def __init__(self, api_keys: Iterable[str] = (), *, local_only: bool, allowed_hosts: Iterable[str] = ()) -> None:
        self._digests = [sha256(key.encode()).digest() for key in api_keys]
        self._local_only = local_only
        allowed = frozenset(name.lower() for name in allowed_hosts)
        self._is_allowed = lru_cache(256)(lambda host: _is_allowed(host, allowed))
        self._check_authorization = lru_cache(256)(self._compare)  # remembers what was let in: a refusal is raised

    def check_origin(self, headers: Headers) -> None:
        """Refuse what a browser was made to send.

        Raises:
            PermissionDeniedError: Host or Origin names another machine.
        """
        if not self._local_only:
            return
        host = headers.get(b"host", b"")
        if not self._is_allowed(host):
            raise PermissionDeniedError(
                f"Host '{_readable(host)}' is not a name of this machine. If it is one you gave it, start the service "
                "with --allowed-host.",
                param="Host",
                code="invalid_host",
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._is_allowed(origin.partition(b"://")[2]):
            raise PermissionDeniedError(
                f"Requests from pages of '{_readable(origin)}' are not answered.",
                param="Origin",
                code="invalid_origin",
            )

    def check_key(self, headers: Headers) -> None:
        """Refuse a caller without a key that is known.

        Raises:
            AuthenticationError: There is no key, or it is another.
        """
        if self._digests:
            self._check_authorization(headers.get(b"authorization", b""))

    def _compare(self, authorization: bytes) -> None:
        key = _key(authorization)
        if not key:
            raise AuthenticationError(NO_KEY)
        digest = sha256(key).digest()
        # Every key is compared, each in constant time, so that an answer's time says nothing of them.
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        if not any(matches):
            raise AuthenticationError(
                f"Incorrect API key provided: {_masked(_readable(key))}. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                code="invalid_api_key",
            )


def _key(authorization: bytes) -> bytes:
    scheme, _, rest = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""


def _masked(key: str) -> str:
    """Show the first 8 and last 4 characters, as the hosted API did; nothing of a key as short as that."""
    if len(key) <= 12:
        return "*" * len(key)
    return f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"


def _is_allowed(host: bytes, allowed: frozenset[str]) -> bool:
    name = _readable(host).lower()
    if name.startswith("["):
        name = name.partition("]")[0].lstrip("[")
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    return is_loopback(name) or name in allowed


def _readable(value: bytes) -> str:
    return value[:200].decode("ascii", "replace")
