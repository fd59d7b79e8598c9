"""The page of `capctl release --summary`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.errors import CapctlError, Inconclusive
from tests.golden import assert_golden
from tests.unit.lifecycle.commands.case import World
from tests.unit.lifecycle.commands.test_release import READY, RELEASED, break_code, change_code, roll_back

PAGE = Path("page.md")


@pytest.fixture
def world(folder: Path, capsys: pytest.CaptureFixture[str]) -> World:
    return World(folder, capsys)


def raise_for_capacity(*_: object) -> None:
    raise Inconclusive("no-capacity", "Smoke job got no host: <b>*CAPACITY*</b> | @all", hint="Run it again")


def raise_a_bug(*_: object) -> None:
    message = "nobody foresaw `this`"
    raise RuntimeError(message)


def no_capacity(world: World) -> None:
    change_code(world)
    world.ports.jobs.submit = raise_for_capacity  # type: ignore[method-assign, assignment]


def bug(world: World) -> None:
    change_code(world)
    world.ports.jobs.submit = raise_a_bug  # type: ignore[method-assign, assignment]


def nothing(_: World) -> None:
    """The world stays as it is."""


@pytest.mark.parametrize(
    ("name", "given", "change", "words", "code"),
    [
        ("first", READY, nothing, "--yes --promote stable --reason a*test", 0),
        ("unchanged", RELEASED, nothing, "--yes", 0),
        ("changed", RELEASED, change_code, "--yes", 0),
        ("rolled-back", RELEASED, break_code, "--yes", 7),
        ("inconclusive", RELEASED, no_capacity, "--yes", 3),
        ("refused", RELEASED, roll_back, "--yes", 1),
        ("bug", RELEASED, bug, "--yes", 70),
        ("dry-run", RELEASED, change_code, "--dry-run --promote stable", 0),
        ("no-lock", READY[2:], lambda _: Path("models.lock.yaml").unlink(missing_ok=True), "--yes", 2),
        ("no-target", READY, nothing, "--yes --target nowhere", 2),
    ],
)
def test_page(
    name: str, given: tuple[str, ...], change: Callable[[World], object], words: str, code: int, world: World
) -> None:
    for before in given:
        assert world.run(before)[0] == 0
    change(world)
    ended, _, err = world.run(f"release {words} --summary {PAGE}")
    assert ended == code, err
    assert_golden(f"release-{name}.md", PAGE.read_text())


def test_page_is_added_to_what_the_file_holds(world: World) -> None:
    for before in RELEASED:
        world.run(before)
    PAGE.write_text("# Before\n")
    world.run(f"release --yes --summary {PAGE}")
    assert PAGE.read_text().startswith("# Before\n## Release to `test`: nothing to do\n")


@pytest.mark.parametrize("output", ["text", "json"])
def test_file_that_cannot_be_written_is_told_before_anything_is_done(world: World, output: str) -> None:
    for before in READY:
        world.run(before)
    code, _, err = world.run("release --yes --summary no/folder/page.md", "-o", output)
    assert (code, world.asked) == (1, [])
    assert "error[file-unusable]: `no/folder/page.md` cannot be used" in err


def test_file_that_cannot_be_written_any_more_fails_no_release(world: World) -> None:
    for before in RELEASED:
        world.run(before)
    change_code(world)
    move = world.ports.pointers.move

    def move_and_take_the_file_away(*arguments: object, **named: object) -> None:
        PAGE.unlink()
        PAGE.mkdir()
        move(*arguments, **named)  # type: ignore[arg-type]

    world.ports.pointers.move = move_and_take_the_file_away  # type: ignore[method-assign]
    assert world.run(f"release --yes --summary {PAGE}")[0] == 0
    assert f"warning: The summary could not be written to `{PAGE}`: Is a directory" in world.ports.ui.lines


def test_failure_while_the_pointer_is_looked_at_is_a_warning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for before in RELEASED:
        world.run(before)
    break_code(world)
    read, reads = world.ports.pointers.read, iter(range(100))

    def read_until_it_fails() -> object:
        if next(reads) > 3:
            raise CapctlError("aws-unreachable", "DynamoDB did not answer")
        return read()

    monkeypatch.setattr(world.ports.pointers, "read", read_until_it_fails)
    assert world.run(f"release --yes --summary {PAGE}")[0] != 0
    assert "**Warning:** Which release takes jobs now cannot be read: DynamoDB did not answer" in PAGE.read_text()
