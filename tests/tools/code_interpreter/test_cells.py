"""What a notebook's user expects of a cell."""

from __future__ import annotations

import os

import pytest
from tests.tools.code_interpreter.arena import Arena, chunks, run

on_a_jail = pytest.mark.asyncio(loop_scope="module")


@on_a_jail
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 + 1", "2\n"),
        ("1 + 1;", ""),
        ("", ""),
        ("# nothing", ""),
        ("None", ""),
        ("x = 5\nx", "5\n"),
        ("print('a'); 'b'", "a\n'b'\n"),
        ("print('größe 漢字 😀')", "größe 漢字 😀\n"),
        ("print('\\ud800')", "\\ud800\n"),
        ("import sys; print('out'); print('err', file=sys.stderr); print('out')", "out\nerr\nout\n"),
        ("_ = 1\n41 + _", "42\n"),
        ("for n in range(3): n", ""),
        ("input", "<built-in function input>\n"),
        ("__name__", "'__main__'\n"),
        ("from dataclasses import dataclass\n@dataclass\nclass P: x: int\nP(1)", "P(x=1)\n"),
        ("import pickle\nclass Q: pass\ntype(pickle.loads(pickle.dumps(Q()))).__name__", "'Q'\n"),
        ("import sqlite3; sqlite3.connect(':memory:').execute('select 1').fetchall()", "[(1,)]\n"),
        ("import os; os.getcwd()", "'/mnt/data'\n"),
        ("import os; os.path.expanduser('~')", "'/mnt/data'\n"),
        ("import datetime; datetime.datetime.now().astimezone().tzname()", "'UTC'\n"),
        (
            "import zoneinfo, datetime; datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('UTC')).tzname()",
            "'UTC'\n",
        ),
        ("import tempfile\nwith tempfile.NamedTemporaryFile() as f: print(f.write(b'abc'))", "3\n"),
        ("open('/mnt/data/t', 'w').write('abc'); import pathlib; pathlib.Path('/mnt/data/t').read_text()", "'abc'\n"),
        (
            "import shutil, os; shutil.copy('/mnt/data/t', '/mnt/data/u'); sorted(os.listdir('/mnt/data'))",
            "['t', 'u']\n",
        ),
        ("import glob; glob.glob('/mnt/data/*.nothing')", "[]\n"),
        ("exit()", ""),
        ("import sys; sys.exit(0)", ""),
    ],
)
async def test_a_cell_prints_what_a_notebook_prints(arena: Arena, code: str, text: str) -> None:
    session = await arena.attacker()
    outcome = await run(session, code)
    assert outcome.text == text
    assert outcome.status == "ok"


@on_a_jail
@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("if 1:\nx", "IndentationError: expected an indented block after 'if' statement on line 1"),
        ("raise KeyboardInterrupt('mine')", ""),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E: <exception str() failed>"),
        ("input()", "EOFError"),
        ("class R:\n    def __repr__(self): raise ValueError('no repr')\nR()", "ValueError: no repr"),
        ("\0", "ValueError: source code string cannot contain null bytes"),
        ("(" * 1000, "MemoryError"),
    ],
)
async def test_an_error_is_told_as_python_tells_it(arena: Arena, code: str, last: str) -> None:
    session = await arena.attacker()
    outcome = await run(session, code)
    assert outcome.status in ("error", "interrupted")
    assert outcome.done is not None
    assert outcome.done.is_alive
    if last and last != "MemoryError":
        assert last in outcome.text.strip().rpartition("\n")[2] or "SyntaxError" in outcome.text
    assert "worker.py" not in outcome.text
    assert '"<string>"' not in outcome.text, "a traceback begins in the cell"


@on_a_jail
async def test_a_traceback_shows_the_lines_of_its_cells(arena: Arena) -> None:
    session = await arena.attacker()
    await run(session, "def divide(a, b):\n    return a / b")
    outcome = await run(session, "x = 1\ndivide(x, 0)")
    assert "    divide(x, 0)\n" in outcome.text
    assert "    return a / b\n" in outcome.text


