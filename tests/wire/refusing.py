"""How tests of strict decoding look at a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdover.wire.assistants import CreateAssistant, ModifyAssistant
from holdover.wire.refusals import Refused
from holdover.wire.strict import decode_body

#: What a refusal is rendered from: message, param, code.
Told = tuple[str, str | None, str | None]


def told(body: bytes | Any, record: Any = CreateAssistant) -> Told:
    """Return what the sender of a body is told; it must be refused."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused) as caught:
        decode_body(raw, record)
    return caught.value.message, caught.value.param, caught.value.code


def create(**fields: Any) -> dict[str, Any]:
    """Return the body of a creation with these fields."""
    return {"model": "gpt-4o", **fields}


def taken(body: bytes | Any, record: Any = CreateAssistant) -> Any:
    """Return the record that a body becomes."""
    return decode_body(body if isinstance(body, bytes) else json.dumps(body).encode(), record)


BOTH = pytest.mark.parametrize("record", [CreateAssistant, ModifyAssistant], ids=["create", "modify"])
