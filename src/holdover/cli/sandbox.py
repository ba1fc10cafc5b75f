"""``holdover sandbox``: what code runs in: its packages, and a runner for a service elsewhere."""

from __future__ import annotations

import os

import click

from holdover.settings import SANDBOX_LEVELS, resolve_service

from .groups import Group
from .output import write_hint
from .serve import prepare_sandbox, serve_sandbox

takes_settings = click.option("--config", metavar="FILE", help="The file of settings that is given to serve.")
takes_data_dir = click.option("--data-dir", metavar="DATA_DIR", help="Folder for everything the service keeps.")


@click.group(cls=Group)
def sandbox() -> None:
    """Prepare what code runs in.

    \b
    holdover sandbox setup
    holdover doctor
    """


@sandbox.command("setup")
@takes_settings
@takes_data_dir
@click.option("--folder", metavar="FOLDER", help="Where to install, in place of the data folder.")
def setup(config: str | None, data_dir: str | None, folder: str | None) -> None:
    """Install the packages that code in the sandbox can import.

    \b
    holdover sandbox setup
    holdover sandbox setup --folder .venv/sandbox

    They are those of a lock file, 600 MB, apart from every other. Without this they are installed when code is
    first run. A service finds them in its data folder, or in the folder sandbox of its own virtual environment.
    """
    chosen = folder or os.path.join(resolve_service({"data_dir": data_dir}, config=config)["data_dir"].value, "sandbox")
    write_hint(f"Installing into {chosen} where it is missing …")
    click.echo(prepare_sandbox(os.path.abspath(chosen)))


@sandbox.command("serve")
@takes_settings
@takes_data_dir
@click.option(
    "--listen", "address", metavar="ADDRESS", required=True, help="A socket's path, unix:/path, or host:port."
)
@click.option("--level", type=click.Choice(SANDBOX_LEVELS), help="What it says of itself; the jail's own if left out.")
def serve(config: str | None, data_dir: str | None, address: str, level: str | None) -> None:
    """Run code for a service elsewhere.

    \b
    holdover sandbox serve --listen unix:/run/holdover/sandbox.sock
    holdover sandbox serve --listen 10.0.0.7:8027 --level vm

    The service finds it by HOLDOVER_SANDBOX_REMOTE; both are given the same HOLDOVER_SANDBOX_SECRET.
    What they say to each other is not encrypted.
    """
    serve_sandbox(resolve_service({"data_dir": data_dir}, config=config), address, level, write_hint)
