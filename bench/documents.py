"""The assistant that is created, fetched and listed everywhere here: about 1.1 KB, as real ones are."""

from __future__ import annotations

import json
from typing import Any

_INSTRUCTIONS = "You teach mathematics to beginners. Ask what they tried, show the next step, never the answer. " * 5

#: The body of createAssistant.
BODY: dict[str, Any] = {
    "model": "gpt-4o",
    "name": "Tutor",
    "description": "Helps with homework",
    "instructions": _INSTRUCTIONS,
    "tools": [
        {"type": "code_interpreter"},
        {
            "type": "function",
            "function": {
                "name": "look_up_exercise",
                "description": "Return an exercise of the book",
                "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}},
            },
        },
    ],
    "metadata": {"team": "maths", "level": "beginner"},
    "temperature": 0.2,
}


def document(identifier: str) -> bytes:
    """Return the assistant as the wire's JSON."""
    return json.dumps(
        {
            "id": identifier,
            "object": "assistant",
            "created_at": 1_790_000_000,
            **BODY,
            "top_p": 1.0,
            "reasoning_effort": None,
            "tool_resources": {"code_interpreter": {"file_ids": []}},
            "response_format": "auto",
        },
        separators=(",", ":"),
    ).encode()


def page(count: int) -> bytes:
    """Return a page of that many assistants as the wire's JSON."""
    ids = [f"asst_{number:024d}" for number in range(count)]
    return b'{"object":"list","data":[%b],"first_id":"%b","last_id":"%b","has_more":true}' % (
        b",".join(map(document, ids)),
        ids[0].encode(),
        ids[-1].encode(),
    )
