"""The bytes of files in a bucket that speaks S3: Amazon's, or any other. Needs the extra ``s3``.

Read ``blobs.py`` first. A bucket cannot rename, so bytes are never overwritten: each time that they come they get a key
of their own, ``ab/abcdef…/nonce``. Any copy will do for reading. The sweep takes away copies, one by one; of bytes that
a row names, all but the newest. So what came a moment ago is never what is taken away.

They are gathered in a local file first: their digest is a part of the key, and a client that hangs up in the middle
leaves nothing in the bucket.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from holdover import telemetry
from holdover.errors import ConfigurationError, InternalServerError

from .blobs import BATCH, BLOCK_BYTES, Temporary, blocks, in_thread, missing
from .protocol import GRACE_S, Blob, TooManyBytes

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store
except ModuleNotFoundError as absent:
    raise ConfigurationError("Files in a bucket need a client of S3: pip install 'holdover[s3]'.") from absent

#: What a bucket's address may say after its ``?``.
OPTIONS = ("endpoint", "region")
#: What others than Amazon are told where the address does not say.
DEFAULT_REGION = "us-east-1"


class S3Blobs:
    """Bytes in a bucket. See `holdover.store.protocol.Blobs`.

    Args:
        url: ``s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1``; both options may be left out.
        name: Comes after the prefix, so that several databases may share a bucket.
        credentials: ``access_key_id``, ``secret_access_key``, ``session_token``. What is not given is looked for where
            Amazon's own clients look: the environment, or the machine that this runs on.

    Raises:
        ConfigurationError: The address cannot be understood.
    """

    def __init__(self, url: str, name: str, credentials: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        unknown = set(options).difference(OPTIONS)
        if parts.scheme != "s3" or not parts.hostname or "@" in parts.netloc or unknown:
            raise ConfigurationError(
                "The bucket's address cannot be understood. Write s3://bucket/prefix, with "
                "?endpoint=https://host:port&region=name at its end where it is not Amazon's."
            )
        endpoint = options.get("endpoint")
        config: dict[str, Any] = dict(credentials)
        if endpoint is not None:
            config |= {"endpoint": endpoint, "region": DEFAULT_REGION}
        if "region" in options:
            config["region"] = options["region"]
        self._store = S3Store(
            parts.netloc,
            prefix="/".join(each for each in (parts.path.strip("/"), name) if each),
            client_options={"allow_http": (endpoint or "").startswith("http://")},
            **config,
        )
        self._folder = tempfile.TemporaryDirectory(prefix="holdover-s3-")

    async def receive(self, parts: AsyncIterator[bytes], *, limit_bytes: int) -> Blob:
        temporary = Temporary.begin(Path(self._folder.name))
        try:
            with temporary.file:
                async for block in blocks(parts):
                    if temporary.bytes + len(block) > limit_bytes:
                        raise TooManyBytes
                    await in_thread(temporary.write, block)
            blob = temporary.blob()
            with _translated():
                await obstore.put_async(self._store, f"{_folder(blob.digest)}{_nonce()}", temporary.path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary.path)
        return blob

    async def read(self, digest: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and end <= start:
            return
        key = await self._find(digest)
        options: Any = {}
        if start or end is not None:
            options = {"range": {"offset": start} if end is None else (start, end)}
        with _translated():
            answer = await obstore.get_async(self._store, key, options=options)
            async for block in answer.stream(min_chunk_size=BLOCK_BYTES):
                yield bytes(block)

    @contextlib.asynccontextmanager
    async def local(self, digest: str) -> AsyncIterator[str]:
        temporary = Temporary.begin(Path(self._folder.name))
        try:
            with temporary.file:
                async for block in self.read(digest):
                    await in_thread(temporary.write, block)
            yield str(temporary.path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary.path)

    async def settled(self) -> AsyncIterator[Sequence[str]]:
        batch: list[str] = []
        held: list[Any] = []
        with _translated():
            # Keys come in their order, so that the copies of one digest come together, if on two pages at times.
            async for page in obstore.list(self._store, chunk_size=1000):
                held += page
                complete = [each for each in held if _digest(each) != _digest(held[-1])]
                held = held[len(complete) :]
                for digest in await self._old_ones(complete):
                    batch.append(digest)
                    if len(batch) == BATCH:
                        yield batch
                        batch = []
            batch += await self._old_ones(held)
        if batch:
            yield batch

    async def _old_ones(self, copies: Sequence[Any]) -> list[str]:
        """Return the digests whose newest copy is old, having dropped the other copies of those."""
        old: list[str] = []
        for digest, group in groupby(copies, _digest):
            *others, newest = sorted(group, key=_age)
            if _is_old(newest):
                old.append(digest)
                if others:
                    await obstore.delete_async(self._store, [each["path"] for each in others])
        return old

    async def delete(self, digest: str) -> None:
        with _translated():
            keys = [each["path"] for each in await self._copies(digest) if _is_old(each)]
            if keys:
                await obstore.delete_async(self._store, keys)

    async def close(self) -> None:
        await in_thread(self._folder.cleanup)

    async def _find(self, digest: str) -> str:
        with _translated():
            copies = await self._copies(digest)
        if not copies:
            raise missing(digest)
        key: str = max(copies, key=_age)["path"]
        return key

    async def _copies(self, digest: str) -> list[Any]:
        copies: list[Any] = []
        async for page in obstore.list(self._store, prefix=_folder(digest)):
            copies += page
        return copies


def _folder(digest: str) -> str:
    return f"{digest[:2]}/{digest}/"


def _digest(copy: Any) -> str:
    digest: str = copy["path"].split("/")[-2]
    return digest


def _age(copy: Any) -> tuple[datetime, str]:
    return copy["last_modified"], copy["path"]


def _is_old(copy: Any) -> bool:
    old: bool = copy["last_modified"] <= datetime.now(UTC) - timedelta(seconds=GRACE_S)
    return old


def _nonce() -> str:
    return os.urandom(8).hex()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what the client raises into what the engine knows."""
    try:
        yield
    except (BaseError, OSError) as error:
        telemetry.emit("store.failure", error=error)
        # What the service said is logged, not told: it may name the account.
        raise InternalServerError("The bucket of files refused.") from error
