"""After a fork: the parent's client and new ones work in the child, and the parent's goes on working.

The forking happens in a program of its own: this process has threads, which Python warns of when it forks.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .stub import Stub

PROGRAM = """
import asyncio, os, sys, warnings
import holdover

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
base_url = sys.argv[1]

def in_child(work):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, work

def ask(client):
    assert client.get_assistant("asst_1").id == "asst_1"

def ask_async(client):
    assert asyncio.run(client.get_assistant("asst_1")).id == "asst_1"

parents = holdover.Client(base_url=base_url, timeout_s=10)
parents_async = holdover.AsyncClient(base_url=base_url, timeout_s=10)
holdover.configure(base_url=base_url, timeout_s=10)

def all_of_them():
    ask(parents)
    ask_async(parents_async)
    ask(holdover)
    with holdover.Client(base_url=base_url, timeout_s=10) as new:
        ask(new)
    ask_async(holdover.AsyncClient(base_url=base_url, timeout_s=10))

def and_in_a_grandchild():
    all_of_them()
    in_child(all_of_them)

def with_closing():
    parents.close()
    asyncio.run(parents_async.close())
    all_of_them()

def with_an_embedded_service():
    with holdover.embedded() as client:
        assert client.create_assistant("gpt-4o").model == "gpt-4o"

# Before any client was used, a child starts what it needs itself.
in_child(all_of_them)
all_of_them()
in_child(and_in_a_grandchild)
in_child(with_closing)
in_child(with_an_embedded_service)
all_of_them()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_clients_work_in_forked_processes_and_in_their_parent(stub: Stub) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, stub.base_url], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
