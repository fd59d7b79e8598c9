"""The JSON Schema of `capctl.yaml`, for editors."""

from typing import Any

from lifecycle.config.rules import model_of
from lifecycle.config.schema import Config


def schema_document() -> dict[str, Any]:
    """JSON Schema, draft 2020-12. A section may be empty, as its keys may all be commented out."""
    document = model_of(Config).model_json_schema()
    for definition in document["$defs"].values():
        if definition.get("type") == "object":
            definition["type"] = ["object", "null"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
