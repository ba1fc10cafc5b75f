"""A conversation with a model on this machine: an answer as it comes, a function call, a document that is cited."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import holdover

#: Enough for a few sentences; this model does not know when to stop.
ANSWER_TOKENS = 80
BRIEFLY = "You are a helpful assistant. Answer in one short sentence."
HANDBOOK = Path(__file__).with_name("museum.md")


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
            instructions=BRIEFLY,
            tools=[holdover.function_tool(get_weather)],
        )
        ask(client, assistant.id, "Why is the sky blue?")
        ask(client, assistant.id, "What is the weather in Paris?", tool_choice="required", functions=[get_weather])
        ask_about_a_document(client)
    print("To talk to it yourself: .venv/bin/holdover serve, and in another terminal: .venv/bin/holdover chat\n")


def ask_about_a_document(client: holdover.Client) -> None:
    """Have a file read, ask what stands in it, and show what the answer cites."""
    print(f"An assistant reads {HANDBOOK.name}: what it says is looked up there, and cited.\n")
    file = client.create_file(HANDBOOK, "assistants")
    store = client.create_vector_store(file_ids=[file.id])
    client.wait_for_vector_store(store.id)
    reader = client.create_assistant(
        "gpt-4o",
        instructions=BRIEFLY,
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )
    run = ask(client, reader.id, "How much does a ticket cost?")
    for part in answer_of(client, run):
        for citation in part.text.annotations:
            cited = client.retrieve_file(citation.file_citation.file_id)
            print(f"  {citation.text} is {cited.filename}, {cited.bytes} bytes, {cited.id}")
    print()


def ask(client: holdover.Client, assistant_id: str, question: str, **options: Any) -> holdover.Run:
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
    return run


def answer_of(client: holdover.Client, run: holdover.Run) -> Any:
    """Return the parts of the message that a run ended with."""
    return next(iter(client.list_messages(run.thread_id, run_id=run.id))).content


def in_short(step: holdover.RunStep) -> str:
    details = step.step_details
    if details.type == "message_creation":
        return details.message_creation.message_id
    return ", ".join(map(call_in_short, details.tool_calls))


def call_in_short(call: Any) -> str:
    match call.type:
        case "function":
            return f"{call.function.name}({call.function.arguments}) = {call.function.output!r}"
        case "file_search":
            found = (f"{each.file_name}, score {each.score:.2f}" for each in call.file_search.results)
            return f"file_search = {'; '.join(found) or 'nothing'}"
        case _:
            return f"code_interpreter = {', '.join(each.type for each in call.code_interpreter.outputs)}"


def tokens(usage: object) -> str:
    read, said = getattr(usage, "prompt_tokens", "?"), getattr(usage, "completion_tokens", "?")
    return f"{read:>4} tokens read, {said:>3} said"


if __name__ == "__main__":
    main()
