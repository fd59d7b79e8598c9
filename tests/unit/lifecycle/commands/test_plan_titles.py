"""The title of a plan: a verb and its object, in lower case, since a question and a sentence are made of it."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import BAKED, DEPLOYED, LOCKED, PUSHED, World

TITLE = re.compile(
    r"(bake|build|copy|deploy|deprecate|disable|enable|lock|promote|prune|push|release|revoke|roll back to|share|smoke|undo|update)"
    r" [a-z]\S*( \S+)*"
)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("ami bake", (*LOCKED, "models push")),
        ("ami bake", BAKED),
        ("ami copy ami-00000000000000001 --to-region eu-west-1", BAKED),
        ("ami deprecate ami-00000000000000001 --in 30d", BAKED),
        ("ami deprecate ami-00000000000000001 --undo", BAKED),
        ("ami disable ami-00000000000000001 --force", BAKED),
        ("ami disable ami-00000000000000001 --undo", BAKED),
        ("ami share ami-00000000000000001 --with 210987654321", BAKED),
        ("ami share ami-00000000000000001 --with 210987654321 --revoke", BAKED),
        ("ami prune", ()),
        ("ami prune", DEPLOYED),
        ("bootstrap", ()),
        ("bootstrap", ("bootstrap",)),
        ("deploy", (*BAKED, *PUSHED)),
        ("deploy", DEPLOYED),
        ("image base", ()),
        ("image base", PUSHED),
        ("image push", PUSHED),
        ("models lock", ()),
        ("models lock", LOCKED),
        ("models push", LOCKED),
        ("models push", BAKED),
        ("ami promote candidate --to stable", DEPLOYED),
        ("ami promote candidate --to candidate", BAKED),
        ("ami promote --rollback --to candidate", (*BAKED, "ami bake --force")),
        ("release", (*LOCKED, "models push", *PUSHED)),
        ("release", DEPLOYED),
        ("rollback --to c3db89e8ed06", DEPLOYED),
        ("smoke", DEPLOYED),
    ],
)
def test_title_is_a_verb_and_its_object(
    words: str, given: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(folder, capsys)
    for before in given:
        world.run(before)
    code, out, err = world.run(f"{words} --dry-run", "-o", "json")
    assert code == 0, err
    assert TITLE.fullmatch(json.loads(out)["title"])
