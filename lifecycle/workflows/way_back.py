"""From a release that proved bad to what took jobs before it."""

from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.deployment import Deployment, Outcome
from lifecycle.domain.permissions import TAKE_TURN, WRITE_DEPLOYMENTS
from lifecycle.domain.plan import Guard, Plan, Step
from lifecycle.domain.release import Pointer, Release
from lifecycle.domain.run import Run
from lifecycle.ports import Ports
from lifecycle.workflows.deployment import DeploymentGuard
from lifecycle.workflows.move_jobs import RestoreJobs
from lifecycle.workflows.remove_releases import PruneReleases
from lifecycle.workflows.restore_pointer import RestorePointer

PERMISSIONS = {"deploy": (*TAKE_TURN, *WRITE_DEPLOYMENTS)}


def plan_way_back(
    ports: Ports, target: Target, run: Run, release: Release, pointer: Pointer | None, last: Deployment
) -> Plan:
    """The way back that a kill or trouble cut off in the deployment `last`. What is left of the release a prune removes."""
    guard = DeploymentGuard(ports, run, release, pointer, ends_as=Outcome.ROLLED_BACK, promoted_by=last.promoter)
    return Plan(
        title=f"take back release {release.id}",
        because=last.told,
        steps=way_back(ports, target, run, release, guard, promoted_by=last.promoter),
        after=(PruneReleases(ports=ports, keep=target.settings.stack.keep_releases),),
        guard=guard,
    )


def way_back(
    ports: Ports, target: Target, run: Run, release: Release, guard: Guard, *, promoted_by: str
) -> tuple[Step[Any], ...]:
    """What undoes that the run `promoted_by` moved the pointer to the release, if it did; the release itself stays.

    The pointer first: then no more jobs come while those that wait are moved.
    """
    return (
        RestorePointer(ports=ports, run=run, release_id=release.id, promoted_by=promoted_by),
        RestoreJobs(ports=ports, project=target.project, release_id=release.id, guard=guard),
    )
