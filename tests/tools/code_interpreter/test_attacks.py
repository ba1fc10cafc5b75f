"""What code in the sandbox tries, and what comes of it: nothing, and nobody else notices.

Every attack is made against each jail that passes its self-test here. Each is small enough for the machine to survive
it where a wall is missing.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.tools.code_interpreter.arena import Arena

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a secret, where the server's user can read and write it."""
    path = tmp_path_factory.mktemp("home") / ".ssh" / "id_ed25519"
    path.parent.mkdir()
    path.write_text("the secret key")
    return path


# ----------------------------------------------------------------------------------- files and secrets


@pytest.mark.parametrize(
    "body",
    [
        "return open('/etc/passwd').read()",
        "return open('/etc/shadow').read()",
        "return open('/etc/hostname').read()",
        "return open(PLANTED).read()",
        "return open(os.open(PLANTED, os.O_RDONLY)).read()",
        "return open(f'/proc/self/root{PLANTED}').read()",
        "return open('/mnt/data/../../..' + PLANTED).read()",
        "os.chdir(os.path.dirname(PLANTED)); return open('id_ed25519').read()",
        "return os.listdir(os.path.dirname(PLANTED))",
        "return open(SOURCE).read()",
        "return os.listdir(os.path.dirname(SOURCE))",
        "return os.listdir(SERVER_PACKAGES)",
        "return os.listdir('/root') + os.listdir('/home')",
        "return open('/dev/vda', 'rb').read(1) or open('/dev/kmsg').read(1)",
        "return open('/proc/kcore', 'rb').read(1)",
        "return open('/sys/kernel/debug').read()",
        "import ctypes.util; return libc.open_by_handle_at(-100, b'x' * 64, 0) >= 0",
        "os.rename(PLANTED, '/mnt/data/mine'); return open('/mnt/data/mine').read()",
        "os.link(PLANTED, '/mnt/data/mine'); return open('/mnt/data/mine').read()",
        "os.symlink(PLANTED, '/mnt/data/mine'); return open('/mnt/data/mine').read()",
    ],
)
async def test_what_is_outside_cannot_be_read(arena: Arena, planted: Path, body: str) -> None:
    import holdover.service

    await arena.attempt(
        body,
        PLANTED=str(planted),
        SOURCE=holdover.service.__file__,
        SERVER_PACKAGES=str(Path(msgspec.__file__).parent),
    )
    assert planted.read_text() == "the secret key"


@pytest.mark.parametrize(
    "body",
    [
        "open(PLANTED, 'w').write('mine'); return True",
        "open(PLANTED, 'a').write('mine'); return True",
        "os.truncate(PLANTED, 0); return True",
        "return libc.truncate(PLANTED.encode(), 0) == 0",
        "os.unlink(PLANTED); return True",
        "os.rename(PLANTED, PLANTED + '.mine'); return True",
        "os.mkdir(os.path.dirname(PLANTED) + '/mine'); return True",
        "os.setxattr(PLANTED, 'user.mine', b'mine'); return True",
        "os.chown(PLANTED, 1000, 1000); return True",
        "return libc.chown(PLANTED.encode(), 1000, 1000) == 0",
        "os.chmod(PLANTED, 0o777)",
        "os.utime(PLANTED, (0, 0))",
        "libc.chmod(PLANTED.encode(), 0o777)",
        "d = os.open(os.path.dirname(PLANTED), os.O_PATH); os.chmod('id_ed25519', 0o777, dir_fd=d)",
    ],
)
async def test_what_is_outside_cannot_be_altered(arena: Arena, planted: Path, body: str) -> None:
    before = planted.stat()

    await arena.attempt(body, PLANTED=str(planted))

    after = planted.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns)
    assert planted.read_text() == "the secret key"
    assert sorted(each.name for each in planted.parent.iterdir()) == ["id_ed25519"]


