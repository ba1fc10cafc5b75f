"""Which request reaches which operation, and what is said where there is none."""

from __future__ import annotations

import json

import pytest
from tests.conftest import Service

from .talk import Answer, ask, conversation, create, request


@pytest.fixture(scope="module")
def assistant(shared_service: Service) -> str:
    made: str = create(shared_service, name="Tutor").json()["id"]
    return made


def test_an_assistant_lives_through_all_operations_and_each_answers_200(shared_service: Service) -> None:
    made = create(shared_service, name="Tutor")
    path = f"/v1/assistants/{made.json()['id']}"
    got = ask(shared_service, "GET", path)
    listed = ask(shared_service, "GET", "/v1/assistants?limit=1")
    changed = ask(shared_service, "POST", path, {"name": "Coach"})
    deleted = ask(shared_service, "DELETE", path)
    assert [each.status for each in (made, got, listed, changed, deleted)] == [200] * 5
    assert got.body == made.body
    assert listed.json()["data"][0] == made.json()
    assert changed.json() == {**made.json(), "name": "Coach"}
    assert deleted.json() == {"id": made.json()["id"], "object": "assistant.deleted", "deleted": True}
    assert ask(shared_service, "GET", path).status == 404


def test_models_are_listed_and_shown(shared_service: Service) -> None:
    assert ask(shared_service, "GET", "/v1/models").json().keys() == {"object", "data"}
    assert ask(shared_service, "GET", "/v1/models/gpt-4o").json()["id"] == "gpt-4o"
    unknown = ask(shared_service, "GET", "/v1/models/fake_id")
    assert (unknown.status, unknown.error) == (
        404,
        {
            "message": "The model 'fake_id' does not exist",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        },
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/foo"),
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1//assistants"),
        ("GET", "/v1/assistants/"),
        ("GET", "/v1/Assistants"),
        ("GET", "/v1/assistants/asst_1/files"),
        ("GET", "/v2/assistants"),
        ("GET", "/assistants"),
        ("GET", "//"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/threads/thread_1/runs/run_1/steps/step_1/files"),
        ("PUT", "/favicon.ico"),
        ("GET", "/v1/../v1/assistants"),
    ],
)
def test_a_path_that_is_not_there_is_told_in_the_observed_words(
    shared_service: Service, method: str, path: str
) -> None:
    answer = ask(shared_service, method, path)
    assert (answer.status, answer.error) == (
        404,
        {
            "message": f"Invalid URL ({method} {path})",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/assistants", "GET, POST"),
        ("DELETE", "/v1/assistants", "GET, POST"),
        ("PATCH", "/v1/assistants/asst_1", "DELETE, GET, POST"),
        ("OPTIONS", "/v1/assistants", "GET, POST"),
        ("TRACE", "/v1/assistants", "GET, POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/v1/models/gpt-4o", "DELETE, GET"),
        ("POST", "/health", "GET"),
        ("DELETE", "/openapi.json", "GET"),
        ("POST", "/reference", "GET"),
    ],
)
def test_a_method_that_is_not_there_is_told_which_are(
    shared_service: Service, method: str, path: str, allowed: str
) -> None:
    answer = ask(shared_service, method, path, b"{}")
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert answer.error["message"] == f"Not allowed to {method} on {path}. Allowed: {allowed}."


@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/models", "/health", "/openapi.json", "/reference"])
def test_head_is_get_without_the_body(shared_service: Service, path: str) -> None:
    got, headed = ask(shared_service, "GET", path), ask(shared_service, "HEAD", path)
    assert headed.status == 200
    assert headed.headers["content-length"] == str(len(got.body))
    assert headed.headers["content-type"] == got.headers["content-type"]


def test_after_head_the_connection_goes_on(shared_service: Service) -> None:
    with conversation(shared_service) as talk:
        talk.say(request("HEAD", "/v1/assistants/asst_gone"), request("GET", "/v1/models/gpt-4"))
        assert talk.hear(has_body=False).status == 404
        assert talk.hear().json()["id"] == "gpt-4"


