"""A sandbox on another machine, or in another container: the same frames through a socket, to a runner beside a jail.

The server holds secrets, the runner has none but the one they share; each proves to the other that it knows it, and
never says it. What is sent is not encrypted: use a unix socket, a network of your own, or a tunnel. One connection is
one session; when it breaks, the runner ends the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import secrets
import signal
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from . import frames, remedies
from .frames import (
    Accepted,
    Challenge,
    Ended,
    Execute,
    FrameError,
    Interrupt,
    Open,
    Preload,
    Put,
    Read,
    Reply,
    Request,
    Rest,
)
from .guest import End, Guest
from .process import END_S, LocalGuest
from .protocol import Level, ProbeReport, SandboxError, SessionSpec
from .selection import Selection, Wanted
from .session import GuestSession

log = logging.getLogger("holdover")

CONNECT_S = 10.0
START_S = 30.0
#: A secret shorter than this can be guessed from one proof.
MIN_SECRET_BYTES = 16

_spec = msgspec.json.Decoder(SessionSpec)


def _proof(secret: str, side: str, nonce: str) -> str:
    return hmac.new(secret.encode(), f"holdover {side} {nonce}".encode(), "sha256").hexdigest()


def check_secret(secret: str) -> None:
    """See that a secret is one.

    Raises:
        SandboxError: It is too short.
    """
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise SandboxError(
            f"The sandbox's secret needs at least {MIN_SECRET_BYTES} characters; make one with: openssl rand -hex 32"
        )


def parse_address(address: str) -> str | tuple[str, int]:
    """Return a socket's path, or a host and a port, from ``unix:/path`` or ``host:port``.

    Raises:
        SandboxError: It is neither.
    """
    if address.startswith("unix:"):
        return address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise SandboxError(f"'{address}' is no address of a sandbox: give unix:/path or host:port.")
    return host.strip("[]"), int(port)


# ------------------------------------------------------------------------------------- the server's side


class RemoteSandbox:
    """See `protocol.SandboxBackend`. Its level is what its runner says, who knows the secret."""

    name = "remote"

    def __init__(self, address: str, secret: str) -> None:
        check_secret(secret)
        self._address = parse_address(address)
        self._secret = secret
        self.level: Level = "landlock"

    async def probe(self) -> ProbeReport:
        """Open a session there and try to get out of it."""
        from .probe import probe

        with contextlib.suppress(SandboxError):  # the probe meets the same, and reports it
            await _hang_up((await self._connect())[2])  # its runner has told its level
        return await probe(self, remedy=remedies.REMOTE)

    async def open(self, spec: SessionSpec) -> GuestSession:
        """Start a session there. See `protocol.SandboxBackend.open`."""
        challenge, reader, writer = await self._connect()
        guest = RemoteGuest(reader, writer)
        try:
            async with asyncio.timeout(START_S):
                await guest.begin(self._secret, challenge, spec)
                session = GuestSession(guest, spec)
                if spec.preload:
                    await session.preload()
                return session
        except (EOFError, FrameError, TimeoutError) as error:
            await _hang_up(writer)
            reason = guest.refusal or "it gave no answer that is one"
            raise SandboxError(f"The remote sandbox did not start: {reason}.") from error
        except BaseException:
            writer.close()
            raise

    async def _connect(self) -> tuple[Challenge, asyncio.StreamReader, asyncio.StreamWriter]:
        writer: asyncio.StreamWriter | None = None
        challenge: object = None
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await _connection(self._address)
                head, _ = await frames.receive(reader)
                challenge = frames.decode_from_runner(head)
        except (OSError, TimeoutError) as error:
            raise SandboxError(f"The remote sandbox at {self._address} cannot be reached.") from error
        except (EOFError, FrameError):
            pass  # told below
        finally:
            if writer is not None and not isinstance(challenge, Challenge):
                await _hang_up(writer)
        if writer is None or not isinstance(challenge, Challenge):
            raise SandboxError(f"What answers at {self._address} is no runner of a sandbox.")
        self.level = challenge.level
        return challenge, reader, writer


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _connection(address: str | tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, str):
        return await asyncio.open_unix_connection(address)
    return await asyncio.open_connection(*address)


class RemoteGuest:
    """See `guest.Guest`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._end: End | None = None
        self._ending = asyncio.Lock()
        self._is_resting = False
        self.refusal = ""

    async def begin(self, secret: str, challenge: Challenge, spec: SessionSpec) -> None:
        """Prove the secret, have a worker started, and see that the runner knows the secret too."""
        nonce = secrets.token_hex(32)
        await self._write(
            frames.encode(Open(_proof(secret, "server", challenge.nonce), nonce), msgspec.json.encode(spec))
        )
        accepted = await self._next()
        if not isinstance(accepted[0], Accepted):
            raise FrameError("the runner did not accept")
        if not hmac.compare_digest(accepted[0].proof, _proof(secret, "runner", nonce)):
            self.refusal = "it does not know the secret"
            raise FrameError(self.refusal)

    async def send(self, request: Request, body: bytes | memoryview = b"") -> None:
        await self._write(frames.encode(request, body))

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise EOFError from error

    async def receive(self) -> tuple[Reply, bytes]:
        reply, body = await self._next()
        if isinstance(reply, Challenge | Accepted):
            raise FrameError("a runner's word among the guest's")
        return reply, body

    async def _next(self) -> tuple[Reply | Challenge | Accepted, bytes]:
        head, body = await frames.receive(self._reader)
        said = frames.decode_from_runner(head)
        if isinstance(said, Ended):
            self.refusal = said.message
            self._end = End("exited") if said.reason == "refused" else End(said.reason, said.number)
            raise EOFError
        return said, body

    async def interrupt(self) -> None:
        with contextlib.suppress(EOFError):
            await self.send(Interrupt())

    async def rest(self, is_resting: bool) -> None:
        if is_resting != self._is_resting:
            self._is_resting = is_resting
            with contextlib.suppress(EOFError):
                await self.send(Rest(is_resting))

    async def kill(self) -> End:
        """Hang up, and wait for the runner's word that the process is gone."""
        async with self._ending:
            if not self._writer.is_closing():
                with contextlib.suppress(OSError, TimeoutError):
                    self._writer.write_eof()
                    async with asyncio.timeout(END_S):
                        await self._last_word()
                await _hang_up(self._writer)
            return self._end or End("exited")

    async def _last_word(self) -> None:
        while self._end is None:
            try:
                await self._next()
            except FrameError:
                continue
            except EOFError:
                return


