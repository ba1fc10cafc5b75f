"""createAssistant, flushed to disk before it is answered, 32 at a time, against the same endpoint made with an ORM.

Both files lie in one temporary folder. Where that is kept in memory a flush costs nothing and the row says little.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

from .documents import BODY
from .get import CONNECTIONS, KEY
from .goals import Measured
from .load import Load, Order, request
from .processes import MEASURED_CORE, Child
from .rounds import Effort, ratio, take_turns

#: Requests in a round: about a second of each.
USUAL_COUNT = {"service": 2500, "orm": 250}


def measure(effort: Effort) -> list[Measured]:
    """Measure the row ``create``."""
    requests = [request("/v1/assistants", KEY, json.dumps(BODY, separators=(",", ":")).encode())]
    with tempfile.TemporaryDirectory(prefix="holdover-bench-") as name:
        ours, theirs = str(Path(name, "holdover.db")), str(Path(name, "orm.db"))
        with (
            Path(name, "service.log").open("wb") as log,
            Child("-m", "bench.peers.service", ours, KEY, core=MEASURED_CORE, log=log) as service,
            Child("-m", "bench.peers.orm_service", theirs, KEY, core=MEASURED_CORE) as orm,
            Load() as load,
        ):
            orders = {
                each: Order(int(child.read()), CONNECTIONS, effort.count(USUAL_COUNT[each]), requests)
                for each, child in {"service": service, "orm": orm}.items()
            }
            sides = {each: partial(lambda order: load.run(order).per_s(order), order) for each, order in orders.items()}
            found = take_turns(sides, effort.rounds)
    return [ratio("create", found["service"], found["orm"], {f"{each}_per_s": found[each] for each in found})]
