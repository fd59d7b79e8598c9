"""Drift: what differs from what was deployed, as a table of what is done behind capctl's back and what is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.channel import CANDIDATE, STABLE, Note
from lifecycle.domain.compute import (
    DefinitionRecord,
    EnvironmentRecord,
    HostRecord,
    QueueRecord,
    TemplateRecord,
    release_in,
)
from lifecycle.domain.difference import Severity
from lifecycle.domain.job import QueueState
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, Inconclusive, UsageError
from lifecycle.workflows.drift import Drift, drift_failure, find_drift
from tests.fakes.faults import Broken
from tests.fakes.ports import FakePorts
from tests.fakes.stack import FakeStack, deployed
from tests.fakes.targets import make_target
from tests.unit.lifecycle.rollback_parts import NEW, OLD, numbered, two_promoted

AMI = NEW.ami_id
OTHER_AMI = AmiId("ami-0fedcba9876543210")
PROVEN: dict[str, str] = {Tag.PROJECT: "vision", Tag.STATUS: "verified"}
STRAY = "vision-abcdefabcdef"
QUEUE, ENVIRONMENT = deployed(NEW).job_queue_arn, deployed(NEW).compute_environment_arn
DEFINITION, TEMPLATE = deployed(NEW).job_definition_arn, f"lt-{NEW.id}"
NAME = f"vision-{NEW.id}"


@pytest.fixture
def ports() -> FakePorts:
    """Two releases that were promoted, of a verified AMI that `stable` names, with their images in the repository."""
    made = two_promoted()
    made.amis.tag(AMI, PROVEN)
    made.channels.write(STABLE, AMI, Note(by="ada"), is_first=True)
    for number, release in enumerate((OLD, NEW), start=1):
        made.repository_images.add(str(number), f"rel-{release.id}-20260101")
    return made


@pytest.fixture
def look(ports: FakePorts, tmp_path: Path) -> Callable[[], Drift]:
    return lambda: find_drift(ports, make_target(tmp_path))


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


def test_nothing_differs_from_what_was_deployed(ports: FakePorts, look: Callable[[], Drift], tmp_path: Path) -> None:
    ports.compute.running.append(HostRecord(id="i-1", release_id=NEW.id, ami_id=AMI))
    ports.compute.running.append(HostRecord(id="i-2", release_id=OLD.id, ami_id=AMI))
    drift = look()
    assert drift == Drift(differences=(), release_ids=(OLD.id, NEW.id))
    assert drift_failure(drift, make_target(tmp_path)) is None


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_somebody_did_is_found_and_nothing_else(
    ports: FakePorts, look: Callable[[], Drift], tmp_path: Path, row: Row
) -> None:
    row.do(ports)
    drift = look()
    assert [(one.code, one.severity, one.what, one.found, one.next) for one in drift.differences] == [
        (row.code, row.severity, row.what, row.found, row.next)
    ]
    failure = drift_failure(drift, make_target(tmp_path))
    assert (failure and failure.code) == ("drifted" if row.severity is FAULT else None)


def test_previous_release_is_looked_at_as_well_and_no_rollback_mends_it(
    ports: FakePorts, look: Callable[[], Drift]
) -> None:
    ports.compute.gone.add(deployed(OLD).job_queue_arn)
    (found,) = look().differences
    assert (found.code, found.release_id) == ("queue-missing", OLD.id)
    assert "rollback" not in found.next


@pytest.mark.parametrize(
    ("gone", "code", "do"),
    [
        (NEW.id, "pointer-release-missing", "`capctl rollback`"),
        (OLD.id, "previous-release-missing", "`capctl deploy` of a good release, before there is need to go back"),
    ],
)
def test_release_that_the_pointer_names_and_the_stack_lacks(
    ports: FakePorts, look: Callable[[], Drift], gone: str, code: str, do: str
) -> None:
    unstack(gone)(ports)
    found = look().differences
    assert [(one.code, one.release_id, one.found, one.next) for one in found] == [(code, gone, "missing", do)]


def test_release_of_the_pointer_that_is_half_made_is_a_fault_and_its_parts_are_no_orphans(
    ports: FakePorts, look: Callable[[], Drift]
) -> None:
    ports.stack.damage(NEW.id)
    ports.compute.strays.append(TemplateRecord(id=TEMPLATE, name=NAME, amis={"1": AMI}))
    assert [(one.code, one.found) for one in look().differences] == [("pointer-release-missing", "half made")]


def test_pointer_of_an_earlier_version_says_less_and_no_more_is_asked_of_it(
    ports: FakePorts, look: Callable[[], Drift]
) -> None:
    move_pointer(ami_id="", previous_ami_id="", previous_job_queue_arn="", previous_job_definition_arn="")(ports)
    assert look().differences == ()


def test_queue_that_a_deploy_closed_for_the_last_jobs_of_an_old_release_is_no_fault(
    ports: FakePorts, look: Callable[[], Drift], tmp_path: Path
) -> None:
    ports.stack.add_release(numbered(3))
    ports.repository_images.add("3", f"rel-{numbered(3).id}-20260101")
    ports.compute.changed[deployed(numbered(3)).job_queue_arn] = {"is_enabled": False}
    drift = look()
    assert [(one.code, one.severity) for one in drift.differences] == [("queue-closed", NOTICE)]
    assert drift_failure(drift, make_target(tmp_path)) is None


def test_half_made_release_before_the_active_one_is_a_fault(ports: FakePorts, look: Callable[[], Drift]) -> None:
    ports.stack.damage(OLD.id)
    assert [(one.code, one.severity) for one in look().differences] == [("previous-release-missing", FAULT)]


def test_other_revision_of_a_release_is_told_beside_the_missing_one(
    ports: FakePorts, look: Callable[[], Drift]
) -> None:
    ports.compute.gone.add(DEFINITION)
    other = DEFINITION.removesuffix(":1") + ":2"
    ports.compute.strays.append(DefinitionRecord(arn=other, name=NAME, image=str(NEW.image)))
    assert [one.found for one in look().differences] == [f"not active, unlike {NAME}:2"]


AMI_ROWS: list[tuple[Callable[[FakePorts], object], str, str]] = [
    (deregister, "ami-missing", "deregistered"),
    (lambda ports: ports.amis.change(AMI, state=AmiState.DISABLED), "ami-off", "disabled"),
    (lambda ports: ports.amis.tag(AMI, {Tag.STATUS: "candidate"}), "ami-not-verified", "candidate"),
    (lambda ports: ports.amis.tag(AMI, {Tag.STATUS: "tested"}), "ami-not-verified", "tested"),
]


@pytest.mark.parametrize(("do", "code", "found"), AMI_ROWS, ids=[row[1] + row[2] for row in AMI_ROWS])
def test_ami_of_both_releases_that_cannot_be_relied_on(
    ports: FakePorts, look: Callable[[], Drift], do: Callable[[FakePorts], object], code: str, found: str
) -> None:
    do(ports)
    assert [(one.code, one.found, one.release_id) for one in look().faults] == [
        (code, found, OLD.id),
        (code, found, NEW.id),
    ]


def test_ami_that_lost_its_tag_is_still_looked_at(ports: FakePorts, look: Callable[[], Drift]) -> None:
    ports.amis.untag(AMI, [Tag.PROJECT])
    assert look().differences == ()


@pytest.mark.parametrize(
    ("tags", "code", "found"),
    [(None, "image-missing", "missing"), (("code-0123456789ab",), "image-untagged", "code-0123456789ab")],
)
def test_image_that_is_gone_or_may_expire(
    ports: FakePorts, look: Callable[[], Drift], tags: tuple[str, ...] | None, code: str, found: str
) -> None:
    ports.repository_images.delete([NEW.image.digest])
    if tags:
        ports.repository_images.add("2", *tags)
    assert [(one.code, one.found, one.release_id) for one in look().differences] == [(code, found, NEW.id)]


def test_ami_that_is_no_better_is_no_notice(ports: FakePorts, look: Callable[[], Drift]) -> None:
    newer(ports, **{Tag.STATUS: "candidate"})
    ports.channels.write(CANDIDATE, OTHER_AMI, Note(by="ada"), is_first=True)
    assert look().differences == ()


def test_release_without_a_record_is_not_known_to_be_right(
    ports: FakePorts, look: Callable[[], Drift], tmp_path: Path
) -> None:
    ports.stack.stand(replace(deployed(NEW), ami_id=AmiId(""), image=replace(NEW.image, repository="")))
    found = look()
    assert {(one.code, one.severity) for one in found.unread} == {
        ("release-unrecorded", UNREAD),
        ("image-foreign", UNREAD),
    }


def test_account_without_a_base_stack_has_drifted(tmp_path: Path) -> None:
    drift = find_drift(FakePorts(stack=FakeStack(bootstrapped=False)), make_target(tmp_path))
    assert [(one.code, one.next) for one in drift.differences] == [("base-missing", "`capctl bootstrap`")]


def test_account_in_which_nothing_was_deployed_has_not(tmp_path: Path) -> None:
    assert find_drift(FakePorts(), make_target(tmp_path)).differences == ()


READS = ["amis", "channels", "compute", "pointers", "repository_images", "stack"]


@pytest.mark.parametrize("call", range(11))
def test_whatever_cannot_be_read_is_told_and_nothing_is_called_right(
    ports: FakePorts, tmp_path: Path, call: int
) -> None:
    broken: Any = Broken(ports, *READS, at=call)
    drift = find_drift(broken, make_target(tmp_path))
    assert len(broken.calls) == 11
    assert [one.severity for one in drift.differences] == [UNREAD]
    failure = drift_failure(drift, make_target(tmp_path))
    assert isinstance(failure, Inconclusive)
    assert failure.code == "drift-unproven"


def test_refused_read_hides_no_fault(ports: FakePorts, look: Callable[[], Drift], tmp_path: Path) -> None:
    ports.compute.refused["templates"] = Denied("permission-denied", "AWS refused to read launch templates")
    ports.compute.changed[QUEUE] = {"is_enabled": False}
    drift = look()
    assert [(one.severity, one.code) for one in drift.differences] == [(FAULT, "queue-disabled"), (UNREAD, "unread")]
    failure = drift_failure(drift, make_target(tmp_path))
    assert failure
    assert failure.code == "drifted"


@pytest.mark.parametrize(
    "error",
    [
        Denied("credentials-expired", "They expired"),
        UsageError("passphrase-wrong", "It does not open the state"),
    ],
)
def test_what_would_befall_every_read_ends_the_command(
    ports: FakePorts, look: Callable[[], Drift], error: CapctlError
) -> None:
    ports.compute.refused["hosts"] = error
    with pytest.raises(type(error)) as raised:
        look()
    assert raised.value is error


@pytest.mark.parametrize(
    ("name", "project", "found"),
    [
        ("vision-0123456789ab", "vision", "0123456789ab"),
        ("vision-x-0123456789ab", "vision", ""),
        ("vision-x-0123456789ab", "vision-x", "0123456789ab"),
        ("vision-0123456789AB", "vision", ""),
        ("vision-0123456789abc", "vision", ""),
        ("vision", "vision", ""),
    ],
)
def test_name_of_a_release_is_the_projects_and_twelve_digits(name: str, project: str, found: str) -> None:
    assert release_in(name, project) == found
