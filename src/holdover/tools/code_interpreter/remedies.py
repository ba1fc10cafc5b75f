"""What to do where a sandbox cannot be used, in words for people: the probe table and refusals show them."""

from __future__ import annotations

from .protocol import Level

_APPARMOR = """\
abi <abi/4.0>,
include <tunables/global>
profile holdover-bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
}"""

NAMESPACES = f"""\
Install bubblewrap (apt install bubblewrap, or pip install "holdover[sandbox]") and let it make user namespaces.
Ubuntu 23.10 and later: write this into /etc/apparmor.d/holdover-bwrap, then run
sudo apparmor_parser -r /etc/apparmor.d/holdover-bwrap:
{_APPARMOR}
Debian and others: sudo sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000.
In a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined
--security-opt systempaths=unconfined, or use the Landlock jail, which needs none of that."""

LANDLOCK = """\
Use Linux 5.13 or later with Landlock among its security modules: `cat /sys/kernel/security/lsm` names it;
else add it to lsm= on the kernel's command line. In a container, use a runtime whose seccomp profile
lets Landlock's system calls through (Docker 20.10.10, Podman 4 or later)."""

REMOTE = """\
Start a runner with `holdover sandbox serve` where a jail can be had, and give its address and secret with
HOLDOVER_SANDBOX_REMOTE and HOLDOVER_SANDBOX_SECRET."""

REMEDIES: dict[Level, str] = {
    "namespaces": NAMESPACES,
    "landlock": LANDLOCK,
    "wasm": "Install a package that offers this sandbox (docs/how-to/isolate-code.md), or choose another.",
    "gvisor": REMOTE,
    "vm": REMOTE,
}

NO_GROUPS = (
    "No control groups are delegated to the service: memory is bounded for each process, not for its files too. "
    "Start it with systemd and Delegate=yes."
)
NAMES_SEEN = "Names, sizes and times of files outside can be looked at, their content cannot."
SAME_USER = (
    "The guest has the service's user, root, without its powers: Python is in a folder that other users cannot read. "
    "Use a Python and a data folder that all can read, or start the service as another user."
)