def test_the_hosted_texts_come_with_their_status(shared_service: Service) -> None:
    def error(answer: Answer) -> tuple[int, str, str | None, str | None]:
        return answer.status, answer.error["message"], answer.error["param"], answer.error["code"]

    gone = ask(shared_service, "GET", "/v1/assistants/asst_gone")
    assert error(gone) == (404, "No assistant found with id 'asst_gone'.", None, None)
    shape = ask(shared_service, "GET", "/v1/assistants/undefined")
    assert error(shape) == (
        400,
        "Invalid 'assistant_id': 'undefined'. Expected an ID that begins with 'asst'.",
        "assistant_id",
        "invalid_value",
    )
    missing = ask(shared_service, "POST", "/v1/assistants", {})
    assert error(missing) == (
        400,
        "Missing required parameter: 'model'.",
        "model",
        "missing_required_parameter",
    )
    limit = ask(shared_service, "GET", "/v1/assistants?limit=1000")
    assert error(limit) == (
        400,
        "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 1000 instead.",
        "limit",
        "integer_above_max_value",
    )


def test_an_empty_query_string_is_none(shared_service: Service, assistant: str) -> None:
    """ExOpenAI ends every URL with `?`."""
    assert ask(shared_service, "POST", "/v1/assistants?", {"model": "gpt-4o"}).status == 200
    assert ask(shared_service, "GET", "/v1/assistants?").status == 200
    assert ask(shared_service, "GET", f"/v1/assistants/{assistant}?").json()["id"] == assistant
    assert ask(shared_service, "POST", f"/v1/assistants/{assistant}?", {}).json()["id"] == assistant


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}, {"Content-Length": "0"}])
def test_a_request_without_a_body_is_one_with_an_empty_object(
    shared_service: Service, assistant: str, headers: dict[str, str]
) -> None:
    unchanged = ask(shared_service, "POST", f"/v1/assistants/{assistant}", headers=headers)
    assert (unchanged.status, unchanged.json()["name"]) == (200, "Tutor")
    assert ask(shared_service, "POST", "/v1/assistants", headers=headers).error["param"] == "model"


def test_a_content_type_without_a_body_is_nothing(shared_service: Service, assistant: str) -> None:
    """ExOpenAI and ruby-openai send it with everything."""
    headers = {"Content-Type": "application/json"}
    made = create(shared_service).json()["id"]
    assert ask(shared_service, "GET", f"/v1/assistants/{assistant}", headers=headers).status == 200
    assert ask(shared_service, "DELETE", f"/v1/assistants/{made}", headers=headers).json()["deleted"] is True
    made = create(shared_service).json()["id"]
    assert ask(shared_service, "DELETE", f"/v1/assistants/{made}", b"", headers=headers).json()["deleted"] is True


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON",
    ],
)
def test_json_may_say_that_it_is_utf_8(shared_service: Service, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    made = ask(shared_service, "POST", "/v1/assistants", {"model": "gpt-4o", "name": "é"}, headers)
    assert made.json()["name"] == "é"


def test_characters_of_every_kind_come_back_as_they_were_sent(shared_service: Service) -> None:
    name = '日本🙂 "\\\n\t\x7f\u2028</script>é'
    for body in (
        json.dumps({"model": "gpt-4o", "name": name}).encode(),
        json.dumps({"model": "gpt-4o", "name": name}, ensure_ascii=False).encode(),
    ):
        made = ask(shared_service, "POST", "/v1/assistants", body).json()
        assert made["name"] == name
        assert ask(shared_service, "GET", f"/v1/assistants/{made['id']}").json()["name"] == name


@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/assistants/asst_1"])
def test_version_1_of_the_api_is_refused_in_the_hosted_words(shared_service: Service, path: str) -> None:
    answer = ask(shared_service, "GET", path, headers={"OpenAI-Beta": "assistants=v1"})
    assert (answer.status, answer.error) == (
        400,
        {
            "message": "The v1 Assistants API has been deprecated. Please try again by setting the header "
            "'OpenAI-Beta: assistants=v2'. See the migration guide for more information: "
            "https://platform.openai.com/docs/assistants/migration.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_beta",
        },
    )


@pytest.mark.parametrize("beta", [{}, {"OpenAI-Beta": "assistants=v2"}, {"OpenAI-Beta": "other=v1"}])
def test_the_beta_header_is_taken_and_not_required(shared_service: Service, beta: dict[str, str]) -> None:
    assert ask(shared_service, "GET", "/v1/assistants?limit=1", headers=beta).status == 200


def test_the_beta_header_is_nothing_to_models(shared_service: Service) -> None:
    assert ask(shared_service, "GET", "/v1/models", headers={"OpenAI-Beta": "assistants=v1"}).status == 200
