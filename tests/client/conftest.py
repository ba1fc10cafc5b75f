"""What the client's tests share: both faces, and a server that does as it is told."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from holdover.client import default

from .faces import Face
from .stub import Stub


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """One face of the client after the other."""
    with asyncio.Runner() as runner:
        yield Face(request.param, runner.get_loop())


@pytest.fixture(autouse=True)
def fresh_default_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no test use the default client that another one configured."""
    monkeypatch.setattr(default, "_default", None)
    yield
    if default._default is not None:
        default._default.close()


@pytest.fixture
def start_stub() -> Iterator[Callable[..., Stub]]:
    """Start servers that answer as the test says."""
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(Stub(*arguments, **options))


@pytest.fixture
def stub(start_stub: Callable[..., Stub]) -> Stub:
    """A server that answers with an assistant."""
    return start_stub()


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of loopback that is taken and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def remote(shared_url: str, face: Face) -> Iterator[Any]:
    """A client of a real service that is shared by all tests."""
    with face.client(base_url=shared_url, timeout_s=30) as client:
        yield client


@pytest.fixture(params=["service", "embedded"])
def client(request: pytest.FixtureRequest, face: Face) -> Iterator[Any]:
    """A client of a real service: one in a process of its own, and one in this process."""
    if request.param == "service":
        yield request.getfixturevalue("remote")
        return
    with face.embedded() as embedded:
        yield embedded


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority of the test's own, and a server's context with a certificate that it signed."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n"
    keys = "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    (folder / "names.cnf").write_text(names + keys)
    may_sign = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 asks for it
    of_authority = ("-subj", "/CN=Test CA", "-days", "2", *may_sign)
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", *of_authority)
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names.cnf")
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signing)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return folder / "ca.pem", context
