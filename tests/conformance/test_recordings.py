"""Recorded exchanges of the hosted API, made again with the service: same status, same keys in the same order.

`replaying` makes them and compares; `saying` finds what the model said, and says it again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdover.service import running

from .replaying import Replay, account, is_v1, left_out, shape
from .saying import Said

RECORDED = Path(__file__).parents[3] / "shared" / "contract" / "recorded"


def recordings() -> list[Any]:
    """Return each recording: what is made again, all of it, and marked as skipped what is not, with the reason."""
    found = []
    for path in sorted(RECORDED.glob("*.json")):
        recorded = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
        if all(map(is_v1, recorded)):
            continue
        mine = [each for each in recorded if left_out(each) is None and not is_v1(each)]
        if mine:
            found.append(pytest.param(mine, recorded, id=path.stem))
        reasons = sorted({reason for each in recorded if (reason := left_out(each)) is not None})
        if reasons:
            skip = pytest.mark.skip(reason="; ".join(reasons))
            found.append(pytest.param([], recorded, id=f"{path.stem}, the rest", marks=skip))
    return found or [pytest.param([], [], id="absent", marks=ABSENT)]


ABSENT = pytest.mark.skip(reason="the recordings are not beside this checkout: ../shared/contract/recorded")
V1 = [
    pytest.param(exchanges, id=path.stem)
    for path in sorted(RECORDED.glob("*.json"))
    if (exchanges := list(filter(is_v1, json.loads(path.read_text(encoding="utf-8"))["exchanges"])))
]


@pytest.mark.parametrize(("exchanges", "recorded"), recordings())
def test_the_service_answers_as_the_hosted_api_did(exchanges: list[Any], recorded: list[Any]) -> None:
    said = Said()
    with running(models={"*": said}) as url:
        replay = Replay(url, said, exchanges, recorded)
        replay.run()
    assert len(set(replay.ids.values())) == len(replay.ids), "every recorded object has become one of its own"


@pytest.mark.parametrize("exchanges", V1 or [pytest.param([], id="absent", marks=ABSENT)])
def test_who_still_asks_for_version_1_gets_the_hosted_refusal(shared_url: str, exchanges: list[Any]) -> None:
    replay = Replay(shared_url, Said(), exchanges)
    for request in (exchange["request"] for exchange in exchanges):
        status, _, body = replay._ask(request["method"], request["path"], headers=request["headers"], body={})
        assert (status, body["error"]["code"]) == (400, "invalid_beta")


def test_the_comparison_sees_an_order_a_type_and_a_value() -> None:
    """What the replay stands on: two values have the same shape only if they are the same but for ids and times."""
    assert shape({"a": 1, "b": 2}) != shape({"b": 2, "a": 1})
    assert shape({"a": 1.0}) != shape({"a": 1})
    assert shape({"a": None}) != shape({})
    assert shape({"a": "x"}) != shape({"a": "y"})
    assert shape({"id": "asst_1"}) != shape({"id": "vs_1"})
    assert shape({"id": "asst_1", "created_at": 1}) == shape({"id": "asst_2", "created_at": 2})


def test_what_a_list_presupposes_is_made_in_the_order_that_it_shows() -> None:
    def page(query: str, ids: list[str], *, has_more: bool, trimmed: str | None = None) -> dict[str, Any]:
        body = {"data": [{"id": each} for each in ids], "last_id": "asst_z", "has_more": has_more}
        response = {"status": 200, "body": body, **({"trimmed": trimmed} if trimmed else {})}
        return {"request": {"method": "GET", "path": "/assistants", "query": query, "body": None}, "response": response}

    first = page("limit=2", ["asst_d", "asst_c"], has_more=True)
    second = page("limit=2&after=asst_c", ["asst_b", "asst_a"], has_more=False)
    assert account([first]) == [None, "asst_c", "asst_d"]
    assert account([page("order=asc", ["asst_a", "asst_b"], has_more=True)]) == ["asst_a", "asst_b", None]
    assert account([page("", ["asst_d"], has_more=False, trimmed="data cut from 3 items to 1")]) == [
        "asst_z",
        None,
        "asst_d",
    ]
    assert account([first, second]) == ["asst_a", "asst_b", "asst_c", "asst_d"]
    made = {"request": {"method": "POST", "path": "/assistants"}, "response": {"status": 200, "body": {"id": "asst_d"}}}
    assert account([made, first]) == [None, "asst_c"]
