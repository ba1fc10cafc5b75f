"""What runs inside the jail: it locks itself in, then runs cells.

It is started as ``python -I -S -c <this file>`` with nothing but three pipes, so it imports the standard library only.
Until `_confine` returns it does only what the host told it over its standard input; from then on what it says is
worth no more than what the guest says, who shares its memory. Requests and replies are in ``frames.py``.
"""

from __future__ import annotations

import ast
import builtins
import ctypes
import errno
import hashlib
import importlib
import importlib.machinery
import io
import json
import linecache
import os
import resource
import signal
import site
import stat
import struct
import sys
import threading
import time
import traceback
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

MAX_FRAME_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
FLUSH_BYTES = 8 * 1024
FLUSH_S = 0.05
DATA = "/mnt/data"

#: What tells that a file was altered: its number, its time, its size.
Mark = tuple[int, int, int]


# --------------------------------------------------------------------------------------------- frames


class Pipe:
    """The two ends that lead to the host, moved away from where the guest's own input and output will be."""

    def __init__(self) -> None:
        self._in = os.dup(0)
        self._out = os.dup(1)
        self._lock = threading.RLock()
        self.is_sending = False
        self.was_interrupted = False

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Return the next request's head and body; end the process when the host is gone."""
        size, head_size = struct.unpack(">II", self._read(8))
        payload = self._read(size - 4)
        return json.loads(payload[:head_size]), payload[head_size:]

    def _read(self, count: int) -> bytes:
        parts = []
        while count:
            part = os.read(self._in, min(count, CHUNK_BYTES))
            if not part:
                os._exit(0)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a reply whole: an interrupt that comes meanwhile is raised afterwards."""
        encoded = json.dumps(head).encode()
        rest = memoryview(struct.pack(">II", 4 + len(encoded) + len(body), len(encoded)) + encoded + body)
        with self._lock:
            self.is_sending = threading.current_thread() is threading.main_thread()
            try:
                while rest:
                    rest = rest[os.write(self._out, rest) :]
            finally:
                self.is_sending = False
        if self.was_interrupted and threading.current_thread() is threading.main_thread():
            self.was_interrupted = False
            raise KeyboardInterrupt


# ---------------------------------------------------------------------------------------------- walls

_libc = ctypes.CDLL(None, use_errno=True)

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 2, 4, 8, 4096
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 22, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522


def _confine(setup: dict[str, Any]) -> None:
    """Build the walls, each from where the next needs nothing that it takes away. Any failure ends the process."""
    if setup["mount"]:
        _mount(setup["mount"])
    if setup["uid"] is not None:
        os.setgroups([])
        os.setresgid(setup["uid"], setup["uid"], setup["uid"])
        os.setresuid(setup["uid"], setup["uid"], setup["uid"])
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if setup["parent"] is not None and os.getppid() != setup["parent"]:
        os._exit(0)  # the host died before we asked to die with it
    os.umask(0o077)
    for folder in (setup["data"], setup["tmp"]):
        os.makedirs(folder, exist_ok=True)
    os.chdir(setup["data"])
    _take_over_streams(setup["tmp"])
    _drop_capabilities()
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if setup["landlock"]:
        _landlock(setup["landlock"])
    for name, limit in setup["limits"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))
    _seccomp(bytes.fromhex(setup["seccomp"]))


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, *arguments: int) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _check(_libc.prctl(option, *(ctypes.c_ulong(each) for each in padded)), f"prctl {option}")


def _syscall(number: int, *arguments: Any) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), f"system call {number}")


def _mount(mount: dict[str, Any]) -> None:
    """One tmpfs for everything that can be written: its options bound bytes and, what bwrap's own do not, inodes."""
    target = mount["target"]
    flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _check(_libc.mount(b"tmpfs", target.encode(), b"tmpfs", flags, mount["options"].encode()), "mount")
    for folder in mount["folders"]:
        source = os.path.join(target, folder.strip("/").replace("/", "-"))
        os.mkdir(source, 0o700)
        _check(_libc.mount(source.encode(), folder.encode(), None, ctypes.c_ulong(MS_BIND), None), "bind")


