"""Status: releases, their roles and their queues."""

from dataclasses import replace

import pytest

from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.status import read_status
from tests.fakes.jobs import queue
from tests.fakes.ports import FakePorts
from tests.fakes.stack import FakeStack, deployed
from tests.unit.lifecycle.rollback_parts import NEW, OLD, numbered, promote, rollback, two_promoted


@pytest.fixture
def ports() -> FakePorts:
    return two_promoted()


def test_status_shows_roles_and_queues(ports: FakePorts) -> None:
    ports.jobs.queues = [queue("VALID"), queue("INVALID", "AMI cannot be described")]
    status = read_status(ports)
    assert [(r.deployed.id, r.role, r.queue.state) for r in status.releases] == [
        (OLD.id, "previous", "VALID"),
        (NEW.id, "active", "INVALID"),
    ]


def test_release_that_was_made_and_never_promoted_is_a_candidate(ports: FakePorts) -> None:
    ports.stack.add_release(numbered(3))
    assert [release.role for release in read_status(ports).releases] == ["previous", "active", "candidate"]


def test_release_that_was_promoted_is_no_candidate_after_any_number_of_rollbacks(ports: FakePorts) -> None:
    third = numbered(3)
    ports.stack.add_release(third)
    promote(ports, third)
    for to in (NEW, OLD):
        rollback(ports, to=to)
    assert [release.role for release in read_status(ports).releases] == ["active", "previous", ""]


def test_no_release_is_a_candidate_where_the_pointer_does_not_say_which_were_promoted(ports: FakePorts) -> None:
    ports.stack.add_release(numbered(3))
    ports.pointers.move(replace(active_pointer(ports), version=3, promoted=()), expected_version=2)
    assert [release.role for release in read_status(ports).releases] == ["previous", "active", ""]
    rollback(ports)
    ports.stack.add_release(numbered(4))
    assert [release.role for release in read_status(ports).releases] == ["active", "previous", "", "candidate"]


def test_release_that_is_older_than_those_of_the_pointer_has_no_role(ports: FakePorts) -> None:
    ports.stack.add_release(numbered(3))
    promote(ports, numbered(3))
    assert [release.role for release in read_status(ports).releases] == ["", "previous", "active"]


def test_status_before_the_first_deploy_is_empty() -> None:
    stack = FakeStack()
    status = read_status(FakePorts(stack=stack))
    assert (status.pointer, status.releases, status.journal) == (None, (), ())


def test_queue_that_is_gone_is_a_state(ports: FakePorts) -> None:
    ports.jobs.missing = {deployed(OLD).job_queue_arn}
    assert [release.queue.state for release in read_status(ports).releases] == ["MISSING", "VALID"]