async def test_the_environment_has_nothing_of_the_server(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-server-knows-this")
    outcome = await arena.attack(
        """
        import glob
        print(dict(os.environ))
        for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline') + [f'/proc/{SERVER}/environ']:
            try:
                print(path, open(path, 'rb').read())
            except OSError:
                pass
        """.replace("SERVER", str(os.getpid()))
    )
    names = set(eval(outcome.text.splitlines()[0]))
    assert {each for each in names if not each.endswith("_NUM_THREADS")} == {
        "HOME",
        "JOBLIB_MULTIPROCESSING",
        "LANG",
        "MPLBACKEND",
        "MPLCONFIGDIR",
        "TMPDIR",
        "TZ",
    }
    assert outcome.text.count("\n") == 1, "no other process has an environment or a command to be read"


async def test_no_descriptor_is_inherited(arena: Arena, planted: Path) -> None:
    secret = os.open(planted, os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        session = await arena.open()
        outcome = ""
        async for event in session.execute(
            "import os, stat\n"
            "for each in range(512):\n"
            "    try: seen = os.fstat(each)\n"
            "    except OSError: continue\n"
            "    print(each, stat.S_IFMT(seen.st_mode) == stat.S_IFIFO, seen.st_nlink)\n"
        ):
            outcome += getattr(event, "text", "")
        await session.close()
    finally:
        os.close(secret)
    rows = [line.split() for line in outcome.splitlines()]
    others = [row for row in rows if int(row[0]) > 2]
    assert len(others) == 2, "two pipes lead to the host, and nothing else does"
    assert all(row[1] == "True" for row in others)


# --------------------------------------------------------------------------------------------- network


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[int, list[object]]]:
    """A door on loopback that counts who comes in."""
    came: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def wait() -> None:
            while True:
                try:
                    came.append(door.accept())
                except OSError:
                    return

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        yield door.getsockname()[1], came
        door.shutdown(socket.SHUT_RDWR)
    waiting.join()


@pytest.mark.parametrize(
    "body",
    [
        "import socket; return socket.create_connection(('127.0.0.1', PORT), 2)",
        "import socket; return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "import socket; return socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "import socket; return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
        "import socket; return socket.socketpair()",
        "import socket; return socket.getaddrinfo('localhost', 80, proto=6)",
        "import urllib.request; return urllib.request.urlopen(f'http://127.0.0.1:{PORT}', timeout=2)",
        *(f"return libc.socket({family}, {kind}, 0) >= 0" for family, kind in ((16, 3), (17, 3), (40, 1), (38, 5))),
        "return libc.syscall(41, 2, 1, 0) >= 0 or libc.syscall(198, 2, 1, 0) >= 0",
    ],
)
async def test_there_is_no_network(arena: Arena, listener: tuple[int, list[object]], body: str) -> None:
    port, came = listener
    assert "GOT" not in await arena.attempt(body, PORT=port)
    assert not came


# ------------------------------------------------------------------------------- processes and threads


@pytest.mark.parametrize(
    "body",
    [
        "return os.fork() or os._exit(0)",
        "return os.forkpty()",
        "import subprocess; return subprocess.run(['/bin/sh', '-c', 'echo hello'], capture_output=True).stdout",
        "return os.posix_spawn('/usr/bin/env', ['env'], {})",
        "return os.system('true') == 0",
        "return os.execv(sys.executable, ['python', '-c', 'print(1)'])",
        "import multiprocessing; p = multiprocessing.Process(target=print); p.start(); return True",
        "return libc.vfork() >= 0",
        "return libc.syscall(57) >= 0",
        "return libc.syscall(56, 17, 0, 0, 0, 0) >= 0",
        "return libc.syscall(435, b'\\0' * 64, 64) >= 0",
        "return libc.memfd_create(b'x', 0) >= 0",
    ],
)
async def test_no_process_can_be_started(arena: Arena, body: str) -> None:
    await arena.attempt(body)


async def test_a_fork_bomb_does_not_go_off(arena: Arena) -> None:
    outcome = await arena.attack(
        """
        made = 0
        for _ in range(5000):
            try:
                if os.fork() == 0:
                    time.sleep(1)
                    os._exit(0)
                made += 1
            except OSError:
                pass
        print(made)
        """
    )
    assert outcome.text == "0\n"


async def test_threads_are_bounded(arena: Arena) -> None:
    outcome = await arena.attack(
        """
        made, stop = [], threading.Event()
        try:
            for _ in range(5000):
                thread = threading.Thread(target=stop.wait)
                thread.start()
                made.append(thread)
        except (RuntimeError, MemoryError) as error:
            pass
        stop.set()
        for thread in made: thread.join()
        print(len(made))
        """
    )
    assert outcome.status != "ok" or 0 < int(outcome.text.splitlines()[-1]) < 400


# ---------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "body",
    [
        "return len(bytearray(10 << 30))",
        "kept = []\nwhile True: kept.append(bytearray(50 << 20))",
        "return len('x' * (10 << 30))",
        "return [0] * (1 << 34)",
        "import mmap; return len([mmap.mmap(-1, 1 << 30) for _ in range(8)])",
        "return libc.mlockall(3) == 0",
        "import fcntl; return fcntl.fcntl(os.pipe()[0], 1031, 1 << 20)",
    ],
)
async def test_memory_is_bounded(arena: Arena, body: str) -> None:
    assert await arena.attempt(body) in ("MemoryError", "OSError", "PermissionError", "nothing", "oom", "crashed")