def _take_over_streams(folder: str) -> None:
    """Let what C code prints fall into a file that has no name; input is empty."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    path = os.path.join(folder, "streams")
    streams = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    os.unlink(path)
    os.dup2(streams, 1)
    os.dup2(streams, 2)
    os.close(streams)


def _drop_capabilities() -> None:
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break  # there are no more, or we may not: without privileges none can be gained anyway
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())), "capset")


def _landlock(wanted: dict[str, Any]) -> None:
    """Allow the paths that the host names, and nothing else. The numbers are those of every architecture."""
    attributes = struct.pack("=QQQ", wanted["fs"], wanted["net"], wanted["scoped"])[: wanted["size"]]
    ruleset = _syscall(444, attributes, ctypes.c_size_t(len(attributes)), 0)
    for path, access in wanted["rules"]:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not there: nothing to allow
        _syscall(445, ruleset, 1, struct.pack("=Qi", access, opened), 0)
        os.close(opened)
    _syscall(446, ruleset, 0)
    os.close(ruleset)


def _seccomp(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    compiled = Program(len(program) // 8, program)
    _check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(compiled), 0, 0), "seccomp")


# --------------------------------------------------------------------------------------------- output


class Output:
    """Everything printed, in the order in which it was, cut at a limit while it is produced."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.RLock()
        self.begin(0, 0)

    def begin(self, request: int, limit_bytes: int) -> None:
        self.request = request
        self._left = limit_bytes
        self._stream = ""
        self._parts: list[bytes] = []
        self._size = 0
        self._flushed = time.monotonic()
        self.is_truncated = False

    def write(self, stream: str, data: bytes | memoryview) -> None:
        with self._lock:
            if len(data) > self._left:
                self.is_truncated = True
                data = data[: self._left]
            if not data:
                return
            self._left -= len(data)
            if stream != self._stream:
                self.flush()
                self._stream = stream
            self._parts.append(bytes(data))
            self._size += len(data)
            if self._size >= FLUSH_BYTES or time.monotonic() - self._flushed > FLUSH_S:
                self.flush()

    def flush(self) -> None:
        with self._lock:
            data, self._parts, self._size = b"".join(self._parts), [], 0
            self._flushed = time.monotonic()
            for start in range(0, len(data), FLUSH_BYTES * 8):
                part = data[start : start + FLUSH_BYTES * 8]
                self._pipe.send({"type": "logs", "id": self.request, "stream": self._stream}, part)

    def take_streams(self) -> None:
        """Add what C code printed since the last time."""
        _libc.fflush(None)
        size = os.fstat(1).st_size
        if size:
            self.write("stdout", os.pread(1, min(size, self._left + 1), 0))
            os.ftruncate(1, 0)


class Stream(io.RawIOBase):
    """``sys.stdout`` or ``sys.stderr``, beneath its text layer."""

    def __init__(self, output: Output, name: str, descriptor: int) -> None:
        self._output = output
        self._stream = name
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._output.write(self._stream, view)
        return len(view)


def _text_stream(output: Output, name: str, descriptor: int) -> io.TextIOWrapper:
    stream: Any = Stream(output, name, descriptor)
    return io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True)


# -------------------------------------------------------------------------------------------- figures


