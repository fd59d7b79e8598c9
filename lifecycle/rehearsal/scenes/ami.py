"""The life of AMIs, from a bake to their removal, beside releases that never take them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from lifecycle.domain.measures import counted
from lifecycle.domain.moments import iso_text
from lifecycle.domain.tags import Tag
from lifecycle.errors import ExitCode
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.scenes.parts import bake_and_verify, bootstrap, expect, instances, lock_and_push
from lifecycle.rehearsal.stage import Stage

ELSEWHERE = "eu-west-1"
OTHER_ACCOUNT = "210987654321"
# No AMI is too new, and channels keep one each.
_RETENTION = {"min_age_days": 0, "keep_per_channel": 1}
_GRACE = timedelta(hours=49)


def play(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """Every step is a command that a user types; what it printed is checked here."""
    bootstrap(capctl, record)
    lock_and_push(stage, capctl, record)
    first = bake_and_verify(stage, capctl, record, "--boot")
    _why(stage, capctl, record)
    _sweep(stage, capctl, record)
    second = bake_and_verify(stage, capctl, record)
    _look(capctl, record, first, second)
    _give_away(capctl, record, second)
    _prune(stage, capctl, record, unused=first, named=second)


def _why(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    with record.step("a model more") as step:
        stage.project.add_model("experiments/coco/threshold.yaml", b"score: 0.4\n")
        step.result = "experiments/coco/threshold.yaml"
    lock_and_push(stage, capctl, record)
    with record.step("ami bake --dry-run") as step:
        plan = capctl("ami", "bake", "--dry-run").document
        expect(any("threshold.yaml" in line for line in plan["details"]), "a dry run must name the file that is new")
        step.result = f"{counted(len(plan['steps']), 'step')}, {plan['because']}"


def _sweep(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    with record.step("ami bake, killed", stage.standins.machines) as step:
        capctl.kill("ami", "bake", at="Stopping the source instance")
        step.result = f"{counted(instances(stage, alive=True), 'instance')} left running"
    with record.step("ami sweep", stage.standins.machines) as step:
        swept = capctl("ami", "sweep", "--yes").document["leftovers"]
        removed = [one for one in swept if one["outcome"] == "removed"]
        expect(instances(stage, alive=True) == 0, "no instance of a dead bake may be left")
        step.result = f"{counted(len(removed), 'leftover')} of the dead bake removed"


def _look(capctl: Capctl, record: Recorder, first: dict[str, Any], second: dict[str, Any]) -> None:
    with record.step("ami diff") as step:
        sums = capctl("ami", "diff", first["id"], second["id"]).document["sums"]
        expect(sums == {"added": 1, "removed": 0, "changed": 0}, f"one file was added, found {sums}")
        step.result = "1 file added"
    with record.step("ami channels candidate") as step:
        history = capctl("ami", "channels", "candidate").document["history"]
        expect([one["ami"] for one in history] == [second["id"], first["id"]], "each bake must have moved the channel")
        step.result = f"{counted(len(history), 'version')}, newest {history[0]['ami']}"


def _give_away(capctl: Capctl, record: Recorder, ami: dict[str, Any]) -> None:
    with record.step("ami copy") as step:
        (copy,) = capctl("ami", "copy", ami["id"], "--to-region", ELSEWHERE).document["copies"]
        step.result = f"{copy['id']} is {copy['status']} in {ELSEWHERE}"
    with record.step("ami share") as step:
        refused = capctl("ami", "share", ami["id"], "--with", OTHER_ACCOUNT, "--yes", expect=ExitCode.FAILED)
        step.result = f"`{refused.document['code']}`: under the default key nobody else could use it"
    with record.step("ami deprecate --in 30d") as step:
        deprecated = capctl("ami", "deprecate", ami["id"], "--in", "30d", "--yes").document
        step.result = f"from {deprecated['deprecated_at']} on"


def _prune(stage: Stage, capctl: Capctl, record: Recorder, *, unused: dict[str, Any], named: dict[str, Any]) -> None:
    with record.step("ami prune") as step:
        kept = capctl("ami", "prune").document["amis"]
        expect({one["verdict"] for one in kept} == {"keep"}, "AMIs of today must stay")
        step.result = f"{counted(len(kept), 'AMI')} kept: {kept[-1]['reasons'][0]}"
    stage.project.configure("ami", "retention", _RETENTION)
    _prune_one(capctl, record, "disable", unused=unused, named=named)
    with record.step("two days later") as step:
        since = iso_text(datetime.now(UTC) - _GRACE)
        stage.client("ec2").create_tags(Resources=[unused["id"]], Tags=[{"Key": Tag.DISABLED_AT.value, "Value": since}])
        step.result = f"its tag says that {unused['id']} is disabled since {since}"
    _prune_one(capctl, record, "deregister", unused=unused, named=named)


def _prune_one(
    capctl: Capctl, record: Recorder, verdict: str, *, unused: dict[str, Any], named: dict[str, Any]
) -> None:
    with record.step(f"ami prune, {verdict}") as step:
        pruned = {one["id"]: one for one in capctl("ami", "prune", "--apply", "--yes").document["amis"]}
        expect(pruned[unused["id"]]["verdict"] == verdict, f"{unused['id']} must be for {verdict}")
        expect(pruned[named["id"]]["verdict"] == "keep", f"{named['id']} is named by a channel and must stay")
        step.result = f"{unused['id']} is {pruned[unused['id']]['outcome']}"