# ------------------------------------------------------------------------------------- the runner's side


class StartsGuests(Protocol):
    """A jail, as the runner sees it."""

    @property
    def level(self) -> Level: ...

    async def start(self, spec: SessionSpec) -> LocalGuest:
        """Start a worker that has locked itself in."""


class Runner:
    """Serves a jail to whoever knows the secret: passes frames on, both ways, and ends what a connection leaves.

    Args:
        level: What it says of itself; the jail's own when left out. A runner in a virtual machine may say so.
    """

    def __init__(self, jail: StartsGuests, secret: str, *, level: Level | None = None, max_sessions: int = 50) -> None:
        check_secret(secret)
        self._jail = jail
        self._secret = secret
        self._level: Level = level or jail.level
        self._max = max_sessions
        self._open = 0
        self._connections: set[asyncio.Task[Any]] = set()
        self._stopped = asyncio.Event()

    async def serve(self, address: str) -> asyncio.Server:
        """Listen; the socket of a path can be used by its owner only.

        Raises:
            SandboxError: The address cannot be used.
        """
        parsed = parse_address(address)
        try:
            if isinstance(parsed, tuple):
                return await asyncio.start_server(self.handle, *parsed)
            mask = os.umask(0o177)
            try:
                return await asyncio.start_unix_server(self.handle, parsed)
            finally:
                os.umask(mask)
        except OSError as error:
            raise SandboxError(f"{address} cannot be listened on: {error.strerror}.") from error

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is one session."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        guest: LocalGuest | None = None
        try:
            guest = await self._admit(reader, writer)
            if guest is not None:
                await self._pass_on(guest, reader, writer)
        except (EOFError, FrameError, TimeoutError, ConnectionError):
            pass  # whoever called is gone, or is not who should
        except SandboxError as error:
            await _say(writer, Ended("refused", message=str(error)[:1000]))
        finally:
            if guest is not None:
                end = await self._finish(guest)
                await _say(writer, Ended(end.reason, end.number))
            await _hang_up(writer)

    async def close(self) -> None:
        """End every session."""
        self._stopped.set()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> LocalGuest | None:
        nonce = secrets.token_hex(32)
        writer.write(frames.encode(Challenge(nonce, self._level)))
        async with asyncio.timeout(CONNECT_S):
            head, body = await frames.receive(reader)
        opening = frames.decode_to_runner(head)
        if not isinstance(opening, Open) or not hmac.compare_digest(
            opening.proof, _proof(self._secret, "server", nonce)
        ):
            log.warning("somebody who does not know the secret asked for a sandbox")
            raise SandboxError("the secret is another one")
        if self._open >= self._max:
            raise SandboxError(f"there are {self._max} sessions already")
        try:
            spec = _spec.decode(body)
        except msgspec.MsgspecError as error:
            raise FrameError(str(error)) from error
        self._open += 1
        try:
            guest = await self._jail.start(spec)
        except BaseException:
            self._open -= 1
            raise
        writer.write(frames.encode(Accepted(_proof(self._secret, "runner", opening.nonce))))
        return guest

    async def _finish(self, guest: LocalGuest) -> End:
        end = await guest.kill()
        self._open -= 1
        return end

    async def _pass_on(self, guest: LocalGuest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass frames on until one side ends."""
        ways: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(_to_guest(reader, guest)),
            asyncio.ensure_future(_from_guest(guest, writer)),
            asyncio.ensure_future(self._stopped.wait()),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for way in ways:
                if not way.cancelled():
                    way.exception()


async def _to_guest(reader: asyncio.StreamReader, guest: Guest) -> None:
    while True:
        head, body = await frames.receive(reader)
        match frames.decode_to_runner(head):
            case Interrupt():
                await guest.interrupt()
            case Rest(is_resting=is_resting):
                await guest.rest(is_resting)
            case Put() | Execute() | Read() | Preload() as request:
                await guest.send(request, body)
            case Open():
                raise FrameError("it is open already")


async def _from_guest(guest: LocalGuest, writer: asyncio.StreamWriter) -> None:
    while True:
        # Decoded here too: what a guest says must not pass for the runner's own words.
        reply, body = await guest.receive()
        writer.write(frames.encode(reply, body))
        await writer.drain()


async def _say(writer: asyncio.StreamWriter, word: Ended) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        writer.write(frames.encode(word))
        await writer.drain()


async def serve(
    wanted: Wanted,
    address: str,
    secret: str,
    *,
    level: Level | None,
    max_sessions: int,
    on_ready: Callable[[str], None],
) -> None:
    """Run a jail for whoever knows the secret, until SIGTERM or SIGINT; every session ends with it.

    Args:
        on_ready: Called with a sentence once it listens.

    Raises:
        SandboxError: There is no jail here, or the address cannot be used.
    """
    selection = Selection(wanted)
    jail: Any = await selection.backend()
    runner = Runner(jail, secret, level=level, max_sessions=max_sessions)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with await runner.serve(address):
        on_ready(f"A sandbox of level {level or jail.level} answers at {address}")
        await stopped.wait()
        await runner.close()