class Figures:
    """Sends figures: those shown at once, those left open when a cell ends. It is Matplotlib's backend."""

    name = "holdover_figures"

    def __init__(self, pipe: Pipe, output: Output) -> None:
        self._pipe = pipe
        self._output = output
        self._left = 0
        self._limit_bytes = 0
        self._saved: weakref.WeakSet[Any] = weakref.WeakSet()
        sys.meta_path.append(self)

    def begin(self, max_images: int, limit_bytes: int) -> None:
        self._left = max_images
        self._limit_bytes = limit_bytes
        self._saved.clear()

    # The three methods by which an import finds, makes and fills the backend's module.

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        loader: Any = self
        return importlib.machinery.ModuleSpec(name, loader) if name == self.name else None

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        backend_agg: Any = importlib.import_module("matplotlib.backends.backend_agg")
        figures: Any = importlib.import_module("matplotlib.figure")
        save = figures.Figure.savefig

        def savefig(figure: Any, *arguments: Any, **options: Any) -> Any:
            self._saved.add(figure)
            return save(figure, *arguments, **options)

        figures.Figure.savefig = savefig
        module.FigureCanvas = backend_agg.FigureCanvasAgg
        module.FigureManager = backend_agg.FigureManagerBase
        module.show = lambda *arguments, **options: self.send(shown=True)

    def send(self, shown: bool = False) -> None:
        """Send the open figures and close them; of those that were not shown, what was saved is sent as a file only."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None or not hasattr(pyplot, "get_fignums"):
            return
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            if shown or figure not in self._saved:
                self._send(figure)
            pyplot.close(figure)

    def _send(self, figure: Any) -> None:
        if self._left <= 0:
            self._output.is_truncated = True
            return
        saved = io.BytesIO()
        figure.savefig(saved, format="png", bbox_inches="tight")
        data = saved.getvalue()
        if len(data) > self._limit_bytes:
            self._output.is_truncated = True
            return
        self._left -= 1
        self._output.flush()
        self._pipe.send({"type": "image", "id": self._output.request, "format": "png"}, data)


# ---------------------------------------------------------------------------------------------- files


class Folder:
    """The files under ``/mnt/data``: what is new, and what is in them."""

    def __init__(self, root: str, max_files: int, file_bytes: int) -> None:
        self.root = root
        self._max_files = max_files
        self._file_bytes = file_bytes
        self._known: dict[str, Mark] = {}

    def changed(self) -> list[str]:
        """Return the names of regular files that were made or altered since the last call."""
        before, self._known = self._known, dict(self._walk())
        return [name for name, mark in self._known.items() if before.get(name) != mark]

    def _walk(self) -> Iterator[tuple[str, Mark]]:
        """Yield the files in the order of their names, folder by folder; as many as there may be, however deep."""
        left = self._max_files
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                entries = sorted(os.scandir(os.path.join(self.root, prefix)), key=lambda entry: entry.name)
            except OSError:
                continue
            inner = []
            for entry in entries[:left]:
                try:
                    seen = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(seen.st_mode):
                    inner.append(f"{prefix}{entry.name}/")
                elif stat.S_ISREG(seen.st_mode):
                    yield f"{prefix}{entry.name}", (seen.st_ino, seen.st_mtime_ns, seen.st_size)
            left -= len(entries[:left])
            folders += reversed(inner)

    def open(self, name: str) -> int:
        """Open a regular file that is no link, or raise OSError."""
        opened = os.open(os.path.join(self.root, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        seen = os.fstat(opened)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > self._file_bytes:
            os.close(opened)
            raise OSError(errno.EINVAL, "not a regular file, or too large")
        return opened

    def digest(self, name: str) -> tuple[int, str]:
        """Return a file's size and SHA-256."""
        opened = self.open(name)
        size, found = 0, hashlib.sha256()
        try:
            while part := os.read(opened, CHUNK_BYTES):
                size += len(part)
                found.update(part)
        finally:
            os.close(opened)
        return size, found.hexdigest()

    def put(self, name: str, body: bytes, first: bool, last: bool) -> None:
        path = os.path.join(self.root, name)
        if first:
            with_nothing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            os.close(with_nothing)
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        try:
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(opened, rest) :]
        except OSError:
            os.ftruncate(opened, 0)
            os.unlink(path)
            raise
        finally:
            os.close(opened)
        if last:
            self._known.update(each for each in self._walk() if each[0] == name)


