"""A command that is killed: it ends within seconds, what it started ends too, and the next run finishes or cleans up."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import descendants
from lifecycle.rehearsal.stage_folders import registry_of
from tests.rehearsal.kept_stage import Answer, KeptStage, Project, Running, await_child, left_of
from tests.rehearsal.slow_door import SlowDoor
from tests.rehearsal.stage_parts import await_end, import_tiny, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL
# Packer and Pulumi end what is under way first; nothing here takes them longer.
ENDS_WITHIN_S = 30


def killed(running: Running, number: signal.Signals, *, meanwhile: Callable[[], None] = lambda: None) -> Answer:
    """Signal a command; it must end soon, and everything below it too."""
    below = descendants(running.process.pid)
    sent = running.send(number)
    meanwhile()
    answer = running.ended()
    assert time.monotonic() - sent < ENDS_WITHIN_S
    await_end(below)
    expected = (-KILL, "") if number == KILL else (130, "interrupted")
    assert (answer.exit_code, answer.code) == expected, answer.said
    return answer


def killed_at_the_registry(project: Project, registry: SlowDoor, number: signal.Signals, *arguments: str) -> None:
    """Signal a command while the registry, which it reaches through the door, keeps it waiting."""
    with project.changed_config() as (_, target):
        target["registry_url"], there = registry.url, target["registry_url"]
    running = project.start(*arguments)
    assert registry.waiting.wait(120)
    killed(running, number)
    registry.open.set()
    with project.changed_config() as (_, target):
        target["registry_url"] = there


@pytest.fixture
def slow_registry(kept: KeptStage) -> Iterator[SlowDoor]:
    with closing(SlowDoor(kept.environment["REGISTRY"], methods={"POST", "PUT"}, hold_s=60)) as made:
        yield made
    assert leftovers.remove("", registry=urlsplit(made.url).netloc) == []


@pytest.fixture
def slow_bucket(kept: KeptStage) -> Iterator[SlowDoor]:
    address = urlsplit(kept.environment["AWS_ENDPOINT_URL"]).netloc
    with closing(SlowDoor(address, methods={"PUT"}, hold_s=60)) as made:
        yield made


@pytest.mark.parametrize(("moment", "number"), [("Launching", TERM), ("Connected", KILL), ("Creating AMI", INT)])
def test_killed_bake_leaves_no_instance_and_no_half_made_ami(
    project: Project, kept: KeptStage, moment: str, number: signal.Signals
) -> None:
    before = kept.bake_traces()
    baking = project.start("ami", "bake", "--force", "-v")
    baking.says(moment)
    killed(baking, number)
    until(lambda: kept.bake_traces() == before)


def test_bake_that_was_killed_before_it_was_verified_is_gone_on_with(project: Project, kept: KeptStage) -> None:
    before = kept.bake_traces()
    baking = project.start("ami", "bake", "--force")
    baking.says("✓ bake")
    killed(baking, KILL)
    (left,) = set(kept.bake_traces()["amis"]) - set(before["amis"])
    finished = project.done("ami", "bake", "--force")
    assert (finished["id"], finished["status"]) == (left, "verified")
    assert set(kept.bake_traces()["instances"]) <= set(before["instances"])


@pytest.mark.parametrize("number", [INT, KILL])
def test_killed_push_of_models_is_repeated_whole(
    project: Project, kept: KeptStage, slow_bucket: SlowDoor, number: signal.Signals
) -> None:
    (project.folder / "models" / "checkpoints" / "generated.bin").unlink()
    (project.folder / "models" / "checkpoints" / "generated.bin").write_bytes(secrets.token_bytes(60_000_000))
    project.done("models", "lock")
    uploads = kept.client("s3").list_multipart_uploads
    before = len(uploads(Bucket=project.bucket).get("Uploads", []))
    with project.changed_config() as (_, target):
        target["endpoint_url"], there = slow_bucket.url, target["endpoint_url"]
    pushing = project.start("models", "push")
    assert slow_bucket.waiting.wait(60)
    killed(pushing, number, meanwhile=lambda: _let_go(slow_bucket, pushing) if number != KILL else None)
    with project.changed_config() as (_, target):
        target["endpoint_url"] = there
    if number != KILL:
        assert len(uploads(Bucket=project.bucket).get("Uploads", [])) == before
    assert project.done("models", "push")["changed"]
    assert not project.done("models", "push")["changed"]


@pytest.mark.parametrize("number", [TERM, KILL])
def test_killed_push_of_code_leaves_no_image_and_is_repeated(
    project: Project, slow_registry: SlowDoor, number: signal.Signals
) -> None:
    project.done("image", "base")
    project.change_code(secrets.token_hex(8))
    killed_at_the_registry(project, slow_registry, number, "image", "push")
    project.fails("image-missing", 1, "image", "verify")
    assert project.done("image", "push")["changed"]
    assert project.done("image", "verify")["ok"]


@pytest.mark.parametrize("number", [INT, KILL])
def test_killed_build_of_a_base_is_repeated(newcomer: Project, slow_registry: SlowDoor, number: signal.Signals) -> None:
    killed_at_the_registry(newcomer, slow_registry, number, "image", "base")
    newcomer.fails("base-missing", 1, "image", "push")
    assert newcomer.done("image", "base")["changed"]


@pytest.mark.parametrize(("moment", "number"), [("create", KILL), ("smoke", TERM)])
def test_killed_deploy_moves_no_pointer_and_the_next_one_finishes(
    project: Project, kept: KeptStage, moment: str, number: signal.Signals
) -> None:
    active = project.done("status")["pointer"]
    ami = project.done("ami", "bake")["id"]
    project.change_code(secrets.token_hex(8))
    project.done("image", "push")
    deploying = project.start("deploy", "--yes", "--ami", ami, "-v")
    if moment == "create":
        deploying.says("✓ create LaunchTemplate")
        await_child(deploying, "pulumi")
    else:
        deploying.says("✓ wait until")
    killed(deploying, number)
    assert project.done("status")["pointer"] == active
    deployed = project.done("deploy", "--yes", "--ami", ami)
    assert deployed["pointer"]["version"] == active["version"] + 1
    _only_whole_releases_exist(project, kept)


def test_killed_bootstrap_is_finished_by_the_next(newcomer: Project) -> None:
    starting = newcomer.start("bootstrap", "-v")
    starting.says("✓ create Bucket")
    await_child(starting, "pulumi")
    killed(starting, KILL)
    assert newcomer.done("bootstrap")["schema"] == "capctl.base/1"
    assert newcomer.done("status")["releases"] == []


def test_rehearsal_that_was_killed_is_removed_by_the_next_one(kept: KeptStage, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="capctl-", ignore_cleanup_errors=True) as state:
        environment = {**os.environ, "XDG_STATE_HOME": state}
        stages = Path(state, "capctl", "rehearsals")
        first = Running(("rehearse",), environment, tmp_path, said=tmp_path / "first")
        first.says("✓ models push")
        first.send(KILL)
        first.ended()
        (killed_one,) = stages.iterdir()
        registry = registry_of(killed_one)
        second = Running(("rehearse",), environment, tmp_path, said=tmp_path / "second")
        second.says("✓ stage up")
        assert f"Removed what rehearsal {killed_one.name} left behind" in (tmp_path / "second").read_text()
        assert left_of(killed_one, registry) == []
        (interrupted_one,) = stages.iterdir()
        registry = registry_of(interrupted_one)
        killed(second, INT)
        assert left_of(interrupted_one, registry) == []
        third = Running(("rehearse",), environment, tmp_path, said=tmp_path / "third")
        third.says("✓ bootstrap")
        third.send(KILL)
        third.ended()
        (last,) = stages.iterdir()
        registry = registry_of(last)
        import_tiny(f"{registry}/vision:left-by-a-push")
        down = Running(("rehearse", "--down"), environment, tmp_path, said=tmp_path / "down").ended()
        assert down.document["ended"] == [last.name]
        assert left_of(last, registry) == []
        assert list(stages.iterdir()) == []


def _let_go(door: SlowDoor, running: Running) -> None:
    """Open the door once the command has heard the signal: it waits for the parts under way, and sends no other."""
    running.says("what is under way ends first")
    door.open.set()


def _only_whole_releases_exist(project: Project, kept: KeptStage) -> None:
    """As many compute environments, queues and launch templates as releases: nothing was left half made."""
    releases = project.done("status")["releases"]
    batch = kept.client("batch")
    arns = {
        environment["computeEnvironmentArn"]
        for environment in batch.describe_compute_environments()["computeEnvironments"]
    }
    assert arns == {release["compute_environment_arn"] for release in releases}
    assert {queue["jobQueueArn"] for queue in batch.describe_job_queues()["jobQueues"]} == {
        release["queue"]["arn"] for release in releases
    }
    assert len(kept.client("ec2").describe_launch_templates()["LaunchTemplates"]) == len(releases)
