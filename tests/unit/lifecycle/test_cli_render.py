"""Tables, times and logs for people."""

import json
from pathlib import Path

import pytest

from lifecycle.cli.job_lines import line_text
from lifecycle.cli.render import columns, fields, table, time_text, without_folders
from lifecycle.domain.digest import brief, digest_of
from lifecycle.ports.jobs import LogLine
from tests.unit.lifecycle.conftest import on_a_terminal


def test_columns_of_a_table_are_as_wide_as_their_widest_cell() -> None:
    assert table(("id", "size"), [("a", 1), ("long", 22)]) == "id    size\na     1\nlong  22"
    assert table(("id", "size"), []) == "id  size"


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, "id   step\nami  create a release that is long"),
        (80, "id   step\nami  create a release that is long"),
        (20, "id   step\nami  create a relea…"),
        (1, "id   step\nami  create …"),
    ],
)
def test_widest_cell_is_cut_to_the_width_of_the_terminal(width: int | None, expected: str) -> None:
    assert columns([("id", "step"), ("ami", "create a release that is long")], width=width) == expected


@pytest.mark.parametrize("width", [60, 100])
def test_no_line_is_wider_than_the_terminal(width: int, folder: Path) -> None:
    """On a real one; where stdout is a file every value is whole."""
    (folder / "capctl.yaml").write_text(
        'project: shop\ntargets: {dev: {account: "012345678901", region: eu-central-1}}\n'
    )
    words = ("config", "show", "--origins")
    shown = on_a_terminal(*words, COLUMNS=str(width)).splitlines()
    on_a_terminal(*words, stdout=folder / "whole")
    whole = (folder / "whole").read_text()
    assert max(map(len, shown)) <= width < max(map(len, whole.splitlines()))
    assert any("…" in line for line in shown)
    assert "…" not in whole


def test_fields_are_read_as_people_write_them() -> None:
    shown = fields(
        (("size", 3), ("required", True), ("spot", False), ("parts", ("a", "b")), ("none", None), ("no", ()))
    )
    assert shown.splitlines() == [
        "size      3",
        "required  yes",
        "spot      no",
        "parts     a, b",
        "none      -",
        "no        -",
    ]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-21T15:07:02+00:00", "2026-11-21 15:07:02Z"),
        ("2026-11-21T16:07:02.512+01:00", "2026-11-21 15:07:02Z"),
        ("2026-11-21T15:07:02.000Z", "2026-11-21 15:07:02Z"),
        (1_795_273_622_999, "2026-11-21 15:07:02Z"),
        (0, "-"),
        ("", "-"),
    ],
)
def test_times_have_one_form(moment: str | int, expected: str) -> None:
    assert time_text(moment) == expected


def test_digests_and_addresses_are_short() -> None:
    digest = digest_of(b"a")
    assert brief(f"image r@{digest}, {digest}") == f"image r@{digest[:19]}, {digest[:19]}"
    assert brief(f"{digest}0") == f"{digest}0"
    assert without_folders("smoke a with s3://bucket/samples/face.mp4") == "smoke a with face.mp4"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("plain text", "plain text"),
        ("", ""),
        ("{no json", "{no json"),
        ('["a"]', '["a"]'),
        ({"event": "progress", "step": "store", "detail": "", "percent": 89}, "progress step=store percent=89"),
        (
            {"at": 1, "level": "error", "message": "no video", "hint": "check it", "ok": False, "n": None},
            "error no video at=1 hint='check it' ok=false",
        ),
        ({"event": {"a": 1}}, 'event={"a": 1}'),
    ],
)
def test_lines_of_a_job_that_are_json_read_as_level_message_and_the_rest(message: object, expected: str) -> None:
    written = message if isinstance(message, str) else json.dumps(message)
    assert line_text(LogLine(at_ms=1_795_273_622_000, message=written)) == f"2026-11-21 15:07:02Z {expected}".rstrip()
