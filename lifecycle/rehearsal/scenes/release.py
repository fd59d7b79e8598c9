"""The life of a release, from a folder of models to a rollback."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.release_tag import parse_release_tag
from lifecycle.errors import ExitCode
from lifecycle.rehearsal.beside import beside
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.project import PROJECT, SMOKE_VIDEO
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.scenes.parts import (
    bake_and_verify,
    bootstrap,
    expect,
    instances,
    lock_and_push,
    make_base,
    real_job,
    store_video,
)
from lifecycle.rehearsal.stage import Stage

BROKEN = 'raise SystemExit("this release is broken on purpose")\n'


def to_try(_folder: Path, _identifier: str) -> str:
    """What a kept stage has for who types commands."""
    return f"Sample video: {SMOKE_VIDEO}, for `capctl job submit --video …`"


def play(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """Every step is a command that a user types; what it printed is checked here."""
    first = play_first(stage, capctl, record)
    second = _code_change(stage, capctl, record)
    _broken_release(stage, capctl, record, active=second)
    _expiry(stage, capctl, record, releases=(first, second))
    _rollback(capctl, record, to=first)
    _drift(stage, capctl, record, previous=second)
    _way_back(stage, capctl, record, active=first)


def play_first(stage: Stage, capctl: Capctl, record: Recorder) -> str:
    """Up to the first release, which takes jobs; returns its id."""
    bootstrap(capctl, record)
    # The engine compresses the base with one core; the models and the AMI need none of it.
    with beside(
        lambda apart: make_base(stage, capctl, apart, meanwhile=", while models and AMI were made"), capctl, record
    ):
        _models(stage, capctl, record)
    _images(stage, capctl, record)
    return _first_release(stage, capctl, record)


def _models(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    store_video(stage, record)
    lock_and_push(stage, capctl, record)
    baked = bake_and_verify(stage, capctl, record)
    with record.step("ami bake, unchanged", stage.standins.machines) as step:
        before = instances(stage)
        again = capctl("ami", "bake").document
        started = instances(stage) - before
        expect(
            again["id"] == baked["id"] and not again["changed"] and not started, "an unchanged bake must start nothing"
        )
        step.result = f"skipped, {counted(started, 'instance')} started"


def _images(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    with record.step("image push", stage.standins.registry) as step:
        pushed = capctl("image", "push").document
        step.result = f"{pushed['tag']}, {_sent(pushed)}"
    with record.step("image verify", stage.standins.engine, stage.standins.registry) as step:
        report = capctl("image", "verify").document
        sizes = f"{size_text(report['compressed_bytes'])} compressed, {size_text(report['unpacked_bytes'])} unpacked"
        step.result = f"{sizes}, no rule broken"


def _first_release(stage: Stage, capctl: Capctl, record: Recorder) -> str:
    with record.step("deploy", *real_job(stage)) as step:
        deployed = capctl("deploy", "--yes").document
        step.result = f"release {deployed['pointer']['release_id']} passed its smoke job and is active"
    with record.step("smoke", *real_job(stage)) as step:
        smoke = capctl("smoke").document
        points = [each["point"] for each in smoke["timeline"]]
        expect("first frame" in points, f"the job must tell when it saw its first frame, found {points}")
        slow = smoke["slowest"]
        step.result = (
            f"{counted(len(smoke['checks']), 'check')} on job {smoke['job_id']} passed; "
            f"slowest was {slow['phase']}, {slow['seconds']:.1f} s"
        )
    with record.step("ami promote --to stable") as step:
        promoted = capctl("ami", "promote", "candidate", "--to", "stable", "--yes").document
        expect(promoted["status"] == "promoted", "an AMI on which a smoke job has passed must be promoted")
        step.result = f"stable names {promoted['ami']}, which is {promoted['status']}"
    return str(deployed["pointer"]["release_id"])


def _code_change(stage: Stage, capctl: Capctl, record: Recorder) -> str:
    with record.step("one-line change, image push", stage.standins.registry) as step:
        stage.project.append("analyzer/__init__.py", "# a one-line change\n", message="Change one line")
        pushed = capctl("image", "push").document
        expect(pushed["changed"], "a changed line must give another image")
        step.result = f"{pushed['tag']}, {_sent(pushed)}"
    with record.step("deploy the change", *real_job(stage)) as step:
        deployed = capctl("deploy", "--yes").document
        step.result = f"release {deployed['pointer']['release_id']} is active"
    return str(deployed["pointer"]["release_id"])


def _broken_release(stage: Stage, capctl: Capctl, record: Recorder, *, active: str) -> None:
    with record.step("broken change, image push", stage.standins.registry) as step:
        stage.project.append("analyzer/__init__.py", BROKEN, message="Break it on purpose")
        step.result = str(capctl("image", "push").document["tag"])
    with record.step("deploy the broken image", *real_job(stage)) as step:
        failed = capctl("deploy", "--yes", expect=ExitCode.ROLLED_BACK)
        step.result = f"exit {failed.exit_code}, `{failed.document['code']}`: rolled back"
    with record.step("status") as step:
        status = capctl("status").document
        releases = [release["id"] for release in status["releases"]]
        expect(status["pointer"]["release_id"] == active, f"the pointer must still name {active}")
        expect(len(releases) == 2, f"the broken release must be gone, found {releases}")
        step.result = f"the pointer still names {active}; {len(releases)} releases exist"


def _expiry(stage: Stage, capctl: Capctl, record: Recorder, *, releases: Collection[str]) -> None:
    """What ECR would remove by itself, and the tags that keep it from the images of all releases that there ever were."""
    with record.step("image policy --preview", stage.standins.registry) as step:
        policy = capctl("image", "policy", "--preview").document
        expect(policy["in_force"], "the repository must have the policy that the configuration makes")
        expect(not policy["expiring"], f"nothing may expire, found {policy['expiring']}")
        pages = stage.client("ecr").get_paginator("list_images").paginate(repositoryName=PROJECT)
        tags = {image.get("imageTag", "") for page in pages for image in page["imageIds"]}
        kept = {tag.release_id for tag in map(parse_release_tag, tags) if tag}
        expect(kept > set(releases), f"the images of {releases} and of the broken release must be tagged, found {tags}")
        step.result = (
            f"{counted(len(policy['rules']), 'rule')}; nothing expires, the images of {len(kept)} releases never do"
        )


def _rollback(capctl: Capctl, record: Recorder, *, to: str) -> None:
    with record.step("rollback") as step:
        capctl("rollback", "--yes")
        status = capctl("status").document
        expect(status["pointer"]["release_id"] == to, f"the pointer must name {to} again")
        step.result = f"the pointer names {to} again"


def _drift(stage: Stage, capctl: Capctl, record: Recorder, *, previous: str) -> None:
    """Nothing has changed behind capctl's back; what somebody does there then is found, and nothing else."""
    with record.step("drift") as step:
        drift = capctl("drift").document
        expect(not drift["differences"] and drift["complete"], f"nothing may differ, found {drift['differences']}")
        batch, queue = stage.client("batch"), f"{PROJECT}-{previous}"
        batch.update_job_queue(jobQueue=queue, state="DISABLED")
        found = capctl("drift", expect=ExitCode.FAILED).document["differences"]
        batch.update_job_queue(jobQueue=queue, state="ENABLED")
        told = [(each["code"], each["release_id"]) for each in found]
        expect(told == [("queue-disabled", previous)], f"only the disabled queue may differ, found {told}")
        step.result = f"none in {counted(drift['releases'], 'release')}; found the queue that was disabled by hand"


def _way_back(stage: Stage, capctl: Capctl, record: Recorder, *, active: str) -> None:
    """The code follows the pointer, so that whoever works on from here starts with a project that deploys."""
    with record.step("git revert, image push", stage.standins.registry) as step:
        stage.project.revert(commits=2)
        pushed = capctl("image", "push").document
        expect(not pushed["changed"], "code that was taken back must give the image that it had")
        step.result = f"{pushed['tag']} is there already, {_sent(pushed)}"
    with record.step("deploy, unchanged", stage.standins.registry) as step:
        deployed = capctl("deploy", "--yes").document
        expect(not deployed["changed"] and deployed["pointer"]["release_id"] == active, f"{active} must need no deploy")
        step.result = f"release {active} is active already"


def _sent(pushed: dict[str, Any]) -> str:
    return f"{counted(pushed['requests'], 'request')}, {size_text(pushed['bytes_sent'])}"
