"""The published formats: each holds a full example, describes all its properties and names the columns of the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer import schemas
from analyzer.contract import Table
from analyzer.schemas import analysis_schema, rekognition_schema, row_schema
from analyzer.store.attempt import claimed
from analyzer.store.base import COLUMNS, Work
from analyzer.store.rows import to_json
from analyzer.store.state import State
from tests.fakes.analyses import analysis

VALUES = {"segment": 0, "label": "face", "state": "done", "kind": "track", "gender": None, "caption": "A street"}
VALUES |= {"source": "hog", "space": "s", "age_model": "ab" * 32, "gender_model": None}
VALUES |= {"person_thumbnail": True, "face_thumbnail": False}
ROWS = {
    table: {"session_id": "clip-1"} | {name: VALUES.get(name, [0.6, 0.8] if name == "v" else 1) for name in columns}
    for table, columns in COLUMNS.items()
}


def judge(schema: dict[str, Any], document: object) -> list[str]:
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("$", {"boxes": []}),
        ("$.attempt", 0),
        ("$.coverage.skipped", [{"start_ms": 1}]),
        ("$.scenes[0].thumbnail", "thumbnails/../../etc/passwd"),
        ("$.tracks[0].orientation.degrees", 361),
        ("$.backend.sampling.mode", "each"),
        ("$.detections[0].box.left", 1.5),
    ],
)
def test_analysis_holds_the_full_example_and_nothing_else(place: str, value: Any) -> None:
    document = analysis()
    assert judge(analysis_schema(), document) == []
    target, *path = document, *place.removeprefix("$").replace("[0]", ".0").split(".")[1:]
    for step in path[:-1]:
        target = target[int(step)] if step.isdigit() else target[step]
    target.update({path[-1]: value} if path else value)
    assert all(found.startswith(place) for found in judge(analysis_schema(), document))
    assert judge(analysis_schema(), document)


@pytest.mark.parametrize("table", COLUMNS)
def test_rows_have_the_columns_of_their_table(table: Any) -> None:
    schema = row_schema(table)
    assert [*schema["properties"]] == schema["required"] == ["session_id", *COLUMNS[table]]
    assert judge(schema, {**ROWS[table], "caption_finished": True} if "caption" in ROWS[table] else ROWS[table]) == []
    assert judge(schema, {**ROWS[table], "segment": -1}) != []


def test_row_of_a_job_is_one_that_ended_well() -> None:
    schema = row_schema(Table.JOBS)
    work = Work(session_id="clip-1", fingerprint="f", video_url="v.mp4", request={"models": None})
    begun = claimed(None, work, now_s=0, next_segment=0)
    ended = begun.with_changes(state=State.PARTIAL, outcome={"status": "partial", "rows": {"analysis_tracks": 2}})
    assert [*schema["properties"]] == schema["required"] == [*ended.job_row()]
    assert judge(schema, ended.job_row()) == []
    assert sorted(judge(schema, json.loads(to_json(begun.job_row())))) == ["$.outcome", "$.state"]


def properties(schema: Any, place: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, entry in schema.get("properties", {}).items():
            yield f"{place}.{name}", entry
        for name, entry in schema.items():
            yield from properties(entry, f"{place}.{name}")
    if isinstance(schema, list):
        for entry in schema:
            yield from properties(entry, place)


def test_the_readme_names_every_schema() -> None:
    folder = Path(schemas.__path__[0])
    readme = (folder.parent / "README.md").read_text()
    assert [each.name for each in folder.glob("*.json") if f"`{each.name}`" not in readme] == []


def test_every_property_is_described() -> None:
    shared = {"session_id", "segment"}  # of rows; described once, where they are defined
    for schema in (analysis_schema(), rekognition_schema(), *map(row_schema, Table)):
        found = dict(properties(schema))
        assert len(found) > 5
        assert [
            place for place, entry in found.items() if "description" not in entry and place.split(".")[-1] not in shared
        ] == []
