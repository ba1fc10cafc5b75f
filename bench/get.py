"""GET by id through the whole service (keys, logging, store), against a bare hello on the same server.

Both answer the same requests, 32 at a time; the service takes one of 1,000 assistants, the hello says hello. The
server is `holdover.server.http` for both, limits and deadlines and all: the ratio shows what the application adds.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from .filling import fill, random_ids
from .goals import Measured
from .load import Load, Order, request
from .processes import MEASURED_CORE, Child
from .rounds import Effort, ratio, take_turns

KEY = "sk-bench-0123456789"
CONNECTIONS = 32


def measure(effort: Effort) -> list[Measured]:
    """Measure the row ``get``."""
    ids = random_ids(1000, seed=1)
    requests = [request(f"/v1/assistants/{each}", KEY) for each in ids]
    with tempfile.TemporaryDirectory(prefix="holdover-bench-") as name:
        database = Path(name, "holdover.db")
        fill(database, ids)
        with (
            Path(name, "service.log").open("wb") as log,
            Child("-m", "bench.peers.service", str(database), KEY, core=MEASURED_CORE, log=log) as service,
            Child("-m", "bench.peers.hello", core=MEASURED_CORE) as hello,
            Load() as load,
        ):
            sides = {"service": service, "hello": hello}
            orders = {
                each: Order(int(child.read()), CONNECTIONS, effort.count(5000), requests)
                for each, child in sides.items()
            }
            cpu_us: dict[str, list[float]] = {f"{each}_cpu_us": [] for each in sides}

            def per_s(name: str) -> float:
                before = sides[name].cpu_s()
                tally = load.run(orders[name])
                cpu_us[f"{name}_cpu_us"].append((sides[name].cpu_s() - before) / orders[name].count * 1e6)
                return tally.per_s(orders[name])

            found = take_turns({each: partial(per_s, each) for each in sides}, effort.rounds)
    per_second = {f"{each}_per_s": values for each, values in found.items()}
    return [ratio("get", found["service"], found["hello"], {**per_second, **cpu_us})]