@on_a_jail
async def test_what_c_code_prints_is_seen(arena: Arena) -> None:
    session = await arena.attacker()
    outcome = await run(session, "import ctypes, os\n_ = ctypes.CDLL(None).puts(b'from C'); _ = os.write(1, b'raw\\n')")
    assert sorted(outcome.text.splitlines()) == ["from C", "raw"]


# --------------------------------------------------------------------------------- with the packages

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 2])\n"


@on_a_jail
async def test_a_csv_that_was_put_is_read(full_arena: Arena) -> None:
    session = await full_arena.attacker()
    await session.put("sales.csv", chunks("city,sold\nZürich,3\nParis,4\n".encode()))
    outcome = await run(session, "import pandas as pd\npd.read_csv('/mnt/data/sales.csv')['sold'].sum()")
    assert outcome.text == "np.int64(7)\n"


@on_a_jail
@pytest.mark.parametrize(
    ("code", "images", "files"),
    [
        (f"{PLOT}plt.show()", 1, []),
        (f"{PLOT}plt.show()\nplt.plot([1]); plt.show()", 2, []),
        (f"{PLOT}None", 1, []),
        (f"{PLOT}plt.figure(); plt.plot([2])\nNone", 2, []),
        (f"{PLOT}plt.savefig('/mnt/data/a.png')", 0, ["/mnt/data/a.png"]),
        (f"{PLOT}plt.savefig('/mnt/data/b.png'); plt.show()", 1, ["/mnt/data/b.png"]),
        (f"{PLOT}plt.savefig('c.pdf')", 0, ["/mnt/data/c.pdf"]),
        (f"{PLOT}plt.close()", 0, []),
        (f"{PLOT}1 / 0", 0, []),
    ],
)
async def test_figures_come_out_once(full_arena: Arena, code: str, images: int, files: list[str]) -> None:
    session = await full_arena.attacker()
    outcome = await run(session, f"{code}")
    assert len(outcome.images) == images, outcome.text
    assert all(each.startswith(b"\x89PNG") for each in outcome.images)
    assert list(outcome.files) == files
    await run(session, "plt.close('all')")


@on_a_jail
async def test_a_table_is_written_as_a_workbook(full_arena: Arena) -> None:
    session = await full_arena.attacker()
    outcome = await run(
        session, "import pandas as pd\npd.DataFrame({'größe': [1, 2]}).to_excel('/mnt/data/größe.xlsx', index=False)"
    )
    assert str(outcome.files["/mnt/data/größe.xlsx"])[2:4] == "PK"
    assert (await run(session, "pd.read_excel('größe.xlsx')['größe'].tolist()")).text == "[1, 2]\n"


@on_a_jail
async def test_an_array_without_end_is_a_memory_error(full_arena: Arena) -> None:
    outcome = await full_arena.attack("import numpy as np\nnp.ones(10**10)")
    assert outcome.status == "error"
    assert "MemoryError" in outcome.text


@on_a_jail
async def test_the_packages_are_those_of_the_sandbox(full_arena: Arena) -> None:
    """All are imported by ``make attacks``; otherwise they are looked for."""
    see = "importlib.import_module" if os.environ.get("SANDBOX_ATTACKS") else "importlib.util.find_spec"
    outcome = await full_arena.attack(
        f"""
        import importlib, importlib.util
        for name in "scipy sklearn seaborn sympy openpyxl xlsxwriter pypdf docx tabulate PIL".split():
            assert {see}(name), name
        print([name for name in ("holdover", "aiohttp", "uvicorn", "msgspec", "pip") if importlib.util.find_spec(name)])
        """
    )
    assert outcome.text == "[]\n"


@on_a_jail
@pytest.mark.parametrize(
    "body", ["open(np.__file__, 'a').write('x'); return True", "os.unlink(np.__file__); return True"]
)
async def test_the_packages_cannot_be_altered(full_arena: Arena, body: str) -> None:
    await full_arena.attack("import numpy as np")
    await full_arena.attempt(body)
