"""JSON Schemas (2020-12) of what the analyzer writes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from analyzer.contract import Table


def analysis_schema() -> dict[str, Any]:
    """Of `result.json` (`capctl.analysis/1`)."""
    return _read("analysis-1.json")


def row_schema(table: Table) -> dict[str, Any]:
    """Of one line of `<table>.jsonl`."""
    document = _read("rows-1.json")
    return document | {"$id": f"{document['$id']}:{table}", **document["$defs"][table]}


def rekognition_schema() -> dict[str, Any]:
    """Of what `analyzer export --format rekognition` writes."""
    return _read("rekognition-1.json")


def search_schema() -> dict[str, Any]:
    """Of what `analyzer search -o json` prints (`capctl.search/1`)."""
    return _read("search-1.json")


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(resources.files(__name__).joinpath(name).read_text("utf-8"))
    return document
