"""A conversation with a model on this machine: an answer as it comes, a function call, and what the run did."""

from __future__ import annotations

import json

import holdover

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def get_weather(city: str) -> str:
    return f"18 degrees and sunny in {city}"


def main() -> None:
    print("A conversation with SmolLM2-135M, on this machine, without a key and without a network.\n")
    with holdover.embedded(timeout_s=120) as client:
        assistant = client.create_assistant(
            "gpt-4o",  # whatever is stored: the local model answers for it
            instructions="You are a helpful assistant. Answer in one short sentence.",
            tools=[WEATHER],  # type: ignore[list-item]
        )
        talk(client, assistant.id)
        call(client, assistant.id)


def talk(client: holdover.Client, assistant_id: str) -> None:
    question = "Why is the sky blue?"
    print(f"> {question}\n")
    thread = client.create_thread(messages=[{"role": "user", "content": question}])
    with client.create_run(thread.id, assistant_id, max_completion_tokens=80, stream=True) as stream:
        for text in stream.text_deltas:
            print(text, end="", flush=True)
        run = stream.until_done()
    print(f"\n\nThe run is {run.status}; usage: {run.usage}\n")


def call(client: holdover.Client, assistant_id: str) -> None:
    question = "What is the weather in Paris?"
    print(f"> {question}\n")
    thread = client.create_thread(messages=[{"role": "user", "content": question}])
    run = client.run_and_wait(thread.id, assistant_id, tool_choice="required", functions={"get_weather": get_weather})
    for step in client.list_run_steps(thread.id, run.id, order="asc"):
        print(f"{step.type}: {json.dumps(step.to_dict()['step_details'])[:200]}  usage: {step.usage}")
    print()
    print(next(iter(client.list_messages(thread.id))).text)
    print(f"\nThe run is {run.status}; usage: {run.usage}")


if __name__ == "__main__":
    main()
