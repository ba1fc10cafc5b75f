"""The OpenAPI document, made from the table of operations and the records."""

from __future__ import annotations

from typing import Any

import msgspec

from .ids import PREFIXES
from .operations import OPERATIONS, Operation

_ERROR = {
    "title": "Error",
    "type": "object",
    "description": "What every refusal and failure is told with.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


def openapi_document(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the service."""
    requests = [record for each in OPERATIONS for record in (each.query, each.body) if record is not None]
    replies = [each.reply for each in OPERATIONS if each.reply is not bytes]
    _, schemas = msgspec.json.schema_components([*requests, *replies], ref_template="#/components/schemas/{name}")
    strict = _reachable({record.__name__ for record in requests}, schemas)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    components = {name: _described(schema, is_request=name in strict) for name, schema in schemas.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holdover",
            "version": version,
            "description": "The Assistants API, on your own machine.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/v1"}],
        "security": [{"key": []}, {}],
        "tags": [{"name": group} for group in dict.fromkeys(each.group for each in OPERATIONS)],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**components, "Error": _ERROR},
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [_path_parameter(operation, name) for name in operation.arguments]
    if operation.query is not None:
        for name, schema in schemas[operation.query.__name__]["properties"].items():
            schema = _query_parameter(operation, name, schema)
            style = {"style": "deepObject", "explode": True} if schema.get("type") == "object" else {}
            parameters.append({"name": name, "in": "query", "required": False, **style, "schema": schema})
    if operation.creates:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Makes it safe to repeat the request for 24 hours.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }
        )
    if operation.always_streams:
        parameters.append(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The number of the last event that was heard.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
            }
        )
    result: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.group],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": _answer(operation)},
            "default": {
                "description": "Refused or failed.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if operation.body is not None:
        result["requestBody"] = _request_body(operation, schemas)
    return result


def _answer(operation: Operation) -> dict[str, Any]:
    if operation.reply is bytes:
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    answer: dict[str, Any] = {}
    if not operation.always_streams:
        answer["application/json"] = {"schema": _reference(operation.reply)}
    if operation.streams:
        answer["text/event-stream"] = {"schema": {"type": "string"}}
    return answer


def _request_body(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if operation.file is not None:
        fields = schemas[operation.body.__name__]
        content = {"type": "string", "format": "binary", "description": f"Up to {operation.file.limit_bytes} bytes."}
        form = {
            "type": "object",
            "properties": {operation.file.name: content, **fields["properties"]},
            "required": [operation.file.name, *fields["required"]],
            "additionalProperties": False,
        }
        deep = {
            name: {"style": "deepObject", "explode": True}
            for name in fields["properties"]
            if name not in fields["required"]
        }
        return {"required": True, "content": {"multipart/form-data": {"schema": form, "encoding": deep}}}
    return {
        "required": _needs_body(operation.body),
        "content": {"application/json": {"schema": _reference(operation.body)}},
    }


#: Of these two a body has one, where it has them at all.
ONE_OF = {"file_ids", "files"}


def _needs_body(body: Any) -> bool:
    fields = msgspec.structs.fields(body)
    return any(field.required for field in fields) or {field.encode_name for field in fields} >= ONE_OF


def _path_parameter(operation: Operation, name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if operation.kind is not None:
        schema["pattern"] = _begins(name.removesuffix("_id"))
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(operation: Operation, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    kind = operation.kind if name in ("after", "before") else name.removesuffix("_id")
    return {**schema, "pattern": _begins(kind)} if kind in PREFIXES else schema


def _reference(record: Any) -> dict[str, Any]:
    (reference,), _ = msgspec.json.schema_components([record], ref_template="#/components/schemas/{name}")
    return dict(reference)


#: Ids and lists of ids, by the name of their field, and the kind of object that each refers to.
_IDS = {"file_id": "file"}
_ID_LISTS = {"file_ids": "file", "vector_store_ids": "vector_store", "part_ids": "upload_part"}


def _described(schema: dict[str, Any], *, is_request: bool) -> dict[str, Any]:
    """Return a record's schema with the rules of strict reading that types alone do not tell."""
    if not is_request or schema.get("type") != "object":
        return schema
    properties = dict(schema["properties"])
    for name, kind in _ID_LISTS.items():
        if name in properties:
            properties[name] = _with_items(properties[name], {"pattern": _begins(kind)})
    for name, kind in _IDS.items():
        if name in properties:
            properties[name] = {**properties[name], "pattern": _begins(kind)}
    strict = {**schema, "properties": properties, "additionalProperties": False}
    if {"vector_store_ids", "vector_stores"} <= properties.keys():
        some = {"type": "array", "minItems": 1}
        both = {"vector_store_ids": some, "vector_stores": some}
        strict["not"] = {"properties": both, "required": list(both)}
    if properties.keys() >= ONE_OF:
        strict["oneOf"] = [{"required": [name]} for name in sorted(ONE_OF)]
    return strict


def _with_items(schema: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list with a rule for each of its items."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_with_items(each, rule) for each in schema["anyOf"]]}
    return {**schema, "items": {**schema["items"], **rule}} if "items" in schema else schema


def _begins(kind: str) -> str:
    return f"^{PREFIXES[kind].rstrip('_-')}"


def _reachable(names: set[str], schemas: dict[str, Any]) -> set[str]:
    """Return the names of these schemas and of all that they refer to."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _references(schemas[name])
    return reached


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        found = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
        return found + [name for each in schema.values() for name in _references(each)]
    if isinstance(schema, list):
        return [name for each in schema for name in _references(each)]
    return []