def _translate(root: str) -> None:
    """Let ``/mnt/data`` name the folder where there is no mount to do so. A convenience of Python code, no wall."""

    def translated(path: Any) -> Any:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return path
        text = os.fsdecode(path)
        if text != DATA and not text.startswith(f"{DATA}/"):
            return path
        text = root + text[len(DATA) :]
        return os.fsencode(text) if isinstance(path, bytes) else text

    def wrapped(function: Any, paths: int) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            return function(*map(translated, arguments[:paths]), *arguments[paths:], **options)

        return call

    one = "open stat lstat listdir scandir mkdir rmdir remove unlink access chdir chmod utime truncate statvfs"
    for names, paths in ((one, 1), ("rename replace", 2)):
        for name in names.split():
            setattr(os, name, wrapped(getattr(os, name), paths))
    io.open = wrapped(io.open, 1)
    builtins.open = io.open
    getcwd = os.getcwd

    def told() -> str:
        folder = getcwd()
        return DATA + folder[len(root) :] if folder.startswith(root) else folder

    os.getcwd = told


# ---------------------------------------------------------------------------------------------- cells


class Cells:
    """The guest's ``__main__``, and how a cell is run in it."""

    def __init__(self, pipe: Pipe, output: Output, figures: Figures, root: str) -> None:
        self._pipe = pipe
        self._output = output
        self._figures = figures
        self._root = root
        self._count = 0
        self._is_running = False
        main = types.ModuleType("__main__")
        main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = main
        self._globals = main.__dict__

    def listen(self) -> None:
        """Take SIGINT, also back from a cell that took it for itself."""
        signal.signal(signal.SIGINT, self._on_interrupt)

    def _on_interrupt(self, number: int, frame: Any) -> None:
        if not self._is_running:
            return
        if self._pipe.is_sending:
            self._pipe.was_interrupted = True
            return
        raise KeyboardInterrupt

    def run(self, source: str) -> str:
        """Run a cell; return how it ended."""
        self._is_running = True
        try:
            self._run(source)
            self._output.take_streams()
            self._figures.send()
            status = "ok"
        except KeyboardInterrupt:
            status = "interrupted"
        except SystemExit as exit:
            status = "ok" if exit.code in (None, 0) else "error"
        except BaseException as error:
            status = self._tell(error)
        finally:
            self._is_running = False
            self.listen()
            self._output.take_streams()
            self._output.flush()
        return status

    def _run(self, source: str) -> None:
        self._count += 1
        name = f"<cell {self._count}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree = ast.parse(source, name)
        echoed = None
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
            echoed = ast.Expression(last.value)
            del tree.body[-1]
        exec(compile(tree, name, "exec"), self._globals)
        if echoed is None:
            return
        value = eval(compile(echoed, name, "eval"), self._globals)
        if value is not None:
            self._globals["_"] = value
            self._output.write("result", f"{value!r}\n".encode("utf-8", "backslashreplace"))

    def _tell(self, error: BaseException) -> str:
        """Print a traceback that begins in the cell."""
        trace = error.__traceback__
        while trace is not None and not trace.tb_frame.f_code.co_filename.startswith("<cell "):
            trace = trace.tb_next
        try:
            lines = traceback.format_exception(type(error), error, trace)
        except BaseException:
            lines = [f"{type(error).__name__}\n"]
        told = "".join(lines).replace(self._root, DATA)
        self._output.write("stderr", told.encode("utf-8", "backslashreplace"))
        return "error"


# ----------------------------------------------------------------------------------------------- main


