"""YAML with the place of every key and value."""

import json
import re

import pytest

from lifecycle.config.document import dotted, read_document


def _mistakes(text: str) -> list[str]:
    return [str(mistake) for mistake in read_document(text, "capctl.yaml").mistakes]


def test_places_of_keys_and_values_count_from_one() -> None:
    document = read_document("a:\n  b: [x, y]\n", "capctl.yaml")
    assert str(document.keys[("a", "b")]) == "2:3"
    assert str(document.position(("a", "b"))) == "2:6"
    assert str(document.position(("a", "b", 1))) == "2:10"


def test_place_of_an_absent_key_is_its_parents() -> None:
    document = read_document("a:\n  b: 1\n", "capctl.yaml")
    assert str(document.key_position(("a", "missing"))) == "1:1"
    assert str(document.position(("a", "b", "c"))) == "2:6"


def test_lists_become_tuples_and_scalars_keep_their_source() -> None:
    document = read_document("a: [1, 010, on]\n", "capctl.yaml")
    assert document.value == {"a": (1, 8, True)}
    assert [document.source[("a", index)] for index in range(3)] == ["1", "010", "on"]


def test_keys_are_taken_as_they_are_written() -> None:
    assert read_document("on: 1\n1: 2\n", "capctl.yaml").value == {"on": 1, "1": 2}


def test_a_key_that_is_set_twice_is_a_mistake_at_its_second_place() -> None:
    assert _mistakes("a:\n  b: 1\n  b: 2\na: 3\n") == [
        "capctl.yaml:4:1: `a` is set twice, first in line 1",
        "capctl.yaml:3:3: `a.b` is set twice, first in line 2",
    ]


def test_an_override_of_a_merged_anchor_is_no_mistake() -> None:
    document = read_document("base: &base {x: 1, y: 2}\nmade:\n  <<: *base\n  x: 3\n", "capctl.yaml")
    assert document.mistakes == []
    assert document.value["made"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1, 2\nb: 3\n", "2:2"),
        ("a: 1\n\tb: 2\n", "2:1"),
        ("a: b: c\n", "1:5"),
        ("a: *nowhere\n", "1:4"),
        ("a: 1\n---\nb: 2\n", "2:1"),
        ("a: \x00\n", "1:4"),
        ("a: &loop\n  b: *loop\n", "1:4"),
    ],
)
def test_yaml_that_cannot_be_parsed_is_a_mistake_with_its_place(text: str, place: str) -> None:
    (mistake,) = _mistakes(text)
    assert mistake.startswith(f"capctl.yaml:{place}: ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (r'a: "x\0"', "1:4"),
        (r'a: ["\e"]', "1:5"),
        (r'{"a\x7f": 1}', "1:2"),
        (r'a: "\ud800"', "1:4"),
        (r'a: "\ud83d\ude00"', "1:4"),
    ],
)
def test_escape_of_what_no_setting_can_hold_is_a_mistake_with_its_place(text: str, place: str) -> None:
    document = read_document(text, "capctl.yaml")
    (mistake,) = document.mistakes
    assert re.fullmatch(rf"capctl\.yaml:{place}: the character #x[0-9a-f]{{4}} is not allowed", str(mistake))
    json.dumps(document.value, ensure_ascii=False).encode()


def test_lines_and_tabs_are_text() -> None:
    assert read_document(r'a: "x\n\ty"', "capctl.yaml").mistakes == []


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{b: " * 5000])
def test_nesting_without_end_is_a_mistake(text: str) -> None:
    (mistake,) = _mistakes(text)
    assert "nested too deeply" in mistake


def test_aliases_of_aliases_are_a_mistake_and_not_a_day_of_work() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60))]
    (mistake,) = _mistakes("\n".join(lines))
    assert "aliases of aliases" in mistake


def test_a_tag_runs_nothing() -> None:
    document = read_document("a: !!python/object/apply:os.getcwd []\n", "capctl.yaml")
    assert document.value == {"a": ()}


def test_paths_read_as_people_write_them() -> None:
    assert dotted(("image", "include", 0)) == "image.include[0]"
