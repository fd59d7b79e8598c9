"""What the plan of a rollback tells of where it leads."""

import pytest

from lifecycle.domain.deployment import Deployment, Stage
from lifecycle.domain.job import QueueState
from lifecycle.errors import Denied
from lifecycle.workflows.execute import execute
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.rollback_look import look_ahead
from tests.fakes.deployments import HOLDER
from tests.fakes.faults import Broken
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import deployed
from tests.unit.lifecycle.rollback_parts import NEW, OLD, two_promoted


@pytest.fixture
def ports() -> FakePorts:
    return two_promoted()


def told(ports: FakePorts) -> tuple[str, ...]:
    """What the look adds to the plan."""
    plan = plan_rollback(ports, RUN, to=None)
    return look_ahead(ports, plan).details[len(plan.details) :]


def test_nothing_is_said_where_all_is_well(ports: FakePorts) -> None:
    assert told(ports) == ()


@pytest.mark.parametrize(
    ("part", "change", "obstacle"),
    [
        ("job_queue_arn", {"is_enabled": False}, "its job queue is DISABLED"),
        ("compute_environment_arn", {"state": QueueState.INVALID, "reason": "no role"}, "Batch says INVALID: no role"),
    ],
)
def test_release_that_takes_no_jobs_is_told(
    ports: FakePorts, part: str, change: dict[str, object], obstacle: str
) -> None:
    ports.compute.changed[getattr(deployed(OLD), part)] = change
    (line,) = told(ports)
    assert line.startswith(f"Release {OLD.id} takes no jobs: {obstacle}; `capctl drift` says what to do")


def test_queue_that_is_gone_is_told(ports: FakePorts) -> None:
    ports.compute.gone = {deployed(OLD).job_queue_arn}
    (line,) = told(ports)
    assert "the release has no job queue in Batch" in line


def test_release_that_is_left_does_not_count(ports: FakePorts) -> None:
    ports.compute.changed[deployed(NEW).job_queue_arn] = {"is_enabled": False}
    assert told(ports) == ()


def test_deploy_that_runs_meanwhile_is_told(ports: FakePorts) -> None:
    with ports.deployments.turn("another-run", "capctl deploy") as turn:
        ports.deployments.write(
            Deployment(
                number=turn.number,
                holder=turn.holder,
                reason="",
                release_id="0123456789ab",
                record="",
                replaces=NEW.id,
                stages=((Stage.SMOKE, HOLDER.since),),
            )
        )
        (line,) = told(ports)
    assert line == (
        "Deployment 1 of release 0123456789ab by tester@machine runs (smoke): it finds the pointer moved, and stops"
    )


def test_trouble_of_the_look_is_a_warning(ports: FakePorts) -> None:
    ports.compute.refused["queues"] = Denied("permission-denied", "AWS refused")
    (line,) = told(ports)
    assert line.endswith("was not seen: AWS refused; `capctl status` shows it")


def test_plan_without_a_move_needs_no_look(ports: FakePorts) -> None:
    watched = Broken(ports)
    plan = plan_rollback(watched, RUN, to=NEW.id)
    asked = len(watched.calls)
    assert look_ahead(watched, plan) == plan
    assert len(watched.calls) == asked


def test_way_back_itself_asks_nothing_of_batch(ports: FakePorts) -> None:
    watched = Broken(ports)
    execute(plan_rollback(watched, RUN, to=None), watched, RUN)
    moved = [call for call in watched.calls if not call.startswith("journal.")]
    assert moved[-1] == "pointers.move"
    assert len(moved) <= 3
