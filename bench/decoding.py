"""A page of 100 assistants from bytes to typed objects, in processor time, as each client does it; no network.

Each client decodes in a process of its own (``python -m bench.decoding CLIENT``), as in a program that uses it.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from .documents import page
from .goals import Measured
from .processes import MEASURED_CORE, Child
from .rounds import Effort, ratio, take_turns

#: Pages in a round: some tenths of a second of each.
USUAL_PAGES = {"holdover": 400, "openai": 20}


def measure(effort: Effort) -> list[Measured]:
    """Measure the row ``decode_list``."""
    with (
        Child("-m", "bench.decoding", "holdover", core=MEASURED_CORE) as holdover,
        Child("-m", "bench.decoding", "openai", core=MEASURED_CORE) as openai,
    ):
        sides = {}
        for name, child in {"holdover": holdover, "openai": openai}.items():
            child.read()
            sides[f"{name}_us"] = partial(_us_per_page, child, effort.count(USUAL_PAGES[name]))
        found = take_turns(sides, effort.rounds)
    return [ratio("decode_list", found["openai_us"], found["holdover_us"], found)]


def _us_per_page(child: Child, count: int) -> float:
    return float(child.ask(str(count))) / count * 1e6


# ---------------------------------------------------------------------------------- in the other process


def decode_pages(client: str) -> None:
    """For every number on standard input decode that many pages, and say the processor seconds they took."""
    body = page(100)
    decode = _openai_decoder() if client == "openai" else _holdover_decoder()
    assert decode(body).data[99].metadata == {"team": "maths", "level": "beginner"}
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.process_time()
        for _ in range(int(line)):
            decode(body)
        print(time.process_time() - began, flush=True)


def _holdover_decoder() -> Callable[[bytes], Any]:
    import msgspec

    from holdover.wire.assistants import Assistant
    from holdover.wire.pages import ListPage

    return msgspec.json.Decoder(ListPage[Assistant]).decode


def _openai_decoder() -> Callable[[bytes], Any]:
    # What its client does with an answer: `httpx2.Response.json`, then `_process_response_data`.
    import json

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from openai._models import construct_type
        from openai.pagination import SyncCursorPage
        from openai.types.beta import Assistant

    return lambda body: construct_type(type_=SyncCursorPage[Assistant], value=json.loads(body))


if __name__ == "__main__":
    decode_pages(sys.argv[1])
