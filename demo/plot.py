"""A plot by an assistant: Python that a model wrote, run in a jail on this machine, and the image that came of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from conversation import answer_of, ask

import holdover

VISITORS = b"month,visitors\nJan,120\nFeb,180\nMar,310\nApr,420\nMay,640\nJun,810\n"
CODE = """\
import pandas as pd
import matplotlib.pyplot as plt

visitors = pd.read_csv("/mnt/data/visitors.csv")
visitors.plot.bar(x="month", y="visitors", legend=False, title="Visitors of the museum")
plt.tight_layout()
plt.show()
print("in all:", visitors.visitors.sum())
"""
#: What the model of this demonstration says, turn by turn: the one of 135 million parameters cannot program.
SCRIPT = f"""\
!call code_interpreter {json.dumps({"code": CODE})}
!then
!say More come every month; here is the plot."""


def main() -> None:
    print("An assistant draws: its Python runs in a sandbox, without a network and away from your files.")
    print("The model is scripted here, the rest is real. It writes:\n")
    print("\n".join(f"    {line}".rstrip() for line in CODE.split("\n")))
    with holdover.embedded(timeout_s=120) as client:
        file = client.create_file(VISITORS, "assistants", filename="visitors.csv")
        assistant = client.create_assistant(
            "scripted",
            instructions=SCRIPT,
            tools=[{"type": "code_interpreter"}],
            tool_resources={"code_interpreter": {"file_ids": [file.id]}},
        )
        run = ask(client, assistant.id, "How many visitors do we have? Draw it.")
        images = [part.image_file.file_id for part in answer_of(client, run) if part.type == "image_file"]
        print("  The code printed: " + printed(client, run).strip())
        for image in images:
            path = Path(tempfile.mkdtemp(prefix="holdover-demo-"), "visitors.png")
            path.write_bytes(client.download_file(image))
            print(f"  The plot is in {path}")
        if not images:
            print("  So there is no plot. What a sandbox needs: .venv/bin/holdover doctor")


def printed(client: holdover.Client, run: holdover.Run) -> str:
    """Return what the code of a run printed."""
    return "".join(
        output.logs
        for step in client.list_run_steps(run.thread_id, run.id)
        if step.type == "tool_calls"
        for call in step.step_details.tool_calls
        for output in call.code_interpreter.outputs
        if output.type == "logs"
    )


if __name__ == "__main__":
    main()
