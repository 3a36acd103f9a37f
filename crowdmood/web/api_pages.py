"""What programs can ask: a page about it, made from the OpenAPI description. And whether the server lives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from crowdmood.web.web_pages import page

router = APIRouter()
METHODS = ("get", "post", "put", "patch", "delete")


class Health(BaseModel):
    """That the server answers."""

    ok: bool = Field(description="Always true: a server that does not live does not answer.")


@router.get("/healthz", tags=["server"])
async def health() -> Health:
    """Whether the server lives; needs no token."""
    return Health(ok=True)


@router.get("/api", include_in_schema=False)
def about(request: Request) -> Response:
    """All operations, with their parameters and answers."""
    description = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in operations(description):
        groups.setdefault(operation["group"], []).append(operation)
    return page(request, "api.html.j2", groups=groups, server=str(request.base_url).rstrip("/"),
                token=request.state.sessions.needed)


def operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each operation of an OpenAPI description, as the page tells it."""
    for path, item in description["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                yield {
                    "method": method.upper(),
                    "path": path,
                    "group": (operation.get("tags") or [path.strip("/").removeprefix("api/").partition("/")[0]])[0],
                    "about": operation.get("description") or operation.get("summary", ""),
                    "parameters": [_parameter(each) for each in operation.get("parameters", ())],
                    "body": _fields(description, operation.get("requestBody")),
                    "answer": _fields(description, _success(operation)),
                }


def _success(operation: dict[str, Any]) -> dict[str, Any] | None:
    return next((answer for status, answer in operation["responses"].items() if status.startswith("2")), None)


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter.get("schema", {})
    return {"name": parameter["name"], "kind": _kind(schema), "needed": parameter.get("required", False),
            "default": schema.get("default"), "about": parameter.get("description") or schema.get("description", "")}


def _fields(description: dict[str, Any], body: dict[str, Any] | None) -> dict[str, Any] | None:
    """Kind and fields of a body, None where there is none."""
    for kind, content in (body or {}).get("content", {}).items():
        schema = content.get("schema", {})
        seen = _resolved(description, schema.get("items", schema))
        fields = [{"name": name, "kind": _kind(_resolved(description, each) | each), "needed": name in seen.get("required", ()),
                   "default": each.get("default"), "about": each.get("description", "")} for name, each in seen.get("properties", {}).items()]
        return {"kind": kind, "list": schema.get("type") == "array", "fields": fields}
    return None


def _resolved(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = description["components"]["schemas"][name] if name else schema
    return found


def _kind(schema: dict[str, Any]) -> str:
    """A type in a word or two, with its bounds."""
    if options := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_kind(each) for each in options))
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    kind = schema.get("$ref", "").rpartition("/")[2] or schema.get("format") or schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum", schema.get("exclusiveMaximum"))
    high = None if high is not None and high >= 1 << 53 else high  # only there so that numbers stay exact
    bounds = (f"from {low:g}" if low is not None else "", f"to {high:g}" if high is not None else "")
    return " ".join((str(kind), *filter(None, bounds)))
