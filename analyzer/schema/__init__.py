"""JSON Schemas of what the analyzer writes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def analysis_schema() -> dict[str, Any]:
    """The schema of `result.json` (`capctl.analysis/1`), JSON Schema 2020-12."""
    document: dict[str, Any] = json.loads(resources.files(__name__).joinpath("analysis-1.json").read_text("utf-8"))
    return document