# ------------------------------------------------------------------------------------------- the kernel

#: Number on x86-64, number elsewhere, arguments. All are refused; most would need powers that nobody has here.
SYSTEM_CALLS = {
    "unshare": (272, 97, 0x10000000),
    "setns": (308, 268, 0),
    "mount": (165, 40, 0),
    "umount2": (166, 39, 0),
    "pivot_root": (155, 41, 0),
    "chroot": (161, 51, 0),
    "open_tree": (428, 428, 0),
    "fsopen": (430, 430, 0),
    "ptrace": (101, 117, 0),
    "process_vm_readv": (310, 270, 1),
    "process_vm_writev": (311, 271, 1),
    "process_madvise": (440, 440, 0),
    "kcmp": (312, 272, 1),
    "pidfd_open": (434, 434, 1),
    "pidfd_getfd": (438, 438, 0),
    "pidfd_send_signal": (424, 424, 0),
    "keyctl": (250, 219, 0),
    "add_key": (248, 217, 0),
    "bpf": (321, 280, 0),
    "io_uring_setup": (425, 425, 1),
    "perf_event_open": (298, 241, 0),
    "userfaultfd": (323, 282, 0),
    "open_by_handle_at": (304, 265, 0),
    "name_to_handle_at": (303, 264, 0),
    "kexec_load": (246, 104, 0),
    "init_module": (175, 105, 0),
    "finit_module": (313, 273, 0),
    "personality": (135, 92, 0x0040000),
    "seccomp": (317, 277, 1),
    "swapon": (167, 224, 0),
    "reboot": (169, 142, 0),
    "syslog": (103, 116, 3),
    "acct": (163, 89, 0),
    "setuid": (105, 146, 0),
    "setgroups": (116, 159, 0),
    "capset": (126, 91, 0),
    "sethostname": (170, 161, 0),
    "clock_settime": (227, 112, 0),
    "shmget": (29, 194, 0),
    "msgget": (68, 186, 0),
    "semget": (64, 190, 0),
    "mq_open": (240, 180, 0),
    "memfd_create": (319, 279, 0),
    "memfd_secret": (447, 447, 0),
    "inotify_init1": (294, 26, 0),
    "fanotify_init": (300, 262, 0),
    "splice": (275, 76, 0),
    "vmsplice": (278, 75, 0),
    "mknodat": (259, 33, 0),
    "symlinkat": (266, 36, 0),
    "linkat": (265, 37, 0),
    "execve": (59, 221, 0),
    "execveat": (322, 281, 0),
    "rt_sigqueueinfo": (129, 138, 1),
    "tkill": (200, 130, 1),
    "setpriority": (141, 140, 0),
    "sched_setscheduler": (144, 119, 0),
    "modify_ldt": (154, None, 0),
    "a call of the future": (9999, 9999, 0),
}


async def test_the_kernel_is_asked_in_vain(arena: Arena) -> None:
    numbers = {
        name: (x86 if os.uname().machine == "x86_64" else arm, a) for name, (x86, arm, a) in SYSTEM_CALLS.items()
    }
    outcome = await arena.attack(
        f"""
        for name, (number, argument) in {numbers!r}.items():
            if number is None: continue
            ctypes.set_errno(0)
            result = libc.syscall(number, argument, 0, 0, 0, 0, 0)
            if result != -1 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
                print(name, result, errno.errorcode.get(ctypes.get_errno()))
        print("all asked")
        """
    )
    assert outcome.text == "all asked\n"


async def test_terminals_cannot_be_typed_into(arena: Arena) -> None:
    await arena.attempt("import fcntl, termios; return fcntl.ioctl(0, termios.TIOCSTI, b'x') == 0")


@pytest.mark.parametrize(
    "body",
    [
        "return libc.prctl(1, 0) == 0",  # not to die with the server
        "return libc.prctl(4, 0) == 0",  # not to be looked at
        "return libc.prctl(22, 1) == 0",
        "return libc.prctl(8, 1) == 0",
    ],
)
async def test_a_process_cannot_change_what_it_is(arena: Arena, body: str) -> None:
    await arena.attempt(body)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="these doors are those of x86-64")
