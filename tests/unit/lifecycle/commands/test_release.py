"""`capctl release`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.domain.channel import STABLE, parse_channel
from lifecycle.errors import Interrupted
from lifecycle.workflows.remove_releases import PruneReleases
from tests.fakes.releases import result_document
from tests.unit.lifecycle.commands.case import BAKED, LOCKED, PUSHED, Case, Play, World

# An account with a base image, and models in the bucket.
READY = (*LOCKED, "models push", *PUSHED[:2])
BAKE = (
    "baker.bake",
    "objects.write",
    "objects.write",
    "amis.tag",
    "amis.require_imds_v2",
    "amis.tag",
    "channels.write",
)
TRY = ("deployments.turn", "registry.tag", "pointers.readmit", "stack.add_release", "jobs.submit")
DEPLOY = (*TRY, "pointers.move", "amis.tag")
PROMOTE = ("channels.write", "amis.tag")
RELEASED = (*READY, "release --yes")


def answer(agreed: bool) -> Callable[[World], None]:
    def given(world: World) -> None:
        world.answers = (agreed,)

    return given


def change_code(world: World) -> None:
    world.ports.code.files["job.py"] += "#"


def break_code(world: World) -> None:
    change_code(world)
    world.ports.jobs.leaves = result_document(tracks=[])


def change_models(world: World) -> None:
    """Lock and push another file, which jobs then find."""
    Path("models/models/age.onnx").write_bytes(b"older")
    for words in ("models lock", "models push"):
        assert world.run(words)[0] == 0
    models = world.ports.model_lock.read()
    assert models
    world.ports.jobs.leaves = result_document(models={"digest": models.digest, "read_only": True})


def roll_back(world: World) -> None:
    change_code(world)
    assert world.run("release --yes")[0] == 0
    assert world.run("rollback --yes")[0] == 0


def supersede(world: World) -> None:
    """Release other models, and go back to the first ones by the channel."""
    assert world.run("release --yes --promote stable")[0] == 0
    change_models(world)
    for words in ("release --yes --promote stable", "ami promote --rollback --to stable --yes"):
        assert world.run(words)[0] == 0, words


def roll_the_same_models_back(world: World) -> None:
    """Bake them again, and go back to their first AMI by the channel."""
    for words in (
        "release --yes --promote stable",
        "ami bake --force",
        "deploy --yes --ami candidate",
        "ami promote candidate --to stable --yes",
        "ami promote --rollback --to stable --yes",
        "rollback --yes",
    ):
        assert world.run(words)[0] == 0, words


CASES = [
    Case(
        words="release --yes",
        given=READY,
        asked=(*BAKE, "code.push", *DEPLOY),
        text="{release}",
        document={"schema": "capctl.shipment/1", "changed": True, "roll_back_to": None, "failure": None},
    ),
    Case(
        words="release --yes",
        given=RELEASED,
        text="{release}",
        document={"changed": False, "smoke": None, "warnings": []},
        said="push the code image: the registry has the code of the working tree, `code-7fcfcf50d39e5a6e`",
    ),
    Case(words="release --yes", given=RELEASED, text="{release}", document={"changed": False}),
    Case(
        words="release --yes --promote stable",
        given=RELEASED,
        asked=PROMOTE,
        text="{release}",
        document={"changed": True},
    ),
    Case(
        words="release --yes", given=RELEASED, change=change_code, asked=("code.push", *DEPLOY[:-1]), text="{release}"
    ),
    Case(words="release --yes", given=RELEASED, change=change_models, asked=(*BAKE, *DEPLOY), text="{release}"),
    Case(
        words="release",
        given=READY,
        change=answer(True),
        asked=(*BAKE, "code.push", *DEPLOY),
        text="{release}",
        said="Release the code and the models of vision on target `test` (account 123456789012, region us-west-2)?",
    ),
    Case(
        words="release",
        given=READY,
        change=answer(False),
        code=1,
        document={"schema": "capctl.error/1", "code": "declined"},
        said="Nothing was changed on target `test`",
    ),
    Case(words="release", given=READY, code=2, error="confirmation-needed"),
    Case(
        words="release --yes",
        given=RELEASED,
        change=break_code,
        asked=("code.push", *TRY, "pointers.retire", "jobs.close_queue", "stack.remove_releases"),
        code=7,
        error="smoke-failed",
        document={"schema": "capctl.shipment/1"},
    ),
    Case(words="release --yes", given=RELEASED, change=roll_back, code=1, error="release-rolled-back"),
    Case(words="release --yes", given=READY, change=supersede, code=1, error="ami-superseded"),
    Case(
        words="release --yes",
        given=READY,
        change=roll_the_same_models_back,
        asked=("channels.write",),
        text="{release}",
        document={"ami": "ami-00000000000000001"},
    ),
    Case(words="release --yes --promote Stable", given=READY, code=2, error="channel-invalid"),
    Case(words="release --yes --ami candidate", given=(*BAKED, *PUSHED), asked=DEPLOY, text="{release}"),
    Case(words="release --yes --ami candidate --image nonsense", given=BAKED, code=1, error="image-missing"),
    Case(words="release --yes", given=PUSHED, code=2, error="lock-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_release(case: Case, played: Play) -> None:
    played(case)


@pytest.fixture
def world(folder: Path, capsys: pytest.CaptureFixture[str]) -> World:
    """One with a base image, and models in the bucket."""
    made = World(folder, capsys)
    for words in READY:
        assert made.run(words)[0] == 0
    return made


def shipment(world: World, words: str = "", code: int = 0) -> dict[str, object]:
    ended, out, err = world.run(f"release --yes {words}", "-o", "json")
    assert ended == code, err
    return dict(json.loads(out))


def stages(document: dict[str, object]) -> dict[str, str]:
    listed = document["stages"]
    assert isinstance(listed, list)
    return {stage["name"]: stage["outcome"] for stage in listed}


def test_document_says_what_each_stage_came_to(world: World) -> None:
    first = shipment(world, "--promote stable")
    assert stages(first) == dict.fromkeys(("bake", "push", "deploy", "promote"), "changed")
    again = shipment(world, "--promote stable")
    assert stages(again) == dict.fromkeys(("bake", "push", "deploy", "promote"), "unchanged")
    assert again["release_id"] == first["release_id"] == world.active()
    change_code(world)
    changed = shipment(world)
    assert stages(changed) == {"bake": "unchanged", "push": "changed", "deploy": "changed", "promote": "left-out"}
    assert changed["roll_back_to"] == first["release_id"]
    assert changed["ami"] == first["ami"]
    assert changed["image"] != first["image"]


def test_document_of_a_release_that_failed_tells_what_was_done_before(world: World) -> None:
    first = shipment(world)
    break_code(world)
    failed = shipment(world, "--promote stable", code=7)
    assert stages(failed) == {
        "bake": "unchanged",
        "push": "changed",
        "deploy": "rolled-back",
        "promote": "not-reached",
    }
    assert failed["pointer"] == failed["pointer_before"] == first["pointer"]
    assert failed["release_id"] != first["release_id"]
    assert isinstance(failed["failure"], dict)
    assert isinstance(failed["smoke"], dict)
    assert (failed["failure"]["code"], failed["failure"]["exit_code"], failed["smoke"]["ok"]) == (
        "smoke-failed",
        7,
        False,
    )


def test_channel_of_the_configuration_is_moved_unless_another_is_named(world: World) -> None:
    config = Path("capctl.yaml")
    config.write_text(config.read_text().replace("ami: {", "ami: {promote_to: stable, "))
    shipment(world)
    assert world.ports.channels.read(STABLE)
    shipment(world, "--promote beta")
    assert world.ports.channels.read(parse_channel("beta"))


@pytest.mark.parametrize("channel", ["candidate", "ami-x", "Stable"])
def test_channel_of_the_configuration_must_be_one_that_is_promoted_to(world: World, channel: str) -> None:
    config = Path("capctl.yaml")
    config.write_text(config.read_text().replace("ami: {", f"ami: {{promote_to: {channel}, "))
    code, _, err = world.run("release --yes")
    assert (code, world.asked) == (2, [])
    assert "`targets.test.ami.promote_to`" in err


def test_dry_run_shows_the_stages_that_are_decided_and_foretells_the_others(world: World) -> None:
    _, out, _ = world.run("release --dry-run --promote stable", "-o", "json")
    document = json.loads(out)
    assert world.asked == []
    assert [(stage["stage"], stage["is_known"]) for stage in document["stages"]] == [
        ("bake", True),
        ("push", True),
        ("deploy", False),
        ("promote", False),
    ]
    assert document["steps"] == [step for stage in document["stages"] for step in stage["steps"]]
    assert document["push"]["known"] is None
    shipment(world)
    change_code(world)
    world.ports.code.push()
    _, out, _ = world.run("release --dry-run --promote stable", "-o", "json")
    assert [stage["is_known"] for stage in json.loads(out)["stages"]] == [True, True, True, False]


def test_rolled_back_release_is_made_again_by_name(world: World) -> None:
    shipment(world)
    roll_back(world)
    _, _, err = world.run("release --yes")
    (command,) = [word for word in err.split("`") if word.startswith("capctl deploy")]
    assert world.run(f"{command.removeprefix('capctl ')} --yes")[0] == 0
    assert not shipment(world)["changed"]


def test_release_that_lost_to_a_rollback_is_not_refused_after_the_next_one(world: World) -> None:
    with Path("capctl.yaml").open("a") as config:
        config.write("    stack: {keep_releases: 3}\n")
    shipment(world)
    roll_back(world)
    bad = dict(world.ports.code.files)
    change_code(world)
    shipment(world)
    world.ports.code.files.update(bad)
    assert shipment(world)["changed"]


def test_release_goes_on_where_a_dead_one_ended(world: World) -> None:
    for fault, stage in ((world.ports.baker, "bake"), (world.ports.jobs, "submit"), (world.ports.pointers, "move")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fault, stage, died)
            world.run("release --yes")
        world.ports.deployments.bury()
    assert stages(shipment(world))["deploy"] == "changed"
    assert len(world.ports.stack.releases()) == 1


def test_signal_is_told_with_what_was_done_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shipment(world)
    change_code(world)
    monkeypatch.setattr(world.ports.jobs, "submit", interrupted)
    document = shipment(world, code=130)
    assert stages(document) == {
        "bake": "unchanged",
        "push": "changed",
        "deploy": "interrupted",
        "promote": "not-reached",
    }
    assert document["pointer"] == first["pointer"]


def test_pointer_that_was_moved_before_the_signal_is_told_as_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shipment(world)
    change_code(world)
    monkeypatch.setattr(PruneReleases, "apply", interrupted)
    document = shipment(world, code=130)
    assert document["roll_back_to"] == first["release_id"]
    assert isinstance(document["pointer"], dict)
    assert document["pointer"]["release_id"] == world.active() == document["release_id"]


def test_signal_while_a_failure_is_looked_into_ends_the_command(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shipment(world)
    break_code(world)
    remove = world.ports.stack.remove_releases

    def remove_and_be_interrupted(*arguments: object, **named: object) -> object:
        monkeypatch.setattr(world.ports.pointers, "read", interrupted)
        return remove(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(world.ports.stack, "remove_releases", remove_and_be_interrupted)
    assert world.run("release --yes")[0] == 130


def interrupted(*_: object, **__: object) -> None:
    raise Interrupted("interrupted", "The command was interrupted by SIGTERM", hint="Run it again")


def died(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
