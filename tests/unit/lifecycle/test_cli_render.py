"""Tables, times and logs for people."""

import json
from pathlib import Path

import pytest

from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.job_lines import line_text
from lifecycle.cli.main import root
from lifecycle.cli.render import fields, fitted, table, time_text, without_folders
from lifecycle.domain.digest import brief, digest_of
from lifecycle.ports.jobs import LogLine
from tests.unit.lifecycle.conftest import on_a_terminal

AMI, OTHER = "ami-0123456789abcdef0", "i-0123456789abcdef0"
USED = f"used by 2 instances: {OTHER}, {OTHER}"


def test_columns_of_a_table_are_as_wide_as_their_widest_cell() -> None:
    assert table(("id", "size"), [("a", 1), ("long", 22)]) == "id    size\na     1\nlong  22"
    assert table(("id", "size"), []) == "id  size"


def test_row_is_one_line_and_drives_no_terminal_whatever_its_cells_hold() -> None:
    shown = table(("by", "why"), [("eve\n2  ami-0bad0bad", "\x1b]0;owned\x07\u2028"), ("bob", "ok")])
    assert shown.splitlines() == [
        "by                    why",
        r"eve\n2  ami-0bad0bad  \x1b]0;owned\x07\u2028",
        "bob                   ok",
    ]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, ["ami                    age  why", f"{AMI}  3d   {USED}"]),
        (90, ["ami                    age  why", f"{AMI}  3d   {USED}"]),
        (
            60,
            [
                "ami                    age  why",
                f"{AMI}  3d   used by 2 instances:",
                f"{28 * ' '}{OTHER},",
                f"{28 * ' '}{OTHER}",
            ],
        ),
        (
            47,
            [
                "ami                    age",
                f"{AMI}  3d",
                "    why: used by 2 instances:",
                f"    {OTHER}, {OTHER}",
            ],
        ),
        (
            10,
            [
                "ami                    age",
                f"{AMI}  3d",
                "    why: used by 2",
                "    instances:",
                f"    {OTHER},",
                f"    {OTHER}",
            ],
        ),
    ],
)
def test_prose_goes_on_in_further_lines_where_a_terminal_is_narrow_and_no_word_is_cut(
    width: int | None, expected: list[str]
) -> None:
    assert fitted(("ami", "age", "why"), [(AMI, "3d", USED)], prose={"why"}, width=width).splitlines() == expected


@pytest.mark.parametrize("width", [80, 120])
def test_tables_of_the_ami_commands_fit_a_terminal_and_tell_everything(width: int) -> None:
    by, why = "alice.of.the.night.shift", "rolled back: more models fell over than anybody had expected"
    rows = [("12", AMI, "smoke-passed", "2026-11-21 15:07:02Z", by, why)] * 2
    shown = fitted(("version", "ami", "status", "since", "by", "why"), rows, prose={"by", "why"}, width=width)
    assert max(map(len, shown.splitlines())) <= width
    words = shown.split()
    assert all(words.count(word) >= 2 for row in rows for cell in row for word in cell.split())


def test_what_stands_below_a_row_is_left_out_where_it_says_nothing_or_the_same() -> None:
    rows = [(AMI, "a" * 30), (AMI, "-"), (AMI, AMI)]
    assert fitted(("ami", "why"), rows, prose={"why"}, width=40).splitlines() == [
        "ami",
        AMI,
        f"    why: {'a' * 30}",
        AMI,
        AMI,
    ]


def test_table_knows_the_width_of_its_terminal(folder: Path) -> None:
    program = (
        "from lifecycle.cli.render import table; print(table(('id', 'step'), [('a', 'bb ' * 33)], prose=['step']))"
    )
    shown = on_a_terminal(program=program, COLUMNS="60").splitlines()
    assert len(shown) == 3
    assert max(map(len, shown)) <= 60
    on_a_terminal(program=program, stdout=folder / "whole", COLUMNS="60")
    assert len((folder / "whole").read_text().splitlines()) == 2


def test_file_of_an_origin_is_called_by_its_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "capctl.yaml").write_text(
        'project: shop\ntargets: {dev: {account: "012345678901", region: eu-central-1}}\n'
    )
    run_command_line(root, ["--config", str(folder / "capctl.yaml"), "config", "show", "--origins"])
    shown = capsys.readouterr().out
    assert "  capctl.yaml:2:" in shown
    assert str(folder) not in shown


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
