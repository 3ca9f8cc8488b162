"""What schemathesis is told of this API beside its description; loaded by ``st`` itself, see schemathesis.toml."""

from __future__ import annotations

import json
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from schemathesis import Case, CheckContext, DeserializationContext, HookContext, Response, SerializationContext

LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def write_lines(context: SerializationContext, value: Any) -> bytes:
    """Lines are a text to the description."""
    del context
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.deserializer(LINES)
def read_lines(context: DeserializationContext, response: Response) -> str:
    """Checked line by line below."""
    del context
    return response.content.decode()


@schemathesis.hook
def before_generate_body(context: HookContext, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Of lines send some that are of the shape that the description says, and some that are nearly."""
    operation = context.operation
    assert operation is not None
    body = operation.definition.raw.get("requestBody", {}).get("content", {})
    if LINES not in body:
        return strategy
    shape = body[LINES]["schema"]["contentSchema"]["$ref"].rpartition("/")[2]
    examples = operation.schema.raw_schema["components"]["schemas"][shape].get("examples", [{}])
    scalars = st.none() | st.booleans() | st.integers() | st.text()

    def changed(drawn: tuple[dict[str, Any], str | None, Any]) -> str:
        example, field, value = drawn
        return json.dumps({**example, **({field: value} if field else {})})

    fields = st.none() | st.sampled_from(sorted({name for example in examples for name in example} | {"new"}))
    line = st.tuples(st.sampled_from(examples), fields, scalars).map(changed)
    return strategy | st.lists(line, max_size=5).map("\n".join)


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """An Idempotency-Key belongs to one request: a key that could be one is drawn anew for each."""
    del context, kwargs
    if case.headers and str(case.headers.get("Idempotency-Key", "")).isalnum():
        case.headers["Idempotency-Key"] = uuid.uuid4().hex


@schemathesis.check
def lines_are_of_their_shape(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Every line of an answer is what the description says that a line is."""
    del context
    said = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("content", {})
    sent = response.headers.get("content-type", [""])[0].split(";")[0]
    if sent == LINES and LINES in said:
        document = Resource.from_contents(case.operation.schema.raw_schema, default_specification=DRAFT202012)
        registry = Registry().with_resource("urn:openapi", document)
        shape = {"$ref": f"urn:openapi{said[LINES]['schema']['contentSchema']['$ref']}"}
        for line in response.content.splitlines():
            Draft202012Validator(shape, registry=registry).validate(json.loads(line))