class Worker:
    """Answers requests, one after the other."""

    def __init__(self, pipe: Pipe, setup: dict[str, Any]) -> None:
        self._pipe = pipe
        self._setup = setup
        self._output = Output(pipe)
        self._figures = Figures(pipe, self._output)
        self._folder = Folder(setup["data"], setup["max_files"], setup["file_bytes"])
        self._streams: list[tuple[io.TextIOWrapper, io.TextIOWrapper, io.TextIOWrapper]] = []
        self._cells = Cells(pipe, self._output, self._figures, setup["data"])

    def _reset_streams(self) -> None:
        """Give a cell streams that the one before neither closed nor replaced; ``exit()`` closes its input.

        Streams are kept for ever: Python crashes where one goes while a thread prints to it.
        """
        if not self._streams or any(stream.closed for stream in self._streams[-1]):
            out, err = _text_stream(self._output, "stdout", 1), _text_stream(self._output, "stderr", 2)
            self._streams.append((io.TextIOWrapper(io.BytesIO()), out, err))
        sys.stdin, sys.stdout, sys.stderr = self._streams[-1]

    def serve(self) -> None:
        self._cells.listen()
        self._pipe.send({"type": "ready", "id": 0})
        while True:
            head, body = self._pipe.receive()
            getattr(self, f"_{head['type']}")(head, body)

    def _execute(self, head: dict[str, Any], body: bytes) -> None:
        self._output.begin(head["id"], self._setup["output_bytes"])
        self._figures.begin(self._setup["max_images"], self._setup["image_bytes"])
        self._reset_streams()
        try:
            status = self._cells.run(body.decode("utf-8", "replace"))
        except KeyboardInterrupt:  # it came while the end was being told
            status = "interrupted"
        names = self._folder.changed()
        most = self._setup["max_reported_files"]
        for name in names[:most]:
            try:
                size, sha256 = self._folder.digest(name)
                os.fsencode(name).decode()
            except (OSError, UnicodeDecodeError):
                self._output.is_truncated = True  # gone, a link by now, too large, or a name that is no text
                continue
            self._pipe.send({"type": "found", "id": head["id"], "name": name, "size": size, "sha256": sha256})
        is_truncated = self._output.is_truncated or len(names) > most
        self._pipe.send({"type": "finished", "id": head["id"], "status": status, "is_truncated": is_truncated})

    def _preload(self, head: dict[str, Any], body: bytes) -> None:
        self._output.begin(head["id"], 0)
        for name in head["modules"]:
            try:
                __import__(name)
            except ImportError:
                continue  # the cell that wants it is told
        self._pipe.send({"type": "finished", "id": head["id"], "status": "ok"})

    def _put(self, head: dict[str, Any], body: bytes) -> None:
        self._answer(head, lambda: self._folder.put(head["name"], body, head["first"], head["last"]))

    def _answer(self, head: dict[str, Any], act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self._pipe.send({"type": "failed", "id": head["id"], "message": str(error.strerror)})
        else:
            self._pipe.send({"type": "finished", "id": head["id"], "status": "ok"})

    def _read(self, head: dict[str, Any], body: bytes) -> None:
        self._answer(head, lambda: self._send_file(head))

    def _send_file(self, head: dict[str, Any]) -> None:
        opened = self._folder.open(head["name"])
        try:
            while part := os.read(opened, CHUNK_BYTES):
                self._pipe.send({"type": "chunk", "id": head["id"]}, part)
        finally:
            os.close(opened)


def _main() -> None:
    pipe = Pipe()
    setup, _ = pipe.receive()
    os.environ.clear()
    os.environ.update(setup["environment"])
    _confine(setup)
    sys.path += setup["sys_path"]
    if setup["fonts"]:
        _copy_fonts(setup["fonts"], os.environ["MPLCONFIGDIR"])
    if setup["data"] != DATA:
        _translate(setup["data"])
    for add in (site.setquit, site.setcopyright, site.sethelper):
        add()
    Worker(pipe, setup).serve()


def _copy_fonts(source: str, target: str) -> None:
    """Matplotlib wants its list of fonts in a folder that it can write; making the list takes seconds."""
    os.makedirs(target, exist_ok=True)
    try:
        for name in os.listdir(source):
            with open(os.path.join(source, name), "rb") as read, open(os.path.join(target, name), "wb") as written:
                written.write(read.read())
    except OSError:
        pass


_main()
