"""What a rollback looks at once the pointer has moved, and what its dry run tells with the plan."""

import pytest

from lifecycle.domain.deployment import Deployment, Stage
from lifecycle.domain.job import QueueState
from lifecycle.errors import Denied, Interrupted
from lifecycle.workflows.execute import execute
from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.rollback_look import look_after, look_ahead
from tests.failures import failure
from tests.fakes.deployments import HOLDER
from tests.fakes.faults import Broken
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import deployed
from tests.unit.lifecycle.rollback_parts import NEW, OLD, rollback, two_promoted


@pytest.fixture
def ports() -> FakePorts:
    return two_promoted()


def after(ports: FakePorts) -> tuple[str, ...]:
    rollback(ports)
    return look_after(ports, active_pointer(ports).place)


def test_nothing_is_said_where_all_is_well(ports: FakePorts) -> None:
    assert after(ports) == ()


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("job_queue_arn", {"is_enabled": False}, "its job queue is DISABLED"),
        ("compute_environment_arn", {"state": QueueState.INVALID, "reason": "no role"}, "Batch says INVALID: no role"),
    ],
)
def test_release_that_takes_no_jobs_is_told(ports: FakePorts, part: str, change: dict[str, object], told: str) -> None:
    ports.compute.changed[getattr(deployed(OLD), part)] = change
    planned = look_ahead(ports, plan_rollback(ports, RUN, to=None)).details
    assert planned == after(ports)
    (line,) = planned
    assert line.startswith(f"Release {OLD.id} takes no jobs: {told}; `capctl drift` says what to do")


def test_queue_that_is_gone_is_told(ports: FakePorts) -> None:
    ports.compute.gone = {deployed(OLD).job_queue_arn}
    (line,) = after(ports)
    assert "the release has no job queue in Batch" in line


def test_release_that_is_left_does_not_count(ports: FakePorts) -> None:
    ports.compute.changed[deployed(NEW).job_queue_arn] = {"is_enabled": False}
    assert after(ports) == ()


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
        (line,) = after(ports)
    assert line == (
        "Deployment 1 of release 0123456789ab by tester@machine runs (smoke): it finds the pointer moved, and stops"
    )


def test_trouble_of_the_look_is_a_warning(ports: FakePorts) -> None:
    ports.compute.refused["queues"] = Denied("permission-denied", "AWS refused")
    (line,) = after(ports)
    assert line.endswith("was not seen: AWS refused; `capctl status` shows it")
    assert active_pointer(ports).release_id == OLD.id


def test_look_that_is_interrupted_says_that_the_pointer_has_moved(ports: FakePorts) -> None:
    ports.compute.refused["queues"] = Interrupted("interrupted", "The command was interrupted by SIGINT")
    told = failure(lambda: after(ports))
    assert told.exit_code == 130
    assert f"after the pointer moved to release `{OLD.id}`" in told.message


def test_look_asks_nothing_before_the_pointer_has_moved(ports: FakePorts) -> None:
    watched = Broken(ports)
    plan = plan_rollback(watched, RUN, to=None)
    execute(plan, watched, RUN)
    moved = [call for call in watched.calls if not call.startswith("journal.")]
    assert moved[-1] == "pointers.move"
    assert len(moved) <= 3
    del watched.calls[:]
    look_after(watched, active_pointer(ports).place)
    assert sorted(watched.calls) == ["compute.environments", "compute.queues", "deployments.standing"]
