"""A conversation with a model on this machine: an answer as it comes, a function call, and what the runs did."""

from __future__ import annotations

import time
from typing import Any

import holdover

#: Enough for a few sentences; this model does not know when to stop.
ANSWER_TOKENS = 80


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    print(f"  get_weather({city!r}) is called, and answers")
    return f"18 degrees and sunny in {city}"


def main() -> None:
    print("A conversation with SmolLM2-135M, on this machine, without a key and without a network.")
    print("It is a very small model: what it says is fluent, and often wrong.\n")
    with holdover.embedded(timeout_s=120) as client:
        assistant = client.create_assistant(
            "gpt-4o",  # whatever is stored: the local model answers for it
            instructions="You are a helpful assistant. Answer in one short sentence.",
            tools=[holdover.function_tool(get_weather)],
        )
        ask(client, assistant.id, "Why is the sky blue?")
        ask(client, assistant.id, "What is the weather in Paris?", tool_choice="required", functions=[get_weather])
    print("To talk to it yourself: .venv/bin/holdover serve, and in another terminal: .venv/bin/holdover chat")


def ask(client: holdover.Client, assistant_id: str, question: str, **options: Any) -> None:
    """Ask in a new thread, print the answer as it comes, then what the run did."""
    print(f"> {question}\n")
    begun = time.perf_counter()
    with client.create_thread_and_run(
        assistant_id,
        thread={"messages": [{"role": "user", "content": question}]},
        max_completion_tokens=ANSWER_TOKENS,
        stream=True,
        **options,
    ) as stream:
        for text in stream.text_deltas:
            print(text, end="", flush=True)
        run = stream.until_done()
    print(f"\n\n  The run is {run.status}, after {time.perf_counter() - begun:.1f} s:")
    for step in client.list_run_steps(run.thread_id, run.id, order="asc"):
        print(f"    {step.type:17} {tokens(step.usage)}  {in_short(step)}")
    print(f"    {'all':17} {tokens(run.usage)}\n")


def in_short(step: holdover.RunStep) -> str:
    details = step.step_details
    if details.type == "message_creation":
        return details.message_creation.message_id
    calls = (call.function for call in details.tool_calls if call.type == "function")
    return ", ".join(f"{call.name}({call.arguments}) = {call.output!r}" for call in calls)


def tokens(usage: object) -> str:
    read, said = getattr(usage, "prompt_tokens", "?"), getattr(usage, "completion_tokens", "?")
    return f"{read:>4} tokens read, {said:>3} said"


if __name__ == "__main__":
    main()