@pytest.mark.parametrize(
    "machine_code",
    [
        b"\xb8\x14\x00\x00\x00\xcd\x80\xc3",  # int 0x80: getpid by the table of 32 bits
        b"\xb8\x27\x00\x00\x40\x0f\x05\xc3",  # x32: getpid with bit 30
    ],
)
async def test_the_tables_of_other_architectures_are_closed(arena: Arena, machine_code: bytes) -> None:
    outcome = await arena.attack(
        f"""
        import mmap
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write({machine_code!r})
        print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
        """
    )
    assert outcome.status == "crashed"
    assert outcome.text == ""


# --------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize(
    "body",
    [
        "os.kill(SERVER, 0); return True",
        "os.kill(SERVER, signal.SIGUSR1); return True",
        "os.kill(BYSTANDER, signal.SIGKILL); return True",
        "os.kill(os.getppid() or SERVER, signal.SIGKILL); return True",
        "os.kill(-1, signal.SIGKILL); return True",
        "os.kill(0, signal.SIGKILL); return True",
        "os.killpg(SERVER, signal.SIGKILL); return True",
        "signal.pidfd_send_signal(os.pidfd_open(SERVER), signal.SIGKILL); return True",
        "return libc.syscall(234, SERVER, SERVER, 0) == 0 or libc.syscall(131, SERVER, SERVER, 0) == 0",
        "import resource; resource.prlimit(SERVER, resource.RLIMIT_NOFILE, (1, 1)); return True",
        "import fcntl; fcntl.fcntl(pipes()[-1], fcntl.F_SETOWN, SERVER); return True",
    ],
)
async def test_other_processes_are_not_reached(arena: Arena, body: str) -> None:
    attacker = await arena.attacker()
    await arena.attempt(body, SERVER=os.getpid(), BYSTANDER=attacker._guest.worker_id - 1)


async def test_a_process_may_signal_itself(arena: Arena) -> None:
    """``raise_signal`` and ``pthread_kill`` are how C libraries and Python's own tests end or wake themselves."""
    outcome = await arena.attack("signal.signal(signal.SIGUSR1, lambda *_: print('heard')); os.kill(os.getpid(), 10)")
    assert outcome.text.endswith("heard\n") or outcome.text.startswith("heard\n")


# ----------------------------------------------------------------------------------- across executions


@pytest.mark.parametrize(
    "body",
    [
        "open(os.__file__, 'a').write('x'); return True",
        "open(os.path.join(os.path.dirname(os.__file__), 'mine.py'), 'w'); return True",
        "open(sys.executable, 'ab').write(b'x'); return True",
        "os.unlink(os.__file__); return True",
        "os.rename(os.__file__, os.__file__ + '.old'); return True",
        "os.mkdir('/usr/lib/mine'); return True",
        "return open('/mine', 'w')",
        "return open('/run/mine', 'w')",
        "return open('/dev/shm/mine', 'w')",
        "return open('/var/tmp/mine', 'w')",
        "return open('/dev/mine', 'w')",
    ],
)
async def test_nothing_is_written_that_others_read(arena: Arena, body: str) -> None:
    await arena.attempt(body)


async def test_the_library_keeps_its_modes(arena: Arena) -> None:
    before = os.stat(os.__file__)
    await arena.attempt("os.chmod(os.__file__, 0); d = os.open(os.__file__, os.O_RDONLY); os.fchmod(d, 0)")
    assert os.stat(os.__file__).st_mode == before.st_mode


async def test_the_files_of_another_session_are_not_reached(arena: Arena) -> None:
    other = await arena.open()
    async for _ in other.execute("open('/mnt/data/secret.txt', 'w').write('of another thread')"):
        pass
    folder = f"/proc/{other._guest.worker_id}/root/mnt/data"
    try:
        outside = os.readlink(f"/proc/{other._guest.worker_id}/cwd")
        for path in {folder, outside} - {"/mnt/data"}:
            await arena.attempt("return os.listdir(PATH)", PATH=path)
            await arena.attempt("return open(PATH + '/secret.txt').read()", PATH=path)
            await arena.attempt("open(PATH + '/mine.txt', 'w'); return True", PATH=path)
            await arena.attempt("os.unlink(PATH + '/secret.txt'); return True", PATH=path)
        await arena.attempt("return 'secret.txt' in os.listdir('/mnt/data')")
        outcome = [event async for event in other.execute("open('/mnt/data/secret.txt').read()")]
        assert outcome[0].text == "'of another thread'\n"
    finally:
        await other.close()


async def test_variables_are_those_of_one_session(arena: Arena) -> None:
    await arena.attack("mine = 42")
    assert (await arena.attack("mine + 1")).text == "43\n"
    other = await arena.open()
    events = [event async for event in other.execute("mine")]
    await other.close()
    assert "NameError" in "".join(getattr(each, "text", "") for each in events)
