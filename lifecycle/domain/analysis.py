"""The document that a job leaves: what it saw in a video."""

import json
from typing import Any

from lifecycle.domain.job import contract
from lifecycle.errors import CapctlError


def parse_result(data: bytes, uri: str) -> dict[str, Any]:
    """The document stored at `uri`. Raises the verdict `CapctlError("result-invalid")` unless it is JSON of the schema that jobs write."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise CapctlError(
            "result-invalid",
            f"`{uri}` is not JSON: {error}",
            hint="Read the job's log with `capctl job logs`",
            verdict=True,
        ) from error
    if not isinstance(document, dict) or document.get("schema") != contract.RESULT_SCHEMA:
        raise CapctlError(
            "result-invalid",
            f"`{uri}` is not a `{contract.RESULT_SCHEMA}` document",
            hint="Check that the image holds the analyzer of this version; docs/smoke.md says what another job must leave",
            verdict=True,
        )
    return document


def part_of(document: object, name: str) -> dict[str, Any]:
    """A part of a document; empty where it is not there, or no mapping."""
    part = document.get(name) if isinstance(document, dict) else None
    return part if isinstance(part, dict) else {}


def whole_number(value: object) -> int | None:
    """The value if it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
