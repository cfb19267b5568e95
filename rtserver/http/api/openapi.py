"""OpenAPI 3.1 document of a table of operations. No I/O; the schemas are msgspec's own.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import inspect as python_inspect
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from rtserver.errors import (
    EventError,
    Forbidden,
    Internal,
    InvalidPayload,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
)
from rtserver.http.api.operations import JSON, Operation

OPENAPI_PATH = "/api/openapi.json"
_REF = "#/components/schemas/{name}"
_NULL = {"type": "null"}
_INTRODUCTION = (
    "How backends reach the users of this server. Every error has the form of `Failure`; its `code` is a promise, "
    "its `message` is for people. Unknown fields are rejected; null counts as left out."
)
_UNAUTHORIZED = "`token_missing`, `token_invalid`, `token_expired`, `token_not_yet_valid` or `token_revoked`"


class FailureDetails(msgspec.Struct, rename="camel"):
    """What went wrong."""

    code: str
    message: str
    details: Any = None
    retry_after: Annotated[float, Meta(description="Seconds")] | None = None


class Failure(msgspec.Struct):
    """Every error."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": False})]
    error: FailureDetails


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """Return the document as JSON values."""
    refs, schemas = _schemas(operations)
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "rtserver", "version": version, "description": _INTRODUCTION},
        "paths": paths,
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "backend": {
                    "type": "http", "scheme": "bearer",
                    "description": "The API key (`RTSERVER_API_KEY`), or a token with the role `service`",
                },
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token"},
            },
        },
    }  # fmt: skip


def _described(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": _security(operation),
        "responses": {str(operation.status): _success(operation, refs), **_failures(operation)},
    }
    if operation.description:
        described["description"] = operation.description
    parameters = [*_parameters(operation, "path"), *_parameters(operation, "query")]
    if parameters:
        described["parameters"] = parameters
    if "body" in operation.inputs:
        schema = refs[operation.inputs["body"]]
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    elif operation.takes != JSON:
        described["requestBody"] = {"required": True, "content": {operation.takes: {"schema": {}}}}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    match operation.access:
        case "public":
            return []
        case "backend":
            return [{"backend": []}]
        case "user":
            return [{"backend": []}, {"user": []}]


def _success(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    schema = {} if _is_raw(operation.answer) else refs[operation.answer]
    return {"description": "Done", "content": {operation.gives: {"schema": schema}}}


def _failures(operation: Operation) -> dict[str, Any]:
    """Return the error responses by status; several codes may share one."""
    codes: dict[int, list[str]] = {}
    for error in _errors(operation):
        listed = codes.setdefault(error.http_status, [])
        if error.code not in listed:
            listed.append(error.code)
    descriptions = {str(status): " or ".join(f"`{code}`" for code in listed) for status, listed in codes.items()}
    if operation.access != "public":
        descriptions["401"] = _UNAUTHORIZED
    if "body" in operation.inputs or operation.takes != JSON:
        descriptions |= {"408": "`timeout`: the body arrived too slowly", "415": "`unsupported_media_type`"}
    content = {JSON: {"schema": {"$ref": _REF.format(name="Failure")}}}
    return {status: {"description": descriptions[status], "content": content} for status in sorted(descriptions)}


def _errors(operation: Operation) -> Iterable[type[EventError]]:
    yield from operation.errors
    yield from (Internal, Unavailable)
    if operation.inputs.keys() & {"path", "query", "body", "request"}:
        yield InvalidPayload
    if "body" in operation.inputs or operation.takes != JSON:
        yield TooLarge
    if operation.access != "public":
        yield RateLimited
    if operation.access == "backend":
        yield from (Forbidden, NotFound)


def _schemas(operations: Sequence[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return the schema of each type, and the components that these refer to."""
    wanted: list[Any] = [Failure]
    for operation in operations:
        if "body" in operation.inputs:
            wanted.append(operation.inputs["body"])
        if not _is_raw(operation.answer):
            wanted.append(operation.answer)
    unique = list(dict.fromkeys(wanted))
    refs, components = msgspec.json.schema_components(unique, ref_template=_REF)
    for name in _bodies(operations):
        _allow_null(components[name])
    for component in components.values():
        component["description"] = python_inspect.cleandoc(component.get("description", ""))
    return dict(zip(unique, refs, strict=True)), dict(sorted(components.items()))


def _bodies(operations: Sequence[Operation]) -> Iterable[str]:
    """Return the names of the components that requests consist of."""
    bodies = [operation.inputs["body"] for operation in operations if "body" in operation.inputs]
    return msgspec.json.schema_components(bodies, ref_template=_REF)[1]


def _allow_null(component: dict[str, Any]) -> None:
    """Allow null for each optional field: it counts as left out (`rtserver.protocol.conversion`)."""
    for name, schema in component.get("properties", {}).items():
        # A schema without type and options, and one with null among them, allows it already.
        options = schema.get("anyOf", ())
        if name in component.get("required", ()) or not schema.keys() & {"type", "$ref", "enum"} or _NULL in options:
            continue
        kept = {key: schema.pop(key) for key in ("description", "default") if key in schema}
        component["properties"][name] = {"anyOf": [schema, _NULL], **kept}


def _parameters(operation: Operation, location: str) -> Iterable[dict[str, Any]]:
    shape = operation.inputs.get(location)
    if shape is None:
        return
    (_,), components = msgspec.json.schema_components([shape], ref_template=_REF)
    described = components[shape.__name__]
    for name, schema in described["properties"].items():
        schema = _without_null(schema)
        description = schema.pop("description", "")
        parameter = {"name": name, "in": location, "required": name in described.get("required", ()), "schema": schema}
        yield parameter | ({"description": description} if description else {})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove null from a schema: a URL has no null, an optional parameter is left out."""
    schema = dict(schema)
    if schema.get("default", 0) is None:
        del schema["default"]
    options = [option for option in schema.pop("anyOf", ()) if option != _NULL]
    return {**schema, **options[0]} if len(options) == 1 else {**schema, **({"anyOf": options} if options else {})}


def _is_raw(answer: Any) -> bool:
    return python_inspect.isclass(answer) and issubclass(answer, web.StreamResponse)
