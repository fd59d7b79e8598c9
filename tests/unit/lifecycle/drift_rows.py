"""What is done behind capctl's back, and the difference that it makes, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import STABLE, Note
from lifecycle.domain.compute import (
    DefinitionRecord,
    EnvironmentRecord,
    HostRecord,
    QueueRecord,
    TemplateRecord,
)
from lifecycle.domain.difference import Severity
from lifecycle.domain.job import QueueState
from lifecycle.domain.tags import Tag
from tests.fakes.ports import FakePorts
from tests.fakes.stack import deployed
from tests.unit.lifecycle.rollback_parts import NEW, OLD

AMI = NEW.ami_id
OTHER_AMI = AmiId("ami-0fedcba9876543210")
PROVEN: dict[str, str] = {Tag.PROJECT: "vision", Tag.STATUS: "verified"}
STRAY = "vision-abcdefabcdef"
QUEUE, ENVIRONMENT = deployed(NEW).job_queue_arn, deployed(NEW).compute_environment_arn
DEFINITION, TEMPLATE = deployed(NEW).job_definition_arn, f"lt-{NEW.id}"
NAME = f"vision-{NEW.id}"


def change(**changed: dict[str, Any]) -> Callable[[FakePorts], None]:
    parts = {"queue": QUEUE, "environment": ENVIRONMENT, "definition": DEFINITION, "template": TEMPLATE}
    return lambda ports: ports.compute.changed.update({parts[part]: fields for part, fields in changed.items()})


def remove(*names: str) -> Callable[[FakePorts], None]:
    return lambda ports: ports.compute.gone.update(names)


def stray(part: object) -> Callable[[FakePorts], None]:
    return lambda ports: ports.compute.strays.append(part)


def move_pointer(**fields: Any) -> Callable[[FakePorts], None]:
    def move(ports: FakePorts) -> None:
        pointer = ports.pointers.read()
        assert pointer
        moved = replace(pointer, version=pointer.version + 1, **fields)
        ports.pointers.move(moved, expected_version=pointer.version)

    return move


def unstack(release_id: str) -> Callable[[FakePorts], None]:
    def forget(ports: FakePorts) -> None:
        ports.stack.remove_releases([release_id])

    return forget


def deregister(ports: FakePorts) -> None:
    ports.amis.deregister(AMI)


def newer(ports: FakePorts, **tags: str) -> None:
    ports.amis.add("newer", tags={**PROVEN, **tags})


@dataclass(frozen=True, slots=True)
class Row:
    """What somebody does, and the one difference that it makes: its code, how bad it is, what it is about, what was found, what to do."""

    do: Callable[[FakePorts], object]
    code: str
    severity: Severity
    what: str
    found: str
    next: str

    def __str__(self) -> str:
        return f"{self.code}: {self.found}"


FAULT, UNREAD, NOTICE = Severity.FAULT, Severity.UNREAD, Severity.NOTICE
REMAKE = f"`pulumi refresh` of stack `test-releases`, then `capctl deploy --ami {AMI} --image {NEW.image.digest}`"
ROLLBACK = f"`capctl rollback`, or {REMAKE}"
DEPLOY_ANOTHER = "`capctl deploy` of a good release, before there is need to go back"
RESTORE = (
    f"`aws batch update-compute-environment --compute-environment {NAME} --compute-resources"
    f" launchTemplate={{launchTemplateId={TEMPLATE},version=1}}`"
)
ROWS = [
    # the pointer
    Row(
        move_pointer(job_queue_arn="arn:job-queue/other"),
        "pointer-place", FAULT, f"queue that the pointer has for release {NEW.id}", "arn:job-queue/other", "`capctl rollback`",
    ),
    Row(
        move_pointer(previous_job_definition_arn="arn:job-definition/other:1"), "previous-place", FAULT,
        f"job definition that the pointer has for release {OLD.id}", "arn:job-definition/other:1", DEPLOY_ANOTHER,
    ),
    Row(
        move_pointer(previous_ami_id=OTHER_AMI), "previous-place", FAULT,
        f"AMI that the pointer has for release {OLD.id}", OTHER_AMI, DEPLOY_ANOTHER,
    ),
    Row(
        move_pointer(previous_release_id="abcdefabcdef"), "previous-release-missing", FAULT,
        "release abcdefabcdef of the pointer", "missing", DEPLOY_ANOTHER,
    ),
    # Batch
    Row(remove(QUEUE), "queue-missing", FAULT, f"queue {NAME}", "missing", ROLLBACK),
    Row(remove(ENVIRONMENT), "environment-missing", FAULT, f"compute environment {NAME}", "missing", ROLLBACK),
    Row(remove(TEMPLATE), "template-missing", FAULT, f"version 1 of launch template {NAME}", "missing", ROLLBACK),
    Row(remove(DEFINITION), "definition-missing", FAULT, f"job definition {NAME}:1", "missing, or not active", ROLLBACK),
    Row(
        change(queue={"is_enabled": False}), "queue-disabled", FAULT, f"queue {NAME}", "DISABLED",
        f"`aws batch update-job-queue --job-queue {NAME} --state ENABLED`",
    ),
    Row(
        change(environment={"is_enabled": False}), "environment-disabled", FAULT, f"compute environment {NAME}", "DISABLED",
        f"`aws batch update-compute-environment --compute-environment {NAME} --state ENABLED`",
    ),
    Row(
        change(environment={"state": QueueState.INVALID, "reason": "AMI cannot be described"}),
        "environment-state", FAULT, f"compute environment {NAME}", "INVALID: AMI cannot be described", ROLLBACK,
    ),
    Row(
        change(environment={"state": QueueState.UPDATING, "reason": "ComputeEnvironment Healthy"}),
        "environment-state", NOTICE, f"compute environment {NAME}",
        "UPDATING", "`capctl drift` again in some minutes",
    ),
    Row(change(queue={"state": QueueState.DELETING}), "queue-state", FAULT, f"queue {NAME}", "DELETING", ROLLBACK),
    Row(
        change(queue={"environment_arns": (ENVIRONMENT, f"{ENVIRONMENT}2")}), "queue-environment", FAULT,
        f"compute environments of queue {NAME}", f"{NAME}, {NAME}2",
        f"`aws batch update-job-queue --job-queue {NAME} --compute-environment-order order=1,computeEnvironment={NAME}`",
    ),
    Row(
        change(environment={"max_vcpus": 400}), "environment-vcpus", FAULT, f"most vCPUs of compute environment {NAME}", "400",
        f"`aws batch update-compute-environment --compute-environment {NAME} --compute-resources maxvCpus=40`",
    ),
    Row(
        change(environment={"template_version": "$Latest"}), "environment-template", FAULT,
        f"launch template of compute environment {NAME}", f"{TEMPLATE} version $Latest", RESTORE,
    ),
    Row(
        change(environment={"template_id": "lt-other"}), "environment-template", FAULT,
        f"launch template of compute environment {NAME}", "lt-other version 1", RESTORE,
    ),
    Row(
        change(environment={"ami_overrides": (OTHER_AMI,)}), "environment-ami", FAULT,
        f"AMI that compute environment {NAME} names itself", OTHER_AMI, ROLLBACK,
    ),
    Row(
        change(template={"amis": {"1": OTHER_AMI}}), "template-ami", FAULT, f"AMI of launch template {NAME}", OTHER_AMI, ROLLBACK,
    ),
    Row(
        change(template={"amis": {"2": AMI}}), "template-missing", FAULT, f"version 1 of launch template {NAME}",
        "only version 2", ROLLBACK,
    ),
    Row(
        change(template={"amis": {"1": AMI, "10": OTHER_AMI, "9": OTHER_AMI}}), "template-versions", NOTICE,
        f"launch template {NAME}", "version 9, 10 too, which nothing of the release names",
        f"`aws ec2 delete-launch-template-versions --launch-template-id {TEMPLATE} --versions 9 10`",
    ),
    Row(
        change(definition={"image": "busybox:latest"}), "definition-image", FAULT, f"image of job definition {NAME}:1",
        "busybox:latest", ROLLBACK,
    ),
    # what runs
    Row(
        lambda ports: ports.compute.running.append(HostRecord(id="i-1", release_id=NEW.id, ami_id=OTHER_AMI)),
        "host-ami", FAULT, "AMI of instance i-1", OTHER_AMI,
        "`aws ec2 terminate-instances --instance-ids i-1`, which ends the jobs on it",
    ),
    # what nobody owns
    Row(
        lambda ports: ports.compute.running.append(HostRecord(id="i-1", release_id="abcdefabcdef", ami_id=AMI)),
        "orphan", FAULT, "instance i-1", "of release abcdefabcdef, which is not in the stack",
        "`aws ec2 terminate-instances --instance-ids i-1`",
    ),
    Row(
        stray(TemplateRecord(id="lt-1", name=STRAY)), "orphan", FAULT, f"launch template {STRAY}", "of no release in the stack",
        f"`aws ec2 delete-launch-template --launch-template-name {STRAY}`",
    ),
    Row(
        stray(DefinitionRecord(arn=f"arn:job-definition/{STRAY}:3", name=STRAY, image="busybox")), "orphan", FAULT,
        f"job definition {STRAY}:3", "of no release in the stack",
        f"`aws batch deregister-job-definition --job-definition {STRAY}:3`",
    ),
    Row(
        stray(
            QueueRecord(
                arn="arn:job-queue/by-hand", name="by-hand", state=QueueState.VALID, reason="", is_enabled=True,
                environment_arns=(),
            )
        ),
        "orphan", FAULT, "queue by-hand", "of no release in the stack",
        "`aws batch update-job-queue --job-queue by-hand --state DISABLED`,"
        " then `aws batch delete-job-queue --job-queue by-hand`",
    ),
    Row(
        stray(
            EnvironmentRecord(
                arn=f"arn:compute-environment/{STRAY}", name=STRAY, state=QueueState.INVALID, reason="", is_enabled=True,
                max_vcpus=1, template_id="", template_version="",
            )
        ),
        "orphan", FAULT, f"compute environment {STRAY}", "of no release in the stack",
        f"`aws batch update-compute-environment --compute-environment {STRAY} --state DISABLED`,"
        f" then `aws batch delete-compute-environment --compute-environment {STRAY}`",
    ),
    # releases
    Row(
        lambda ports: ports.stack.leave("abcdefabcdef"), "release-half-made", NOTICE, "release abcdefabcdef",
        "half made: a deploy is at work, or was killed", "`capctl deploy`, which finishes it or clears it away",
    ),
    # AMIs that are no fault
    Row(newer, "newer-ami", NOTICE, "newest verified AMI", f"ami-{2:017x}", f"`capctl deploy --ami ami-{2:017x}`"),
    Row(
        lambda ports: ports.channels.write(STABLE, OTHER_AMI, Note(by="ada"), is_first=False), "channel-ami", NOTICE,
        "AMI of channel stable", OTHER_AMI, f"`capctl ami promote {AMI} --to stable`, or `capctl deploy --ami stable`",
    ),
]  # fmt: skip
