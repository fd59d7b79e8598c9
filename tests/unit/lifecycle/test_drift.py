"""Drift: what differs from what was deployed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.channel import CANDIDATE, STABLE, Note
from lifecycle.domain.compute import (
    DefinitionRecord,
    HostRecord,
    TemplateRecord,
    release_in,
)
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, Inconclusive, UsageError
from lifecycle.workflows.drift import Drift, drift_failure, find_drift
from tests.fakes.faults import Broken
from tests.fakes.ports import FakePorts
from tests.fakes.stack import FakeStack, deployed
from tests.fakes.targets import make_target
from tests.unit.lifecycle.drift_rows import (
    AMI,
    DEFINITION,
    FAULT,
    NAME,
    NOTICE,
    OTHER_AMI,
    PROVEN,
    QUEUE,
    ROWS,
    TEMPLATE,
    UNREAD,
    Row,
    deregister,
    move_pointer,
    newer,
    unstack,
)
from tests.unit.lifecycle.rollback_parts import NEW, OLD, numbered, two_promoted


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
