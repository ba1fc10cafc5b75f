"""What a program pays before its first call: import the package, make a client, reach for the assistants.

Every start is a cold process, net of a bare Python. Compiled modules are there: the warm-up round sees to it.
"""

from __future__ import annotations

from .goals import Measured
from .processes import MEASURED_CORE, Child
from .rounds import Effort, ratio, take_turns

#: Said of itself, since the system's table of processes counts in hundredths of a second.
_SAY_CPU = "\nimport sys, time; print(time.process_time(), flush=True); sys.stdin.read()"

STARTS = {
    "bare": "",
    "holdover": "import holdover; holdover.Client(api_key='sk-bench').get_assistant",
    "openai": "import openai; openai.OpenAI(api_key='sk-bench').beta.assistants.retrieve",
}


def measure(effort: Effort) -> list[Measured]:
    """Measure the rows ``start_cpu`` and ``start_memory``."""
    memory: dict[str, list[int]] = {name: [] for name in STARTS}

    def start(name: str) -> float:
        with Child("-I", "-c", STARTS[name] + _SAY_CPU, core=MEASURED_CORE) as child:
            cpu_s = float(child.read())
            memory[name].append(child.memory_bytes())
            return cpu_s

    cpu = take_turns({name: lambda name=name: start(name) for name in STARTS}, effort.rounds)  # type: ignore[misc]
    cpu_ms = {name: _net(values, cpu["bare"], 1e3) for name, values in cpu.items() if name != "bare"}
    memory_mb = {name: _net(values[1:], memory["bare"][1:], 1e-6) for name, values in memory.items() if name != "bare"}
    return [
        ratio("start_cpu", cpu_ms["openai"], cpu_ms["holdover"], _labelled(cpu_ms, "ms")),
        ratio("start_memory", memory_mb["holdover"], memory_mb["openai"], _labelled(memory_mb, "MB")),
    ]


def _net(values: list[float] | list[int], bare: list[float] | list[int], scale: float) -> list[float]:
    return [(value - floor) * scale for value, floor in zip(values, bare, strict=True)]


def _labelled(sides: dict[str, list[float]], unit: str) -> dict[str, list[float]]:
    return {f"{name}_{unit}": values for name, values in sides.items()}
